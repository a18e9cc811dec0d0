"""`imil export`: the feedback as a table and masks."""

from pathlib import Path
from typing import Annotated

import typer

from imil.cli.options import RunNumber, StudyFolder


def export(
    study: StudyFolder,
    out_folder: Annotated[Path, typer.Argument(help="A new or empty folder.", show_default=False)],
    run: RunNumber = None,
) -> None:
    """Write all feedback as a table and masks.

    For those who train elsewhere: feedback.csv with a row for each event, a mask for each answer that has cells, and
    a README that explains the columns.
    """
    from imil.export import export_feedback
    from imil.study import Study

    written = export_feedback(Study.open(study), out_folder, run)
    typer.echo(f"{written.events} events and {written.masks} masks written to {out_folder}")
