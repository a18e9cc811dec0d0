"""What the trainings of an experiment give, before anything is averaged."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from imil.experiments.arms import Arm

NOBODY = "nobody"
"""The reader of an experiment in which no arm asks anybody."""
VERSION = 1
"""Version of what an experiment writes to its folder. Raised when older results can't be read any more."""


@dataclass(frozen=True)
class QueuedSample:
    """A case that was fed back, as the model saw it when it was queued, and what was answered.

    Attributes:
        round: 1 for the first.
        epoch: epochs the model had been trained for.
        confidence: probability of ``prediction``, 0 to 1; NaN if not known.
        reason: why it was queued, see `imil.outliers`; ``recorded`` for a case of an earlier run.
        action: ``grid``, ``relabel`` or ``exclude``.
        cells, misleading: numbers of cells, see `imil.grid`.
    """

    case_id: str
    round: int
    epoch: int
    label: str
    prediction: str
    confidence: float
    reason: str
    action: str
    grid_size: int
    cells: tuple[int, ...]
    misleading: tuple[int, ...]
    reader: str
    rationale: str


@dataclass(frozen=True)
class ArmResult:
    """One training: an arm with one seed.

    Attributes:
        probabilities: float32 (N, C), of the cases and classes of `Evaluation`, in their order.
        maps: float16 (K, S, S) in [0, 1], heat maps of the images in `Evaluation.shown`, for their true class.
        heatmap_inside: float32 (M,), for each of `Evaluation.lesion_cases` the share of the heat map that lies inside
            of the lesion; NaN where the map is all zero.
        gradient_inside: float32 (M,), the same for the input gradient.
        samples: the cases that were fed back.
        sample_maps: float16 (len(samples), S, S) in [0, 1], their heat maps when they were queued.
        images: number of training images with feedback.
        steps: number of optimizer steps in all, the shared part of the training included.
        seconds: of this arm's own part of the training.
        note: a sentence about how the feedback came to be; may be empty.
    """

    arm: str
    seed: int
    probabilities: npt.NDArray[np.float32]
    maps: npt.NDArray[np.float16]
    heatmap_inside: npt.NDArray[np.float32]
    gradient_inside: npt.NDArray[np.float32]
    samples: tuple[QueuedSample, ...]
    sample_maps: npt.NDArray[np.float16]
    images: int
    steps: int
    epochs: int
    seconds: float
    weights_sha256: str
    note: str


@dataclass(frozen=True)
class Evaluation:
    """The test cases, which are the same for all arms.

    Attributes:
        labels: int64 (N,), class indices.
        patients: the patient of each case, for the bootstrap.
        shown: ids of the test images whose heat maps are shown; drawn without a look at any prediction.
        shown_images: uint8 (K, S, S).
        lesion_cases: ids of the M test cases with a lesion mask that the focus is measured on; may be empty.
        lesion_patients: the patient of each of them.
        lesion_area: float32 (M,), the share of the image that the lesion covers.
        sample_images: uint8 (S, S) by id, of the cases that were fed back with the first seed.
    """

    split: str
    classes: list[str]
    case_ids: list[str]
    labels: npt.NDArray[np.int64]
    patients: list[str]
    shown: list[str]
    shown_images: npt.NDArray[np.uint8]
    lesion_cases: list[str]
    lesion_patients: list[str]
    lesion_area: npt.NDArray[np.float32]
    sample_images: dict[str, npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Outcome:
    """Everything that a report of an experiment needs.

    Attributes:
        source: where the study's labels come from; ``shenzhen`` is the paper's data set.
        reader: who gave the feedback, as a phrase.
        about_readers: who the readers are and what they were asked, in sentences.
        recorded: whether the same answers, to the same images, were given to every seed.
        results: by arm name, in the order of ``seeds``.
        left_out: by arm name, why it wasn't trained, as a sentence.
        seconds: what the arms' own trainings took, one after another; the shared parts aren't counted.
        agreement: of several readers, see `imil.metrics.agreement`; None for a single one.
        splits: number of the study's cases by split.
    """

    experiment: str
    title: str
    study: str
    source: str
    preset: str
    settings: dict[str, Any]
    seeds: list[int]
    reader: str
    arms: list[Arm]
    results: dict[str, list[ArmResult]]
    left_out: dict[str, str]
    evaluation: Evaluation
    versions: dict[str, str | None]
    seconds: float
    agreement: dict[str, Any] | None = None
    splits: dict[str, int] = field(default_factory=dict)
    about_readers: tuple[str, ...] = ()
    recorded: bool = False
