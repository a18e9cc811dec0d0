"""`rrr`: right for the right reasons."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from imil.training.modes.base import register_mode
from imil.training.modes.penalised import PenalisedCells

REFERENCE_PIXELS = 64 * 64
"""Pixels of the images for which the weight was chosen."""


@register_mode("rrr")
class RightReasons(PenalisedCells):
    """Ross, Hughes and Doshi-Velez 2017, "Right for the right reasons", equation 1, second term.

    For each image, with A its unselected pixels and p the class probabilities::

        sum over pixels d of  (A_d  d/dx_d  sum over classes k of  log p_k)^2

    and the mean over the images. What the model makes of an unselected pixel then changes nothing about its output.

    Summed squares mean something else at each image size: the derivative by a pixel shrinks with the pixel's area, so
    its square, summed over the pixels, falls as 1 / pixels. The sum is therefore multiplied by pixels / (64 x 64); one
    weight serves all sizes, and at 64 x 64 it's theirs.
    """

    weight = 0.01

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor, penalised: Tensor) -> Tensor:
        """See `PenalisedCells.measure`; ``labels`` don't matter."""
        images = images.clone().requires_grad_()
        log_probabilities = functional.log_softmax(network(images), dim=1)
        (gradient,) = torch.autograd.grad(log_probabilities.sum(), images, create_graph=True)
        scale = images[0].numel() / REFERENCE_PIXELS
        return scale * (gradient * penalised).square().sum((1, 2, 3)).mean()
