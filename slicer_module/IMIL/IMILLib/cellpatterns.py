"""Line patterns that mark a cell, in the cell's own coordinates: (0, 0) is its first corner, (1, 1) the opposite one.

A pattern is an array float64 (n, 2, 2) of n line segments: start and end, each (across, down). All of them lie inside
the cell, so that neighbours with different marks don't overlap. Lengths are given in pixels of the screen, and so is
the cell's ``size`` there (width, height): a pattern looks alike at every zoom.
"""

from __future__ import annotations

import numpy as np

_NOTHING = 1e-9
"""Pixels: in the place of a cell's size where the view is squeezed to nothing."""


def outline(size: tuple[float, float], inset: float) -> np.ndarray:
    """A closed frame, so many pixels inside the border."""
    (left, top), (right, bottom) = _frame(size, inset)
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    return np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)


def dashes(size: tuple[float, float], inset: float, length: float) -> np.ndarray:
    """A dashed frame with gaps as long as the dashes; every corner is drawn."""
    pieces = []
    for start, end in outline(size, inset):
        side = np.hypot(*((end - start) * size))
        steps = 2 * max(1, round(side / (2 * length))) + 1
        at = np.linspace(start, end, steps + 1)
        pieces.append(np.stack([at[:-1:2], at[1::2]], axis=1))
    return np.concatenate(pieces)


def hatch(size: tuple[float, float], inset: float, spacing: float) -> np.ndarray:
    """Parallel lines at 45 degrees, so many pixels apart, from one border to the other."""
    (left, top), (right, bottom) = _frame(size, inset)
    width, height = (right - left) * size[0], (bottom - top) * size[1]
    step = spacing * np.sqrt(2)
    count = int((width + height) / 2 / step)
    # The lines are across + down = sum, in pixels, on both sides of the one through the cell's middle.
    sums = (width + height) / 2 + step * np.arange(-count, count + 1)
    sums = sums[(sums > 0) & (sums < width + height)]
    across = np.stack([np.minimum(sums, width), np.maximum(sums - height, 0)], axis=1)
    down = sums[:, None] - across
    return np.stack([left + across / max(size[0], _NOTHING), top + down / max(size[1], _NOTHING)], axis=-1)


def crosses(size: tuple[float, float], inset: float, spacing: float) -> np.ndarray:
    """Two sets of parallel lines that cross: `hatch` and its mirror image."""
    lines = hatch(size, inset, spacing)
    return np.concatenate([lines, np.stack([1 - lines[..., 0], lines[..., 1]], axis=-1)])


def corners(size: tuple[float, float], inset: float) -> np.ndarray:
    """A bracket in each corner, a third of a side long."""
    sides = outline(size, inset)
    part = (sides[:, 1] - sides[:, 0]) / 3
    return np.concatenate(
        [np.stack([sides[:, 0], sides[:, 0] + part], axis=1), np.stack([sides[:, 1] - part, sides[:, 1]], axis=1)]
    )


def arrows(size: tuple[float, float], length: float) -> np.ndarray:
    """Two arrows in the cell's middle, one to the right above one to the left: what is here is swapped.

    They are so many pixels long, but never longer than three fifths of the cell's shorter side.
    """
    length = min(length, 0.6 * min(size))
    half, head = length / 2, length / 4
    right = np.array([[(-half, 0), (half, 0)], [(half, 0), (half - head, -head)], [(half, 0), (half - head, head)]])
    up, down = np.array([0, -head * 1.2]), np.array([0, head * 1.2])
    both = np.concatenate([right + up, right * [-1, 1] + down])
    return 0.5 + both / np.maximum(size, _NOTHING)


def placed(pattern: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """A pattern drawn into cells.

    Args:
        pattern: (n, 2, 2), as above.
        boxes: (m, 4): first column, first row, width and height of each cell.

    Returns:
        (m * n, 2, 2): the segments as (column, row) in the boxes' coordinates.
    """
    return (boxes[:, None, None, :2] + pattern[None] * boxes[:, None, None, 2:]).reshape(-1, 2, 2)


def _frame(size: tuple[float, float], inset: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Two opposite corners of the frame; in tiny cells it shrinks to the middle, but no further."""
    across, down = (min(inset / max(length, _NOTHING), 0.5) for length in size)
    return (across, down), (1 - across, 1 - down)
