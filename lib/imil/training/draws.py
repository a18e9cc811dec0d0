"""The images of one batch on their way from the cache to the network."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor


@dataclass
class Draws:
    """The images of one batch as they are drawn, before augmentation and normalisation. A mode may change all but
    ``index``.

    Attributes:
        index: int64 (B,), the case of each draw.
        images: float32 (B, 1, S, S) in [0, 1]; a copy, so it may be written to.
        labels: int64 (B,), class indices.
        target: float32 (B, classes), the share of each class; None while every image has its one label.
        penalised: float32 (B, 1, S, S) in [0, 1], where the model isn't to look; None for nowhere. It follows the
            image through the augmentation.
    """

    index: npt.NDArray[np.int64]
    images: Tensor
    labels: Tensor
    target: Tensor | None = None
    penalised: Tensor | None = None
