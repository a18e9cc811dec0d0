"""Whether a classifier is right as often as it says it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imil.errors import BadInput
from imil.metrics.checks import checked

BINS = 15
"""Bins of the expected calibration error in the IMIL paper (section 3.3.6)."""


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: one entry for each bin of confidence.

    Attributes:
        lower, upper: edges of the bins (bins,).
        count: cases in each bin (bins,), int64.
        accuracy: share of them that is right; NaN in an empty bin.
        confidence: mean probability of the predicted class; NaN in an empty bin.
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    count: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    confidence: NDArray[np.float64]


def ece(probabilities: ArrayLike, labels: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error, in [0, 1]: sum over bins of n_b / N * abs(acc(b) - conf(b)).

    Guo et al., "On calibration of modern neural networks" (2017), equation 3; the IMIL paper, equation 3. Confidence is
    the probability of the predicted class. Bin b of B holds confidences in ((b - 1) / B, b / B]; a confidence of 0 is
    in the first.

    Raises:
        BadInput: see `imil.metrics`; fewer than one bin.
    """
    table = reliability(probabilities, labels, bins)
    filled = table.count > 0
    gaps = np.abs(table.accuracy[filled] - table.confidence[filled])
    return float((table.count[filled] * gaps).sum() / table.count.sum())


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int = BINS) -> Reliability:
    """The table behind a reliability diagram and behind `ece`, with bins of equal width.

    Raises:
        BadInput: see `imil.metrics`; fewer than one bin.
    """
    matrix, truth = checked(probabilities, labels)
    confidence, correct = top_label(matrix, truth)
    index = bin_of(confidence, bins)
    count = np.bincount(index, minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    edges = np.linspace(0, 1, bins + 1)
    return Reliability(
        lower=edges[:-1],
        upper=edges[1:],
        count=count.astype(np.int64),
        accuracy=np.bincount(index, weights=correct, minlength=bins) / filled,
        confidence=np.bincount(index, weights=confidence, minlength=bins) / filled,
    )


def brier(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Brier score, in [0, 2]: mean over cases of the sum over classes of (probability - truth) squared.

    Brier (1950), equation 2, where truth is 1 for the label and 0 for the other classes. With two classes this is
    twice the score that looks at the positive class alone.

    Raises:
        BadInput: see `imil.metrics`.
    """
    matrix, truth = checked(probabilities, labels)
    return float(squared_errors(matrix, truth).mean())


def squared_errors(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The Brier score of each case (N,); inputs are checked already."""
    truth = np.zeros_like(probabilities)
    truth[np.arange(len(labels)), labels] = 1.0
    errors: NDArray[np.float64] = ((probabilities - truth) ** 2).sum(axis=1)
    return errors


def top_label(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Confidence of the predicted class (N,) and whether it is right, 0.0 or 1.0 (N,); inputs are checked already."""
    predicted = probabilities.argmax(axis=1)
    return probabilities[np.arange(len(labels)), predicted], (predicted == labels).astype(np.float64)


def bin_of(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Index of the bin of each confidence (N,), closed above, from 0.

    Raises:
        BadInput: fewer than one bin.
    """
    if bins < 1:
        raise BadInput(f"The number of calibration bins is {bins}; it must be at least 1 (the paper uses {BINS}).")
    edges = np.linspace(0, 1, bins + 1)
    index: NDArray[np.int64] = np.searchsorted(edges, confidence, side="left") - 1
    return np.maximum(index, 0)
