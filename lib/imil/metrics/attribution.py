"""Whether a heat map lies where it should."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imil.errors import BadInput


def share_inside(maps: ArrayLike, masks: ArrayLike) -> NDArray[np.float64]:
    """Share of each map's mass that lies inside of its mask (B,), in [0, 1]: sum(abs(map) * mask) / sum(abs(map)).

    A map that is the same everywhere scores the share of the image that the mask covers, which is what chance gives.
    Known as energy-based pointing game (Wang et al., "Score-CAM", 2020, section 4.3).

    Args:
        maps: (B, H, W) of any scale and sign.
        masks: (B, H, W) in [0, 1]; 0.5 where half of a pixel is inside.

    Returns:
        NaN for a map that is zero everywhere.

    Raises:
        BadInput: shapes that differ or aren't (B, H, W), values that aren't finite, masks outside of [0, 1].
    """
    weights, inside = np.abs(np.asarray(maps, dtype=np.float64)), np.asarray(masks, dtype=np.float64)
    if weights.ndim != 3 or weights.shape != inside.shape:
        raise BadInput(
            f"The maps have shape {weights.shape} and the masks {inside.shape}; both must be (images, rows, cols)."
        )
    if not np.isfinite(weights).all():
        raise BadInput(f"Map {int(np.argwhere(~np.isfinite(weights))[0, 0])} has values that aren't finite numbers.")
    outside = ~((inside >= 0) & (inside <= 1))
    if outside.any():
        raise BadInput(f"A mask has the value {inside[outside][0]}; masks must lie between 0 (outside) and 1 (inside).")
    total = weights.sum(axis=(1, 2))
    return np.divide((weights * inside).sum(axis=(1, 2)), total, out=np.full(len(total), np.nan), where=total > 0)
