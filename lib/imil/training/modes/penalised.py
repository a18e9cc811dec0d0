"""What the modes share that penalise the model for looking at unselected cells."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from imil.networks.modes import evaluation_mode
from imil.training.batches import Batch
from imil.training.draws import Draws
from imil.training.modes.guided import GuidedMode


class PenalisedCells(GuidedMode):
    """Adds a measure of how much the model goes by the unselected cells of fed-back images to the loss.

    The images stay as they are. The measure is taken in a pass of its own, on the first ``most`` fed-back images of
    a batch (their order is random), in evaluation mode, so that batch normalisation learns nothing from it and dropout
    draws nothing, and in single precision, because gradients of inputs are small.
    """

    weight: ClassVar[float]
    """Of the measure in the loss, where the setting ``penalty`` is 0."""
    most: ClassVar[int] = 8
    """Most fed-back images of a batch that are looked at: what they cost is what the mode costs."""

    def edit(self, draws: Draws, random: np.random.Generator) -> Draws:
        """The batch as it is, with ``penalised`` 1 in the unselected cells of its fed-back images."""
        rows, places = self.fed_back_among(draws.index)
        if len(rows):
            unselected = (~self.relevant[places]).to(torch.float32)
            if draws.penalised is None:
                draws.penalised = torch.zeros_like(draws.images)
            draws.penalised[rows] = torch.maximum(draws.penalised[rows], unselected)
        return draws

    def penalty(self, network: nn.Module, batch: Batch) -> Tensor | None:
        """The measure times its weight; None without a fed-back image."""
        rows = self.fed_back_among(batch["index"].numpy())[0][: self.most]
        if not len(rows):
            return None
        images, labels = batch["image"][rows].detach(), batch["label"][rows]
        # Attention has second derivatives only where it's computed step by step.
        with (
            evaluation_mode(network),
            torch.autocast(images.device.type, enabled=False),
            sdpa_kernel(SDPBackend.MATH),
        ):
            measured = self.measure(network, images, labels, batch["penalised"][rows])
        return (self.settings.penalty or self.weight) * measured

    @abstractmethod
    def measure(self, network: nn.Module, images: Tensor, labels: Tensor, penalised: Tensor) -> Tensor:
        """How much the model goes by what is penalised, a scalar that can be differentiated by the weights.

        Args:
            network: in evaluation mode.
            images: float32 (n, 1, S, S), normalised, after augmentation.
            labels: int64 (n,), the true classes.
            penalised: float32 (n, 1, S, S) in [0, 1], where the model isn't to look.
        """
