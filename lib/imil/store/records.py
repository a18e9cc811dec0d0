"""What goes into the store and what comes out of it: plain frozen records, independent of the database."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from imil.casefeedback import Correction

_NEVER = datetime.min.replace(tzinfo=UTC)


IMIL = "imil"
"""Kind of a run with rounds of feedback."""
WITHOUT_FEEDBACK = "without_feedback"
"""Kind of the run that a run is compared with: it branches off at the first round and gets no feedback."""


class RunState(StrEnum):
    """Where a run stands."""

    TRAINING = "training"
    AWAITING_REVIEW = "awaiting_review"
    AWAITING_APPROVAL = "awaiting_approval"
    """A reader may look at what the round's answers taught, and veto any of it, before training goes on."""
    COMPLETED = "completed"
    FAILED = "failed"


NEXT_STATES: dict[RunState, frozenset[RunState]] = {
    RunState.TRAINING: frozenset(RunState),
    RunState.AWAITING_REVIEW: frozenset({RunState.TRAINING}),
    RunState.AWAITING_APPROVAL: frozenset({RunState.TRAINING, RunState.AWAITING_REVIEW}),
    RunState.FAILED: frozenset({RunState.TRAINING, RunState.AWAITING_REVIEW}),
    RunState.COMPLETED: frozenset(),
}
"""The state machine of a run: the states that may follow each state. Training may follow training: a resumed run."""


class Action(StrEnum):
    """What a reader does with a queued case."""

    GRID = "grid"
    """These cells matter."""
    SKIP = "skip"
    """No opinion: the case trains on as it was."""
    RELABEL = "relabel"
    """The label is wrong; cells may say what matters for the new one."""
    EXCLUDE = "exclude"
    """The image is unfit for training."""
    UNDO = "undo"
    """Takes back this reader's answer to this case; the case is open again."""


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        epoch: last finished epoch, 0 before the first.
        round: last opened round, 0 before the first; ``rounds`` are planned.
        kind: `IMIL`, or `WITHOUT_FEEDBACK` for the comparison that branched from run ``parent``.
        model_sha256: of the weights that opened the last round, or of the last weights of a completed run.
        seconds: spent on the recorded epochs.
    """

    id: int
    state: RunState
    settings: dict[str, Any]
    classes: list[str]
    epoch: int
    epochs: int
    round: int
    rounds: int
    kind: str
    parent: int | None
    message: str
    created: datetime
    updated: datetime
    model_sha256: str
    seconds: float


@dataclass(frozen=True)
class QueuedCase:
    """A case as it enters the queue of a round.

    Attributes:
        confidence: probability of the predicted class, in [0, 1].
        probabilities: one for each class, in the order of the run's classes.
        reason: why it was picked, one of `imil.outliers.Reason`.
        heatmap: float32 (rows, cols) in [0, 1], at the size of the network's input.
        method: name of the heat-map method; ``layer`` the layer it looked at.
    """

    case_id: str
    label: str
    prediction: str
    confidence: float
    probabilities: tuple[float, ...]
    reason: str
    heatmap: npt.NDArray[np.float32]
    method: str
    layer: str


@dataclass(frozen=True)
class QueueEntry:
    """A queued case as the reader gets it, without its heat map.

    Attributes:
        epoch: after which the model predicted and the round was opened.
        position: 1 to ``total``.
        answers: effective answers so far; the case is done at ``needed``.
        reader: holder of a live lease (the one that ends last, where several hold one), or None.
        lease_expires: when that lease ends (UTC).
    """

    run: int
    round: int
    epoch: int
    position: int
    total: int
    case_id: str
    label: str
    prediction: str
    confidence: float
    probabilities: tuple[float, ...]
    reason: str
    method: str
    layer: str
    answers: int
    needed: int
    reader: str | None = None
    lease_expires: datetime | None = None

    @property
    def state(self) -> str:
        """``"done"``, ``"leased"`` or ``"open"``."""
        if self.answers >= self.needed:
            return "done"
        return "leased" if self.reader is not None else "open"


@dataclass(frozen=True)
class Answer:
    """What a reader sends about one case.

    Attributes:
        cells: cells that matter; ``misleading`` those that misled the model (`imil.grid` numbering).
        new_label: for `Action.RELABEL` only.
        seconds: the reader's time on this case.
        key: the client's own UUID for this answer; sent again it gets the first receipt again.
        replace: the reader means to replace an earlier answer.
    """

    case_id: str
    run: int
    round: int
    reader: str
    action: Action
    cells: tuple[int, ...] = ()
    misleading: tuple[int, ...] = ()
    new_label: str = ""
    rationale: str = ""
    seconds: float = 0.0
    key: str = ""
    replace: bool = False


@dataclass(frozen=True)
class Event(Answer):
    """An answer as it was recorded, with what the reader was looking at. Events are never altered."""

    id: int = 0
    epoch: int = 0
    image_sha256: str = ""
    model_sha256: str = ""
    heatmap_method: str = ""
    grid_size: int = 0
    time: datetime = _NEVER


@dataclass(frozen=True)
class Reservation:
    """A case for a reader, and the cases that she will be given after it, in that order.

    Attributes:
        answer: the reader's present answer to ``entry``, which then isn't leased: her place is taken by the answer.
    """

    entry: QueueEntry
    ahead: tuple[QueueEntry, ...] = ()
    answer: Event | None = None


@dataclass(frozen=True)
class ListedCase:
    """A queued case with what each reader who has answered it did, the oldest answer first."""

    entry: QueueEntry
    answers: dict[str, Action]


@dataclass(frozen=True)
class Receipt:
    """The reply to a recorded answer.

    Attributes:
        remaining: cases of the round that still needed answers when this one was first recorded, of ``total``.
        repeated: the key was known: this is the first reply again, and nothing was written.
    """

    event_id: int
    remaining: int
    total: int
    repeated: bool = False


@dataclass(frozen=True)
class EpochMetrics:
    """Metrics of one epoch over one split (``"train"``, ``"val"`` or ``"test"``); NaN where one is undefined."""

    run: int
    epoch: int
    split: str
    loss: float
    accuracy: float
    auroc: float
    ece: float
    brier: float
    seconds: float

    def values(self) -> dict[str, float | None]:
        """The metrics by name as JSON values: None in place of NaN."""
        named = {name: getattr(self, name) for name in ("loss", "accuracy", "auroc", "ece", "brier")}
        return {name: None if math.isnan(value) else value for name, value in named.items()}


@dataclass(frozen=True)
class RoundInfo:
    """One round: ``queued`` cases, of which ``reviewed`` have all the answers they need.

    ``changed_settings``: by name, old and new value of the settings that were given anew when it was continued.
    """

    round: int
    epoch: int
    model_sha256: str
    queued: int
    reviewed: int
    closed: bool
    early: bool
    message: str
    opened: datetime
    closed_at: datetime | None
    changed_settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class InsightRecord:
    """What a round's answers taught, as it's kept in the database; what was found in each image is in a file.

    Attributes:
        feedback: the setting ``feedback`` that it was made for.
        file_sha256: of the file with all of it.
        summary: JSON values, see `imil.findings`.
        seconds: what finding it out took.
        discarded: when it was thrown away, because the round was opened again; None while it holds.
    """

    id: int
    run: int
    round: int
    feedback: str
    file_sha256: str
    summary: dict[str, Any]
    seconds: float
    time: datetime
    discarded: datetime | None


@dataclass(frozen=True)
class InsightCorrection(Correction):
    """A reader's word on what a round taught, as she sends it.

    Attributes:
        key: the client's own UUID for it; sent again, nothing is written.
    """

    run: int = 0
    round: int = 0
    reader: str = ""
    key: str = ""


@dataclass(frozen=True)
class RecordedCorrection(InsightCorrection):
    """A correction as it was recorded, of the insight with the number ``insight``. Never altered."""

    id: int = 0
    insight: int = 0
    time: datetime = _NEVER


@dataclass(frozen=True)
class Score:
    """Metrics of a run over one split, taken at an epoch around a round; NaN where one is undefined."""

    run: int
    round: int
    epoch: int
    split: str
    metrics: dict[str, float]
    time: datetime
