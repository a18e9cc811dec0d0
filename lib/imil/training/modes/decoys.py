"""Decoys: what a found thing adds to an image, to be added to others.

A cut-out of a find holds more than the thing: the lung behind it, and disease if there is any. Pasted into an image of
another class, that disease would be wrong there. So what its surroundings lead to expect is taken away from a find, and
finds that add much more than most, or much less, make no decoys: that's where disease lies behind the thing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from imil.training.modes.base import FeedbackView
from imil.training.modes.extent import FEWEST, MOST, Windows, fading
from imil.training.modes.swapping import as_pixels, widened

REACH = 2 / 64
"""Standard deviation of the weights of a thing's surroundings, as a share of the image's side."""
ALIKE = 16
"""Finds whose mean says which pixels belong to the thing."""
PART = 0.25
"""Share of the largest mean difference from images without a find that a pixel of the thing has at least."""
GROWN = 1 / 64
"""How far the thing is widened on all sides, as a share of the image's side."""
TYPICAL = 0.6
"""Share of the finds that decoys are made of."""


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


def make_decoys(
    view: FeedbackView, finds: npt.NDArray[np.uint8], without: npt.NDArray[np.int64], seed: int
) -> list[Decoy]:
    """Decoys of what was found in the training images.

    Args:
        view: the training data.
        finds: uint8 (N, F, F), where something was found; of several connected parts, the largest counts.
        without: images in which nothing was found.
        seed: which finds are looked at if there are many, and which images beside them.
    """
    random = np.random.default_rng(seed)
    found = random.permutation(np.flatnonzero(finds.any(axis=(1, 2)) & view.kept))[:MOST]
    if not len(found):
        return []
    if len(found) < FEWEST:  # too few to tell the thing from what lies around it in the find
        thing = as_pixels(view, finds[found])
    else:
        windows = Windows(view, finds, found, without, random)
        chosen, shapes = _shapes(windows.fitted())
        found = found[chosen]
        thing = torch.zeros((len(found), 1, view.image_size, view.image_size), device=view.device)
        for number, shape in enumerate(shapes):
            _lay(thing[number, 0], shape, *windows.corner(chosen[number]))
    weights = functional.avg_pool2d(widened(thing, round(GROWN * view.image_size)), 3, 1, 1)
    images = view.images(found)
    parts = (images - _expected(images, weights)) * weights
    return [_cropped(part[0], weight[0]) for part, weight in zip(parts, weights, strict=True) if bool(weight.any())]


def _shapes(added: Tensor) -> tuple[list[int], list[Tensor]]:
    """Which of fitted windows (n, w, w) are typical, and the pixels of the thing in each of them, (w, w) of 0 and 1."""
    weights = fading(added.shape[-1], added.device)
    chosen = _typical(added * weights)
    added = added[chosen]
    return chosen, [_thing(added[alike].mean(0) * weights) for alike in _most_alike(added * weights)]


def _thing(mean: Tensor) -> Tensor:
    """The connected pixels of a mean window (w, w) that stand out, 0 and 1."""
    size = mean.abs().cpu().numpy()
    parts, _ = ndimage.label(size >= PART * size.max(), np.ones((3, 3)))
    return torch.from_numpy(parts == parts[np.unravel_index(size.argmax(), size.shape)]).to(mean)


def _lay(canvas: Tensor, window: Tensor, top: int, left: int) -> None:
    """Write a window (w, w) to an image's canvas (S, S), as far as it lies inside."""
    rows, cols = (slice(max(0, start), min(len(canvas), start + len(window))) for start in (top, left))
    canvas[rows, cols] = window[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]


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
        top, left, (height, width) = one.top, one.left, one.added.shape
        if where >= share_in_place:
            top, left = int(down * side) - height // 2, int(across * side) - width // 2
        rows = slice(max(0, top), max(0, min(side, top + height)))
        cols = slice(max(0, left), max(0, min(side, left + width)))
        part = one.added[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]
        images[place, 0][rows, cols] = (images[place, 0][rows, cols] + part).clamp_(0, 1)
    return images


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


def _typical(added: Tensor) -> list[int]:
    """Those that add about as much as most do, see the module."""
    amounts = added.sum((1, 2))
    order = (amounts - amounts.median()).abs().argsort()
    return sorted(order[: max(ALIKE, round(TYPICAL * len(added)))].tolist())


def _most_alike(added: Tensor) -> Tensor:
    """For each window (n, w, w) the `ALIKE` that are most like it, itself among them, int64 (n, ALIKE)."""
    flat = (added - added.mean((1, 2), keepdim=True)).flatten(1)
    flat = flat / flat.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return (flat @ flat.T).topk(ALIKE, dim=1).indices


def _cropped(added: Tensor, weights: Tensor) -> Decoy:
    rows, cols = (torch.nonzero(weights.any(axis)).flatten() for axis in (1, 0))
    part = added[int(rows[0]) : int(rows[-1]) + 1, int(cols[0]) : int(cols[-1]) + 1]
    return Decoy(part.clone(), int(rows[0]), int(cols[0]))
