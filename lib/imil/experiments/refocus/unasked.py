"""Modes that ask nobody: a lung mask, the strongest rival of a reader, and rewinding alone."""

from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from imil.experiments.refocus.arms import LUNG_MASK, REWOUND
from imil.experiments.refocus.sources import Pixels
from imil.settings import RunSettings
from imil.training.batches import TrainingData
from imil.training.draws import Draws
from imil.training.insight import Insight
from imil.training.modes import FeedbackMode, FeedbackView, register_mode

WIDENED = 3 / 64
"""How far the lungs are widened on all sides, as a share of the image's side: a mask is never exact."""


def register_lung_mask(lungs: Pixels) -> None:
    """Make the mode ``lung_mask`` known to this process, for training images with these lungs.

    At each draw, all outside of an image's lungs comes from another training image, drawn at random, as far as it lies
    outside of the image's own lungs. It's the region-of-interest rival that knows where to look, but not what misled.

    Args:
        lungs: uint8 (N, S, S), not 0 inside the lungs of each training image.
    """
    outside = torch.from_numpy(~widened(lungs))

    class LungMask(FeedbackMode):
        rewinds = True  # as the modes that it's a rival of

        def __init__(self, view: FeedbackView, settings: RunSettings, insight: Insight | None = None) -> None:
            super().__init__(view, settings, insight)
            self._outside: Tensor = outside.to(view.device)
            self._pool = np.flatnonzero(view.kept)

        def edit(self, draws: Draws, random: np.random.Generator) -> Draws:
            donors = self.view.images(self._pool[random.integers(0, len(self._pool), len(draws.index))])
            place = self._outside[torch.from_numpy(draws.index).to(self._outside.device)].unsqueeze(1)
            draws.images = torch.where(place, donors, draws.images)
            return draws

    register_mode(LUNG_MASK)(LungMask)


@register_mode(REWOUND)
class Rewound(FeedbackMode):
    """Nothing but what `imil.training.modes.rewinding` does to the network, as in the modes that learn."""

    rewinds = True


def nothing_learnt(data: TrainingData, mode: str, grid_size: int) -> Insight:
    """An insight without content: it starts a mode that no reader's answer starts."""
    none = np.zeros(grid_size**2, np.float32)
    return Insight(mode, data.ids, grid_size, none, none)


def widened(lungs: Pixels) -> Any:
    """Bool (N, S, S): the lungs, grown on all sides."""
    pixels = max(1, round(WIDENED * lungs.shape[-1]))
    return ndimage.binary_dilation(lungs != 0, np.ones((1, 2 * pixels + 1, 2 * pixels + 1), np.bool_))
