"""What is measured of a trained model, and of what a finder found, against the truth."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from imil.experiments.refocus.data import TestPart, TrainingPart
from imil.metrics import accuracy, auroc, brier, ece
from imil.training.batches import TrainingData
from imil.training.insight import Insight

Probabilities = npt.NDArray[np.float32]
Predict = Callable[[TrainingData], Probabilities]
Measures = dict[str, float | None]
POSITIVE = 1
"""Index of the class that the marker goes with."""


def measure(predict: Predict, part: TestPart) -> Measures:
    """Accuracy and the like where the marker is independent of the class, and what the marker itself does.

    Returns:
        ``accuracy``, ``auroc``, ``ece``, ``brier`` on the test images, half of each class marked; with all of them
        marked ``accuracy_with``, with none ``accuracy_without``; ``drop_added``, how much accuracy images of the first
        class lose when the marker is added, ``drop_removed``, how much those of the second lose when it's removed, and
        ``flipped``, the share of all images whose predicted class changes with the marker. None without markers.
    """
    labels = part.data.labels
    found = predict(part.data)
    measures: Measures = {
        "accuracy": accuracy(found, labels),
        "auroc": auroc(found, labels),
        "ece": ece(found, labels),
        "brier": brier(found, labels),
    }
    if part.with_marker is None or part.without_marker is None:
        return measures | dict.fromkeys(_CAUSAL)
    # Each test image is one of the two.
    without = predict(part.without_marker)
    with_marker = predict(part.with_marker)
    return measures | _causal(with_marker.argmax(1), without.argmax(1), labels)


_CAUSAL = ("accuracy_with", "accuracy_without", "drop_added", "drop_removed", "flipped")


def _causal(
    with_marker: npt.NDArray[np.int64], without: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]
) -> Measures:
    """See `measure`; predicted classes (N,) of the same images with the marker and without."""
    right_with, right_without = with_marker == labels, without == labels
    positive = labels == POSITIVE
    return {
        "accuracy_with": float(right_with.mean()),
        "accuracy_without": float(right_without.mean()),
        "drop_added": float(right_without[~positive].mean() - right_with[~positive].mean()),
        "drop_removed": float(right_with[positive].mean() - right_without[positive].mean()),
        "flipped": float((with_marker != without).mean()),
    }


FINDER = ("image_precision", "image_recall", "place_precision", "place_recall")


def finder_quality(insight: Insight, part: TrainingPart, fed_back: set[str]) -> Measures:
    """How right the finder is in the training images that nobody looked at.

    Returns:
        ``image_precision``: of the images with a find, the share that have the marker; ``image_recall``: of the images
        with the marker, the share with a find that touches it; ``place_precision``: of all found places, the share that
        touch it; ``place_recall``: of the marker's pixels, the share that finds cover. None where there is nothing to
        divide by, and where nothing was looked for.
    """
    unseen = np.array([case_id not in fed_back for case_id in insight.case_ids])
    if not insight.looks or not part.marker.any():
        return dict.fromkeys(FINDER)
    finds, marker = insight.finds[unseen].astype(bool), part.marker[unseen] != 0
    touched = _coarse(marker, finds.shape[-1])
    right = (finds & touched).any((1, 2))
    has_find, marked = finds.any((1, 2)), marker.any((1, 2))
    return {
        "image_precision": _share((has_find & marked).sum(), has_find.sum()),
        "image_recall": _share(right.sum(), marked.sum()),
        "place_precision": _share((finds & touched).sum(), finds.sum()),
        "place_recall": _share((_fine(finds, marker.shape[-1]) & marker).sum(), marker.sum()),
    }


def _share(part: np.integer[npt.NBitBase], whole: np.integer[npt.NBitBase]) -> float | None:
    return float(part / whole) if whole else None


def _places(side: int, pixels: int) -> npt.NDArray[np.int64]:
    """For each pixel along a side, the place that it lies in."""
    return np.arange(pixels) * side // pixels


def _coarse(mask: npt.NDArray[np.bool_], side: int) -> npt.NDArray[np.bool_]:
    """Which places (N, side, side) a mask (N, S, S) touches."""
    edges = np.searchsorted(_places(side, mask.shape[-1]), np.arange(side))
    rows = np.logical_or.reduceat(mask, edges, axis=1)
    return np.logical_or.reduceat(rows, edges, axis=2)


def _fine(places: npt.NDArray[np.bool_], pixels: int) -> npt.NDArray[np.bool_]:
    """The places (N, F, F) in pixels, (N, pixels, pixels)."""
    index = _places(places.shape[-1], pixels)
    return places[:, index[:, None], index]
