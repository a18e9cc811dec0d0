"""A radiologist at 3D Slicer reads the queue of an experiment, over a MONAI Label server of the study.

The server trains a run with the experiment's settings and first seed up to its first round, and she answers it as she
would answer any other. Her answers are then replayed for all seeds, as an earlier run's are.
"""

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from imil.errors import BadInput, Conflict, NotFound
from imil.files import write_text
from imil.remote import HttpClient, RemoteRounds
from imil.serve import running_server
from imil.settings import RunSettings
from imil.store import RunState
from imil.study import Study

POLL_SECONDS = 2.0

Say = Callable[[str], None]


def read_live(study: Study, settings: RunSettings, folder: Path, *, url: str = "", port: int = 0, say: Say) -> int:
    """Have the first round of a run read; the run's number.

    Args:
        study: the study.
        settings: the run's settings.
        folder: keeps which run it is, so that an interrupted reading goes on.
        url: a running server of this study; empty to start one for as long as the reading lasts.
        port: where to listen if one is started; 0 for any free port.
        say: told in sentences what is going on.

    Raises:
        BadInput: if the server is of another study, or no round would be opened.
        Conflict: if somebody starts another run meanwhile, or training fails.
    """
    if not settings.imil_epochs:
        raise BadInput("The setting imil_epochs is empty, so there is nothing to read; give it an epoch, e.g. 70.")
    known = _known_run(study, folder)
    if known is not None and _is_read(study, known):
        return known
    folder.mkdir(parents=True, exist_ok=True)
    if not url:
        say("Starting a server for the reader (half a minute).")
    server = nullcontext(url) if url else running_server(study.folder, folder / "server.log", port)
    with server as address:
        reading = _Reading(study, address, say)
        run = reading.start(settings, known)
        write_text(folder / "live.json", json.dumps({"run": run}) + "\n")
        reading.wait(run)
    return run


class _Reading:
    def __init__(self, study: Study, url: str, say: Say) -> None:
        self._study, self._url, self._say = study, url, say
        self._client = HttpClient(url, "experiment")
        self._rounds = RemoteRounds(self._client)

    def start(self, settings: RunSettings, known: int | None) -> int:
        """Start the run, or take up the one that was started before; its number."""
        name = self._client.info().get("datastore", {}).get("name")
        if name != self._study.folder.resolve().name:
            raise BadInput(
                f"The server at {self._url} serves the study {name!r}, not {self._study.folder.resolve().name!r}; "
                f"start one with `imil serve {self._study.folder}`, or leave --server out."
            )
        status = self._rounds.status()
        if known is not None and status["run"] == known:
            if status["state"] != RunState.AWAITING_REVIEW and not status["training"]:
                self._client.train({})
            return known
        if status["training"] or status["state"] == RunState.AWAITING_REVIEW:
            raise Conflict(
                f"Run {status['run']} of this study isn't over ({status['state']}); finish it first, or replay its "
                f"answers with --reader {status['run']}."
            )
        self._client.train(settings.model_dump(mode="json") | {"new_run": True})
        run = self._new_run(before=status["run"])
        self._study.store.run(run)  # the server's store must be the one that the answers are read from
        return run

    def _new_run(self, before: int | None) -> int:
        """The run that was just asked for, once its process has begun it."""
        while True:
            task = self._client.train_status()  # asked first, so that a run which ends at once isn't missed
            run = self._rounds.status()["run"]
            if run is not None and run != before:
                return int(run)
            if task.get("status") not in ("SUBMITTED", "RUNNING"):
                lines = " ".join(str(line) for line in task.get("details", [])[-1:])
                raise Conflict(f"The server at {self._url} couldn't start a run: {lines or task.get('status')}")
            time.sleep(POLL_SECONDS)

    def wait(self, run: int) -> None:
        """Wait until the first round is read."""
        told = ""
        while True:
            status = self._rounds.status()
            if status["run"] != run:
                raise Conflict(f"Somebody started run {status['run']} while run {run} was being read; start again.")
            if status["state"] == RunState.FAILED:
                raise Conflict(f"The training of run {run} failed: {status['message']}")
            if _is_read(self._study, run):
                return
            now = self._sentence(status)
            if now != told:
                self._say(now)
                told = now
            time.sleep(POLL_SECONDS)

    def _sentence(self, status: dict[str, object]) -> str:
        if status["state"] != RunState.AWAITING_REVIEW:
            return f"The server at {self._url} trains to the round that is to be read."
        return (
            f"Waiting for a reader: connect 3D Slicer's module IMIL to {self._url}, or run `imil review {self._url} "
            f"--reader NAME`; {status['reviewed']} of {status['queued']} cases are read."
        )


def _known_run(study: Study, folder: Path) -> int | None:
    """The run that an interrupted reading began, if the study still has it."""
    try:
        run = json.loads((folder / "live.json").read_text("utf-8"))["run"]
        return study.store.run(int(run)).id
    except (FileNotFoundError, NotFound):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{folder / 'live.json'} is damaged ({error}); remove it to have the queue read anew."
        ) from error


def _is_read(study: Study, run: int) -> bool:
    """Whether the run's first round has all its answers, or was closed with those it has."""
    rounds = study.store.rounds(run)
    return bool(rounds) and (rounds[0].closed or rounds[0].reviewed == rounds[0].queued)
