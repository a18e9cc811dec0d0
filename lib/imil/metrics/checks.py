"""The one place where probabilities and labels are checked."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imil.errors import BadInput

_SUM_TOLERANCE = 1e-3  # half-precision softmax is off by this much


def checked(probabilities: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities as float64 (N, C) and labels as int64 (N,).

    Raises:
        BadInput: wrong shapes, no cases, values that aren't finite or outside of [0, 1], rows that don't sum to 1,
            labels that aren't class indices.
    """
    matrix = checked_probabilities(probabilities)
    return matrix, checked_labels(labels, *matrix.shape)


def checked_probabilities(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Probabilities as float64 (N, C); see `checked`."""
    matrix = np.asarray(probabilities, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        raise BadInput(
            f"The probabilities have shape {matrix.shape}; they must be (cases, classes) with at least 2 classes "
            "(for a single column p, pass the columns 1 - p and p)."
        )
    if not len(matrix):
        raise BadInput("There are no cases to compute metrics of; pass at least one row of probabilities.")
    if not np.isfinite(matrix).all():
        row = int(np.argwhere(~np.isfinite(matrix))[0, 0])
        raise BadInput(f"The probabilities of case {row} are {matrix[row].tolist()}; all must be finite numbers.")
    sums = matrix.sum(axis=1)
    wrong = (np.abs(sums - 1) > _SUM_TOLERANCE) | (matrix < -_SUM_TOLERANCE).any(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise BadInput(
            f"The probabilities of case {row} are {matrix[row].tolist()}; each row must be in [0, 1] and sum to 1 "
            "(apply softmax to logits first)."
        )
    return np.clip(matrix, 0.0, 1.0)


def checked_labels(labels: ArrayLike, cases: int, classes: int) -> NDArray[np.int64]:
    """Labels as int64 (cases,), each from 0 to classes - 1; see `checked`."""
    vector = np.asarray(labels)
    if vector.shape != (cases,):
        raise BadInput(
            f"The labels have shape {vector.shape}; they must be ({cases},), one class index for each row "
            "of probabilities."
        )
    if not np.issubdtype(vector.dtype, np.integer):
        raise BadInput(f"The labels are {vector.dtype}; they must be integer class indices, 0 to {classes - 1}.")
    outside = (vector < 0) | (vector >= classes)
    if outside.any():
        raise BadInput(
            f"There is a label {int(vector[outside][0])}; with {classes} classes, labels are 0 to {classes - 1}."
        )
    return vector.astype(np.int64)


def checked_binary(scores: ArrayLike, positive: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores as float64 (N,) and the truth as bool (N,).

    Raises:
        BadInput: wrong shapes, no cases, scores that aren't finite, a truth that isn't 0 or 1.
    """
    values = np.asarray(scores, dtype=np.float64)
    truth = np.asarray(positive)
    if values.ndim != 1 or values.shape != truth.shape or not len(values):
        raise BadInput(
            f"The scores have shape {values.shape} and the labels {truth.shape}; both must be (cases,) with at "
            "least one case."
        )
    if not np.isfinite(values).all():
        raise BadInput(f"The score of case {int(np.argmin(np.isfinite(values)))} isn't finite; all must be numbers.")
    if not np.isin(truth, (0, 1)).all():
        raise BadInput("The labels of a two-class curve must be 0 (negative) or 1 (positive) only.")
    return values, truth.astype(np.bool_)
