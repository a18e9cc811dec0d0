"""What a table of results holds."""

from dataclasses import dataclass, field
from typing import Literal

from imil.experiments.arms import Arm


@dataclass(frozen=True)
class Measure:
    """Something that is measured of every training.

    Attributes:
        key: its name in files.
        title: as the heading of a figure.
        short: as the heading of a column.
        better: which way it should go.
        words: within a sentence.
    """

    key: str
    title: str
    short: str
    better: Literal["higher", "lower"]
    words: str


PRIMARY = Measure("accuracy", "Accuracy", "Accuracy", "higher", "accuracy")
"""The measure that arms are judged by; the paper's first column."""
FOCUS = (
    Measure(
        "heatmap_inside",
        "Heat map inside the lesion",
        "Heat map in lesion",
        "higher",
        "share of the heat map inside the lesion",
    ),
    Measure(
        "gradient_inside",
        "Input gradient inside the lesion",
        "Gradient in lesion",
        "higher",
        "share of the input gradient inside the lesion",
    ),
)
"""Where the network looks; measured only where there are lesion masks."""
MEASURES: tuple[Measure, ...] = (
    PRIMARY,
    Measure("auroc", "Area under the ROC curve", "AUROC", "higher", "AUROC"),
    Measure("ece", "Expected calibration error (15 bins)", "ECE", "lower", "ECE"),
    Measure("brier", "Brier score", "Brier", "lower", "Brier score"),
    *FOCUS,
)


@dataclass(frozen=True)
class Estimate:
    """A measure of an arm. What isn't defined, such as an interval over one seed, is NaN.

    Attributes:
        value: mean over seeds.
        sd: standard deviation over seeds (n - 1).
        per_seed: in the order of the row's seeds.
        over_seeds: 95 % t-interval: other seeds, same patients.
        over_patients: 95 % bootstrap interval: same trainings, other patients.
    """

    value: float
    sd: float
    per_seed: list[float]
    over_seeds: tuple[float, float]
    over_patients: tuple[float, float]


@dataclass(frozen=True)
class Difference:
    """A measure of an arm minus that of another, on the seeds that both have; NaN where undefined.

    For the focus it is the mean over the cases for which both have a map, so that it may differ a little from the
    difference of the two rows.

    Attributes:
        per_seed: in the order of the seeds that both have.
        over_seeds, over_patients: see `Estimate`.
        p: two-sided paired t-test over seeds.
        p_holm: corrected for all differences in this measure.
    """

    value: float
    per_seed: list[float]
    over_seeds: tuple[float, float]
    over_patients: tuple[float, float]
    p: float
    p_holm: float


@dataclass(frozen=True)
class Row:
    """An arm in the table.

    Attributes:
        images: training images with feedback, mean over seeds.
        steps: optimizer steps, mean over seeds.
        measures: by key.
        differences: by key, the arm minus the one that it is compared with; empty for a baseline, and where the other
            arm has no result with the same seed.
    """

    arm: Arm
    seeds: list[int]
    images: float
    steps: float
    measures: dict[str, Estimate]
    differences: dict[str, Difference]


@dataclass(frozen=True)
class Contrast:
    """The method minus one of its controls at equal budget, by measure."""

    method: Arm
    control: Arm
    differences: dict[str, Difference]


@dataclass(frozen=True)
class LevelContrast:
    """One level of the method minus the reference level with the same baseline, by measure."""

    level: Arm
    reference: Arm
    differences: dict[str, Difference]


@dataclass(frozen=True)
class Table:
    """The table of an experiment.

    Attributes:
        rows: arms with at least one result, in the experiment's order.
        measures: the columns.
        chance: for the measures of focus, what a map without any has: the share of the image that lesions cover.
        contrasts: the method against its controls, with a Holm correction of their own.
        level_contrasts: where the method has several levels, each against the one with the experiment's own settings
            (or the first), with a Holm correction of their own.
    """

    rows: list[Row]
    measures: list[Measure]
    chance: dict[str, float]
    contrasts: list[Contrast] = field(default_factory=list)
    level_contrasts: list[LevelContrast] = field(default_factory=list)
