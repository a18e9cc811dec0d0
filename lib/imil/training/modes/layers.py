"""Layers: what a found thing adds to an image, to be taken off it.

A swap takes the tissue under a thing away, and disease with it. Where that's always the same tissue, as with a patch at
one place of the lung, much is lost. So what the thing adds is estimated, and taken off: the difference between windows
around finds that are alike, and windows at the same places of images without a find. It's the difference of medians, so
that disease, which is elsewhere in most images, is no part of it.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from imil.training.modes.base import FeedbackView
from imil.training.modes.decoys import Decoy, cropped
from imil.training.modes.extent import fading, largest_part, most_alike, standing_out, windows_of
from imil.training.modes.swapping import MARGIN, rim_pixels, softened

MOST_LEFT = 3.0
"""Fine detail that is left where the thing was, relative to other images at the same place. Where it's more, finds are
too different from each other: what is left of each would be an imprint that goes with the class as the thing did."""
ALONE = 0.9
"""Share of what was found that must lie in each image's largest part; the others would not be taken off."""


def layers(
    view: FeedbackView, finds: npt.NDArray[np.uint8], without: npt.NDArray[np.int64], seed: int
) -> dict[int, Decoy]:
    """What the thing adds to each image in which it was found, and where.

    Args:
        view: the training data.
        finds: uint8 (N, F, F), where something was found.
        without: images in which nothing was found.
        seed: which images are looked at beside the finds.

    Returns:
        By the image's position. Empty if that can't be told: there are too few finds (see
        `imil.training.modes.extent.FEWEST`), they have too little in common, or many images have several.
    """
    found = np.flatnonzero(finds.any(axis=(1, 2)) & view.kept)
    if not len(found) or sum(largest_part(finds[index]).sum() for index in found.tolist()) < ALONE * finds[found].sum():
        return {}
    all_added: dict[int, Decoy] = {}
    for windows, group in windows_of(view, finds, without, seed):
        over, elsewhere = windows.fitted(), windows.elsewhere()
        added, weights = _added(over, elsewhere, round(MARGIN * view.image_size))
        inside, width = (weights > 0.5).to(over), rim_pixels(view.image_size)
        if _detail(over - added, inside, width) > MOST_LEFT * _detail(elsewhere, inside, width):
            return {}
        for number, index in enumerate(group.tolist()):
            all_added[index] = cropped(added[number], weights[number], windows.corner(number))
    return all_added


def _added(over: Tensor, elsewhere: Tensor, margin: int) -> tuple[Tensor, Tensor]:
    """What the thing adds to each of the windows (n, w, w) on finds, given windows at the same places elsewhere; and
    the weights in [0, 1] that it was multiplied by, so that it fades out.
    """
    fade = fading(over.shape[-1], over.device)
    usual = elsewhere.median(0).values
    added, weights = [], []
    for alike in most_alike(over * fade):
        difference = over[alike].median(0).values - usual
        own = torch.from_numpy(standing_out(difference * fade)).to(over)
        weights.append(softened(own[None, None], margin)[0, 0])
        added.append(difference * weights[-1])
    return torch.stack(added), torch.stack(weights)


def _detail(windows: Tensor, inside: Tensor, width: int) -> float:
    """Fine detail of windows (n, w, w) where ``inside``, (n, w, w) of 0 and 1, is 1: mean square of what a mean over
    ``width`` x ``width`` pixels doesn't keep; the median over the windows.
    """
    coarse = functional.avg_pool2d(windows[:, None], width, 1, width // 2, count_include_pad=False)[:, 0]
    squares = ((windows - coarse).square() * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)
    return float(squares.median())
