"""Swapping parts of images between images: what `propagate` and `counterfactual` share."""

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from imil.networks.modes import evaluation_mode
from imil.training.modes.base import FeedbackView

RIM = 3 / 64
"""Width of the soft rim of a swapped place, as a share of the image's side; seams would be a mark of their own."""
MARGIN = 2 / 64
"""How far what was found is widened on all sides before it's swapped or taken off, as a share of the image's side."""
TRIES = 6
"""Donors of each kind that are drawn for each image; the one with least of the thing at the swapped place is taken."""
MEASURED = 256
"""Most images that the influence of a cell is measured on."""


def as_pixels(view: FeedbackView, places: npt.NDArray[np.uint8]) -> Tensor:
    """Places (B, F, F) as masks (B, 1, S, S) of 0 and 1 of the images."""
    coarse = torch.from_numpy(places).to(view.device, torch.float32)[:, None]
    return functional.interpolate(coarse, size=(view.image_size, view.image_size), mode="nearest")


def widened(places: Tensor, pixels: int) -> Tensor:
    """Masks (B, 1, h, w) of 0 and 1, grown by so many pixels on all sides."""
    return functional.max_pool2d(places, 2 * pixels + 1, 1, pixels) if pixels else places


def softened(places: Tensor, pixels: int) -> Tensor:
    """Weights in [0, 1]: masks (B, 1, h, w) of 0 and 1, grown by so many pixels and smoothed by a 3 x 3 mean."""
    return functional.avg_pool2d(widened(places, pixels), 3, 1, 1)


def with_soft_rim(places: Tensor) -> Tensor:
    """Weights in [0, 1]: masks (B, 1, S, S) of 0 and 1 with a rim outside that falls off to 0."""
    width = rim_pixels(places.shape[-1])
    grown = widened(places, width // 2)
    return functional.avg_pool2d(grown, width, 1, width // 2, count_include_pad=False)


def rim_pixels(side: int) -> int:
    """Width of the soft rim in pixels, odd and at least 3."""
    return max(3, 2 * int(RIM * side / 2) + 1)


def blended(images: Tensor, others: Tensor, weights: Tensor) -> Tensor:
    """The images with so much of the others in each pixel."""
    return torch.lerp(images, others, weights)


def least_overlapping(
    places: npt.NDArray[np.uint8], finds: npt.NDArray[np.uint8], candidates: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """For each image the first of its candidates in which least was found in and beside the places that are swapped.

    Args:
        places: uint8 (B, F, F), what is swapped.
        finds: uint8 (N, F, F), what was found in all images.
        candidates: int64 (B, T), images to choose from.
    """
    beside = ndimage.maximum_filter(places, (1, 3, 3))
    overlap = np.einsum("btrc,brc->bt", finds[candidates], beside, dtype=np.int64)
    chosen: npt.NDArray[np.int64] = candidates[np.arange(len(places)), overlap.argmin(1)]
    return chosen


def margins(network: nn.Module, view: FeedbackView, images: Tensor, labels: npt.NDArray[np.int64]) -> Tensor:
    """Log-odds of each image's label, float32 (B,) on the CPU: log p / (1 - p). Images in [0, 1], not normalised."""
    parts = []
    with torch.inference_mode(), evaluation_mode(network):
        for start in range(0, len(images), MEASURED):
            logits = network(view.normalised(images[start : start + MEASURED])).float().cpu()
            own = functional.one_hot(torch.from_numpy(labels[start : start + MEASURED]), logits.shape[1]).bool()
            others = torch.logsumexp(logits.masked_fill(own, -torch.inf), 1)
            parts.append(logits[own] - others)
    return torch.cat(parts)
