"""Which image comes next: `imil_outlier` hands out the cases of the open round, `random` any training image."""

import random
from dataclasses import asdict
from typing import Any

from monailabel.interfaces.tasks.strategy import Strategy

from imil.errors import BadInput
from imil.rounds import Rounds
from imil.store import QueueEntry
from monailabel_app.datastore import CAM, ImilDatastore


class ImilOutlier(Strategy):
    """The next case of the open round for the reader named by ``client_id``; empty when there is none."""

    def __init__(self, rounds: Rounds) -> None:
        super().__init__("The next case of the open round; its state is under 'run'")
        self._rounds = rounds

    def info(self) -> dict[str, Any]:
        return {"description": self.description, "run": asdict(self._rounds.status())}

    def __call__(self, request: dict[str, Any], datastore: ImilDatastore) -> dict[str, Any] | None:
        """The case with everything a reader needs, leased to that reader.

        Raises:
            BadInput: if the request doesn't name the reader.
        """
        reader = request.get("client_id")
        if not isinstance(reader, str) or not reader.strip():
            raise BadInput("The request doesn't name the reader; put your name into client_id.")
        entry = self._rounds.next_case(reader)
        return None if entry is None else describe_case(entry, datastore)


class RandomImage(Strategy):
    """A random training image to look at; nothing is leased and no answer is expected."""

    def __init__(self) -> None:
        super().__init__("A random training image, to look at")

    def __call__(self, request: dict[str, Any], datastore: ImilDatastore) -> dict[str, Any] | None:
        choices = [case.id for case in datastore.study.cases if case.split == "train"]
        return {"id": random.choice(choices)} if choices else None


def describe_case(entry: QueueEntry, datastore: ImilDatastore) -> dict[str, Any]:
    """The reply for a queued case, as JSON values. The grid's edges are in the pixels of the original image."""
    grid = datastore.grid(entry.run, entry.case_id)
    return {
        "id": entry.case_id,
        "run": entry.run,
        "round": entry.round,
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
    }
