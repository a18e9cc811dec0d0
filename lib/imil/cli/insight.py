"""`imil insight`: what a round's answers taught, before training goes on with it."""

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imil.cli.options import StudyFolder
from imil.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

    from imil.casefeedback import CorrectionAction
    from imil.rounds import Rounds

    Sent = tuple[CorrectionAction, str, tuple[int, ...]]

SHOWN_IMAGES = 20


def insight(
    study: StudyFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    veto: Annotated[
        list[str] | None, typer.Option("--veto", metavar="IMAGE", help="Do nothing to what was found in this image.")
    ] = None,
    veto_cells: Annotated[
        str, typer.Option("--veto-cells", metavar="CELLS", help="Don't swap these cells, e.g. 0,3.")
    ] = "",
    restore: Annotated[
        list[str] | None, typer.Option("--restore", metavar="IMAGE", help="Take back what was said about this image.")
    ] = None,
    restore_cells: Annotated[
        str, typer.Option("--restore-cells", metavar="CELLS", help="Swap these cells after all.")
    ] = "",
    reader: Annotated[str, typer.Option("--reader", help="Your name, kept with each veto.", show_default=False)] = "",
) -> None:
    """Show what a round's answers taught about all training images, and veto any of it before training goes on."""
    sent: list[Sent] = [("veto", image, ()) for image in veto or ()]
    sent += [("restore", image, ()) for image in restore or ()]
    if veto_cells:
        sent.append(("veto", "", _cells("--veto-cells", veto_cells)))
    if restore_cells:
        sent.append(("restore", "", _cells("--restore-cells", restore_cells)))
    if sent and not reader.strip():
        raise BadInput("A veto needs your name; give one with --reader, it's kept with each veto.")
    from imil.rounds import Rounds
    from imil.study import Study

    rounds = Rounds(Study.open(study))
    _correct(rounds, sent, reader)
    found = rounds.insight()
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif not found:
        typer.echo("Nothing was learnt from a round of the newest run yet.")
    else:
        _show(found, study)


def _cells(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise BadInput(f"{option} is {text!r}; it must be cell numbers separated by commas, e.g. 0,3.") from None


def _correct(rounds: "Rounds", sent: "list[Sent]", reader: str) -> None:
    from imil.store import InsightCorrection

    known = rounds.insight()
    if sent and not known:
        raise BadInput("Nothing was learnt from a round of the newest run yet, so there is nothing to veto.")
    for action, image, cells in sent:
        key = str(uuid.uuid4())
        rounds.correct(
            InsightCorrection(action, image, cells, run=known["run"], round=known["round"], reader=reader, key=key)
        )


def _show(found: dict[str, Any], study: Path) -> None:
    from rich.console import Console

    console = Console()
    console.print(f"Run {found['run']}, round {found['round']}, feedback={found['feedback']}:", highlight=False)
    for sentence in (*found["sentences"], *found["notes"]):
        console.print(f"- {sentence}", markup=False, highlight=False, soft_wrap=True)
    _show_cells(console, found)
    if found["images"]:
        _show_images(console, found)
    if found["open"]:
        console.print(
            f"Next: imil insight {study} --veto IMAGE or --veto-cells CELLS, with --reader YOUR_NAME; then imil train "
            f"{study}, which goes on with what is left, or imil train {study} --reopen",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _show_cells(console: "Console", found: dict[str, Any]) -> None:
    """The grid as it lies over the images: for each cell its number, the heat in it, and how often it was chosen."""
    from rich import box
    from rich.table import Table

    swapped, vetoed, size = found["grid_cells_swapped"], found["grid_cells_vetoed"], found["grid_size"]
    table = Table(
        box=box.SQUARE,
        show_header=False,
        show_lines=True,
        title="Cells: share of the heat, in how many of the answered images it was chosen",
        title_justify="left",
    )
    for row in range(size):
        texts = []
        for entry in found["cells"][row * size : (row + 1) * size]:
            mark = " swapped" if entry["cell"] in swapped else " vetoed" if entry["cell"] in vetoed else ""
            heat = "-" if entry["heat"] is None else f"{entry['heat']:.0%}"
            texts.append(f"{entry['cell']}{mark}\n{heat}, {entry['chosen']:.0%}")
        table.add_row(*texts)
    console.print(table, highlight=False)


def _show_images(console: "Console", found: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    shown = found["images"][:SHOWN_IMAGES]
    table = Table(
        box=box.SIMPLE,
        title=f"Found in {len(found['images'])} images, the surest {len(shown)} of them",
        title_justify="left",
    )
    table.add_column("Image", overflow="fold")
    for heading in ("Class", "Cells", "Sure", "Change of log-odds", ""):
        table.add_column(heading)
    for image in shown:
        notes = [name for name in ("queued", "vetoed", "corrected") if image[name]]
        table.add_row(
            image["id"],
            image["label"],
            ",".join(map(str, image["cells"])),
            "-" if image["score"] is None else f"{image['score']:.2f}",
            "-" if image["influence"] is None else f"{image['influence']:.2f}",
            ", ".join(notes),
        )
    console.print(table, markup=False, highlight=False)
