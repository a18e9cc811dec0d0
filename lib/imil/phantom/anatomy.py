"""The healthy chest: X-ray attenuation of body, lungs, mediastinum, bones and vessels.

Attenuation is in arbitrary units, 0 for air and about 1 where the body is thickest; on a radiograph, more is brighter.
All lengths are in patient coordinates (see :mod:`imil.phantom.fields`).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imil.phantom.bones import collar_bones_and_blades, ribs, spine
from imil.phantom.fields import MAX_ANGLE, Curve, Dice, Floats, Frame, Pose, bump, ramp, smooth_noise, soft_step
from imil.phantom.vessels import vessels

# fmt: off
# Mean outlines over v (downwards); distances from the midline.
_BODY = Curve({-1.1: 0.24, -0.98: 0.27, -0.9: 0.40, -0.82: 0.66, -0.72: 0.92, -0.6: 1.06, -0.3: 1.04, 0: 1.0,
               0.6: 0.97, 1.1: 1.0})
_THICKNESS = Curve({-1.1: 0.50, -0.8: 0.62, -0.5: 0.84, 0: 0.95, 0.5: 1.04, 1.1: 1.12})
_LUNG_INNER = Curve({-0.84: 0.27, -0.825: 0.225, -0.79: 0.18, -0.7: 0.11, -0.55: 0.06, -0.3: 0.04, 1.0: 0.04})
_LUNG_OUTER = Curve({-0.84: 0.27, -0.825: 0.315, -0.79: 0.37, -0.7: 0.455, -0.55: 0.55, -0.3: 0.655, 0: 0.735,
                     0.3: 0.785, 0.6: 0.81, 1.0: 0.82})
_RIGHT_BORDER = Curve({-1.0: 0.06, -0.75: 0.09, -0.5: 0.125, -0.2: 0.125, 0.0: 0.135, 0.15: 0.18, 0.32: 0.215,
                       0.5: 0.20, 0.65: 0.17})
_LEFT_BORDER = Curve({-1.0: 0.06, -0.75: 0.08, -0.55: 0.12, -0.2: 0.15, -0.08: 0.19, 0.1: 0.28, 0.3: 0.39, 0.45: 0.44,
                      0.56: 0.45, 0.7: 0.42})
_HEART = Curve({-0.2: 0.0, 0.1: 0.4, 0.4: 1.0, 0.7: 1.0})
# fmt: on
_DIAPHRAGM = 0.5
"""About where the diaphragm is; lungs are stretched upwards from here."""


@dataclass(frozen=True)
class Half:
    """One half of the chest on the canvas; vectors over its rows, distances from the midline.

    Attributes:
        inner, outer: the visible lung's borders.
        top, bottom: where the visible lung begins and ends, in v, at its middle.
    """

    inner: Floats
    outer: Floats
    top: float
    bottom: float


@dataclass(frozen=True)
class Anatomy:
    """One patient's chest on the film.

    Attributes:
        attenuation: (size, size) float32.
        air: (size, size) float32 in [0, 1], how much of a pixel is lung that isn't hidden by heart or diaphragm.
        lung: (size, size) bool, the visible lung fields.
        halves: the patient's right and left half.
    """

    attenuation: Floats
    air: Floats
    lung: npt.NDArray[np.bool_]
    halves: tuple[Half, Half]


def draw_pose(dice: Dice) -> Pose:
    """A patient's own rotation (up to 4 degrees), scale (0.92 to 1.06) and shift (up to 3 % of the film)."""
    return Pose(
        angle=float(np.clip(dice.rng.normal(0, 0.45 * MAX_ANGLE), -MAX_ANGLE, MAX_ANGLE)),
        scale=float(dice.uniform(0.92, 1.06)),
        shift_u=float(dice.uniform(-0.06, 0.06)),
        shift_v=float(dice.uniform(-0.06, 0.06)),
    )


def draw_anatomy(dice: Dice, frame: Frame) -> Anatomy:
    """A random healthy chest."""
    u, v = frame.u, frame.v
    body = _body(dice, frame)
    total = body * np.float32(0.66)
    total += body * _soft_tissue(dice, frame)
    bones = spine(dice, frame)
    air = np.empty(frame.shape, np.float32)
    width, stretch = dice.uniform(0.93, 1.05), dice.uniform(0.94, 1.04)
    darkness = dice.single(0.40, 0.46)
    borders, domes = _borders(dice, v), _domes(dice, u, width)
    halves = []
    for side, columns in enumerate(frame.sides):
        across = np.abs(u[columns])
        inner, outer = _lung_borders(dice, v, width, stretch)
        depth = _lung_depth(across, inner, outer)
        above = soft_step(domes[columns] - v[:, None], 0.03)
        hidden = soft_step(borders[side][:, None] - across, dice.uniform(0.025, 0.045))
        visible = above * (1 - hidden)
        part = total[:, columns]
        part -= depth * (above * np.float32(0.10) + visible) * darkness
        part += hidden * (above * np.float32(0.07) + _heart_bulge(dice, v, u[columns]))
        part -= (above - 1) * _abdomen(dice, v, u[columns], domes[columns], side)
        bones[:, columns] += ribs(dice, v, across, outer)
        air[:, columns] = visible * np.minimum(depth * 2, 1)
        halves.append(_half(v, u[columns], inner, outer, borders[side], domes[columns]))
    bones += collar_bones_and_blades(dice, frame)
    total += bones * np.minimum(body * 4, 1)
    total += _lung_markings(dice, frame) * air
    attenuation, film_air = frame.to_film(total, air)
    return Anatomy(attenuation, film_air, film_air > 0.5, (halves[0], halves[1]))


def _body(dice: Dice, frame: Frame) -> Floats:
    """Thickness of soft tissue along the beam, 0 beside the body."""
    outline = _BODY(frame.v) * dice.single(0.95, 1.05)
    depth = np.multiply.outer(1 / outline, frame.u)
    np.multiply(depth, depth, out=depth)
    np.subtract(1, depth, out=depth)
    np.maximum(depth, 0, out=depth)
    # The fourth root is flatter than an ellipse: a trunk is more of a box.
    np.sqrt(np.sqrt(depth, out=depth), out=depth)
    depth *= _THICKNESS(frame.v)[:, None]
    return depth


def _soft_tissue(dice: Dice, frame: Frame) -> Floats:
    """Uneven tissue, breast or muscle shadows over the lower lungs, the hila, and the windpipe (darker)."""
    u, v = frame.u, frame.v
    breast, reach = np.float32(max(0.0, dice.uniform(-0.05, 0.07))), dice.uniform(0.42, 0.52)
    hila = dice.single(0.03, 0.06)
    pipe = dice.single(0.05, 0.09)
    terms = [
        (bump(v, dice.uniform(0.25, 0.4), 0.16), breast * (bump(u, -reach, 0.17) + bump(u, reach, 0.17))),
        (bump(v, -0.03 + dice.uniform(-0.03, 0.03), 0.11), hila * bump(u, -0.165, 0.055)),
        (bump(v, -0.08 + dice.uniform(-0.03, 0.03), 0.11), hila * bump(u, 0.19, 0.055)),
        (ramp(v, -0.22, -0.45), -pipe * bump(u, dice.uniform(-0.015, 0.005), 0.032)),
    ]
    field = smooth_noise(dice.rng, frame.shape[0], 6) * np.float32(0.018)
    for over_v, over_u in terms:
        field += np.multiply.outer(over_v, over_u)
    return field


def _borders(dice: Dice, v: Floats) -> tuple[Floats, Floats]:
    """The mediastinum's and heart's borders right and left of the midline, with aortic knob and pulmonary trunk."""
    size = dice.single(-0.16, 0.16)
    right = _RIGHT_BORDER(v) * dice.single(0.88, 1.12)
    left = _LEFT_BORDER(v) * (1 + size * _HEART(v))
    left += dice.single(0.03, 0.07) * bump(v, dice.uniform(-0.44, -0.38), 0.06)
    left += dice.single(0.0, 0.03) * bump(v, -0.16, 0.05)
    return right, left


def _domes(dice: Dice, u: Floats, width: float) -> Floats:
    """The diaphragm's height v over u: two domes, the patient's right higher, falling to sharp angles at the wall."""
    right_top = dice.uniform(0.42, 0.52)
    tops = (right_top, right_top + dice.uniform(0.02, 0.08))
    middles = (dice.uniform(0.34, 0.42), dice.uniform(0.40, 0.48))
    sides = []
    for top, middle in zip(tops, middles, strict=True):
        offset = np.abs(u) - np.float32(middle * width)
        fall = np.where(offset > 0, dice.single(1.1, 1.6), np.float32(0.5))
        sides.append(np.float32(top) + fall * offset * offset)
    # Under the heart one passes into the other.
    blended: Floats = sides[0] + (sides[1] - sides[0]) * ramp(u, -0.15, 0.15)
    return blended


def _lung_borders(dice: Dice, v: Floats, width: float, stretch: float) -> tuple[Floats, Floats]:
    level = _DIAPHRAGM + (v - _DIAPHRAGM) / (stretch * dice.uniform(0.98, 1.02))
    return _LUNG_INNER(level), _LUNG_OUTER(level) * np.float32(width)


def _lung_depth(across: Floats, inner: Floats, outer: Floats) -> Floats:
    """How thick the lung is along the beam: half an ellipse between its inner and outer border."""
    half, middle = (outer - inner) / 2, (outer + inner) / 2
    # Above the apex both borders meet: no lung there.
    scale = 1 / np.maximum(half, np.float32(0.012))
    middle[half < 0.012] = 9
    depth: Floats = (across - middle[:, None]) * scale[:, None]
    np.multiply(depth, depth, out=depth)
    np.subtract(1, depth, out=depth)
    np.maximum(depth, 0, out=depth)
    np.sqrt(depth, out=depth)
    return depth


def _heart_bulge(dice: Dice, v: Floats, u: Floats) -> Floats:
    """The heart is thickest in its middle."""
    return np.multiply.outer(dice.single(0.03, 0.06) * bump(v, 0.32, 0.2), bump(u, 0.12, 0.22))


def _abdomen(dice: Dice, v: Floats, u: Floats, domes: Floats, side: int) -> Floats:
    """What lies under the diaphragm: liver; on the patient's left, in some, gas in the stomach (darker)."""
    if side == 0:
        return np.multiply.outer(ramp(v, 0.4, 0.9) * np.float32(0.05), ramp(u, 0.1, -0.3))
    amount = max(0.0, dice.uniform(-0.12, 0.18))
    centre, wide, high = dice.uniform(0.36, 0.5), dice.uniform(0.10, 0.17), dice.uniform(0.05, 0.09)
    level = float(np.interp(centre, u, domes)) + high + 0.05
    inside = np.subtract.outer(
        1 - np.square((v - np.float32(level)) / np.float32(high)),
        np.square((u - np.float32(centre)) / np.float32(wide)),
    )
    return soft_step(inside, 0.8) * np.float32(-amount)


def _lung_markings(dice: Dice, frame: Frame) -> Floats:
    """Branching vessels and a fine mottle."""
    field = vessels(dice.rng, frame) * dice.single(0.7, 1.2)
    field += smooth_noise(dice.rng, frame.shape[0], 40) * np.float32(0.011)
    return field


def _half(v: Floats, u: Floats, inner: Floats, outer: Floats, border: Floats, domes: Floats) -> Half:
    seen = np.maximum(inner, border)
    top = float(v[np.argmax(outer - seen > 0.12)])
    middle = int(np.argmin(np.abs(np.abs(u) - 0.5)))
    return Half(seen, outer, top, float(domes[middle]))
