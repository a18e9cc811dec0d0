"""Building blocks of the phantom: a patient's coordinates, curves over them, smooth random fields.

Patient coordinates: ``u`` grows to the viewer's right (the patient's left), ``v`` grows downwards; the film covers
about -1 to 1 in both. The chest is drawn upright on a *canvas* a little larger than the film, where anything that
depends on one coordinate is a vector, and then turned onto the film.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.interpolate import BSpline, PchipInterpolator
from scipy.sparse import csr_array

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_FINE = np.linspace(-2.0, 2.0, 1024)
_TILT_MARGIN = 0.04
"""Margin of the canvas on each side, as a share of the film: what a turn by ``MAX_ANGLE`` needs."""
MAX_ANGLE = float(np.deg2rad(4.0))


def stream(seed: int, index: int, part: int) -> np.random.Generator:
    """The random numbers of one part (anatomy, disease, ...) of one picture, independent of all others."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(index, part))))


class Dice:
    """Random numbers of one stream, drawn ahead: a single number from numpy costs ten times as much."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self._ahead: list[float] = []

    def random(self) -> float:
        """From 0 to below 1."""
        if not self._ahead:
            self._ahead = self.rng.random(64).tolist()
        return self._ahead.pop()

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.random()

    def single(self, low: float, high: float) -> np.float32:
        """As `uniform`, in float32, for arithmetic with arrays of that type."""
        return np.float32(self.uniform(low, high))


class Curve:
    """A function of one coordinate through given (coordinate: value) points, monotone between, constant outside."""

    def __init__(self, points: dict[float, float]) -> None:
        where, values = np.array(list(points), float), np.array(list(points.values()), float)
        self._values = PchipInterpolator(where, values)(np.clip(_FINE, where[0], where[-1]))

    def __call__(self, where: Floats | Doubles) -> Floats:
        return np.interp(where, _FINE, self._values).astype(np.float32)


def bump(where: Floats, centre: float, width: float) -> Floats:
    """A Gaussian with its peak of 1 at ``centre`` and standard deviation ``width``."""
    offset = (where - np.float32(centre)) / np.float32(width)
    height: Floats = np.exp(offset * offset * np.float32(-0.5))
    return height


def ramp(where: Floats, start: float, end: float) -> Floats:
    """Rises smoothly from 0 at ``start`` to 1 at ``end`` (falls if ``end`` is smaller)."""
    return soft_step(where - np.float32(start), end - start)


def soft_step(distance: Floats, width: float) -> Floats:
    """0 where ``distance`` is 0, 1 where it is ``width``, smooth between, constant outside; overwrites ``distance``."""
    distance *= np.float32(1 / width)
    # np.clip does the same, but for short vectors it takes six times as long.
    np.maximum(distance, 0, out=distance)
    np.minimum(distance, 1, out=distance)
    rest = np.float32(3) - np.float32(2) * distance
    distance *= distance
    distance *= rest
    return distance


@dataclass(frozen=True)
class Pose:
    """How the patient stands: rotation in radians (at most ``MAX_ANGLE``), scale, shift in units of half the film."""

    angle: float = 0.0
    scale: float = 1.0
    shift_u: float = 0.0
    shift_v: float = 0.0


class Frame:
    """The canvas of one patient, and its way onto the film.

    Attributes:
        u, v: float32 patient coordinates of the canvas's columns and rows.
        sides: the columns of the patient's right and left half.
        shape: (rows, columns) of the canvas.
    """

    def __init__(self, size: int, pose: Pose) -> None:
        self.size, self.pose = size, pose
        self.margin = int(np.ceil(_TILT_MARGIN * size)) if pose.angle else 0
        axis = (np.arange(-self.margin, size + self.margin) + 0.5) * 2 / size - 1
        self.u: Floats = ((axis - pose.shift_u) / pose.scale).astype(np.float32)
        self.v: Floats = ((axis - pose.shift_v) / pose.scale).astype(np.float32)
        middle = int(np.searchsorted(self.u, 0))
        self.sides = (slice(0, middle), slice(middle, len(axis)))
        self.shape = (len(axis), len(axis))
        self._cos, self._sin = float(np.cos(pose.angle)), float(np.sin(pose.angle))

    def on_canvas(self, u: Doubles, v: Doubles) -> tuple[Doubles, Doubles]:
        """Canvas (rows, columns) of places in patient coordinates."""
        columns = (u * self.pose.scale + self.pose.shift_u + 1) * self.size / 2 - 0.5 + self.margin
        rows = (v * self.pose.scale + self.pose.shift_v + 1) * self.size / 2 - 0.5 + self.margin
        return rows, columns

    def on_film(self, u: float, v: float) -> tuple[float, float]:
        """Film (row, column) of a place in patient coordinates."""
        x, y = u * self.pose.scale + self.pose.shift_u, v * self.pose.scale + self.pose.shift_v
        x, y = self._cos * x - self._sin * y, self._sin * x + self._cos * y
        return (y + 1) * self.size / 2 - 0.5, (x + 1) * self.size / 2 - 0.5

    def film_window(self, rows: slice, columns: slice) -> tuple[Floats, Floats]:
        """Patient coordinates (u, v) of each pixel in a window of the film."""
        axis = (np.arange(self.size) + 0.5) * 2 / self.size - 1
        x, y, scale = axis[columns], axis[rows], self.pose.scale
        u = np.add.outer(self._sin * y, self._cos * x - self.pose.shift_u) / scale
        v = np.add.outer(self._cos * y - self.pose.shift_v, -self._sin * x) / scale
        return u.astype(np.float32), v.astype(np.float32)

    def to_film(self, *fields: Floats) -> list[Floats]:
        """Turns canvas fields onto the film, with bilinear interpolation."""
        if not self.margin:
            return list(fields)
        axis = np.arange(self.size) - (self.size - 1) / 2
        centre, width = (self.shape[0] - 1) / 2, self.shape[1]
        along, across = (self._cos * axis).astype(np.float32), (self._sin * axis).astype(np.float32)
        rows = np.add.outer(along + np.float32(centre), -across)
        columns = np.add.outer(across, along + np.float32(centre))
        top, left = np.floor(rows), np.floor(columns)
        rows -= top
        columns -= left
        # Exact in float32: canvases have fewer than 2**24 pixels.
        top *= np.float32(width)
        top += left
        index = top.astype(np.intp)
        return [_bilinear(field.ravel(), width, index, rows, columns) for field in fields]


def _bilinear(flat: Floats, width: int, index: npt.NDArray[np.intp], down: Floats, right: Floats) -> Floats:
    upper, other, lower, last = (flat[offset:].take(index, mode="clip") for offset in (0, 1, width, width + 1))
    for near, far, share in ((upper, other, right), (lower, last, right), (upper, lower, down)):
        far -= near
        far *= share
        near += far
    return upper


def smooth_noise(rng: np.random.Generator, size: int, knots: int) -> Floats:
    """(size, size) random field of about unit variance that varies over ``size / knots`` pixels."""
    return smooth_patch(rng, (size, size), knots)


def smooth_patch(rng: np.random.Generator, shape: tuple[int, int], knots: int) -> Floats:
    """As `smooth_noise`, for any (rows, columns); ``knots`` along each."""
    down, right = (_spline_weights(side, knots) for side in shape)
    values = rng.standard_normal((knots + 3, knots + 3), dtype=np.float32)
    # Dense products would be as quick, but wake BLAS's own threads, which then wait busily beside ours.
    field: Floats = down @ np.ascontiguousarray((right @ values).T)
    return field


@lru_cache(maxsize=256)
def _spline_weights(size: int, knots: int) -> csr_array:
    """(size, knots + 3) weights of a uniform cubic B-spline, scaled so that unit noise stays near unit variance."""
    where = (np.arange(size) + 0.5) / size * knots
    weights = BSpline.design_matrix(where, np.arange(-3.0, knots + 4.0), 3)
    return csr_array(weights / np.sqrt(weights.power(2).sum(axis=1)).mean(), dtype=np.float32)


def blur(padded: Floats, passes: int) -> Floats:
    """Binomial blur; each 1-2-1 pass adds a variance of half a pixel and takes one pixel off every edge."""
    for _ in range(2 * passes):
        padded = padded[:-1] + padded[1:]
        padded = padded[:, :-1] + padded[:, 1:]
    padded *= np.float32(1 / 16**passes)
    return padded
