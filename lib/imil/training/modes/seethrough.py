"""See-through things: what they add to an image can be taken off, so that what lies under them stays.

A swap takes the tissue under a thing away, and disease with it. Where that's always the same tissue, as with a patch at
one place of the lung, much is lost. But under a faint patch the tissue still shows. Then what the thing adds is the
difference between windows around finds and windows at the same places of images without a find; of the medians, so that
disease, which is elsewhere in most images, is no part of it.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from imil.training.modes.base import FeedbackView
from imil.training.modes.decoys import Decoy
from imil.training.modes.extent import Windows, fading, largest_part, standing_out, windows_of
from imil.training.modes.swapping import widened

LEAST, MOST = 0.5, 2.0
"""Spread of pixels under a see-through thing, relative to other images. Where it's less, little shows through. Where
it's more, the thing is not alike in all images."""
ALONE = 0.9
"""Share of what was found that must lie in each image's largest part; the others would not be taken off."""
RIM = 2 / 64
"""How far the thing is widened on all sides, as a share of the image's side."""


def see_through(
    view: FeedbackView, finds: npt.NDArray[np.uint8], without: npt.NDArray[np.int64], seed: int
) -> dict[int, Decoy]:
    """What the thing adds to each image in which it was found, and where.

    Args:
        view: the training data.
        finds: uint8 (N, F, F), where something was found.
        without: images in which nothing was found.
        seed: which images are looked at beside the finds.

    Returns:
        By the image's position. Empty if the thing isn't see-through, if there are too few finds to tell (see
        `imil.training.modes.extent.FEWEST`), or if many images have several.
    """
    found = np.flatnonzero(finds.any(axis=(1, 2)) & view.kept)
    if not len(found) or sum(largest_part(finds[index]).sum() for index in found.tolist()) < ALONE * finds[found].sum():
        return {}
    added: dict[int, Decoy] = {}
    for windows, group in windows_of(view, finds, without, seed):
        over, elsewhere = windows.fitted(), windows.elsewhere()
        difference = over.median(0).values - elsewhere.median(0).values
        own = torch.from_numpy(standing_out(difference * fading(len(difference), difference.device))).to(over.device)
        if not LEAST <= _share_left(windows, over, elsewhere, own) <= MOST:
            return {}
        layer = difference * _weights(own, round(RIM * view.image_size))
        added |= {index: Decoy(layer, *windows.corner(number)) for number, index in enumerate(group.tolist())}
    return added


def _share_left(windows: Windows, over: Tensor, elsewhere: Tensor, own: Tensor) -> float:
    """How much the pixels under the thing differ between images, relative to other images at the same places."""
    means = windows.means()
    under, others = (_spread(means + part)[own] for part in (over, elsewhere))
    return float((under / others.clamp(min=1e-6)).median())


def _spread(windows: Tensor) -> Tensor:
    """Interquartile range of each pixel of windows (n, w, w), (w, w)."""
    low, high = torch.quantile(windows, torch.tensor([0.25, 0.75], device=windows.device), dim=0)
    return high - low


def _weights(own: Tensor, rim: int) -> Tensor:
    """Weights (w, w) in [0, 1] of a thing's own pixels, widened and softened."""
    grown = widened(own[None, None].to(torch.float32), rim)
    return functional.avg_pool2d(grown, 3, 1, 1)[0, 0]
