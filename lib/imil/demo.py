"""One whole round on sample data, over HTTP, with a simulated radiologist: what `make demo` runs."""

import contextlib
import importlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import imil
from imil.cases import STATE_FOLDER
from imil.errors import BadInput, Conflict, ImilError
from imil.readers import OracleReader
from imil.remote import RemoteRounds
from imil.review import review, study_masks
from imil.serve import running_server
from imil.study import Study, create_study

READER = "simulated radiologist"
PRESET = "quick"
MARKER = ".imil-demo"
"""A file in the output folder that says that what lies there may be replaced."""
POLL_SECONDS = 0.3

# The parts of the bar, in the order they come; the numbers are about how many seconds each takes on two cores.
PARTS = {"study": 1, "server": 14, "training": 45, "review": 3, "continuing": 25, "comparison": 25, "report": 10}


def run_demo(out: Path, console: Console | None = None) -> Path:
    """Make a study, serve it, train, review, continue, train the comparison, and write ``report.html`` and ``.json``.

    Args:
        out: folder for the study, the server's log, the report and ``round.png``; an earlier demo there is replaced.
        console: where progress and the closing table go; stdout by default.

    Returns:
        The report's path.

    Raises:
        BadInput: if ``out`` holds something else, or the sample data or the server isn't installed.
        ImilError: with the reason, and where the server's log is, if a step fails.
    """
    console = console or Console()
    report = out / "report.html"
    log = out / "server.log"
    with _Bar(console) as bar:
        bar.start("study", "Making a study from the sample data")
        study = fresh_study(out, sample_data())
        try:
            with _server(study.folder, log, bar) as url:
                _walk_through(study, url, bar)
            bar.start("report", "Writing the report")
            from imil.report import write_report

            written = write_report(study, report, picture=out / "round.png")
        except ImilError as error:
            raise type(error)(f"The demo stopped: {error} The server's log is {log}.") from error
        finally:
            study.store.close()
        bar.finish()
    console.print(_table(written.facts))
    console.print(f"Report: {escape(str(report))}", soft_wrap=True)
    return report


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


def _table(facts: dict[str, Any]) -> Table:
    """Metrics before, after and without feedback."""
    from imil.report.html import METRICS, number
    from imil.report.model import TITLES

    table = Table(box=box.SIMPLE, title=f"{facts['evaluation']['cases']} {facts['evaluation']['split']} images")
    table.add_column("")
    for title in TITLES.values():
        table.add_column(title, justify="right")
    for key, label, _ in METRICS:
        values = [facts["metrics"][name] for name in TITLES]
        table.add_row(label, *(number(None if value is None else value[key]) for value in values))
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


def _walk_through(study: Study, url: str, bar: "_Bar") -> None:
    """Train to the round, answer it, train to the end, and train the comparison; all over HTTP."""
    from monailabel.client import MONAILabelClient

    client = _Sentences(MONAILabelClient(url, client_id=READER))
    rounds = RemoteRounds(client, study_masks(study))
    try:
        bar.start("training", "Training to the IMIL epoch")
        _train(client, rounds, {"preset": PRESET}, bar)
        if rounds.status()["state"] == "awaiting_review":
            bar.start("review", "A simulated radiologist reads the queue")
            review(
                rounds, OracleReader(READER), lambda case, left: bar.at(left.total - left.remaining, left.total, "case")
            )
            bar.start("continuing", "Training on with feedback")
            _train(client, rounds, {}, bar)
        bar.start("comparison", "Training on without feedback, to compare")
        _train(client, rounds, {"without_feedback": True}, bar)
    finally:
        rounds.close()


def _train(client: "_Sentences", rounds: RemoteRounds, request: dict[str, Any], bar: "_Bar") -> None:
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
def _server(folder: Path, log: Path, bar: "_Bar") -> Iterator[str]:
    """The running server's address; the server and all that it started are stopped at the end, come what may."""
    bar.start("server", "Starting the MONAI Label server")
    # Takes seconds, and is needed at the end: done while the other core starts the server. In a thread of its own,
    # because an import may swallow the exception of a signal that comes in its midst (what callbacks and C code
    # raise is dropped), and signals come to the main thread.
    threading.Thread(target=importlib.import_module, args=("imil.report",)).start()
    expected = PARTS["server"]
    with running_server(folder, log, waiting=lambda waited: bar.at(min(waited, expected), expected, "")) as url:
        yield url


class _Bar:
    """One progress bar over all parts, with what is going on; a line for each part where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description:<42}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[detail]:<16}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("", total=sum(PARTS.values()), detail="")
        self._part = ""
        self._done = 0.0

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def start(self, part: str, description: str) -> None:
        """Begin a part; those before it are done."""
        names = list(PARTS)
        self._part = part
        self._done = float(sum(PARTS[name] for name in names[: names.index(part)]))
        self._progress.update(self._task, description=description, completed=self._done, detail="")
        if not self._console.is_terminal:
            self._console.print(f"{description} ...")

    def at(self, value: float, total: float, unit: str) -> None:
        """Where the part stands, e.g. epoch 7 of 24."""
        share = value / total if total else 0
        detail = f"{unit} {value:.0f} of {total:.0f}" if unit else ""
        self._progress.update(self._task, completed=self._done + share * PARTS[self._part], detail=detail)

    def finish(self) -> None:
        """All parts are done."""
        self._progress.update(self._task, description="Done", completed=sum(PARTS.values()), detail="")
