"""Random changes to the single images of a training batch, by name. For pairs of images see `imil.training.mixing`.

An augmentation gets its random numbers from outside, one row for each case, so that what happens to a case in an epoch
depends on neither the batch it is in nor on what else the process does.
"""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from imil.errors import NotFound


class Augmentation(Protocol):
    """Changes a batch of images by random numbers that are handed in."""

    @property
    def draws(self) -> int:
        """How many random numbers each case needs."""
        ...

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """Args: float32 (B, C, S, S) in [0, 1], uniform numbers (B, draws) in [0, 1). Returns images of that shape."""
        ...


class Affine:
    """Small rotations, shifts and zooms about the centre, bilinear; what comes in from outside is the image mirrored.

    Black borders instead would be a different kind of image from those that are predicted: batch normalisation then
    learns statistics that no un-augmented image has.

    Args:
        degrees: largest rotation to either side.
        shift: largest shift to either side, as a share of the image's side.
        zoom: largest change of scale to either side, as a share.
    """

    draws = 4

    def __init__(self, degrees: float = 10.0, shift: float = 0.05, zoom: float = 0.1) -> None:
        self.degrees, self.shift, self.zoom = degrees, shift, zoom

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        signed = draws * 2 - 1
        angle = signed[:, 0] * math.radians(self.degrees)
        scale = 1 + signed[:, 1] * self.zoom
        # affine_grid measures from -1 to 1 across the image: a share of the side is twice that.
        offset = signed[:, 2:4] * (2 * self.shift)
        cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
        theta = torch.stack(
            [torch.stack([cos, -sin, offset[:, 0]], 1), torch.stack([sin, cos, offset[:, 1]], 1)],
            1,
        )
        positions = functional.affine_grid(theta, list(images.shape), align_corners=False)
        return functional.grid_sample(images, positions, padding_mode="reflection", align_corners=False)


class CutOut:
    """A square of zeros at a random place of each image (DeVries and Taylor 2017, section 3).

    The square's centre is any pixel, all equally likely, and what would lie outside the image is cut off, as in the
    paper. Zero is black here: images are in [0, 1], as in Rao et al. (section 3.2, "zero-masking"). DeVries and Taylor
    fill in after normalisation, where zero is the mean grey.

    MONAI's CutOut draws the square's size anew each time, and one corner for a whole batch; timm's RandomErasing has
    random sizes and never cuts a square off.

    Args:
        share: the square's side as a share of the image's side; 50 of 224 pixels in Rao et al. (section 3.3.3).
    """

    draws = 2

    def __init__(self, share: float = 50 / 224) -> None:
        self.share = share

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        rows, cols = images.shape[-2:]
        centres = (draws.to(images.device) * torch.tensor([rows, cols], device=images.device)).long()
        return images.masked_fill(squares(centres, self.side(rows, cols), rows, cols)[:, None], 0.0)

    def side(self, rows: int, cols: int) -> int:
        """The square's side in pixels, at least 1; by the shorter side of an image that isn't square."""
        return max(1, round(self.share * min(rows, cols)))


def squares(centres: Tensor, side: int, rows: int, cols: int) -> Tensor:
    """Masks, bool (B, rows, cols), of squares around ``centres`` (int64 (B, 2): row, column), cut off at the border.

    A square of even side has its centre below and right of its middle.
    """
    first = centres - side // 2
    inside = [
        (positions >= first[:, axis, None]) & (positions < first[:, axis, None] + side)
        for axis, positions in enumerate(torch.arange(length, device=centres.device) for length in (rows, cols))
    ]
    return inside[0][:, :, None] & inside[1][:, None, :]


AUGMENTATIONS: dict[str, Callable[[], Augmentation]] = {"affine": Affine, "cutout": CutOut}


def create_augmentation(name: str) -> Augmentation | None:
    """The augmentation of that name; None for ``none``.

    Raises:
        NotFound: if there is none of that name.
    """
    if name == "none":
        return None
    if name not in AUGMENTATIONS:
        raise NotFound(f"There is no augmentation {name!r}; there are none, {', '.join(AUGMENTATIONS)}.")
    return AUGMENTATIONS[name]()
