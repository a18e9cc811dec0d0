"""`imil train`: train a study's run to its next stop, without a server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imil.cli.options import StudyFolder, takes_settings
from imil.settings import DEFAULT_PRESET, PRESETS, resolve

if TYPE_CHECKING:
    from imil.store import Run


@takes_settings
def train(
    study: StudyFolder,
    preset: Annotated[
        str, typer.Option("--preset", help=f"Named set of settings: {', '.join(PRESETS)}.", show_default=DEFAULT_PRESET)
    ] = "",
    new_run: Annotated[bool, typer.Option("--new-run", help="Start afresh, although there is a run already.")] = False,
    continue_early: Annotated[
        bool, typer.Option("--continue-early", help="Go on although cases are left to review.")
    ] = False,
    without_feedback: Annotated[
        bool,
        typer.Option("--without-feedback", help="Train the comparison: from the first round to the end, no feedback."),
    ] = False,
    reopen: Annotated[
        bool,
        typer.Option("--reopen", help="Take answers to the round again, instead of going on with what was learnt."),
    ] = False,
    more_cases: Annotated[
        int, typer.Option("--more-cases", help="Add so many cases to the open round, and stop.", show_default=False)
    ] = 0,
    *,
    overrides: dict[str, Any],
) -> None:
    """Train to the next round of feedback, or to the end. Run it again to go on where it stopped."""
    # Checked first, because the imports below take seconds.
    resolve(preset, **overrides)
    flags = {
        "new_run": new_run,
        "continue_early": continue_early,
        "without_feedback": without_feedback,
        "reopen": reopen,
        "more_cases": more_cases,
    }
    _train(study, overrides | ({"preset": preset} if preset else {}), flags)


def _train(folder: Path, settings: dict[str, Any], flags: dict[str, Any]) -> None:
    from imil.rounds import Rounds, StartRequest
    from imil.study import Study

    study = Study.open(folder)
    plan = Rounds(study).plan(StartRequest(settings=settings or None, **flags))

    from rich.console import Console

    from imil.cli.progress import TrainingBar
    from imil.runs import advance

    with TrainingBar(Console()) as bar:
        run = advance(study, plan, bar)
    _say_what_next(folder, run)


def _say_what_next(folder: Path, run: "Run") -> None:
    if run.message:
        typer.echo(run.message)
    if run.state == "awaiting_review":
        typer.echo(f"Next: imil review {folder} --reader YOUR_NAME")
    elif run.state == "awaiting_approval":
        typer.echo(
            f"Next: imil insight {folder}, to see what the answers taught and to veto what you don't want; then "
            f"imil train {folder}"
        )
    elif run.kind == "imil":
        typer.echo(
            f"Next: imil report {folder}; for the comparison without feedback first: "
            f"imil train {folder} --without-feedback"
        )
    else:
        typer.echo(f"Next: imil report {folder}")
