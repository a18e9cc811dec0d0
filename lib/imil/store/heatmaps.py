"""Heat maps as bytes: float32, exact, the four bytes of the numbers gathered in planes and then compressed.

Planes halve both size and time against compressing the numbers as they lie, because neighbours differ little.
"""

import zlib

import numpy as np
import numpy.typing as npt

from imil.errors import BadInput

MAX_SIDE = 4096
"""Longest side of a heat map in pixels, the largest network input that the settings allow."""


def pack(heatmap: npt.NDArray[np.float32]) -> bytes:
    """The compressed bytes of a ``(rows, cols)`` float32 map with values in [0, 1].

    Raises:
        BadInput: for another shape, a value outside [0, 1] or one that isn't finite.
    """
    if heatmap.ndim != 2 or min(heatmap.shape) < 1 or max(heatmap.shape) > MAX_SIDE:
        raise BadInput(
            f"A heat map of shape {heatmap.shape} can't be stored: it needs rows x columns, up to {MAX_SIDE}."
        )
    values = np.ascontiguousarray(heatmap, dtype="<f4")
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):
        raise BadInput(f"A heat map has values from {low} to {high}; allowed are 0 to 1.")
    return zlib.compress(values.view(np.uint8).reshape(-1, 4).T.tobytes(), level=1)


def unpack(data: bytes, rows: int, cols: int) -> npt.NDArray[np.float32]:
    """The inverse of `pack`; never makes more than ``rows * cols`` numbers.

    Raises:
        BadInput: if the bytes are damaged or hold another number of values.
    """
    size = rows * cols * 4
    if not (1 <= rows <= MAX_SIDE and 1 <= cols <= MAX_SIDE):
        raise BadInput(f"A stored heat map claims {rows} x {cols} pixels; at most {MAX_SIDE} on a side are allowed.")
    decompressor = zlib.decompressobj()
    try:
        planes = decompressor.decompress(data, size + 1)
    except zlib.error as error:
        raise BadInput(f"A stored heat map is damaged ({error}).") from None
    if len(planes) != size or not decompressor.eof:
        raise BadInput(f"A stored heat map is damaged: it doesn't hold {rows} x {cols} values.")
    values = np.frombuffer(planes, np.uint8).reshape(4, -1).T
    return np.ascontiguousarray(values).view("<f4").reshape(rows, cols).astype(np.float32, copy=False)
