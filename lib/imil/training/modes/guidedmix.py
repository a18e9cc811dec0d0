"""`cutmix` and `mixup`, guided by the cells: what was selected in a fed-back image goes into another one.

Rao et al. (section 5) name feedback "integrated into a CutMix or MixUp style of augmentation" as future work, without a
formula. Here a is a fed-back image with the selected pixels S, b another training image of any class, and M a mask in
[0, 1] that is 0 outside of S::

    x = M x_a + (1 - M) x_b
    y = l y_a + (1 - l) y_b        l = sum of M / |S|

This is equation 2 of Rao et al. (Yun et al. 2019, equation 1) with one difference: a's label weighs by the share of the
*selected* area that can be seen in the mix, not by the share of the whole image. A lesion in one cell of sixteen thus
counts for all that was selected, not for a sixteenth. The rest of a is never shown: nothing in it can earn a's label.
"""

from abc import abstractmethod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from imil.grid import Grid
from imil.settings import RunSettings
from imil.training.draws import Draws
from imil.training.insight import Insight
from imil.training.mixing import MIXUP_ALPHA
from imil.training.modes.base import FeedbackView, register_mode
from imil.training.modes.guided import GuidedMode


class GuidedMix(GuidedMode):
    """Puts what was selected into another image, at its own place, and mixes the labels; see the module."""

    def __init__(self, view: FeedbackView, settings: RunSettings, insight: Insight | None = None) -> None:
        super().__init__(view, settings, insight)
        self.need_others()

    def edit(self, draws: Draws, random: np.random.Generator) -> Draws:
        """The batch with its fed-back images mixed, and ``target`` set. Other images keep their one label."""
        rows, places = self.fed_back_among(draws.index)
        if not len(rows):
            return draws
        indices = draws.index[rows]
        others = self.others(indices, random)
        masks = self._masks(indices, places, random)
        shares = masks.sum((1, 2, 3)) / self.relevant[places].sum((1, 2, 3))
        draws.images[rows] = torch.lerp(self.view.images(others), draws.images[rows], masks)
        target = self._one_hot(draws.labels) if draws.target is None else draws.target
        labels = torch.from_numpy(self.view.labels[others]).to(target.device)
        target[rows] = torch.lerp(self._one_hot(labels), target[rows], shares[:, None])
        draws.target = target
        return draws

    def _one_hot(self, labels: Tensor) -> Tensor:
        return functional.one_hot(labels, len(self.view.classes)).to(torch.float32)

    @abstractmethod
    def _masks(self, indices: npt.NDArray[np.int64], places: Tensor, random: np.random.Generator) -> Tensor:
        """M, float32 (n, 1, S, S) in [0, 1], for the fed-back images ``indices`` with ``places`` in ``relevant``."""


@register_mode("cutmix")
class GuidedCutMix(GuidedMix):
    """M is 1 in some of the selected cells, at least one of them, each number of cells being equally likely.

    Yun et al. (section 3.1) draw the share from the uniform distribution, Beta(1, 1), too.
    """

    def _masks(self, indices: npt.NDArray[np.int64], places: Tensor, random: np.random.Generator) -> Tensor:
        side = self.view.image_size
        masks = np.zeros((len(indices), 1, side, side), np.float32)
        draws = random.random(len(indices))
        for place, (index, draw) in enumerate(zip(indices.tolist(), draws, strict=True)):
            case = self.view.cases[index]
            seen = random.permutation(case.cells)[: int(draw * len(case.cells)) + 1]
            masks[place, 0] = Grid.square(case.grid_size, (side, side)).mask(seen)
        return torch.from_numpy(masks).to(self.view.device)


@register_mode("mixup")
class GuidedMixUp(GuidedMix):
    """M is the same weight in all selected cells, drawn from Beta(0.2, 0.2) (Zhang et al. 2018, section 3.1)."""

    def _masks(self, indices: npt.NDArray[np.int64], places: Tensor, random: np.random.Generator) -> Tensor:
        weights = torch.from_numpy(random.beta(MIXUP_ALPHA, MIXUP_ALPHA, len(indices)).astype(np.float32))
        return self.relevant[places] * weights.to(self.view.device)[:, None, None, None]
