"""Things on the film that aren't the patient: the shortcut a network may learn instead of the disease.

A marker is a *stamp* (what it looks like: coverage in [0, 1]) put at a *place* (the row and column of its corner). The
only kind so far is a lead letter in a frame, in an upper corner beside the neck.
"""

from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from imil.phantom.fields import Floats

Box = tuple[int, int, int, int]
"""First row, end row, first column, end column."""

# Letters as polylines in a square of side 1, (x, y) with y downwards. An R also has its bowl, as an arc.
_BOWL = [(0.36 + 0.30 * np.sin(t), 0.36 - 0.16 * np.cos(t)) for t in np.linspace(0, np.pi, 9)]
_STROKES: dict[str, list[list[tuple[float, float]]]] = {
    "R": [[(0.33, 0.80), (0.33, 0.20), *_BOWL, (0.33, 0.52)], [(0.47, 0.52), (0.68, 0.80)]],
    "L": [[(0.35, 0.20), (0.35, 0.80), (0.68, 0.80)]],
}
_SHARE = 0.115
"""Side of the stamp as a share of the film."""
_STROKE, _RIM = 0.055, 0.04


def draw_marker(rng: np.random.Generator, size: int) -> tuple[Floats, Box]:
    """A random side marker: its coverage and where it goes. R stands at the patient's right, L at the left."""
    letter = "R" if rng.random() < 0.5 else "L"
    stamp = letter_stamp(letter, round(_SHARE * size))
    return stamp, corner_place(rng, size, stamp.shape[0], right=letter == "R")


@cache
def letter_stamp(letter: str, side: int) -> Floats:
    """(side, side) float32 coverage in [0, 1] of the letter in its frame."""
    axis = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(axis, axis)
    distance = np.full((side, side), np.inf)
    for line in _STROKES[letter]:
        for start, end in pairwise(line):
            distance = np.minimum(distance, _to_segment(x, y, start, end))
    letter_part = np.clip((_STROKE - distance) * side + 0.5, 0, 1)
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    frame_part = np.clip((_RIM - edge) * side + 0.5, 0, 1)
    stamp = np.maximum(letter_part, frame_part).astype(np.float32)
    stamp.setflags(write=False)  # it's shared
    return stamp


def corner_place(rng: np.random.Generator, size: int, side: int, *, right: bool) -> Box:
    """A box of ``side`` pixels in an upper corner, a little different each time; ``right`` is the patient's right."""
    top = round(size * rng.uniform(0.012, 0.04))
    margin = round(size * rng.uniform(0.012, 0.04))
    left = margin if right else size - margin - side
    return top, top + side, left, left + side


def burn_in(picture: Floats, stamp: Floats, box: Box, brightness: float) -> None:
    """Puts the stamp onto the picture, in place; what it covers shows at ``brightness``."""
    top, bottom, left, right = box
    window = picture[top:bottom, left:right]
    window += stamp * np.maximum(np.float32(brightness) - window, 0)


def _to_segment(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], start: tuple[float, float], end: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Distance of each point to a line segment."""
    du, dv = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * du + (y - start[1]) * dv) / (du * du + dv * dv), 0, 1)
    return np.asarray(np.hypot(x - start[0] - along * du, y - start[1] - along * dv), np.float64)
