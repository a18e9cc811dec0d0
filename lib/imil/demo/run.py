"""One whole round on sample data, over HTTP, with a simulated radiologist: what `make demo` runs."""

import contextlib
import importlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import imil
from imil.cases import STATE_FOLDER
from imil.demo.bar import PARTS, Bar
from imil.errors import BadInput, Conflict, ImilError
from imil.readers import OracleReader
from imil.remote import INSIGHT, RemoteRounds
from imil.review import review, study_masks
from imil.serve import running_server
from imil.study import Study, create_study

if TYPE_CHECKING:
    from imil.demo.story import Story

READER = "simulated radiologist"
PRESET = "quick"
MARKER = ".imil-demo"
"""A file in the output folder that says that what lies there may be replaced."""
POLL_SECONDS = 0.3


def run_demo(out: Path, console: Console | None = None) -> Path:
    """Serve a study of the sample data, train, review and heal, and write the story, the report and their pictures.

    A model learns to read a marker. A simulated radiologist answers twenty images. The run goes on with
    ``counterfactual``; from the same weights and answers, a copy goes on with the paper's blackout. The story compares
    them on new images, with the marker and without.

    Args:
        out: folder for the study, the server's log, ``story.html``, ``story.json``, ``story.png``, ``report.html``
            and ``report.json``; an earlier demo there is replaced.
        console: where progress and the closing table go; stdout by default.

    Returns:
        The path of ``story.html``.

    Raises:
        BadInput: if ``out`` holds something else, or the sample data or the server isn't installed.
        ImilError: with the reason, and where the server's log is, if a step fails.
    """
    console = console or Console()
    log = out / "server.log"
    with Bar(console) as bar:
        bar.start("study", "Making a study from the sample data")
        study = fresh_study(out, sample_data())
        try:
            with _server(study.folder, log, bar) as url:
                found = _walk_through(study, url, bar)
            bar.start("report", "Writing the report")
            from imil.report import write_report

            write_report(study, out / "report.html")
            bar.start("story", "Training on with blackout, and comparing")
            from imil.demo.story import tell

            story = tell(study, found, out)
        except ImilError as error:
            raise type(error)(f"The demo stopped: {error} The server's log is {log}.") from error
        finally:
            study.store.close()
        bar.finish()
    for sentence in story.sentences:
        console.print(sentence)
    console.print(_table(story))
    console.print(f"Story: {escape(str(story.page))}", soft_wrap=True)
    console.print(f"Report: {escape(str(out / 'report.html'))}", soft_wrap=True)
    return story.page


def sample_data() -> Path:
    """The sample data: beside the package when it's installed, at the top of the repository otherwise.

    Raises:
        BadInput: if it's in neither place.
    """
    package = Path(imil.__file__).parent
    for folder in (package / "sample-data", package.parent.parent / "sample-data"):
        if (folder / "manifest.csv").is_file():
            return folder
    raise BadInput(f"The sample data isn't installed (looked beside {package}); run the demo from the repository.")


def _table(story: "Story") -> Table:
    """What each model is worth, see `imil.demo.story`."""
    from imil.demo.story import COLUMNS

    table = Table(box=box.SIMPLE, title=f"{story.images} new images")
    table.add_column("")
    for _, title in COLUMNS:
        table.add_column(title, justify="right")
    for model in story.models:
        table.add_row(model.title, *(f"{model.measures[key]:.0%}" for key, _ in COLUMNS))
    return table


def fresh_study(out: Path, sample: Path) -> Study:
    """A new study in ``out``, made of a copy of the sample data; that of an earlier demo is replaced.

    Raises:
        BadInput: if a study is there that no demo made.
    """
    folder, marker = out / "study", out / MARKER
    if folder.exists():
        if not marker.exists():
            raise BadInput(f"{folder} exists and isn't from a demo; choose another folder with --out.")
        shutil.rmtree(folder)
    out.mkdir(parents=True, exist_ok=True)
    marker.touch()
    # Without the state of a study that somebody may have made of the sample data itself.
    shutil.copytree(sample, folder, ignore=shutil.ignore_patterns(STATE_FOLDER))
    return create_study(folder, "csv", csv=folder / "manifest.csv")


def _walk_through(study: Study, url: str, bar: Bar) -> list[str]:
    """Train to the round, answer it, learn from the answers, train to the end, and train the comparison; over HTTP.

    Returns:
        What the answers taught, in sentences.
    """
    from monailabel.client import MONAILabelClient

    client = _Sentences(MONAILabelClient(url, client_id=READER))
    rounds = RemoteRounds(client, study_masks(study))
    try:
        bar.start("training", "Training to the IMIL epoch")
        _train(client, rounds, {"preset": PRESET}, bar)
        bar.start("review", "A simulated radiologist reads the queue")
        review(rounds, OracleReader(READER), lambda case, left: bar.at(left.total - left.remaining, left.total, "case"))
        bar.start("learning", "Looking for what misled in all images")
        _train(client, rounds, {}, bar)
        taught = list(client.next_sample(INSIGHT, {})["sentences"])
        bar.start("healing", "Training on with counterfactual")
        _train(client, rounds, {}, bar)
        bar.start("comparison", "Training on without feedback, to compare")
        _train(client, rounds, {"without_feedback": True}, bar)
    finally:
        rounds.close()
    return taught


def _train(client: "_Sentences", rounds: RemoteRounds, request: dict[str, Any], bar: "Bar") -> None:
    """Start a training over REST and wait for its process to end."""
    client.train_start("classifier", request)
    while True:
        task = client.train_status()
        if task["status"] not in ("SUBMITTED", "RUNNING"):
            break
        status = rounds.status()
        if status["training"]:
            bar.at(status["epoch"], status["epochs"], "epoch")
        time.sleep(POLL_SECONDS)
    status = rounds.status()
    if task["status"] != "DONE" or status["state"] == "failed":
        last_lines = " ".join(list(task.get("details", []))[-1:])
        raise Conflict(
            f"The training ended with {task['status']}: {status['message'] or last_lines or 'no reason given'}"
        )


class _Sentences:
    """MONAI Label's own client, with its exceptions turned into ours."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any) -> Any:
            from monailabel.client.client import MONAILabelClientException

            try:
                return method(*arguments)
            except MONAILabelClientException as error:
                raise Conflict(_detail(str(error.msg))) from error
            except OSError as error:
                raise Conflict(f"The server doesn't answer any more ({error}).") from error

        return call


def _detail(message: str) -> str:
    """The server's sentence in the client's ``Status: 409; Response: {"detail": ...}``."""
    _, _, answer = message.partition("Response: ")
    try:
        return str(json.loads(answer)["detail"])
    except (ValueError, KeyError, TypeError):
        return message


@contextlib.contextmanager
def _server(folder: Path, log: Path, bar: "Bar") -> Iterator[str]:
    """The running server's address; the server and all that it started are stopped at the end, come what may."""
    bar.start("server", "Starting the MONAI Label server")
    # Takes seconds, and is needed at the end: done while the other core starts the server. In a thread of its own,
    # because an import may swallow the exception of a signal that comes in its midst (what callbacks and C code
    # raise is dropped), and signals come to the main thread.
    threading.Thread(target=importlib.import_module, args=("imil.report",)).start()
    expected = PARTS["server"]
    with running_server(folder, log, waiting=lambda waited: bar.at(min(waited, expected), expected, "")) as url:
        yield url
