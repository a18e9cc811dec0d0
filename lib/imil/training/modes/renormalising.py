"""Statistics of batch normalisation, estimated anew where those of training don't fit."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from imil.networks.modes import evaluation_mode


def renormalise(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Set the running statistics of batch normalisation to their mean over batches of images; weights stay.

    In training they come from edited images, but un-edited ones are predicted. Networks without batch normalisation
    stay as they are.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    with torch.no_grad(), evaluation_mode(network):
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the mean over all batches
            layer.train()
        for batch in images:
            network(batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
