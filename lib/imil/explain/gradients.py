"""Input gradients: how much each pixel moves the logit of a class."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imil.errors import BadInput
from imil.explain.gradcam import checked_logits, explained_classes
from imil.explain.heatmaps import check_batch, check_finite, chunks, device_of
from imil.networks.modes import evaluation_mode


def input_gradients(
    network: nn.Module, images: Tensor, classes: Tensor | None = None, *, chunk: int = 64
) -> NDArray[np.float32]:
    """Absolute gradient of the logit of a class by each pixel, summed over the channels.

    Simonyan et al., "Deep inside convolutional networks" (2014), section 3.1, who take the largest of the channels;
    for grey images that is the same. The network runs in evaluation mode and is left as it was found: mode of every
    module, ``requires_grad``, ``grad`` and hooks.

    Args:
        network: maps (B, C, H, W) to logits (B, classes).
        images: float (B, C, H, W), normalised as in training, B at least 1, on any device.
        classes: int (B,), whose logit is looked at; None for the class the network predicts.
        chunk: images that go through the network together; it bounds the memory.

    Returns:
        float32 (B, H, W), at least 0, in logits for each unit of the normalised images; not scaled.

    Raises:
        BadInput: images or classes of the wrong shape or range, an output or gradient that isn't finite, logits that
            can't be differentiated by the images.
    """
    check_batch(images, classes, chunk)
    device = device_of(network, images)
    maps: list[Tensor] = []
    # As in `heat_maps`: the caller may be in inference mode, in autocast or without gradients.
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        evaluation_mode(network),
    ):
        for start, batch, wanted in chunks(images, classes, chunk, device):
            gradient = _gradient(network, batch, wanted).abs().sum(dim=1)
            check_finite(gradient, start)
            maps.append(gradient.float().cpu())
    return torch.cat(maps).numpy()


def _gradient(network: nn.Module, images: Tensor, classes: Tensor | None) -> Tensor:
    leaf = images.detach().requires_grad_()
    # A copy goes through the network, so that an in-place layer at its start can't overwrite the leaf.
    logits = checked_logits(network(leaf.clone()), len(images))
    if not logits.requires_grad:
        raise BadInput("The network's logits can't be differentiated; does it detach them?")
    # The images don't meet in evaluation mode: the gradient of the sum holds the gradient of each.
    chosen = logits.gather(1, explained_classes(logits, classes)[:, None]).sum()
    (gradient,) = torch.autograd.grad(chosen, leaf, allow_unused=True)
    if gradient is None:
        raise BadInput("The network's logits don't depend on the images, so there is no input gradient.")
    return gradient
