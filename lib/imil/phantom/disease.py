"""Tuberculosis as it shows on a film: soft, irregular foci, mostly in the upper zones, some with a cavity."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imil.phantom.anatomy import Anatomy
from imil.phantom.fields import Dice, Floats, Frame, smooth_patch

_IN_MASK = 0.25
"""Density from which a pixel belongs to the lesion mask."""
_ATTENUATION = 0.33
"""Attenuation of a focus of density 1 at lesion_contrast 1."""


@dataclass(frozen=True)
class Focus:
    """One opacity: centre and radii in patient coordinates, density, and the hollow's share of the radius (0: none)."""

    u: float
    v: float
    wide: float
    high: float
    density: float
    hollow: float = 0.0


def draw_disease(dice: Dice, frame: Frame, anatomy: Anatomy, contrast: float) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """The disease's attenuation (size, size) and its mask (0 or 1), inside the lungs, with hollows filled."""
    density = np.zeros_like(anatomy.air)
    extent = np.zeros_like(anatomy.air)
    strength = dice.uniform(0.65, 1.25)
    for focus in _draw_foci(dice, frame, anatomy):
        _add_focus(dice, frame, focus, density, extent)
    mask = ((extent > _IN_MASK) & anatomy.lung).astype(np.uint8)
    return density * anatomy.air * np.float32(_ATTENUATION * contrast * strength), mask


def _draw_foci(dice: Dice, frame: Frame, anatomy: Anatomy) -> list[Focus]:
    """The foci of one patient: patches, a cavity with satellites, or nodules; sometimes in both lungs."""
    first = int(dice.rng.integers(2))
    foci = _draw_group(dice, frame, anatomy, first)
    if dice.random() < 0.35:
        foci += _draw_group(dice, frame, anatomy, 1 - first)
    return foci


def _draw_group(dice: Dice, frame: Frame, anatomy: Anatomy, side: int) -> list[Focus]:
    u, v = _draw_place(dice, frame, anatomy, side)
    kind = dice.random()
    if kind < 0.5:
        spread, count, smallest, largest = 0.055, dice.rng.integers(3, 6), 0.06, 0.11
        foci = [Focus(u, v, dice.uniform(0.08, 0.13), dice.uniform(0.07, 0.11), dice.uniform(0.6, 0.9))]
    elif kind < 0.75:
        spread, count, smallest, largest = 0.12, dice.rng.integers(1, 4), 0.03, 0.05
        radius = dice.uniform(0.085, 0.13)
        foci = [Focus(u, v, radius, radius * dice.uniform(0.85, 1.15), dice.uniform(0.8, 1.0), dice.uniform(0.5, 0.65))]
    else:
        spread, count, smallest, largest = 0.10, dice.rng.integers(3, 7), 0.028, 0.05
        foci = [Focus(u, v, dice.uniform(0.05, 0.065), dice.uniform(0.05, 0.065), dice.uniform(0.9, 1.1))]
    for _ in range(int(count)):
        du, dv = dice.rng.normal(0, spread, 2)
        wide, high = dice.uniform(smallest, largest), dice.uniform(smallest, largest)
        foci.append(Focus(u + du, v + dv, wide, high, dice.uniform(0.45, 0.9)))
    return foci


def _draw_place(dice: Dice, frame: Frame, anatomy: Anatomy, side: int) -> tuple[float, float]:
    """A place inside a lung: four of five in its upper part."""
    half = anatomy.halves[side]
    depth = dice.uniform(0.08, 0.42) if dice.random() < 0.8 else dice.uniform(0.3, 0.8)
    v = half.top + depth * (half.bottom - half.top)
    inner, outer = (float(np.interp(v, frame.v, border)) for border in (half.inner, half.outer))
    u = inner + dice.uniform(0.3, 0.75) * (outer - inner)
    return (-u if side == 0 else u), v


def _add_focus(dice: Dice, frame: Frame, focus: Focus, density: Floats, extent: Floats) -> None:
    """Adds a focus to ``density`` (by the larger value) and, with its hollow filled, to ``extent``, in a window."""
    row, column = frame.on_film(focus.u, focus.v)
    reach = 1.6 * max(focus.wide, focus.high) * frame.pose.scale * frame.size / 2 + 2
    rows = slice(max(0, int(row - reach)), max(0, int(row + reach) + 1))
    columns = slice(max(0, int(column - reach)), max(0, int(column + reach) + 1))
    window = rows, columns
    u, v = frame.film_window(rows, columns)
    radius = np.square((u - np.float32(focus.u)) / np.float32(focus.wide))
    radius += np.square((v - np.float32(focus.v)) / np.float32(focus.high))
    if not radius.size:  # a satellite beyond the film's edge
        return
    rough, fine = (smooth_patch(dice.rng, radius.shape, knots) for knots in (5, 10))
    level = 1.15 - radius + 0.28 * rough + 0.12 * fine
    solid = np.clip(level, 0, 1) * np.float32(focus.density)
    if focus.hollow:
        hole = np.clip((focus.hollow**2 - radius + 0.06 * rough) * 6, 0, 1)
        shape = solid * (1 - np.float32(0.9) * hole)
        shape *= 1 + np.float32(0.25)
    else:
        shape = solid * (1 + np.float32(0.15) * fine)
    np.maximum(density[window], shape, out=density[window])
    np.maximum(extent[window], solid, out=extent[window])
