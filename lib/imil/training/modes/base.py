"""What every feedback mode is: one round's answers at work in training.

A mode joins by name::

    @register_mode("mine")
    class Mine(FeedbackMode):
        def edit(self, draws, random):
            ...

and is then available as the setting ``feedback=mine``, alone or with others as in ``mine+propagate``. What only changes
a fed-back image by its own cells is simpler to write as an edit, see `imil.training.edits`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from imil.casefeedback import CaseFeedback
from imil.grid import Grid
from imil.settings import RunSettings
from imil.training.batches import Batch, TrainingData
from imil.training.draws import Draws
from imil.training.insight import Insight


@dataclass(frozen=True)
class FeedbackView:
    """The training data with what readers said about it.

    Attributes:
        data: the training data; its own labels may be out of date.
        labels: int64 (N,), the labels that are trained with.
        kept: bool (N,), False for cases that a reader excluded.
        cases: by position in the data, the feedback with cells (action ``grid``).
        classes: class names.
        mean, std: normalisation of pixels in [0, 1].
        device: where images go.
    """

    data: TrainingData
    labels: npt.NDArray[np.int64]
    kept: npt.NDArray[np.bool_]
    cases: Mapping[int, CaseFeedback]
    classes: tuple[str, ...]
    mean: float
    std: float
    device: torch.device

    def __len__(self) -> int:
        return len(self.data)

    @property
    def image_size(self) -> int:
        """Side of the square images in pixels."""
        return self.data.image_size

    @cached_property
    def fed_back(self) -> npt.NDArray[np.int64]:
        """int64 (F,): the positions of the cases with cells, rising."""
        return np.array(sorted(self.cases), np.int64)

    def images(self, indices: npt.NDArray[np.int64]) -> Tensor:
        """Un-edited images, float32 (B, 1, S, S) in [0, 1], on the device; not normalised."""
        pixels = torch.from_numpy(np.asarray(self.data.pixels[self.data.rows[indices]]))
        return pixels.to(self.device).to(torch.float32).div_(255.0).unsqueeze_(1)

    def normalised(self, images: Tensor) -> Tensor:
        """Images in [0, 1] as the network gets them."""
        return (images - self.mean) / self.std

    def masks(self, index: int, side: int | None = None) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which pixels of a fed-back case a reader called relevant, and which misleading: each bool (side, side).

        ``side`` is that of the image unless given; a coarser one lays the same grid over fewer pixels.
        """
        case = self.cases[index]
        side = side or self.image_size
        mask = Grid.square(case.grid_size, (side, side)).mask(case.cells, case.misleading)
        return mask == 1, mask == 2


class FeedbackMode:
    """One round's answers at work in training; made anew whenever the feedback changes.

    The class attributes say what a mode needs, the methods what it does. All do nothing unless overridden.

    Args:
        view: the training data with the feedback on it.
        settings: the run's.
        insight: what `learn` gave for this feedback, with the readers' corrections; None where the mode doesn't learn.

    Raises:
        BadInput: if the feedback can't be used by this mode.
    """

    repeat: ClassVar[int] = 1
    """How often a fed-back case is drawn in an epoch where the setting ``feedback_repeat`` is 0."""
    balanced: ClassVar[bool] = False
    """Whether the further draws of fed-back cases take turns between the classes."""
    learns: ClassVar[bool] = False
    """Whether `learn` must come first."""
    rewinds: ClassVar[bool] = False
    """Whether the network is rewound before the epoch after a round, see `imil.training.modes.rewinding`."""

    def __init__(self, view: FeedbackView, settings: RunSettings, insight: Insight | None = None) -> None:
        self.view = view
        self.settings = settings
        self.insight = insight

    @classmethod
    def learn(cls, view: FeedbackView, network: nn.Module, settings: RunSettings, seed: int) -> dict[str, Any]:
        """What a round's answers teach about all training images: values for fields of `imil.training.insight.Insight`.

        Called once a round, with the network as it was when the round was opened. It's left as it was found.

        Args:
            view: the training data with the feedback of all rounds so far.
            network: the model that misled itself.
            settings: the run's.
            seed: of everything random in it.

        Raises:
            BadInput: if there is nothing to learn from, with what the reader could do about it.
        """
        return {}

    def edit(self, draws: Draws, random: np.random.Generator) -> Draws:
        """What becomes of the images of a batch. ``random`` belongs to this batch alone."""
        return draws

    def penalty(self, network: nn.Module, batch: Batch) -> Tensor | None:
        """What is added to the loss of a batch, a scalar; None for nothing.

        Args:
            network: in training mode, and left so.
            batch: as the network got it: normalised images, and ``penalised`` where `edit` set it.
        """
        return None

    def finish(self, network: nn.Module, images: Iterable[Tensor]) -> None:
        """Called once after the last epoch, with the un-edited training images, normalised, batch by batch."""


MODES: dict[str, type[FeedbackMode]] = {}
"""The modes by name, image edits aside; add to it with `register_mode`."""


def register_mode(name: str) -> Callable[[type[FeedbackMode]], type[FeedbackMode]]:
    """Class decorator: makes a mode available under ``name``."""

    def add(mode: type[FeedbackMode]) -> type[FeedbackMode]:
        MODES[name] = mode
        return mode

    return add
