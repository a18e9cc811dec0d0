"""Colour maps for heat maps, by procedure: an even one, and the classic jet."""

from __future__ import annotations

import numpy as np

SIZE = 256
"""Colours in a map."""
_LIGHTNESS = (0.28, 0.93)
"""Oklab lightness at the two ends."""
_VIOLET, _BEND, _YELLOW = (0.06, -0.13), (0.30, 0.04), (-0.04, 0.17)
"""Ends and control point of the way through Oklab's a-b plane: from violet through red and orange to yellow."""


def even() -> np.ndarray:
    """Violet over red to yellow, uint8 (256, 3), in steps that look equally large.

    Both the lightness and the colour difference in Oklab (Ottosson, 2020) rise by the same amount from one entry to the
    next, so the map invents no contours, survives grey printing, and stands out from a grey image by its hue.
    """
    at = np.linspace(0, 1, 2001)[:, None]
    way = (1 - at) ** 2 * np.array(_VIOLET) + 2 * at * (1 - at) * np.array(_BEND) + at**2 * np.array(_YELLOW)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    steps = np.linspace(0, length[-1], SIZE)
    lab = np.stack(
        [np.linspace(*_LIGHTNESS, SIZE), np.interp(steps, length, way[:, 0]), np.interp(steps, length, way[:, 1])],
        axis=1,
    )
    return _to_bytes(_encoded(_linear_of(lab)))


def jet() -> np.ndarray:
    """The classic from dark blue over cyan and yellow to dark red, uint8 (256, 3). Its steps are uneven."""
    at = np.linspace(0, 1, SIZE)[:, None]
    return _to_bytes(1.5 - np.abs(4 * at - np.array([3, 2, 1])))


COLOR_MAPS = {"even": even, "jet": jet}


def _linear_of(lab: np.ndarray) -> np.ndarray:
    """Oklab to linear sRGB, both (n, 3)."""
    cone_roots = lab @ np.array(
        [
            [1.0, 1.0, 1.0],
            [0.3963377774, -0.1055613458, -0.0894841775],
            [0.2158037573, -0.0638541728, -1.2914855480],
        ]
    )
    return cone_roots**3 @ np.array(
        [
            [4.0767416621, -1.2684380046, -0.0041960863],
            [-3.3077115913, 2.6097574011, -0.7034186147],
            [0.2309699292, -0.3413193965, 1.7076147010],
        ]
    )


def _encoded(linear: np.ndarray) -> np.ndarray:
    """Linear sRGB to sRGB, by the standard's transfer function."""
    safe = np.maximum(linear, 0.0031308)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * safe ** (1 / 2.4) - 0.055)


def _to_bytes(colors: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(colors, 0, 1) * 255).astype(np.uint8)
