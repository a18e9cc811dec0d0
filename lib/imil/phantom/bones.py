"""Spine, ribs, collar bones and shoulder blades: attenuation on the canvas."""

import numpy as np

from imil.phantom.fields import Curve, Dice, Floats, Frame, bump, ramp, soft_step

_RIB_GAP = 0.155
_RIBS = 11
_LEVELS = np.linspace(-1.4, 1.4, 2048, dtype=np.float32)
# Across a rib, in units of half its width: edges of cortex are brighter, the lower one most.
_RIB = Curve(
    {
        -1.6: 0,
        -1.35: 0.08,
        -1.0: 0.6,
        -0.8: 0.8,
        -0.4: 0.68,
        0.2: 0.68,
        0.6: 0.82,
        0.95: 0.95,
        1.15: 0.7,
        1.5: 0.1,
        1.8: 0,
    }
)


def spine(dice: Dice, frame: Frame) -> Floats:
    """Vertebral bodies with darker discs between, spinous processes and the stubs of the transverse ones."""
    u, v = frame.u, frame.v
    gap, phase = dice.uniform(0.125, 0.145), dice.uniform(0, 1)
    # Vertebrae grow downwards.
    level = (v - np.float32(0.12) * v * np.abs(v)) / np.float32(gap) + np.float32(phase)
    half = dice.uniform(0.075, 0.09)
    column = ramp(u, -half - 0.02, -half + 0.015) * ramp(u, half + 0.02, half - 0.015)
    rims = bump(u, -half, 0.014) + bump(u, half, 0.014)
    stubs = np.maximum(ramp(u, -0.17, -0.12) * ramp(u, 0.17, 0.12) - column, 0)
    bodies = 1 - np.float32(0.45) * bump(_from_nearest(level + np.float32(0.5)), 0, 0.09)
    processes = bump(_from_nearest(level + np.float32(0.15)), 0, 0.10)
    bone = np.multiply.outer(bodies, column + np.float32(0.35) * rims)
    bone += np.multiply.outer(processes, np.float32(0.5) * bump(u, 0, 0.018) + np.float32(0.4) * stubs)
    return bone * dice.single(0.09, 0.13)


def ribs(dice: Dice, v: Floats, across: Floats, wall: Floats) -> Floats:
    """One half's ribs: posterior ones slope down to the chest wall, turn, and run on as fainter anterior ones.

    Each rib is an ellipse about the midline; all ribs of a half share its shape, so that one coordinate (the level
    where a rib through this pixel leaves the spine) and one profile give all of them.

    Args:
        dice: random numbers.
        v: levels of the rows.
        across: distances of the columns from the midline.
        wall: distance of the chest wall from the midline in each row.
    """
    reach = np.multiply.outer(1 / (wall + np.float32(0.015)), across)
    square = reach * reach
    end = np.sqrt(np.maximum(1 - square, 0))
    inside = np.minimum(end * 5, 1)
    profile = _rib_profile(dice)
    drop, front, slope = (dice.single(*limits) for limits in ((0.20, 0.28), (0.26, 0.36), (0.02, 0.10)))
    total = _look_up(profile, (v - drop)[:, None] + drop * end - slope * reach)
    total *= np.float32(0.8) + np.float32(0.6) * square * square
    # Anterior ribs end in cartilage, which doesn't show.
    forward = _look_up(profile, (v - drop - slope)[:, None] - front * end)
    reach -= np.float32(0.42)
    forward *= soft_step(reach, 0.25)
    total += forward * dice.single(0.3, 0.55)
    total *= inside
    fade = ramp(v, -0.95, -0.8) * (np.float32(0.15) + np.float32(0.85) * ramp(v, 0.75, 0.45))
    total *= (dice.single(0.08, 0.12) * fade)[:, None]
    return total


def _from_nearest(level: Floats) -> Floats:
    """Distance from the nearest whole number, with its sign."""
    nearest: Floats = np.rint(level)
    return level - nearest


def _rib_profile(dice: Dice) -> Floats:
    """Brightness over the level at the spine."""
    gaps = [_RIB_GAP * dice.uniform(0.94, 1.06) for _ in range(_RIBS)]
    centres = dice.uniform(-0.88, -0.82) + np.cumsum(gaps) - gaps[0]
    halves = np.array([dice.uniform(0.026, 0.034) for _ in range(_RIBS)])
    strengths = np.array([dice.uniform(0.8, 1.1) for _ in range(_RIBS)], np.float32)
    nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, _LEVELS)
    offset = (_LEVELS - centres[nearest]) / halves[nearest]
    return _RIB(offset) * strengths[nearest]


def _look_up(profile: Floats, level: Floats) -> Floats:
    level -= _LEVELS[0]
    level *= np.float32((len(_LEVELS) - 1) / (_LEVELS[-1] - _LEVELS[0]))
    return profile.take(level.astype(np.intp), mode="clip")


def collar_bones_and_blades(dice: Dice, frame: Frame) -> Floats:
    """Collar bones, edges of the shoulder blades, and the shoulders."""
    u, v = frame.u, frame.v
    bone = np.multiply.outer(bump(v, -0.58, 0.11), np.float32(0.10) * (bump(u, -1.0, 0.13) + bump(u, 1.0, 0.13)))
    _add_collar_bones(dice, bone, u, v)
    edge = 0.62 + 0.30 * np.clip((v + 0.6) / 0.75, 0, 1) + dice.uniform(-0.05, 0.08)
    rows = slice(*np.searchsorted(v, [-0.7, 0.22]))
    sheet = soft_step(np.abs(u) - edge[rows, None].astype(np.float32), 0.03)
    bone[rows] += sheet * (np.float32(0.045) * ramp(v[rows], -0.7, -0.55) * ramp(v[rows], 0.22, 0.05))[:, None]
    return bone


def _add_collar_bones(dice: Dice, bone: Floats, u: Floats, v: Floats) -> None:
    across = np.abs(u)
    along = np.clip((across - 0.07) / 0.75, 0, 1)
    line = dice.uniform(-0.62, -0.54) - dice.uniform(0.08, 0.20) * along**0.9 + 0.05 * np.sin(2 * np.pi * along)
    line += dice.uniform(-0.03, 0.03) * np.sign(u)
    rows = slice(*np.searchsorted(v, [float(line.min()) - 0.06, float(line.max()) + 0.06]))
    half = 0.030 + 0.05 * (along - 0.45) ** 2
    core = (v[rows, None] - line.astype(np.float32)) / half.astype(np.float32)
    core = np.maximum(1 - core * core, 0)
    # Steep sides and a bright rim, as a tube of cortex shows.
    core = np.minimum(core * 3, 1) * (np.float32(1.25) - np.float32(0.5) * core)
    ends = ramp(across, 0.055, 0.085) * ramp(across, 0.95, 0.75)
    bone[rows] += core * (dice.single(0.075, 0.11) * ends)
