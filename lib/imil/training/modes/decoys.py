"""Decoys: what a found thing adds to an image, to be added to others.

A cut-out of a find holds more than the thing: the lung behind it, and disease if there is any. Pasted into an image of
another class, that disease would be wrong there. So what its surroundings lead to expect is taken away from a find, and
finds that add much more than most, or much less, make no decoys: that's where disease lies behind the thing.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from imil.training.modes.base import FeedbackView
from imil.training.modes.extent import largest_part, typical
from imil.training.modes.swapping import as_pixels, softened

REACH = 2 / 64
"""Standard deviation of the weights of a thing's surroundings, as a share of the image's side."""
GROWN = 1 / 64
"""How far the thing is widened on all sides, as a share of the image's side."""
MOST = 256
"""Most decoys that are made."""


@dataclass(frozen=True)
class Decoy:
    """What a thing adds to an image.

    Attributes:
        added: float32 (h, w), what it adds to pixels in [0, 1]; fades out towards the edges.
        top, left: where it was found.
    """

    added: Tensor
    top: int
    left: int


def make_decoys(view: FeedbackView, things: npt.NDArray[np.uint8], seed: int) -> list[Decoy]:
    """Decoys of what was found in the training images.

    Args:
        view: the training data.
        things: uint8 (N, P, P), the pixels of what was found, see `imil.training.modes.extent.things`; of several
            connected parts, the largest counts.
        seed: which of them are looked at if there are many.
    """
    random = np.random.default_rng(seed)
    found = random.permutation(np.flatnonzero(things.any(axis=(1, 2)) & view.kept))[:MOST]
    if not len(found):
        return []
    parts = np.stack([largest_part(things[index]) for index in found.tolist()]).astype(np.uint8)
    weights = softened(as_pixels(view, parts), round(GROWN * view.image_size))
    images = view.images(found)
    added = (images - _expected(images, weights)) * weights
    return [cropped(added[one, 0], weights[one, 0]) for one in typical(added[:, 0])]


def add(
    images: Tensor, bank: list[Decoy], probability: float, random: np.random.Generator, *, share_in_place: float
) -> Tensor:
    """Add a random decoy to each image with some probability.

    Args:
        images: float32 (B, 1, S, S) in [0, 1]; written to.
        bank: what to add; nothing is done if it's empty.
        probability: for each image.
        random: for everything that is drawn.
        share_in_place: how often it's added where it was found; otherwise its centre lies anywhere in the image.
    """
    # The same number of draws whatever comes of them, so that one image's don't depend on another's.
    numbers: npt.NDArray[np.float64] = random.random((len(images), 5))
    if not bank:
        return images
    side = images.shape[-1]
    for place in np.flatnonzero(numbers[:, 0] < probability).tolist():
        which, where, down, across = numbers[place, 1:].tolist()
        one = bank[int(which * len(bank))]
        if where >= share_in_place:
            height, width = one.added.shape
            one = replace(one, top=int(down * side) - height // 2, left=int(across * side) - width // 2)
        lay(images[place, 0], one)
    return images


def lay(image: Tensor, decoy: Decoy, amount: float = 1.0) -> None:
    """Add a decoy to an image (S, S) in [0, 1] where it was found, as far as that lies inside; -1 takes it off."""
    height, width = decoy.added.shape
    rows, cols = (
        slice(min(max(0, start), side), min(max(0, start + length), side))
        for start, length, side in zip((decoy.top, decoy.left), (height, width), image.shape, strict=True)
    )
    part = decoy.added[rows.start - decoy.top : rows.stop - decoy.top, cols.start - decoy.left : cols.stop - decoy.left]
    image[rows, cols] = (image[rows, cols] + amount * part).clamp_(0, 1)


def _expected(images: Tensor, weights: Tensor) -> Tensor:
    """What the surroundings of a thing lead to expect in its place: the mean of the pixels outside of it, (B, 1, S, S),
    nearer ones with more weight (normalised convolution, Knutsson and Westin 1993, with a Gaussian).
    """
    outside = (weights == 0).to(images.dtype)
    sigma = REACH * images.shape[-1]
    line = torch.arange(-round(5 * sigma), round(5 * sigma) + 1, dtype=images.dtype, device=images.device)
    line = torch.exp(-0.5 * (line / sigma) ** 2)
    sums, amounts = (_along_both(values, line) for values in (images * outside, outside))
    return sums / amounts.clamp(min=1e-12)


def _along_both(values: Tensor, line: Tensor) -> Tensor:
    """Convolution of (B, 1, S, S) by a symmetric line along both axes, zeros outside."""
    half = len(line) // 2
    down = functional.conv2d(values, line.view(1, 1, -1, 1), padding=(half, 0))
    return functional.conv2d(down, line.view(1, 1, 1, -1), padding=(0, half))


def cropped(added: Tensor, weights: Tensor, corner: tuple[int, int] = (0, 0)) -> Decoy:
    """A decoy of what is added to an image or a part of it, (h, w), without the rows and columns of no weight.

    Args:
        added: of the part.
        weights: of the part; 0 where nothing is added.
        corner: row and column of the part's first pixel in the image.
    """
    rows, cols = (torch.nonzero(weights.any(axis)).flatten() for axis in (1, 0))
    part = added[int(rows[0]) : int(rows[-1]) + 1, int(cols[0]) : int(cols[-1]) + 1]
    return Decoy(part.clone(), corner[0] + int(rows[0]), corner[1] + int(cols[0]))
