"""The `imil` command: its groups, and how it starts."""

import sys
from typing import Annotated, NoReturn

import typer

import imil
from imil.cli import (
    demo,
    experiment,
    export,
    insight,
    phantom,
    refocus,
    report,
    review,
    serve,
    slicermodule,
    study,
    train,
)
from imil.cli.errors import told_in_a_sentence

app = typer.Typer(
    name="imil",
    help="Interactive medical image learning: a reader corrects where a classifier looks, while it trains.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: the decorated one would cost the import of rich at every usage error.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.add_typer(study.app, name="study")
experiment.app.command("refocus")(refocus.refocus)
app.add_typer(experiment.app, name="experiment")
for _command in (
    demo.demo,
    phantom.phantom,
    serve.serve,
    slicermodule.slicer_module,
    train.train,
    review.review,
    insight.insight,
    report.report,
    export.export,
):
    app.command()(_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"imil {imil.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """Run the command line; errors are told by `imil.cli.errors`."""
    with told_in_a_sentence():
        app(prog_name="imil")
    sys.exit(0)
