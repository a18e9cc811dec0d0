"""Who answers in an experiment: simulated readers, or the recorded answers of real ones."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from imil.experiments.arms import MAIN, PANEL
from imil.experiments.folder import ORACLE
from imil.experiments.tables.phrases import joined
from imil.images import resize
from imil.outliers import Pick
from imil.queueing import Queue, build_queue, queued_cases
from imil.readers import OracleReader, Reader
from imil.readers.simulated import simulated_residents
from imil.review import reader_case
from imil.store.records import QueuedCase
from imil.study import Study
from imil.training.engine import TrainingEngine


@dataclass(frozen=True)
class PanelReply:
    """One reader's answer to one case; see `imil.readers.Reading` for the fields."""

    case_id: str
    reader: str
    action: str
    grid_size: int
    cells: tuple[int, ...] = ()
    misleading: tuple[int, ...] = ()
    new_label: str = ""
    rationale: str = ""


class Panel(Protocol):
    """The readers of an experiment.

    Attributes:
        description: who they are, as a phrase.
        singles: titles of the single readers, by the name of their arm; empty if there is but one reader.
        fixed: whether their answers are to certain cases only, so that nothing else can be asked.
        about: what a reader of the report must know of them, in sentences.
    """

    @property
    def description(self) -> str: ...
    @property
    def fixed(self) -> bool: ...
    @property
    def about(self) -> tuple[str, ...]: ...
    @property
    def singles(self) -> Mapping[str, str]: ...

    @property
    def identity(self) -> str:
        """A text that differs where the answers may."""
        ...

    def queue(
        self, engine: TrainingEngine, exclude: Collection[str], out_of_fold: npt.NDArray[np.float32] | None
    ) -> Queue:
        """The cases that are asked about, as the engine's model sees them; ``exclude`` has those asked about before."""
        ...

    def answers(self, study: Study, asks: str, cases: Sequence[QueuedCase], grid_size: int) -> list[PanelReply]:
        """What the readers named by ``asks`` (see `imil.experiments.arms.Arm`) say about the cases."""
        ...


@dataclass(frozen=True)
class SimulatedPanel:
    """An oracle that goes by the lesion masks, and three simulated readers who are less sure."""

    description: str = "an oracle that goes by the lesion masks"
    fixed: bool = False
    identity: str = ORACLE

    @cached_property
    def singles(self) -> Mapping[str, str]:
        return {f"reader_{number}": f"simulated {one.name}" for number, one in enumerate(simulated_residents(), 1)}

    @cached_property
    def about(self) -> tuple[str, ...]:
        residents = simulated_residents()
        missed = joined([f"{reader.miss:.0%}".replace("%", " %") for reader in residents])
        added = joined([f"{reader.extra:.0%}".replace("%", " %") for reader in residents])
        return (
            "No person gave feedback. The oracle is a program that goes by the lesion masks, and by the lung masks "
            "where there is no lesion. So are the simulated readers, who make mistakes: they overlook "
            f"{missed} of the oracle's cells, and add {added} of the others. These rates are made up.",
        )

    def queue(
        self, engine: TrainingEngine, exclude: Collection[str], out_of_fold: npt.NDArray[np.float32] | None
    ) -> Queue:
        """See `imil.queueing.build_queue`."""
        return build_queue(engine, exclude=exclude, out_of_fold=out_of_fold)

    def answers(self, study: Study, asks: str, cases: Sequence[QueuedCase], grid_size: int) -> list[PanelReply]:
        """Each asked reader's answer to each case."""
        return [
            _reply(study, reader, case, grid_size, study.classes) for case in cases for reader in self._readers(asks)
        ]

    def _readers(self, asks: str) -> list[Reader]:
        if asks == MAIN:
            return [OracleReader()]
        residents: list[Reader] = list(simulated_residents())
        return residents if asks == PANEL else [residents[list(self.singles).index(asks)]]


def _reply(study: Study, reader: Reader, case: QueuedCase, grid_size: int, classes: Sequence[str]) -> PanelReply:
    reading = reader.read(reader_case(study, case, case.heatmap, grid_size=grid_size, classes=classes))
    return PanelReply(
        case.case_id,
        reader.name,
        reading.action,
        grid_size,
        tuple(reading.cells),
        tuple(reading.misleading),
        reading.new_label,
        reading.rationale,
    )


@dataclass(frozen=True)
class Seen:
    """What a recorded reader saw: prediction, its confidence in [0, 1], and the heat map, float16 (rows, cols)."""

    prediction: str
    confidence: float
    heatmap: npt.NDArray[np.float16]


@dataclass(frozen=True)
class RecordedPanel:
    """Answers that were given before, to a run of this study.

    Attributes:
        description: where they come from, as a phrase.
        identity: a hash of the answers.
        replies: the answers in effect, the oldest first.
        unanswered: cases of an open round that lack answers.
        seen: by case id what was shown, where that's known.
    """

    description: str
    identity: str
    replies: tuple[PanelReply, ...]
    seen: Mapping[str, Seen] = field(default_factory=dict)
    unanswered: int = 0
    fixed: bool = True

    @cached_property
    def about(self) -> tuple[str, ...]:
        names = {"grid": "with cells", "relabel": "with another label", "exclude": "excluded", "skip": "skipped"}
        counts = Counter(reply.action for reply in self.replies)
        given = joined([f"{counts[action]} {words}" for action, words in names.items() if counts[action]])
        cases = len({reply.case_id for reply in self.replies})
        images = "the same image" if cases == 1 else f"the same {cases} images"
        told = (
            f"The answers were given once and are replayed: every seed gets {images}, whatever its own network makes "
            f"of them. Answers: {given}.",
        )
        if not self.unanswered:
            return told
        return (*told, f"The round isn't finished: {self.unanswered} of its cases lack answers.")

    @cached_property
    def readers(self) -> list[str]:
        """The readers' names, in the order of their first answers."""
        return list(dict.fromkeys(reply.reader for reply in self.replies))

    @property
    def grid_size(self) -> int:
        """Cells along each side of the finest grid that was answered; 0 if none was."""
        return max((reply.grid_size for reply in self.replies if reply.cells), default=0)

    @cached_property
    def singles(self) -> Mapping[str, str]:
        if len(self.readers) < 2:
            return {}
        return {f"reader_{number}": name for number, name in enumerate(self.readers, 1)}

    def queue(
        self, engine: TrainingEngine, exclude: Collection[str], out_of_fold: npt.NDArray[np.float32] | None
    ) -> Queue:
        """The recorded cases; with what was shown to the reader, or else what this model makes of them."""
        ids = [case for case in dict.fromkeys(reply.case_id for reply in self.replies) if case not in exclude]
        indices = [engine.train.ids.index(case) for case in ids]
        predicted = dict(zip(indices, engine.predict(engine.train.subset(indices)), strict=True)) if indices else {}
        cases = queued_cases(engine, [Pick(index, "recorded") for index in indices], predicted)
        return Queue([self._as_seen(case) for case in cases], f"{len(cases)} cases that were answered before.")

    def answers(self, study: Study, asks: str, cases: Sequence[QueuedCase], grid_size: int) -> list[PanelReply]:
        """The recorded answers of the asked readers; their grid is the recorded one."""
        wanted = {case.case_id for case in cases}
        readers = self.readers if asks in (MAIN, PANEL) else [self.singles[asks]]
        return [reply for reply in self.replies if reply.case_id in wanted and reply.reader in readers]

    def _as_seen(self, case: QueuedCase) -> QueuedCase:
        seen = self.seen.get(case.case_id)
        if seen is None:
            return case
        return QueuedCase(
            case.case_id,
            case.label,
            seen.prediction,
            seen.confidence,
            case.probabilities,
            case.reason,
            resize(seen.heatmap.astype(np.float32), case.heatmap.shape[0]),
            case.method,
            case.layer,
        )
