"""Device, optimizer and learning-rate schedule by their settings."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

import torch
from torch import nn

from imil.errors import BadInput
from imil.settings import RunSettings


def choose_device(name: str) -> torch.device:
    """The device of the setting ``device``; ``auto`` is a GPU if there is one.

    Raises:
        BadInput: if there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"The device {name!r} can't be used here ({reason}); use 'auto' or 'cpu'.") from error
    return device


def learning_rate_factor(schedule: str, epochs: int, imil_epochs: Sequence[int] = ()) -> Callable[[int], float]:
    """What the learning rate is multiplied with in the epoch after ``done`` epochs, as a function of ``done``.

    ``constant``: 1. ``cosine``: (1 + cos(pi done / epochs)) / 2 (Loshchilov and Hutter 2017, eq. 5, one cycle).
    ``restarts``: such a cycle for each stretch between rounds, so that what a round changes is learnt at the full rate
    (same paper, section 3.1, warm restarts; the cycles' lengths are those between ``imil_epochs``). ``step``: a tenth
    after half of the epochs, a hundredth after three quarters.
    """
    edges = [0, *imil_epochs, epochs]
    factors: dict[str, Callable[[int], float]] = {
        "constant": lambda done: 1.0,
        "cosine": lambda done: (1 + math.cos(math.pi * min(done, epochs) / epochs)) / 2,
        "restarts": lambda done: _cycle(done, edges),
        "step": lambda done: 0.1 ** ((2 * done >= epochs) + (4 * done >= 3 * epochs)),
    }
    return factors[schedule]


def _cycle(done: int, edges: Sequence[int]) -> float:
    """The cosine's factor in the cycle that ``done`` lies in; cycles end at ``edges``."""
    position = min(bisect_right(edges, done), len(edges) - 1)
    start, end = edges[position - 1], edges[position]
    return (1 + math.cos(math.pi * min(done - start, end - start) / (end - start))) / 2


def create_optimizer(network: nn.Module, settings: RunSettings) -> torch.optim.Optimizer:
    """The optimizer of the setting ``optimizer`` over all of the network's parameters."""
    parameters = network.parameters()
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer]
    return kind(parameters, lr=settings.lr, weight_decay=settings.weight_decay)
