"""Augmentations that mix pairs of images and their labels, MixUp and CutMix, and the loss for mixed labels.

timm's `Mixup` does the mixing: in each batch, image i is mixed with image B - 1 - i, each with a weight of its own. The
order of cases is random, so these are random pairs. An odd batch's last image stays as it is.

MONAI has both too, but in version 1.6 its CutMix cuts the square out of the one-hot labels as well, instead of
weighting them, and its MixUp refuses labels of shape (B, C).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from timm.data import Mixup
from torch import Tensor, nn
from torch.nn import functional

MIXUP_ALPHA = 0.2
"""Of MixUp's Beta distribution: what Zhang et al. (2018, section 3.1) use on ImageNet. Rao et al. give none."""

CUTMIX_ALPHA = 1.0
"""Of CutMix's Beta distribution: what Yun et al. (2019, section 3.1) use. Rao et al. give none."""


class Mixing:
    """Mixes the images of a batch in pairs.

    Args:
        classes: number of classes.
        mixup_alpha, cutmix_alpha: parameter of the Beta distribution; one of them is 0.
    """

    def __init__(self, classes: int, *, mixup_alpha: float = 0.0, cutmix_alpha: float = 0.0) -> None:
        self._classes = classes
        self._mixup = Mixup(
            mixup_alpha=mixup_alpha,
            cutmix_alpha=cutmix_alpha,
            mode="elem",
            correct_lam=True,
            label_smoothing=0.0,
            num_classes=classes,
        )

    def __call__(self, images: Tensor, labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Mix a batch; the arguments aren't changed.

        Args:
            images: float32 (B, C, S, S).
            labels: int64 (B,), class indices.
            seed: of this batch's random numbers, 0 to 2**63 - 1.

        Returns:
            Images of the same shape, and float32 (B, classes): the share of each class in each image, sum 1.
        """
        targets = functional.one_hot(labels, self._classes).to(torch.float32)
        even = len(images) // 2 * 2
        if even == 0:
            return images, targets
        with _numpy_seeded(seed):
            mixed, mixed_targets = self._mixup(images[:even].clone(), labels[:even])
        return torch.cat([mixed, images[even:]]), torch.cat([mixed_targets, targets[even:]])


def mixup(classes: int) -> Mixing:
    """MixUp (Zhang et al. 2018; Rao et al., eq. 1): the weighted mean of two images, and of their labels."""
    return Mixing(classes, mixup_alpha=MIXUP_ALPHA)


def cutmix(classes: int) -> Mixing:
    """CutMix (Yun et al. 2019; Rao et al., eq. 2): a square from another image; labels weighted by visible area."""
    return Mixing(classes, cutmix_alpha=CUTMIX_ALPHA)


MIXINGS: dict[str, Callable[[int], Mixing]] = {"mixup": mixup, "cutmix": cutmix}
"""By the name in the setting ``augmentation``: makes a mixing for a number of classes."""


class TargetLoss(nn.CrossEntropyLoss):
    """Cross entropy with class indices, or with mixed labels that weigh as much as indices would.

    PyTorch divides the weighted sum by the weights of the labels if these are class indices, but by the number of
    images if they are class shares. Balanced class weights would thus change the size of the gradient with the make-up
    of a batch. Here an image counts by the mean weight of its classes, so that one-hot targets give the same loss as
    the indices do: sum_n sum_c w_c t_nc (-log p_nc) / sum_n sum_c w_c t_nc.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Args: logits (B, C); int64 (B,) or float (B, C) with rows of sum 1. Returns the mean loss, a scalar."""
        if target.ndim == 1 or self.weight is None:
            return super().forward(logits, target)
        total = functional.cross_entropy(logits, target, self.weight, reduction="sum")
        return total / (target * self.weight).sum()


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """The global random numbers of numpy, which timm draws from, seeded for a while and then put back."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed([seed & 0xFFFFFFFF, seed >> 32])  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
