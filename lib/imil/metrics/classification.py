"""Accuracy, area under the ROC curve, and the curve."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imil.metrics.checks import checked, checked_binary


@dataclass(frozen=True)
class RocCurve:
    """Points of a receiver operating characteristic, from (0, 0) to (1, 1).

    Attributes:
        fpr: false-positive rate (P,), rising.
        tpr: true-positive rate (P,), rising.
        thresholds: (P,), falling from infinity; a case is called positive if its score is at least the threshold.
    """

    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]
    thresholds: NDArray[np.float64]


def accuracy(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Share of cases whose most probable class (the first of equals) is the label, in [0, 1].

    Raises:
        BadInput: see `imil.metrics`.
    """
    matrix, truth = checked(probabilities, labels)
    return float((matrix.argmax(axis=1) == truth).mean())


def auroc(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve, in [0, 1]; the chance that a positive case scores above a negative one, ties half.

    Two classes: class 1 is the positive one. More: the mean over classes of class against rest (macro). Computed from
    ranks as the Mann-Whitney statistic (Hanley and McNeil, Radiology 143, 1982).

    A class that no case has, or every case, has no curve. It is left out of the mean with a warning; if none is left
    the result is NaN.

    Raises:
        BadInput: see `imil.metrics`.
    """
    matrix, truth = checked(probabilities, labels)
    classes = matrix.shape[1]
    columns = [1] if classes == 2 else list(range(classes))
    areas = [_area(matrix[:, column], truth == column) for column in columns]
    defined = [area for area in areas if not np.isnan(area)]
    if len(defined) < len(areas):
        _warn_undefined(truth, left=len(defined))
    return float(np.mean(defined)) if defined else float("nan")


def roc_curve(scores: ArrayLike, positive: ArrayLike) -> RocCurve:
    """The ROC curve of scores (N,) for a truth (N,) of 0 and 1: one point for each distinct score.

    A rate whose class has no cases is NaN, with a warning.

    Raises:
        BadInput: wrong shapes, no cases, or values that aren't finite.
    """
    values, truth = checked_binary(scores, positive)
    order = np.argsort(-values, kind="stable")
    ranked, hits = values[order], truth[order]
    last_of_score = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true_positives = np.cumsum(hits)[last_of_score]
    false_positives = last_of_score + 1 - true_positives
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        warnings.warn("All cases are of one class: the ROC curve is undefined.", RuntimeWarning, stacklevel=2)
    return RocCurve(
        fpr=_rate(false_positives, negatives),
        tpr=_rate(true_positives, positives),
        thresholds=np.concatenate(([np.inf], ranked[last_of_score])),
    )


def _area(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    above = _midranks(scores)[positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def _midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[group]
    return ranks


def _rate(counts: NDArray[np.int64], total: int) -> NDArray[np.float64]:
    rates = counts / total if total else np.full(len(counts), np.nan)
    return np.concatenate(([0.0], rates))


def _warn_undefined(truth: NDArray[np.int64], *, left: int) -> None:
    present = np.unique(truth).tolist()
    outcome = "it is the mean over the others" if left else "it is NaN"
    warnings.warn(
        f"The labels hold only the classes {present}, so the AUROC isn't defined for every class; {outcome}.",
        RuntimeWarning,
        stacklevel=3,
    )
