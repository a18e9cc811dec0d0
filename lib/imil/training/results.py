"""What an epoch comes to: loss and metrics of each split."""

import math
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from imil.errors import ImilError
from imil.metrics import summary


@dataclass(frozen=True)
class SplitResult:
    """One split after one epoch. Loss is the training loss's mean; for the rest see `imil.metrics`."""

    loss: float
    accuracy: float
    auroc: float
    ece: float
    brier: float
    seconds: float


@dataclass(frozen=True)
class EpochResult:
    """One finished epoch.

    ``metrics["train"]`` comes from the training batches as they went by, changed images and all; the other splits are
    predicted after the epoch. Where labels were mixed (MixUp, CutMix), the training metrics are measured against the
    class with the largest share of the image; the loss is that of the mixed labels. ``lr`` is the learning rate the
    epoch was trained with, ``images`` the number of images that were drawn.
    """

    epoch: int
    lr: float
    images: int
    metrics: dict[str, SplitResult]

    @property
    def images_per_second(self) -> float:
        """Training images a second, evaluation not counted."""
        return self.images / max(self.metrics["train"].seconds, 1e-9)


class RunningEpoch:
    """Gathers an epoch's outputs on the device, so that nothing waits for it before the epoch's end."""

    def start(self) -> None:
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._losses: list[Tensor] = []
        self.images = 0
        self._started = time.perf_counter()

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Args: logits (B, C); class indices (B,), or shares of the classes (B, C); mean loss, a scalar."""
        self._logits.append(logits.detach())
        self._labels.append(labels if labels.ndim == 1 else labels.argmax(dim=1))
        self._losses.append(loss.detach() * len(labels))
        self.images += len(labels)

    def result(self, where: str) -> SplitResult:
        loss = float(torch.stack(self._losses).sum()) / self.images
        logits = torch.cat(self._logits).float().cpu()
        if not math.isfinite(loss) or not torch.isfinite(logits).all():
            raise ImilError(diverged(where))
        return split_result(loss, softmax(logits), torch.cat(self._labels).cpu().numpy(), self._started)


def softmax(logits: Tensor) -> npt.NDArray[np.float32]:
    """Class probabilities, float32 (N, classes), of logits (N, classes) on the CPU."""
    probabilities: npt.NDArray[np.float32] = torch.softmax(logits, dim=1).numpy()
    return probabilities


def split_result(
    loss: float, probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], started: float
) -> SplitResult:
    """The metrics of one split; ``started`` is the `time.perf_counter` value from which ``seconds`` counts."""
    scores = summary(probabilities, labels)
    return SplitResult(
        loss=loss,
        accuracy=scores["accuracy"],
        auroc=scores["auroc"],
        ece=scores["ece"],
        brier=scores["brier"],
        seconds=time.perf_counter() - started,
    )


def diverged(where: str) -> str:
    """The sentence for a loss that isn't finite; ``where`` says in which epoch or step."""
    return (
        f"The loss is no longer a finite number {where}: training has diverged; try a lower lr, another optimizer, or "
        "amp off. The checkpoint of the epoch before is still there."
    )
