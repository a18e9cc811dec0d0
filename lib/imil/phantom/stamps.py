"""What a marker looks like: its coverage in [0, 1], as a small picture of its own."""

from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from imil.phantom.fields import Floats
from imil.phantom.settings import MarkerKind

# Letters as polylines in a square of side 1, (x, y) with y downwards. An R also has its bowl, as an arc.
_BOWL = [(0.36 + 0.30 * np.sin(t), 0.36 - 0.16 * np.cos(t)) for t in np.linspace(0, np.pi, 9)]
_LETTERS: dict[str, list[list[tuple[float, float]]]] = {
    "R": [[(0.33, 0.80), (0.33, 0.20), *_BOWL, (0.33, 0.52)], [(0.47, 0.52), (0.68, 0.80)]],
    "L": [[(0.35, 0.20), (0.35, 0.80), (0.68, 0.80)]],
}
_SHARES: dict[str, float] = {"letter": 0.115, "ring": 0.125, "tube": 0.22, "patch": 0.16}
"""Side of each stamp as a share of the film."""
_STRENGTHS: dict[str, float] = {"letter": 1.0, "ring": 1.0, "tube": 0.7, "patch": 0.35}
"""How much of the way to white the stamp takes what lies under it."""
_STROKE, _RIM = 0.055, 0.04


def draw_stamp(rng: np.random.Generator, kind: MarkerKind, size: int, letter: str) -> Floats:
    """A stamp of the kind for a film of ``size`` pixels: (side, side) float32 in [0, 1], read-only.

    A tube is curved differently each time; the others are always alike.
    """
    side = max(4, round(_SHARES[kind] * size))
    if kind == "letter":
        return letter_stamp(letter, side)
    if kind == "ring":
        return _ring(side)
    if kind == "patch":
        return _patch(side)
    return _tube(side, float(rng.uniform(-0.25, 0.25)), float(rng.uniform(-0.25, 0.25)))


@cache
def letter_stamp(letter: str, side: int) -> Floats:
    """The letter in its frame, as lead letters on a film."""
    x, y = _axes(side)
    distance = _to_lines(x, y, _LETTERS[letter])
    letter_part = np.clip((_STROKE - distance) * side + 0.5, 0, 1)
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    frame_part = np.clip((_RIM - edge) * side + 0.5, 0, 1)
    return _shared(np.maximum(letter_part, frame_part))


@cache
def _ring(side: int) -> Floats:
    """A ring, as of a piercing, a button or a port."""
    x, y = _axes(side)
    distance = np.abs(np.hypot(x - 0.5, y - 0.5) - 0.36)
    return _shared(np.clip((0.09 - distance) * side + 0.5, 0, 1))


@cache
def _patch(side: int) -> Floats:
    """A faint round patch with a soft rim, as of an electrode's gel pad."""
    x, y = _axes(side)
    return _shared(_STRENGTHS["patch"] * np.clip((0.5 - np.hypot(x - 0.5, y - 0.5)) / 0.2, 0, 1))


def _tube(side: int, slant: float, bend: float) -> Floats:
    """A line through the stamp from top to bottom with two soft bends, as of a drain or a catheter."""
    x, y = _axes(side)
    down = np.linspace(0, 1, 17)
    across = 0.5 + slant * np.cos(np.pi * down) + 0.6 * bend * np.sin(2 * np.pi * down)
    line = list(zip(across.tolist(), (0.03 + 0.94 * down).tolist(), strict=True))
    distance = _to_lines(x, y, [line])
    return _shared(_STRENGTHS["tube"] * np.clip((0.045 - distance) * side + 0.5, 0, 1))


def _axes(side: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    axis = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(axis, axis)
    return x, y


def _shared(coverage: npt.NDArray[np.float64]) -> Floats:
    stamp = coverage.astype(np.float32)
    stamp.setflags(write=False)
    return stamp


def _to_lines(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], lines: list[list[tuple[float, float]]]
) -> npt.NDArray[np.float64]:
    """Distance of each point to the nearest of some polylines."""
    distance = np.full(x.shape, np.inf)
    for line in lines:
        for start, end in pairwise(line):
            distance = np.minimum(distance, _to_segment(x, y, start, end))
    return distance


def _to_segment(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], start: tuple[float, float], end: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Distance of each point to a line segment."""
    du, dv = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * du + (y - start[1]) * dv) / (du * du + dv * dv), 0, 1)
    return np.asarray(np.hypot(x - start[0] - along * du, y - start[1] - along * dv), np.float64)
