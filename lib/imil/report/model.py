"""What a report is made of: facts for the JSON, and the arrays behind its figures."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from imil.grid import Grid
from imil.store import EpochMetrics

if TYPE_CHECKING:
    from imil.report.taught import Taught

FloatArray = npt.NDArray[np.float32]
ModelName = Literal["before", "after", "without_feedback"]

TITLES: dict[ModelName, str] = {
    "before": "Before the round",
    "after": "With feedback",
    "without_feedback": "Without feedback",
}


@dataclass(frozen=True)
class ScoredModel:
    """One checkpoint's predictions on the evaluation split.

    Attributes:
        name: which of the three models of a report.
        epoch: epochs it was trained for.
        probabilities: float array ``(N, C)``, rows in the order of `Evaluation.labels`.
    """

    name: ModelName
    epoch: int
    probabilities: npt.NDArray[np.float64]

    @property
    def title(self) -> str:
        return TITLES[self.name]


@dataclass(frozen=True)
class Evaluation:
    """The models that are compared, on the same cases.

    Attributes:
        split: ``test``, or the next best where a study has none.
        labels: int64 array ``(N,)`` of class indices.
        patients: the patient of each case, for the bootstrap.
    """

    split: str
    classes: list[str]
    labels: npt.NDArray[np.int64]
    patients: list[str]
    models: list[ScoredModel] = field(default_factory=list)

    def model(self, name: ModelName) -> ScoredModel | None:
        return next((model for model in self.models if model.name == name), None)


@dataclass(frozen=True)
class CasePictures:
    """A queued case's images, all ``(rows, cols)`` float32 in [0, 1]; None where there is nothing to show."""

    image: FloatArray
    before: FloatArray | None
    changed: FloatArray | None
    after: FloatArray | None
    grid: Grid | None


@dataclass(frozen=True)
class ReportData:
    """Everything the page shows.

    Attributes:
        facts: what goes to the JSON: plain values, no NaN.
        curves: the metrics of each epoch, for the run (``after``) and the one without feedback.
        pictures: one for each case of each round, by (round, position in ``facts["rounds"][round]["cases"]``).
        taught: what the answers to a round taught, by its index in ``facts["rounds"]``.
    """

    facts: dict[str, Any]
    evaluation: Evaluation
    curves: dict[ModelName, list[EpochMetrics]]
    pictures: dict[tuple[int, int], CasePictures]
    taught: "dict[int, Taught]" = field(default_factory=dict)
