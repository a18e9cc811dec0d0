"""What goes over the wire: the server's answers, checked once when they arrive, and the reader's answer.

The server's description of itself is in `serverinfo`.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from .fields import Fields, nonsense, same_length
from .i18n import _
from .serverinfo import RunStatus, ServerInfo

__all__ = [
    "ACTIONS",
    "Answer",
    "Case",
    "PreviousAnswer",
    "Queue",
    "QueueRow",
    "Receipt",
    "RunStatus",
    "ServerInfo",
    "is_key",
]

ACTIONS = ("grid", "skip", "relabel", "exclude")
MAX_SECONDS = 86_400.0
_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class PreviousAnswer:
    """What this reader has answered to a case before."""

    action: str
    cells: tuple[int, ...]
    misleading: tuple[int, ...]
    new_label: str
    rationale: str
    seconds: float

    @classmethod
    def parse(cls, value: object, num_cells: int) -> PreviousAnswer:
        """From JSON; cells must be below ``num_cells``. Raises ServerError ``nonsense``."""
        read = Fields(value, _("your earlier answer"))
        return cls(
            action=read.text("action"),
            cells=read.cells("cells", num_cells),
            misleading=read.cells("misleading", num_cells),
            new_label=read.text("new_label", ""),
            rationale=read.text("rationale", ""),
            seconds=read.number("seconds", 0, MAX_SECONDS, 0.0),
        )


@dataclass(frozen=True)
class Case:
    """A queued case as it's handed out; the fields are those of the REST reference.

    ``row_edges`` and ``col_edges`` are the cells' edges in pixels of the image; ``answer`` is this reader's present
    answer, or None. ``lease_expires`` is ISO 8601, empty where nothing is reserved.
    """

    id: str
    run: int
    round: int
    epoch: int
    position: int
    total: int
    label: str
    prediction: str
    confidence: float
    probabilities: tuple[float, ...]
    classes: tuple[str, ...]
    reason: str
    row_edges: tuple[int, ...]
    col_edges: tuple[int, ...]
    cam_tag: str
    cam_method: str
    cam_layer: str
    lease_expires: str
    answer: PreviousAnswer | None

    @property
    def rows(self) -> int:
        """Rows of cells."""
        return len(self.row_edges) - 1

    @property
    def cols(self) -> int:
        """Columns of cells."""
        return len(self.col_edges) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) of the image in pixels."""
        return self.row_edges[-1], self.col_edges[-1]

    @classmethod
    def parse(cls, value: object) -> Case:
        """From JSON. Raises ServerError ``nonsense``."""
        what = _("the case")
        read = Fields(value, what)
        grid, cam = Fields(read.objects("grid"), what), Fields(read.objects("cam"), what)
        row_edges, col_edges = grid.edges("row_edges"), grid.edges("col_edges")
        rows, cols = grid.whole("rows", 1), grid.whole("cols", 1)
        if (rows, cols) != (len(row_edges) - 1, len(col_edges) - 1):
            raise nonsense(what, "grid", f"{rows} x {cols}")
        classes, probabilities = read.texts("classes"), read.probabilities("probabilities")
        same_length(what, "probabilities", probabilities, classes)
        answer = read.objects("answer", {})
        return cls(
            id=read.text("id"),
            run=read.whole("run"),
            round=read.whole("round"),
            epoch=read.whole("epoch", default=0),
            position=read.whole("position"),
            total=read.whole("total"),
            label=read.text("label"),
            prediction=read.text("prediction"),
            confidence=read.probability("confidence"),
            probabilities=probabilities,
            classes=classes,
            reason=read.text("reason", ""),
            row_edges=row_edges,
            col_edges=col_edges,
            cam_tag=cam.text("tag"),
            cam_method=cam.text("method", ""),
            cam_layer=cam.text("layer", ""),
            lease_expires=read.text("lease_expires", ""),
            answer=PreviousAnswer.parse(answer, rows * cols) if answer else None,
        )


@dataclass(frozen=True)
class QueueRow:
    """A case in the queue: ``state`` is ``open``, ``leased`` or ``done``; ``readers`` have answered it, ``holder`` has
    it reserved; ``mine``: this reader has answered it, with ``action``.
    """

    id: str
    position: int
    state: str
    label: str
    prediction: str
    confidence: float
    probabilities: tuple[float, ...]
    reason: str
    readers: tuple[str, ...]
    holder: str
    mine: bool
    action: str

    @classmethod
    def parse(cls, value: object) -> QueueRow:
        """From JSON. Raises ServerError ``nonsense``."""
        read = Fields(value, _("a case in the queue"))
        return cls(
            id=read.text("id"),
            position=read.whole("position"),
            state=read.text("state"),
            label=read.text("label"),
            prediction=read.text("prediction"),
            confidence=read.probability("confidence"),
            probabilities=read.probabilities("probabilities", ()),
            reason=read.text("reason", ""),
            readers=read.texts("readers", ()),
            holder=read.text("holder", ""),
            mine=read.flag("mine", False),
            action=read.text("action", ""),
        )


@dataclass(frozen=True)
class Queue:
    """The last opened round. ``run`` is None, and ``rows`` empty, before there is one."""

    run: int | None
    round: int
    state: str
    epoch: int
    total: int
    reviewed: int
    rows: tuple[QueueRow, ...]

    @classmethod
    def parse(cls, value: object) -> Queue:
        """From JSON. Raises ServerError ``nonsense``."""
        read = Fields(value, _("the queue"))
        return cls(
            run=read.whole_or_none("run"),
            round=read.whole("round", default=0),
            state=read.text("state"),
            epoch=read.whole("epoch", default=0),
            total=read.whole("total", default=0),
            reviewed=read.whole("reviewed", default=0),
            rows=read.parsed("cases", QueueRow.parse),
        )


@dataclass(frozen=True)
class Answer:
    """A reader's answer to a case.

    Attributes:
        action: one of `ACTIONS`.
        cells: cells that matter; ``misleading`` those that misled the model.
        seconds: the reader's time on the case.
        key: a UUID of its own; the server counts an answer that arrives twice under one key once.
        replace: it replaces the reader's earlier answer to the case.
    """

    case_id: str
    run: int
    round: int
    reader: str
    action: str
    cells: tuple[int, ...]
    misleading: tuple[int, ...]
    new_label: str
    rationale: str
    seconds: float
    key: str
    replace: bool

    def params(self) -> dict[str, Any]:
        """The form field ``params`` of ``PUT /datastore/label``."""
        sent = asdict(self)
        del sent["case_id"]
        return {"client_id": sent.pop("reader"), **sent, "cells": list(self.cells), "misleading": list(self.misleading)}

    @classmethod
    def parse(cls, value: object, num_cells: int) -> Answer:
        """From JSON as `dataclasses.asdict` gives it. Raises ServerError ``nonsense``."""
        what = _("the answer")
        read = Fields(value, what)
        answer = cls(
            case_id=read.text("case_id"),
            run=read.whole("run"),
            round=read.whole("round"),
            reader=read.text("reader"),
            action=read.text("action"),
            cells=read.cells("cells", num_cells),
            misleading=read.cells("misleading", num_cells),
            new_label=read.text("new_label", ""),
            rationale=read.text("rationale", ""),
            seconds=read.number("seconds", 0, MAX_SECONDS),
            key=read.text("key"),
            replace=read.flag("replace"),
        )
        if answer.action not in ACTIONS:
            raise nonsense(what, "action", answer.action)
        if not is_key(answer.key):
            raise nonsense(what, "key", answer.key)
        return answer


@dataclass(frozen=True)
class Receipt:
    """The server's confirmation: number of the event, cases of the round left and in all, whether it knew the key."""

    event: int
    remaining: int
    total: int
    repeated: bool

    @classmethod
    def parse(cls, value: object) -> Receipt:
        """From JSON. Raises ServerError ``nonsense``."""
        read = Fields(value, _("the receipt"))
        numbers = {field.name: read.whole(field.name) for field in fields(cls) if field.name != "repeated"}
        return cls(**numbers, repeated=read.flag("repeated", False))


def is_key(text: str) -> bool:
    """Whether it's a UUID in its usual spelling, and so can be part of a file name."""
    return _KEY.fullmatch(text) is not None
