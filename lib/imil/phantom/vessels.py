"""Pulmonary vessels: curves that leave the hila and branch twice, thinner each time."""

import numpy as np
import numpy.typing as npt

from imil.phantom.fields import Floats, Frame, blur

_TRUNKS = 11
_HILA = ((-0.15, -0.02), (0.17, -0.07))
# For each generation: points along a vessel, lines side by side, their spacing, brightness of the whole.
_LOOKS = ((56, 4, 0.0045, 0.8), (40, 2, 0.0055, 0.55), (28, 1, 0.0, 0.35))
_BRIGHTNESS = 0.055
_BLUR = 0.9
"""Standard deviation of the final blur, in pixels of a 256-pixel film."""

_Values = npt.NDArray[np.float64]


def vessels(rng: np.random.Generator, frame: Frame) -> Floats:
    """Attenuation of the vessels of both lungs on the canvas, drawn as dense points and blurred."""
    rows, columns, weights = [], [], []
    for (start, angle, length), (points, lines, spacing, brightness) in zip(_generations(rng), _LOOKS, strict=True):
        u, v = _curves(rng, start, angle, length, points, lines, spacing)
        row, column = frame.on_canvas(u, v)
        # A line's brightness must not depend on how densely it is sampled: weight by pixels per point.
        density = length * frame.size / 2 / points
        weight = brightness / lines * density[:, None] * np.linspace(1.0, 0.3, points)
        rows.append(row.ravel())
        columns.append(column.ravel())
        weights.append(np.tile(weight, (lines, 1)).ravel())
    passes = max(1, round(2 * (_BLUR * frame.size / 256) ** 2))
    canvas = _splat(frame, np.concatenate(rows), np.concatenate(columns), np.concatenate(weights), passes)
    # Blurred over more pixels, a line gets fainter; what a wider line's extra points would add is made up for here.
    return blur(canvas, passes) * np.float32(_BRIGHTNESS * frame.size / 256 * 5.0)


def _generations(rng: np.random.Generator) -> list[tuple[_Values, _Values, _Values]]:
    """For each generation: start points (n, 2), directions (n,) in radians, lengths (n,)."""
    starts, angles, lengths = [], [], []
    for side, (u, v) in zip((-1, 1), _HILA, strict=True):
        fan = np.linspace(-1.35, 1.45, _TRUNKS) + rng.normal(0, 0.12, _TRUNKS)
        angles.append(np.where(side > 0, fan, np.pi - fan))
        starts.append(np.array([u, v]) + rng.normal(0, 0.045, (_TRUNKS, 2)))
        lengths.append(rng.uniform(0.22, 0.42, _TRUNKS) * (1 + 0.3 * np.abs(np.sin(fan))))
    start, angle, length = np.concatenate(starts), np.concatenate(angles), np.concatenate(lengths)
    generations = [(start, angle, length)]
    for _ in _LOOKS[1:]:
        start, angle, length = _branch(rng, start, angle, length)
        generations.append((start, angle, length))
    return generations


def _branch(
    rng: np.random.Generator, start: _Values, angle: _Values, length: _Values
) -> tuple[_Values, _Values, _Values]:
    """Two branches from each vessel, to either side of it."""
    starts, angles, lengths = [], [], []
    for side in (-1, 1):
        along = rng.uniform(0.25, 0.7, len(length)) * length
        starts.append(start + along[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1))
        angles.append(angle + side * rng.uniform(0.3, 0.75, len(length)))
        lengths.append(length * rng.uniform(0.5, 0.7, len(length)))
    return np.concatenate(starts), np.concatenate(angles), np.concatenate(lengths)


def _curves(
    rng: np.random.Generator,
    start: _Values,
    angle: _Values,
    length: _Values,
    points: int,
    lines: int,
    spacing: float,
) -> tuple[_Values, _Values]:
    """(lines * n, points) coordinates u and v along slightly bent curves, ``lines`` of them side by side."""
    along = np.linspace(0, 1, points)
    bend = rng.normal(0, 0.10, len(length))[:, None] * np.sin(np.pi * along)
    cos, sin, reach = np.cos(angle)[:, None], np.sin(angle)[:, None], length[:, None]
    u = start[:, :1] + reach * (cos * along - sin * bend)
    v = start[:, 1:] + reach * (sin * along + cos * bend)
    offsets = (np.arange(lines) - (lines - 1) / 2)[:, None, None] * spacing
    return (u - sin * offsets).reshape(-1, points), (v + cos * offsets).reshape(-1, points)


def _splat(frame: Frame, rows: _Values, columns: _Values, weights: _Values, padding: int) -> Floats:
    """The points' weights summed in their nearest pixels, with ``padding`` pixels around the canvas."""
    height, width = (side + 2 * padding for side in frame.shape)
    row = np.clip(np.rint(rows).astype(np.intp) + padding, 0, height - 1)
    column = np.clip(np.rint(columns).astype(np.intp) + padding, 0, width - 1)
    total = np.bincount(row * width + column, weights, minlength=height * width)
    return total.reshape(height, width).astype(np.float32)
