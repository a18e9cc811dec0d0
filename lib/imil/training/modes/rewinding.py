"""Rewinding: what a network forgets before it learns from a round."""

import torch
from torch import nn


def rewind(network: nn.Module, start: nn.Module, share: float) -> None:
    """Move a network's parameters the given share of the way back to those of another one; buffers stay.

    Statistics of batch normalisation no longer fit then; see `imil.training.modes.renormalising`.

    A network that has fitted a shortcut to perfection has hardly any gradient left, and learns what it should have
    learnt instead more slowly, and worse, than a new one would. "Shrink and perturb" (Ash and Adams 2020, section 4)
    cures that: weights are made smaller and those of a new network are added. Here the two shares add up to 1, and the
    new network is the one that training began with, so that pretrained weights come back as such.
    """
    beginnings = dict(start.named_parameters())
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.lerp_(beginnings[name].to(parameter.device), share)
