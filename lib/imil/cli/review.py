"""`imil review`: read the queued cases of a study folder or of a running server."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imil.errors import BadInput

if TYPE_CHECKING:
    from imil.readers import Reader
    from imil.review import OpenCase, Receipt, ReviewSource


class Simulated(StrEnum):
    """A reader made of ground truth."""

    ORACLE = "oracle"


def review(
    study_or_url: Annotated[
        str,
        typer.Argument(
            metavar="STUDY_OR_URL",
            help="Folder of the study, or the address of a running server, e.g. http://127.0.0.1:8000.",
            show_default=False,
        ),
    ],
    reader: Annotated[str, typer.Option("--reader", help="Your name, kept with each answer.")],
    pictures: Annotated[
        Path | None,
        typer.Option("--pictures", help="Write image and heat map of each case into this folder.", file_okay=False),
    ] = None,
    simulate: Annotated[
        Simulated | None,
        typer.Option(
            "--simulate", help="Let a simulated reader answer from the study's lesion masks (study folder only)."
        ),
    ] = None,
) -> None:
    """Read the queued cases at the console.

    Each case is shown with the model's prediction and its heat map; you type the numbers of the cells that matter.
    """
    is_url = study_or_url.startswith(("http://", "https://"))
    if not reader.strip():
        raise BadInput("The reader's name is empty; give one with --reader, it's kept with each answer.")
    if not is_url and not Path(study_or_url).is_dir():
        raise BadInput(f"{study_or_url!r} is neither a folder nor an address that starts with http:// or https://.")
    if is_url and simulate is not None:
        raise BadInput("--simulate needs the study's folder, because a server doesn't hand out lesion masks.")
    if is_url:
        _review_server(study_or_url, reader, pictures)
    else:
        _review_folder(Path(study_or_url), reader, pictures, simulate)


def _review_server(url: str, name: str, pictures: Path | None) -> None:
    from imil.remote import HttpClient, RemoteRounds

    rounds = RemoteRounds(HttpClient(url, name))
    try:
        _read(rounds, _console(name, pictures))
        typer.echo(rounds.status()["message"])
    finally:
        rounds.close()


def _review_folder(folder: Path, name: str, pictures: Path | None, simulate: Simulated | None) -> None:
    from imil.readers import OracleReader
    from imil.review import LocalRounds
    from imil.rounds import Rounds
    from imil.study import Study

    study = Study.open(folder)
    reader: Reader = OracleReader(name) if simulate is Simulated.ORACLE else _console(name, pictures)
    _read(LocalRounds(study, name), reader)
    typer.echo(Rounds(study).status().message)


def _console(name: str, pictures: Path | None) -> "Reader":
    from imil.readers import ConsoleReader

    return ConsoleReader(name, pictures=pictures)


def _read(source: "ReviewSource", reader: "Reader") -> None:
    from imil.readers import ReaderLeft
    from imil.review import review as review_all

    def tell(_: "OpenCase", receipt: "Receipt") -> None:
        typer.echo(f"Recorded; {receipt.remaining} of {receipt.total} cases remain.")

    try:
        if not review_all(source, reader, tell):
            typer.echo("There is no case for you at the moment.")
    except ReaderLeft as left:
        typer.echo(str(left))
