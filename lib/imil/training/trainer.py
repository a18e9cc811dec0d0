"""MONAI's trainer as the engine uses it: each epoch has batches of its own, the loss has a mode's penalty."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import torch
from monai.engines import SupervisedTrainer, Workflow
from torch import Tensor, nn

from imil.training.batches import Batch, Batches
from imil.training.mixing import TargetLoss
from imil.training.modes import CombinedMode


class Trainer(SupervisedTrainer):
    """MONAI's trainer, less its fresh gradient scaler at each run: ours lives on through pauses."""

    def run(self) -> None:
        """Train up to the last epoch asked for."""
        Workflow.run(self)


class PenalisedLoss(nn.Module):
    """The loss of a batch, with what the feedback mode adds to it.

    Args:
        loss: of logits (B, classes) and targets.
        network: what is trained.
        mode: the feedback mode; None without feedback.
    """

    trainer: Trainer

    def __init__(self, loss: TargetLoss, network: nn.Module, mode: CombinedMode | None) -> None:
        super().__init__()
        self._loss, self._mode = loss, mode
        self._network = [network]  # in a list, or its parameters would be this module's

    @property
    def network(self) -> nn.Module:
        """What is trained."""
        return self._network[0]

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar."""
        loss: Tensor = self._loss(logits, target)
        if self._mode is None:
            return loss
        penalty = self._mode.penalty(self.network, self.trainer.state.batch)
        return loss if penalty is None else loss + penalty


def create_trainer(
    loss: PenalisedLoss,
    optimizer: torch.optim.Optimizer,
    batches: Callable[[int], Batches],
    *,
    done: int,
    until_epoch: int,
    device: torch.device,
    scaler: torch.amp.GradScaler | None,
    accumulate: int,
) -> Trainer:
    """A trainer that goes on after epoch ``done``.

    Args:
        loss: with the network.
        optimizer: of the network's parameters.
        batches: gives those of an epoch; all epochs up to ``until_epoch`` have the same number.
        done: epochs trained before.
        until_epoch: the last one to train.
        device: where the network is.
        scaler: of gradients, for mixed precision; None without it.
        accumulate: batches for a step of the optimizer.
    """
    loader = _EpochLoader(batches, done + 1)
    trainer = Trainer(
        device=device,
        max_epochs=until_epoch,
        train_data_loader=loader,
        network=loss.network,
        optimizer=optimizer,
        loss_function=loss,
        prepare_batch=_images_and_targets,
        amp=scaler is not None,
        accumulation_steps=accumulate,
        decollate=False,
        optim_set_to_none=True,
    )
    loader.trainer = loss.trainer = trainer
    trainer.scaler = scaler
    trainer.state.epoch = done
    trainer.state.iteration = done * len(loader)
    # Whatever goes wrong is raised to the caller; ignite would also print it.
    trainer.logger.setLevel(logging.CRITICAL)
    return trainer


class _EpochLoader:
    """What ignite iterates: at each pass the batches of the trainer's present epoch.

    Its length is that of the epoch ``first``: all epochs of a stretch have the same.
    """

    trainer: Trainer

    def __init__(self, batches: Callable[[int], Batches], first: int) -> None:
        self._batches = batches
        self._length = len(batches(first))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Batch]:
        # A generator, so the epoch is read when ignite asks for the first batch, not when it makes the iterator.
        yield from self._batches(self.trainer.state.epoch)


def _images_and_targets(batch: Batch, device: torch.device, non_blocking: bool, **others: Any) -> tuple[Tensor, Tensor]:
    """What MONAI's trainer takes from a batch, which is on the device already."""
    return batch["image"], batch.get("target", batch["label"])
