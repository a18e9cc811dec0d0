"""What ``POST /activelearning/...`` answers: cases of the open round, the whole queue, or any training image."""

import random
from dataclasses import asdict
from typing import Any

from monailabel.interfaces.tasks.strategy import Strategy

from imil.answers import check_reader
from imil.errors import BadInput
from imil.rounds import Rounds
from imil.store import Event, ListedCase, QueueEntry
from monailabel_app.corrections import correction_of
from monailabel_app.datastore import CAM, ImilDatastore

CONTRACT = 3
"""Version of what a client may ask of the strategies here. 2: cases by name and ahead, release, `ImilQueue`. 3:
`ImilInsight`, the label ``find``, and the requests to train ``reopen`` and ``more_cases``."""


class ImilOutlier(Strategy):
    """A case of the open round for the reader named by ``client_id``; empty when there is none."""

    def __init__(self, rounds: Rounds) -> None:
        super().__init__("The next case of the open round; its state is under 'run'")
        self._rounds = rounds

    def info(self) -> dict[str, Any]:
        return {"description": self.description, "run": asdict(self._rounds.status()) | {"contract": CONTRACT}}

    def __call__(self, request: dict[str, Any], datastore: ImilDatastore) -> dict[str, Any] | None:
        """The case with everything a reader needs, leased to that reader.

        Args:
            request: ``client_id``, and if wanted ``image``, ``ahead`` or ``release`` (docs/reference/rest.md).
            datastore: the study.

        Raises:
            BadInput: if a field can't be what it is.
            NotFound, Conflict: as `imil.rounds.Rounds.reserve` says.
        """
        reader = reader_of(request)
        image, ahead, release = (request.get(name) for name in ("image", "ahead", "release"))
        if not isinstance(release, bool | None):
            raise BadInput(f"The field release is {release!r}; it must be true or false.")
        if not isinstance(image, str | None):
            raise BadInput(f"The field image is {image!r}; it must be the name of an image of the study.")
        if release and (image or ahead is not None):
            raise BadInput('The field release goes with neither image nor ahead; send "release": true by itself.')
        if release:
            self._rounds.release(reader)
            return None
        reserved = self._rounds.reserve(reader, image or "", 0 if ahead is None else ahead)
        if reserved is None:
            return None
        case = describe_case(reserved.entry, datastore, reserved.answer)
        if ahead is not None:
            case["ahead"] = [describe_case(entry, datastore) for entry in reserved.ahead]
        return case


class ImilQueue(Strategy):
    """All cases of the last round, as the reader named by ``client_id`` sees them; nothing is reserved."""

    def __init__(self, rounds: Rounds) -> None:
        super().__init__("The whole queue of the last round, for clients that list it; gives no image")
        self._rounds = rounds

    def __call__(self, request: dict[str, Any], datastore: ImilDatastore) -> dict[str, Any]:
        """The queue with who holds and who answered what. Without a round it's empty.

        Raises:
            BadInput: if the request doesn't name the reader.
        """
        reader = check_reader(reader_of(request))
        store = datastore.study.store
        run = store.latest_run()
        listed = store.listing(run.id, run.round) if run is not None and run.round else []
        return {
            "run": run.id if run else None,
            "round": run.round if run else 0,
            "state": str(run.state) if run else "none",
            "epoch": store.rounds(run.id)[run.round - 1].epoch if run and run.round else 0,
            "classes": run.classes if run else datastore.study.classes,
            "total": len(listed),
            "reviewed": sum(case.entry.state == "done" for case in listed),
            "cases": [describe_row(case, reader) for case in listed],
        }


class ImilInsight(Strategy):
    """What the newest round's answers taught, and readers' vetoes and corrections of it."""

    def __init__(self, rounds: Rounds) -> None:
        super().__init__("What the round's answers taught, to look at, veto and correct; gives no image")
        self._rounds = rounds

    def __call__(self, request: dict[str, Any], datastore: ImilDatastore) -> dict[str, Any]:
        """The insight as it stands, after the correction that the request may hold; empty if there is none.

        Raises:
            BadInput: if a field can't be what it is.
            NotFound, Conflict: as `imil.rounds.Rounds.correct` says.
        """
        reader = check_reader(reader_of(request))
        correction = correction_of(request, reader)
        return self._rounds.insight() if correction is None else self._rounds.correct(correction)


class RandomImage(Strategy):
    """A random training image to look at; nothing is leased and no answer is expected."""

    def __init__(self) -> None:
        super().__init__("A random training image, to look at")

    def __call__(self, request: dict[str, Any], datastore: ImilDatastore) -> dict[str, Any] | None:
        choices = [case.id for case in datastore.study.cases if case.split == "train"]
        return describe_image(random.choice(choices), datastore) if choices else None


def reader_of(request: dict[str, Any]) -> str:
    """The reader that a request names. Raises BadInput if it doesn't."""
    reader = request.get("client_id")
    if not isinstance(reader, str) or not reader.strip():
        raise BadInput("The request doesn't name the reader; put your name into client_id.")
    return reader


def describe_image(image_id: str, datastore: ImilDatastore) -> dict[str, Any]:
    """What every reply with an image has: its id, path, true class and split."""
    return {"id": image_id, "path": datastore.get_image_uri(image_id)} | datastore.get_image_info(image_id)


def describe_case(entry: QueueEntry, datastore: ImilDatastore, answer: Event | None = None) -> dict[str, Any]:
    """The reply for a queued case, as JSON values. The grid's edges are in the pixels of the original image."""
    grid = datastore.grid(entry.run, entry.case_id)
    return describe_image(entry.case_id, datastore) | {
        "run": entry.run,
        "round": entry.round,
        "epoch": entry.epoch,
        "position": entry.position,
        "total": entry.total,
        "label": entry.label,
        "prediction": entry.prediction,
        "confidence": entry.confidence,
        "probabilities": list(entry.probabilities),
        "classes": datastore.run(entry.run).classes,
        "reason": entry.reason,
        "grid": {"rows": grid.rows, "cols": grid.cols, "row_edges": grid.row_edges, "col_edges": grid.col_edges},
        "cam": {"tag": CAM, "method": entry.method, "layer": entry.layer},
        "lease_expires": entry.lease_expires.isoformat() if entry.lease_expires else None,
        "answer": None if answer is None else describe_answer(answer),
    }


def describe_answer(event: Event) -> dict[str, Any]:
    """A reader's present answer, as JSON values."""
    return {
        "action": str(event.action),
        "cells": list(event.cells),
        "misleading": list(event.misleading),
        "new_label": event.new_label,
        "rationale": event.rationale,
        "seconds": event.seconds,
        "event": event.id,
    }


def describe_row(case: ListedCase, reader: str) -> dict[str, Any]:
    """One line of the queue, as JSON values."""
    entry = case.entry
    return {
        "id": entry.case_id,
        "position": entry.position,
        "state": entry.state,
        "label": entry.label,
        "prediction": entry.prediction,
        "confidence": entry.confidence,
        "probabilities": list(entry.probabilities),
        "reason": entry.reason,
        "readers": list(case.answers),
        "holder": entry.reader,
        "mine": reader in case.answers,
        "action": str(case.answers.get(reader, "")),
    }
