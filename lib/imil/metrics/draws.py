"""What all bootstrap intervals share: draws of patients with replacement, and the metrics of each draw.

A draw is a vector of weights (how often each case was drawn), so that all draws are computed together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imil.errors import BadInput
from imil.metrics.calibration import BINS, bin_of, squared_errors, top_label

RESAMPLES = 1000
LEVEL = 0.95
_WEIGHTS_AT_ONCE = 4_000_000  # weights held together, which bounds the memory to some hundred MB

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value with its interval.

    `low` and `high` are NaN where there is none: with fewer than two patients, or where no draw defines a metric.
    """

    value: float
    low: float
    high: float


def weights_of_draws(cases: int, patients: Sequence[str] | None, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each case is drawn, (draws, cases), in blocks of draws.

    With one patient there are no draws: all of them would be the same, so that an interval would have no width.

    Raises:
        BadInput: a wrong number of patients, draws below 1.
    """
    if resamples < 1:
        raise BadInput(f"The number of bootstrap draws is {resamples}; it must be at least 1.")
    if patients is not None and len(patients) != cases:
        raise BadInput(f"There are {len(patients)} patients for {cases} cases; pass one for each case.")
    group = np.arange(cases) if patients is None else np.unique(np.asarray(patients), return_inverse=True)[1]
    groups = int(group.max()) + 1
    if groups < 2:
        yield np.zeros((0, cases))
        return
    generator = np.random.default_rng(seed)
    at_once = max(1, _WEIGHTS_AT_ONCE // cases)
    for start in range(0, resamples, at_once):
        draws = min(at_once, resamples - start)
        drawn = generator.integers(groups, size=(draws, groups)) + groups * np.arange(draws)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=draws * groups).reshape(draws, groups)
        yield counts[:, group].astype(np.float64)


def percentiles(level: float) -> list[float]:
    """The two percentiles that hold `level` of the draws between them.

    Raises:
        BadInput: a level outside of (0, 1).
    """
    if not 0 < level < 1:
        raise BadInput(f"The level of an interval is {level}; it must lie between 0 and 1, e.g. 0.95.")
    return [50 * (1 - level), 50 * (1 + level)]


def interval(value: float, draws: Floats, level: float) -> Interval:
    """The percentile interval of the draws (resamples,) that aren't NaN."""
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.percentile(defined, percentiles(level))
    return Interval(value, float(low), float(high))


def mean_of_defined(values: Floats) -> Floats:
    """Mean over the first axis of what isn't NaN; NaN where nothing is left."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=0)
    mean: Floats = np.where(count > 0, np.where(defined, values, 0).sum(axis=0) / np.maximum(count, 1), np.nan)
    return mean


class WeightedMetrics:
    """The metrics of one model under any weights: what draws share is prepared once (bins, order of scores)."""

    def __init__(self, matrix: Floats, truth: NDArray[np.int64]) -> None:
        confidence, correct = top_label(matrix, truth)
        in_bin = np.eye(BINS)[bin_of(confidence, BINS)]
        self._correct = correct
        self._errors = squared_errors(matrix, truth)
        self._gap_by_bin = in_bin * (correct - confidence)[:, None]
        classes = matrix.shape[1]
        columns = [1] if classes == 2 else range(classes)
        self._curves = [_Ranked(matrix[:, column], truth == column) for column in columns]

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Each metric (draws,) for the weights (draws, N); NaN where a draw doesn't define it."""
        total = weights.sum(axis=1)
        return {
            "accuracy": weights @ self._correct / total,
            "auroc": mean_of_defined(np.stack([curve.areas(weights) for curve in self._curves])),
            # n_b * (acc(b) - conf(b)) is the sum of (correct - confidence) over the bin
            "ece": np.abs(weights @ self._gap_by_bin).sum(axis=1) / total,
            "brier": weights @ self._errors / total,
        }


class WeightedRoc:
    """The ROC curve of one model under any weights."""

    def __init__(self, scores: Floats, positive: NDArray[np.bool_], grid: Floats) -> None:
        self._order = np.argsort(-scores, kind="stable")
        self._last_of_score = np.append(np.flatnonzero(np.diff(scores[self._order])), len(scores) - 1)
        self._positive = positive[self._order]
        self._grid = grid

    def __call__(self, weights: Floats) -> Floats:
        """True-positive rates (draws, points) at the rates of the grid; NaN where a draw has one class only."""
        ranked = weights[:, self._order]
        hits = np.cumsum(ranked * self._positive, axis=1)[:, self._last_of_score]
        misses = np.cumsum(ranked * ~self._positive, axis=1)[:, self._last_of_score]
        rates = np.full((len(weights), len(self._grid)), np.nan)
        for draw in np.flatnonzero((hits[:, -1] > 0) & (misses[:, -1] > 0)):
            hit, miss = hits[draw], misses[draw]
            rates[draw] = np.interp(self._grid, np.append(0, miss / miss[-1]), np.append(0, hit / hit[-1]))
        return rates


class _Ranked:
    """Scores in rising order, in groups of equal ones."""

    def __init__(self, scores: Floats, positive: NDArray[np.bool_]) -> None:
        self._order = np.argsort(scores, kind="stable")
        ranked = scores[self._order]
        self._positive = positive[self._order].astype(np.float64)
        self._starts = np.append(0, np.flatnonzero(np.diff(ranked)) + 1)

    def areas(self, weights: Floats) -> Floats:
        """Area under the ROC curve (draws,) for the weights (draws, N); NaN where a draw has one class only."""
        ranked = weights[:, self._order]
        positives = self._by_score(ranked * self._positive)
        negatives = self._by_score(ranked * (1 - self._positive))
        below = np.cumsum(negatives, axis=1) - negatives / 2
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        won = (positives * below).sum(axis=1)
        return np.divide(won, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)

    def _by_score(self, ranked: Floats) -> Floats:
        if len(self._starts) == ranked.shape[1]:
            return ranked  # no two scores are equal: summing groups of one costs a third of the time
        return np.add.reduceat(ranked, self._starts, axis=1)
