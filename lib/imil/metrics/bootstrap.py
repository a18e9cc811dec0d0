"""Bootstrap intervals: patients are drawn with replacement, and every metric is computed again from each draw.

`intervals`, `paired_intervals` and `roc_band` are for one model. Those with `mean_` are for several trainings of the
same kind, one for each seed: in each draw every seed's metric is computed on the same patients, and their mean is
taken. Their intervals say how sure the mean of these trainings is for other patients; what other seeds would give is
not in them, see `imil.metrics.seeds`.

One patient says nothing about others: intervals and bands of fewer than two patients are NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imil.errors import BadInput
from imil.metrics.calibration import brier, ece
from imil.metrics.checks import checked, checked_binary
from imil.metrics.classification import accuracy, auroc
from imil.metrics.draws import (
    LEVEL,
    RESAMPLES,
    Floats,
    Interval,
    WeightedMetrics,
    WeightedRoc,
    interval,
    mean_of_defined,
    percentiles,
    weights_of_draws,
)


@dataclass(frozen=True)
class RocBand:
    """A ROC curve and its pointwise band: true-positive rates at each false-positive rate in `fpr`, all (points,).

    Attributes:
        fpr: false-positive rates, evenly spaced from 0 to 1.
        tpr: the curve itself (of several seeds: their mean), read off at these rates.
        low, high: the band.
    """

    fpr: Floats
    tpr: Floats
    low: Floats
    high: Floats


def intervals(
    probabilities: ArrayLike,
    labels: ArrayLike,
    patients: Sequence[str] | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile bootstrap intervals of `accuracy`, `auroc`, `ece` (15 bins) and `brier` by these names.

    Args:
        probabilities: (N, C).
        labels: (N,).
        patients: the patient of each case (N,); all cases of a patient are drawn together. None: each its own.
        resamples: number of draws.
        level: share of the draws inside of the interval.
        seed: the same seed gives the same intervals.

    Draws that hold one class only have no AUROC and are left out of its interval.

    Raises:
        BadInput: see `imil.metrics`; a wrong number of patients, draws below 1, a level outside of (0, 1).
    """
    return mean_intervals([probabilities], labels, patients, resamples=resamples, level=level, seed=seed)


def paired_intervals(
    probabilities: ArrayLike,
    baseline: ArrayLike,
    labels: ArrayLike,
    patients: Sequence[str] | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval]:
    """Intervals of the difference `probabilities` minus `baseline` of two models on the same cases, metric by metric.

    Both are computed on the same draws, so that what the cases share cancels out. Arguments and errors as for
    `intervals`.
    """
    return mean_paired_intervals(
        [probabilities], [baseline], labels, patients, resamples=resamples, level=level, seed=seed
    )


def mean_intervals(
    models: Sequence[ArrayLike],
    labels: ArrayLike,
    patients: Sequence[str] | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval]:
    """As `intervals`, of the mean over `models`: probabilities (N, C) of one training for each seed.

    Raises:
        BadInput: as for `intervals`; no models.
    """
    values, draws = _per_seed(models, labels, patients, resamples, seed)
    return _mean_intervals(values, draws, level)


def mean_paired_intervals(
    models: Sequence[ArrayLike],
    baselines: Sequence[ArrayLike],
    labels: ArrayLike,
    patients: Sequence[str] | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval]:
    """As `paired_intervals`, of the mean over seeds of `models` minus `baselines`, which have the same seeds in order.

    Raises:
        BadInput: as for `intervals`; no models, or not as many baselines.
    """
    if len(models) != len(baselines):
        raise BadInput(
            f"There are {len(models)} models and {len(baselines)} baselines; a paired comparison needs one baseline "
            "for each model, in the same order of seeds."
        )
    values, draws = _per_seed(models, labels, patients, resamples, seed)
    others, other_draws = _per_seed(baselines, labels, patients, resamples, seed)
    return _mean_intervals(
        {name: values[name] - others[name] for name in values},
        {name: draws[name] - other_draws[name] for name in draws},
        level,
    )


def mean_value_intervals(
    values: ArrayLike,
    patients: Sequence[str] | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """The interval of the mean over seeds of the mean over cases of numbers that each case has.

    The values are (seeds, M), e.g. the share of each heat map that lies inside of the lesion; for a paired comparison,
    the differences case by case. A case whose number is NaN is left out of the mean of its seed, and a seed without
    any number out of the mean over seeds. There is no interval unless two patients have numbers. Other arguments as for
    `intervals`.

    Raises:
        BadInput: not (seeds, M) with at least one of each, infinite values; as for `intervals`.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 2 or 0 in numbers.shape:
        raise BadInput(f"The values have shape {numbers.shape}; they must be (seeds, cases) with at least one of each.")
    if np.isinf(numbers).any():
        seed_of, case = np.argwhere(np.isinf(numbers))[0]
        raise BadInput(f"The value of case {case} with seed number {seed_of} is infinite; it must be a number or NaN.")
    cases = numbers.shape[1]
    filled, defined = np.nan_to_num(numbers), (~np.isnan(numbers)).astype(np.float64)
    means: list[Floats] = []
    for weights in weights_of_draws(cases, patients, resamples, seed):
        total = defined @ weights.T
        sums = filled @ weights.T
        means.append(mean_of_defined(np.divide(sums, total, out=np.full(sums.shape, np.nan), where=total > 0)))
    value = float(mean_of_defined(mean_of_defined(numbers.T)))
    measured = np.flatnonzero(defined.any(axis=0))
    of_several = len({index if patients is None else patients[index] for index in measured.tolist()}) > 1
    return interval(value, np.concatenate(means) if of_several else np.zeros(0), level)


def roc_band(
    scores: ArrayLike,
    positive: ArrayLike,
    patients: Sequence[str] | None = None,
    *,
    points: int = 101,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> RocBand:
    """Band of the ROC curve of scores (N,) for a truth (N,) of 0 and 1, at evenly spaced false-positive rates.

    Each draw's curve is read off at those rates (straight lines between its points), and percentiles are taken there.
    With one class only all is NaN. Arguments and errors as for `intervals`.
    """
    return mean_roc_band([scores], positive, patients, points=points, resamples=resamples, level=level, seed=seed)


def mean_roc_band(
    scores: Sequence[ArrayLike] | NDArray[np.floating[Any]],
    positive: ArrayLike,
    patients: Sequence[str] | None = None,
    *,
    points: int = 101,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> RocBand:
    """As `roc_band`, of the mean curve of several seeds with the scores (seeds, N).

    Curves are averaged vertically, that is at each false-positive rate (Fawcett, "An introduction to ROC analysis",
    2006, section 8.2): in each draw first, so that the band is that of the mean curve.

    Raises:
        BadInput: as for `intervals`; no seeds, fewer than two points.
    """
    if points < 2:
        raise BadInput(f"A ROC band of {points} points isn't possible; it needs at least 2.")
    if not len(scores):
        raise BadInput("There are no scores to draw a ROC band of; pass those of at least one seed.")
    bounds = percentiles(level)
    grid = np.linspace(0, 1, points)
    pairs = [checked_binary(one, positive) for one in scores]
    curves = [WeightedRoc(values, truth, grid) for values, truth in pairs]
    cases = len(pairs[0][0])

    def mean_rates(weights: Floats) -> Floats:
        return np.mean([curve(weights) for curve in curves], axis=0)

    (tpr,) = mean_rates(np.ones((1, cases)))
    rates = np.concatenate([mean_rates(weights) for weights in weights_of_draws(cases, patients, resamples, seed)])
    defined = rates[~np.isnan(rates[:, 0])]
    low, high = np.percentile(defined, bounds, axis=0) if len(defined) else np.full((2, points), np.nan)
    return RocBand(grid, tpr, low, high)


def _per_seed(
    models: Sequence[ArrayLike], labels: ArrayLike, patients: Sequence[str] | None, resamples: int, seed: int
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """By metric, its value for each model (seeds,) and in each draw (seeds, resamples)."""
    if not len(models):
        raise BadInput("There are no models to compute intervals of; pass the probabilities of at least one.")
    matrices, truths = zip(*(checked(model, labels) for model in models), strict=True)
    prepared = [WeightedMetrics(matrix, truths[0]) for matrix in matrices]
    blocks = [
        [model(weights) for model in prepared]
        for weights in weights_of_draws(len(truths[0]), patients, resamples, seed)
    ]
    metrics = {"accuracy": accuracy, "auroc": auroc, "ece": ece, "brier": brier}
    values = {name: np.array([metric(matrix, truths[0]) for matrix in matrices]) for name, metric in metrics.items()}
    draws = {
        name: np.concatenate([np.stack([entry[name] for entry in block]) for block in blocks], axis=1)
        for name in metrics
    }
    return values, draws


def _mean_intervals(values: dict[str, Floats], draws: dict[str, Floats], level: float) -> dict[str, Interval]:
    return {
        name: interval(float(mean_of_defined(values[name])), mean_of_defined(draws[name]), level) for name in values
    }
