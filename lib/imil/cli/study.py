"""`imil study`: make a study from a folder of images, and show what is in one."""

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imil.cli.options import StudyFolder

if TYPE_CHECKING:
    from imil.study import Study

app = typer.Typer(
    help="Make a study from a folder of images, or show one.", no_args_is_help=True, rich_markup_mode=None
)

SPLITS = ("train", "val", "test")


class Source(StrEnum):
    """Where the labels come from."""

    SHENZHEN = "shenzhen"
    FOLDERS = "folders"
    CSV = "csv"


@app.command()
def create(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder that holds the images; the study is made in it.", exists=True, file_okay=False),
    ],
    source: Annotated[
        Source,
        typer.Option(
            "--from",
            help="Where labels come from: Shenzhen file names, one folder per class, or a manifest "
            "(image,label[,patient,split,lesion_mask,lung_mask,misleading_mask]).",
        ),
    ],
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="The manifest for --from csv; FOLDER/manifest.csv if left out.", dir_okay=False),
    ] = None,
    test_share: Annotated[float, typer.Option(help="Share of the patients of each class held out for testing.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
) -> None:
    """Make a study: write its manifest and splits beside the images, which stay as they are."""
    from imil.study import create_study

    made = create_study(folder, source.value, csv=csv, test_share=test_share, seed=seed)
    _print_cases(made)
    typer.echo(f"Next: imil serve {folder}, or imil train {folder}")


@app.command()
def show(study: StudyFolder) -> None:
    """Show a study's cases by class and split, and the state of its newest run."""
    from imil.rounds import Rounds
    from imil.study import Study

    opened = Study.open(study)
    _print_cases(opened)
    status = Rounds(opened).status()
    if status.run is None:
        typer.echo("No run yet.")
        return
    typer.echo(
        f"Run {status.run}: {status.state}, epoch {status.epoch} of {status.epochs}, "
        f"round {status.round} of {status.rounds}, {status.reviewed} of {status.queued} queued cases reviewed."
    )
    if status.message:
        typer.echo(status.message)


def _print_cases(study: "Study") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    counts = Counter((case.label, case.split) for case in study.cases)
    table = Table(box=box.SIMPLE)
    table.add_column("Class")
    for heading in (*SPLITS, "all", "patients"):
        table.add_column(heading, justify="right")
    for label in study.classes:
        numbers = [counts[label, split] for split in SPLITS]
        patients = {case.patient for case in study.cases if case.label == label}
        table.add_row(label, *(str(number) for number in (*numbers, sum(numbers), len(patients))))
    totals = [sum(counts[label, split] for label in study.classes) for split in SPLITS]
    patients = {case.patient for case in study.cases}
    table.add_row("all", *(str(number) for number in (*totals, sum(totals), len(patients))))
    Console().print(table)
