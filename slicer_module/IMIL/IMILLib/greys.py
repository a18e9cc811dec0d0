"""Which grey levels of an image are black and white, by the rules that the server shows images and trains with.

DICOM: PS3.3, C.11.1 (modality), C.11.2 (value of interest), C.7.6.3.1.2 (photometric interpretation).
"""

from __future__ import annotations

import numpy as np

from . import dicomtags
from .dicomtags import Tags


def plain(pixels: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Pixels without a window of their own: 0 to 255 for 8 bit, else from the smallest to the largest.

    Raises:
        ValueError: if a pixel isn't finite.
    """
    if pixels.dtype == np.uint8:
        return pixels, 0.0, 255.0
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("it has pixels that are NaN or infinite")
    return pixels, low, high


def of_dicom(pixels: np.ndarray, tags: Tags) -> tuple[np.ndarray, float, float]:
    """Rescaled pixels of a DICOM file, bigger = brighter, with the values shown as black and white.

    Args:
        pixels: (rows, cols), rescaled by slope and intercept, but not inverted.
        tags: of the same file.

    Raises:
        ValueError: if the file's window or table can't be used.
    """
    table = tags.table(dicomtags.MODALITY_TABLE)
    if table is not None:
        pixels = table.apply(pixels)
    rescaled = table is not None or not _is_identity(tags)
    pixels, low, high = _value_of_interest(pixels, tags, rescaled)
    if tags.text(dicomtags.PHOTOMETRIC) == "MONOCHROME1":
        return _inverted(pixels, low, high)
    return pixels, low, high


def _is_identity(tags: Tags) -> bool:
    slope, intercept = tags.number(dicomtags.RESCALE_SLOPE), tags.number(dicomtags.RESCALE_INTERCEPT)
    return (1.0 if slope is None else slope) == 1 and not intercept


def _value_of_interest(pixels: np.ndarray, tags: Tags, rescaled: bool) -> tuple[np.ndarray, float, float]:
    table = tags.table(dicomtags.VOI_TABLE)
    if table is not None:
        return table.apply(pixels), 0.0, float(2**table.bits - 1)
    center, width = tags.number(dicomtags.WINDOW_CENTER), tags.number(dicomtags.WINDOW_WIDTH)
    function = tags.text(dicomtags.WINDOW_FUNCTION) or "LINEAR"
    if center is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
        if rescaled and pixels.dtype == np.uint8:
            return pixels, float(pixels.min()), float(pixels.max())
        return plain(pixels)
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            curve = 255 / (1 + np.exp(-4 * (pixels.astype(np.float64) - center) / width))
        return curve.astype(np.float32), 0.0, 255.0
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    elif function != "LINEAR_EXACT":
        raise ValueError(f"its window has the unknown function {function!r}")
    if width == 0:
        return np.where(pixels <= center, 0, 255).astype(np.uint8), 0.0, 255.0
    return pixels, center - width / 2, center + width / 2


def _inverted(pixels: np.ndarray, low: float, high: float) -> tuple[np.ndarray, float, float]:
    """The smallest value becomes the brightest. Mirrored inside the pixels' own range, so that their type holds it."""
    whole = pixels.dtype.kind in "iu"
    bottom, top = pixels.min(), pixels.max()
    if whole:
        turn = int(bottom) + int(top)
        return (turn - pixels.astype(np.int64)).astype(pixels.dtype), turn - high, turn - low
    turn = float(bottom) + float(top)
    return (turn - pixels).astype(pixels.dtype), turn - high, turn - low
