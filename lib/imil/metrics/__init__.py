"""How good and how honest a classifier's probabilities are. numpy only, so that importing it costs nothing.

Tests over seeds are in `imil.metrics.seeds` (scipy), shares of heat maps in `imil.metrics.attribution`.

Everywhere, `probabilities` is (N, C) in [0, 1] with rows that sum to 1, and `labels` is (N,) with class indices 0..C-1.
"""

from numpy.typing import ArrayLike

from imil.metrics.bootstrap import (
    RocBand,
    intervals,
    mean_intervals,
    mean_paired_intervals,
    mean_roc_band,
    mean_value_intervals,
    paired_intervals,
    roc_band,
)
from imil.metrics.calibration import Reliability, brier, ece, reliability
from imil.metrics.classification import RocCurve, accuracy, auroc, roc_curve
from imil.metrics.draws import Interval

__all__ = [
    "Interval",
    "Reliability",
    "RocBand",
    "RocCurve",
    "accuracy",
    "auroc",
    "brier",
    "ece",
    "intervals",
    "mean_intervals",
    "mean_paired_intervals",
    "mean_roc_band",
    "mean_value_intervals",
    "paired_intervals",
    "reliability",
    "roc_band",
    "roc_curve",
    "summary",
]


def summary(probabilities: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """`accuracy`, `auroc`, `ece` (15 bins) and `brier` by these names.

    Raises:
        BadInput: the arrays don't have the form described at the top of this module.
    """
    return {
        "accuracy": accuracy(probabilities, labels),
        "auroc": auroc(probabilities, labels),
        "ece": ece(probabilities, labels),
        "brier": brier(probabilities, labels),
    }
