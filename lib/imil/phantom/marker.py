"""Things on the film that aren't the patient: the shortcut a network may learn instead of the disease.

A marker is a stamp (what it looks like, see `imil.phantom.stamps`) put at a place (the box that it covers).
"""

import numpy as np
import numpy.typing as npt

from imil.phantom.fields import Floats
from imil.phantom.settings import MarkerKind, Place
from imil.phantom.stamps import draw_stamp

Box = tuple[int, int, int, int]
"""First row, end row, first column, end column."""

_LUNG_PLACE = (0.40, 0.29)
"""Row and column of the centre of the fixed place in the right lung, as shares of the film."""
_INSIDE, _OUTSIDE = 0.9, 0.02
"""Share of a box that the lungs fill, at least or at most, for it to count as inside or outside."""
_DARK = 0.6
"""Mean brightness of the film, at most, for a marker outside the lungs to show: it's lost on spine and abdomen."""


def draw_marker(
    rng: np.random.Generator, kind: MarkerKind, place: Place, picture: Floats, lungs: npt.NDArray[np.uint8]
) -> tuple[Floats, Box]:
    """A random marker: its coverage and where it goes.

    Args:
        rng: random numbers.
        kind: what it looks like. A letter in a corner stands at its own side, R at the patient's right.
        place: where it goes.
        picture: (size, size) in [0, 1], without the marker.
        lungs: uint8 (size, size), 1 inside the lungs.
    """
    size = len(lungs)
    letter = "R" if rng.random() < 0.5 else "L"
    stamp = draw_stamp(rng, kind, size, letter)
    side = stamp.shape[0]
    if place == "corner":
        return stamp, _corner(rng, size, side, right=letter == "R")
    if place == "lung":
        return stamp, _lung(rng, size, side)
    filled = _box_means(lungs, side)
    if place == "lung_random":
        return stamp, _one_of(rng, filled >= min(_INSIDE, filled.max()), side)
    outside = filled <= max(_OUTSIDE, filled.min())
    brightness = np.where(outside, _box_means(picture, side), np.inf)
    return stamp, _one_of(rng, brightness <= max(_DARK, brightness.min()), side)


def burn_in(picture: Floats, stamp: Floats, box: Box, brightness: float) -> None:
    """Puts the stamp onto the picture, in place; what it covers shows at ``brightness``."""
    top, bottom, left, right = box
    window = picture[top:bottom, left:right]
    window += stamp * np.maximum(np.float32(brightness) - window, 0)


def _corner(rng: np.random.Generator, size: int, side: int, *, right: bool) -> Box:
    """An upper corner, a little different each time; ``right`` is the patient's right, on the film's left."""
    top = round(size * rng.uniform(0.012, 0.04))
    margin = round(size * rng.uniform(0.012, 0.04))
    left = margin if right else size - margin - side
    return top, top + side, left, left + side


def _lung(rng: np.random.Generator, size: int, side: int) -> Box:
    """One place, a little different each time; inside the right lung of a registered patient."""
    top, left = (round(size * (share + rng.uniform(-0.015, 0.015)) - side / 2) for share in _LUNG_PLACE)
    return top, top + side, left, left + side


def _box_means(field: npt.NDArray[np.generic], side: int) -> npt.NDArray[np.float64]:
    """Mean of the field in each box of ``side`` pixels, by the box's first row and column."""
    sums = np.pad(field.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    total = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return np.asarray(total / side**2, np.float64)


def _one_of(rng: np.random.Generator, fitting: npt.NDArray[np.bool_], side: int) -> Box:
    top, left = divmod(int(rng.choice(np.flatnonzero(fitting))), fitting.shape[1])
    return top, top + side, left, left + side
