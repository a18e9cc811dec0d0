"""Cut-outs: places of images that can be pasted into others."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from imil.training.modes.swapping import rim_pixels, with_soft_rim


@dataclass(frozen=True)
class Cutout:
    """A part of an image with its rim.

    Attributes:
        pixels: float32 (h, w) in [0, 1].
        weights: float32 (h, w) in [0, 1], how much of it shows; 1 in the part itself, falling off around it.
        inside: float32 (h, w), 1 in the part itself.
        top, left: where it was.
    """

    pixels: Tensor
    weights: Tensor
    inside: Tensor
    top: int
    left: int


def cut_out(image: Tensor, places: Tensor) -> Cutout | None:
    """The part of an image (1, S, S) where ``places``, (1, S, S) of 0 and 1, is 1; None if that's nowhere."""
    if not bool(places.any()):
        return None
    weights = with_soft_rim(places[None])[0, 0]
    rows, cols = (torch.nonzero(places[0].any(axis)).flatten() for axis in (1, 0))
    rim = rim_pixels(places.shape[-1]) - 1
    side = places.shape[-1]
    top, bottom = max(0, int(rows[0]) - rim), min(side, int(rows[-1]) + 1 + rim)
    left, right = max(0, int(cols[0]) - rim), min(side, int(cols[-1]) + 1 + rim)
    part = (slice(top, bottom), slice(left, right))
    return Cutout(image[0][part].clone(), weights[part].clone(), places[0][part].clone(), top, left)


def paste(
    images: Tensor, cutouts: list[Cutout], probability: float, random: np.random.Generator, *, share_in_place: float
) -> tuple[Tensor, Tensor]:
    """Paste a random cut-out into each image with some probability.

    Args:
        images: float32 (B, 1, S, S) in [0, 1]; written to.
        cutouts: what to paste; nothing is done if there is none.
        probability: for each image.
        random: for everything that is drawn.
        share_in_place: how often a cut-out is pasted where it was; otherwise it goes anywhere, all of it inside.

    Returns:
        The images, and float32 (B, 1, S, S), 1 where something was pasted.
    """
    pasted = torch.zeros_like(images)
    # The same number of draws whatever comes of them, so that one image's don't depend on another's.
    numbers: npt.NDArray[np.float64] = random.random((len(images), 5))
    if not cutouts:
        return images, pasted
    side = images.shape[-1]
    for place in np.flatnonzero(numbers[:, 0] < probability).tolist():
        which, where, down, across = numbers[place, 1:].tolist()
        one = cutouts[int(which * len(cutouts))]
        top, left = one.top, one.left
        if where >= share_in_place:
            top = int(down * (side - one.pixels.shape[0] + 1))
            left = int(across * (side - one.pixels.shape[1] + 1))
        part = (slice(top, top + one.pixels.shape[0]), slice(left, left + one.pixels.shape[1]))
        under = images[place, 0][part]
        under.lerp_(one.pixels, one.weights)
        pasted[place, 0][part] = one.inside
    return images, pasted
