"""What the modes share that work on the fed-back images alone."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from imil.errors import BadInput
from imil.settings import RunSettings
from imil.training.insight import Insight
from imil.training.modes.base import FeedbackMode, FeedbackView


class GuidedMode(FeedbackMode):
    """Base of the modes that go by the cells of each fed-back image, and leave all other images alone.

    A few images among hundreds would hardly be seen. With 20 fed-back images of 530, eight draws of each in an epoch
    make about 8 of the 32 images of a batch; they take turns between the classes, or else the queue's share of the
    classes would be learnt.

    Attributes:
        relevant: bool (F, 1, S, S), on the device: the pixels that a reader called relevant, of each fed-back image in
            the order of ``view.fed_back``. All others are unselected, misleading ones too.

    Raises:
        BadInput: if an image has no relevant cell.
    """

    repeat = 8
    balanced = True

    def __init__(self, view: FeedbackView, settings: RunSettings, insight: Insight | None = None) -> None:
        super().__init__(view, settings, insight)
        self._places = np.full(len(view), -1)
        self._places[view.fed_back] = np.arange(len(view.fed_back))
        self._pool = np.flatnonzero(view.kept)
        relevant = np.zeros((len(view.fed_back), 1, view.image_size, view.image_size), np.bool_)
        for place, index in enumerate(view.fed_back.tolist()):
            relevant[place, 0] = view.masks(index)[0]
            if not view.cases[index].cells:
                raise BadInput(
                    f"No relevant cell is selected in {view.data.ids[index]!r}, so there is nothing in it that "
                    "training could go by; select one or skip the case."
                )
        self.relevant = torch.from_numpy(relevant).to(view.device)

    def fed_back_among(self, indices: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Tensor]:
        """Which of these images are fed back.

        Args:
            indices: int64 (B,), positions in the training data.

        Returns:
            Their rows in ``indices``, int64 (n,), rising; and their places in ``relevant``, int64 (n,), on the device.
        """
        places = self._places[indices]
        rows = np.flatnonzero(places >= 0)
        return rows, torch.from_numpy(places[rows]).to(self.view.device)

    def need_others(self) -> None:
        """Raises BadInput if there is no second image to take anything from."""
        if len(self._pool) < 2:
            raise BadInput(
                f"The feedback mode {self.settings.feedback} takes parts of other training images, but only "
                f"{len(self._pool)} isn't excluded; at least 2 are needed."
            )

    def others(self, indices: npt.NDArray[np.int64], random: np.random.Generator) -> npt.NDArray[np.int64]:
        """For each of these images another training image, int64 like ``indices``.

        Any that isn't excluded, all equally likely, of whatever class: a shortcut is much the same within a class.
        """
        drawn = random.integers(0, len(self._pool) - 1, len(indices))
        others: npt.NDArray[np.int64] = self._pool[drawn + (drawn >= np.searchsorted(self._pool, indices))]
        return others
