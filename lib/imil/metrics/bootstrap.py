"""Bootstrap intervals: patients are drawn with replacement, and every metric is computed again from each draw.

A draw is a vector of weights (how often each case was drawn), so that all draws are computed together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imil.errors import BadInput
from imil.metrics.calibration import BINS, bin_of, brier, ece, squared_errors, top_label
from imil.metrics.checks import checked, checked_binary
from imil.metrics.classification import accuracy, auroc

RESAMPLES = 1000
LEVEL = 0.95
_WEIGHTS_AT_ONCE = 4_000_000  # weights held together, which bounds the memory to some hundred MB

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value with its percentile bootstrap interval; `low` and `high` are NaN where no draw defines the metric."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class RocBand:
    """Pointwise band of a ROC curve: `low` and `high` true-positive rate at each false-positive rate in `fpr`."""

    fpr: _Floats
    low: _Floats
    high: _Floats


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
    matrix, truth = checked(probabilities, labels)
    values = _values(matrix, truth)
    draws = _draw_metrics([matrix], truth, patients, resamples, seed)[0]
    return {name: _interval(values[name], draws[name], level) for name in values}


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
    matrix, truth = checked(probabilities, labels)
    other, _ = checked(baseline, labels)
    values, other_values = _values(matrix, truth), _values(other, truth)
    draws, other_draws = _draw_metrics([matrix, other], truth, patients, resamples, seed)
    return {
        name: _interval(values[name] - other_values[name], draws[name] - other_draws[name], level) for name in values
    }


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
    values, truth = checked_binary(scores, positive)
    if points < 2:
        raise BadInput(f"A ROC band of {points} points isn't possible; it needs at least 2.")
    grid = np.linspace(0, 1, points)
    order = np.argsort(-values, kind="stable")
    last_of_score = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    rates: list[_Floats] = []
    for weights in _weights(len(values), patients, resamples, seed):
        ranked = weights[:, order]
        hits = np.cumsum(ranked * truth[order], axis=1)[:, last_of_score]
        misses = np.cumsum(ranked * ~truth[order], axis=1)[:, last_of_score]
        both = (hits[:, -1] > 0) & (misses[:, -1] > 0)
        rates.extend(
            np.interp(grid, np.append(0, miss / miss[-1]), np.append(0, hit / hit[-1]))
            for hit, miss in zip(hits[both], misses[both], strict=True)
        )
    if not rates:
        nothing = np.full(points, np.nan)
        return RocBand(grid, nothing, nothing.copy())
    low, high = np.percentile(np.asarray(rates), _percentiles(level), axis=0)
    return RocBand(grid, low, high)


def _values(matrix: _Floats, truth: NDArray[np.int64]) -> dict[str, float]:
    return {
        "accuracy": accuracy(matrix, truth),
        "auroc": auroc(matrix, truth),
        "ece": ece(matrix, truth),
        "brier": brier(matrix, truth),
    }


def _draw_metrics(
    models: list[_Floats], truth: NDArray[np.int64], patients: Sequence[str] | None, resamples: int, seed: int
) -> list[dict[str, _Floats]]:
    """For each model, each metric in each draw (resamples,)."""
    parts: list[list[dict[str, _Floats]]] = [[] for _ in models]
    prepared = [_Prepared(matrix, truth) for matrix in models]
    for weights in _weights(len(truth), patients, resamples, seed):
        for part, model in zip(parts, prepared, strict=True):
            part.append(model.metrics(weights))
    return [{name: np.concatenate([entry[name] for entry in part]) for name in part[0]} for part in parts]


class _Prepared:
    """What every draw shares: who is right, in which bin, and in which order of scores."""

    def __init__(self, matrix: _Floats, truth: NDArray[np.int64]) -> None:
        confidence, correct = top_label(matrix, truth)
        in_bin = np.eye(BINS)[bin_of(confidence, BINS)]
        self._correct = correct
        self._errors = squared_errors(matrix, truth)
        self._gap_by_bin = in_bin * (correct - confidence)[:, None]
        classes = matrix.shape[1]
        columns = [1] if classes == 2 else range(classes)
        self._curves = [_Ranked(matrix[:, column], truth == column) for column in columns]

    def metrics(self, weights: _Floats) -> dict[str, _Floats]:
        """Each metric (draws,) for the weights (draws, N)."""
        total = weights.sum(axis=1)
        areas = np.stack([curve.areas(weights) for curve in self._curves])
        defined = ~np.isnan(areas)
        count = defined.sum(axis=0)
        return {
            "accuracy": weights @ self._correct / total,
            "auroc": np.where(count > 0, np.where(defined, areas, 0).sum(axis=0) / np.maximum(count, 1), np.nan),
            # n_b * (acc(b) - conf(b)) is the sum of (correct - confidence) over the bin
            "ece": np.abs(weights @ self._gap_by_bin).sum(axis=1) / total,
            "brier": weights @ self._errors / total,
        }


class _Ranked:
    """Scores in rising order, in groups of equal ones."""

    def __init__(self, scores: _Floats, positive: NDArray[np.bool_]) -> None:
        self._order = np.argsort(scores, kind="stable")
        ranked = scores[self._order]
        self._positive = positive[self._order].astype(np.float64)
        self._starts = np.append(0, np.flatnonzero(np.diff(ranked)) + 1)

    def areas(self, weights: _Floats) -> _Floats:
        """Area under the ROC curve (draws,) for the weights (draws, N); NaN where a draw has one class only."""
        ranked = weights[:, self._order]
        positives = np.add.reduceat(ranked * self._positive, self._starts, axis=1)
        negatives = np.add.reduceat(ranked * (1 - self._positive), self._starts, axis=1)
        below = np.cumsum(negatives, axis=1) - negatives / 2
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        won = (positives * below).sum(axis=1)
        return np.divide(won, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def _weights(cases: int, patients: Sequence[str] | None, resamples: int, seed: int) -> Iterator[_Floats]:
    """How often each case is drawn, (draws, cases), in blocks of draws."""
    if resamples < 1:
        raise BadInput(f"The number of bootstrap draws is {resamples}; it must be at least 1.")
    if patients is not None and len(patients) != cases:
        raise BadInput(f"There are {len(patients)} patients for {cases} cases; pass one for each case.")
    group = np.arange(cases) if patients is None else np.unique(np.asarray(patients), return_inverse=True)[1]
    groups = int(group.max()) + 1
    generator = np.random.default_rng(seed)
    at_once = max(1, _WEIGHTS_AT_ONCE // cases)
    for start in range(0, resamples, at_once):
        draws = min(at_once, resamples - start)
        drawn = generator.integers(groups, size=(draws, groups)) + groups * np.arange(draws)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=draws * groups).reshape(draws, groups)
        yield counts[:, group].astype(np.float64)


def _interval(value: float, draws: _Floats, level: float) -> Interval:
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.percentile(defined, _percentiles(level))
    return Interval(value, float(low), float(high))


def _percentiles(level: float) -> list[float]:
    if not 0 < level < 1:
        raise BadInput(f"The level of an interval is {level}; it must lie between 0 and 1, e.g. 0.95.")
    return [50 * (1 - level), 50 * (1 + level)]
