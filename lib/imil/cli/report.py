"""`imil report`: what a run did, as one page and as JSON."""

from pathlib import Path
from typing import Annotated

import typer

from imil.cli.options import RunNumber, StudyFolder


def report(
    study: StudyFolder,
    out: Annotated[
        Path,
        typer.Option("--out", help="The page to write; the same facts go to a .json file beside it.", dir_okay=False),
    ] = Path("report.html"),
    run: RunNumber = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", help="Also write the first fed-back case as a PNG picture.", dir_okay=False),
    ] = None,
) -> None:
    """Write the report of a run as a web page and JSON.

    It has metrics with intervals, curves, each fed-back case in pictures, and the settings and versions.
    """
    from imil.report import write_report
    from imil.study import Study

    written = write_report(Study.open(study), out, run_id=run, picture=picture)
    for path in written.files:
        typer.echo(f"Written: {path}")
