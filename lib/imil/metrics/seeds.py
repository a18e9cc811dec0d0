"""What several seeds say: intervals and tests over trainings that differ by their seed, and Holm's correction.

They treat the test cases as given. How sure a mean is for other patients is in `imil.metrics.bootstrap`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit  # Student's t; scipy.stats has the same and takes a second to import

from imil.errors import BadInput
from imil.metrics.draws import LEVEL, Floats, Interval

_ROUNDING = 1e-12  # a spread below this share of the differences comes from rounding


@dataclass(frozen=True)
class PairedDifference:
    """A mean difference over seeds, its t-interval, and p of the two-sided paired t-test; NaN where undefined."""

    value: float
    low: float
    high: float
    p: float


def mean_interval(values: ArrayLike, level: float = LEVEL) -> Interval:
    """Mean of values (seeds,) and its interval by Student's t distribution with n - 1 degrees of freedom.

    mean +- t * sd / sqrt(n), with sd over n - 1. Seeds whose value is NaN are left out. With one left there is no
    interval; with none no mean either.

    Raises:
        BadInput: not one number for each seed, infinite values, a level outside of (0, 1).
    """
    defined = _defined(_checked(values))
    if not len(defined):
        return Interval(float("nan"), float("nan"), float("nan"))
    mean, half = float(defined.mean()), _half_width(defined, level)
    return Interval(mean, mean - half, mean + half)


def paired_difference(values: ArrayLike, baseline: ArrayLike, level: float = LEVEL) -> PairedDifference:
    """Mean of `values` minus `baseline` (seeds,), which have the same seeds in order, and the paired t-test of it.

    Seeds with a NaN in either are left out. With fewer than two left there is no interval and no p-value. If all
    differences are 0, p is 1. If they are all the same number other than 0, the test has no spread to go by and p is 0,
    which says little: with few test cases two seeds may well differ from the baseline by one case each.

    Raises:
        BadInput: as for `mean_interval`; not as many baseline values.
    """
    mine, other = _checked(values), _checked(baseline)
    if mine.shape != other.shape:
        raise BadInput(
            f"There are {len(mine)} values and {len(other)} of the baseline; a paired comparison needs one of each for "
            "every seed."
        )
    differences = _defined(mine - other)
    mean = mean_interval(differences, level)
    return PairedDifference(mean.value, mean.low, mean.high, _p_value(differences))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number by Holm's step-down method, in the order in which they came.

    The smallest of m is multiplied by m, the next by m - 1 and so on, never falling and at most 1: rejecting those
    below 0.05 keeps the chance of any false rejection below 5 % (Holm, "A simple sequentially rejective multiple test
    procedure", 1979). NaN stays NaN and isn't counted.

    Raises:
        BadInput: a p-value outside of [0, 1].
    """
    raw = np.asarray(p_values, dtype=np.float64)
    for p in raw:
        if not (np.isnan(p) or 0 <= p <= 1):
            raise BadInput(f"There is a p-value of {p}; p-values lie between 0 and 1 (NaN where there is none).")
    adjusted = raw.copy()
    order = np.argsort(raw, kind="stable")[: int((~np.isnan(raw)).sum())]  # NaN sorts last
    steps = raw[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(p) for p in adjusted]


def _p_value(differences: Floats) -> float:
    count = len(differences)
    if count < 2:
        return float("nan")
    if not differences.any():
        return 1.0
    if _spread(differences) == 0:
        return 0.0
    t = float(differences.mean()) / (_spread(differences) / np.sqrt(count))
    return float(2 * stdtr(count - 1, -abs(t)))


def _half_width(values: Floats, level: float) -> float:
    if not 0 < level < 1:
        raise BadInput(f"The level of an interval is {level}; it must lie between 0 and 1, e.g. 0.95.")
    count = len(values)
    if count < 2:
        return float("nan")
    return float(stdtrit(count - 1, (1 + level) / 2)) * _spread(values) / float(np.sqrt(count))


def _spread(values: Floats) -> float:
    """Standard deviation over n - 1; 0 where it comes from rounding alone."""
    spread = float(values.std(ddof=1))
    return spread if spread > _ROUNDING * float(np.abs(values).max()) else 0.0


def _checked(values: ArrayLike) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or np.isinf(numbers).any():
        raise BadInput(f"The values over seeds are {numbers.tolist()}; they must be numbers, one for each seed.")
    return numbers


def _defined(values: Floats) -> Floats:
    return values[~np.isnan(values)]
