"""An edit of single images (`imil.training.edits`) as a feedback mode."""

from collections.abc import Hashable
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from imil.settings import RunSettings
from imil.training.draws import Draws
from imil.training.edits import ImageEdit, create_image_edit
from imil.training.insight import Insight
from imil.training.modes.base import FeedbackMode, FeedbackView


class EditedImages(FeedbackMode):
    """Each fed-back image is changed by its own cells at each draw; the others stay as they are."""

    edit_name: ClassVar[str]

    def __init__(self, view: FeedbackView, settings: RunSettings, insight: Insight | None = None) -> None:
        super().__init__(view, settings, insight)
        self._edit: ImageEdit = create_image_edit(self.edit_name)
        for index in view.cases:
            # Made once on nothing, so that impossible cells are found before training starts rather than in its middle.
            self._edited(index, torch.zeros(1, view.image_size, view.image_size), np.random.default_rng(0))

    def edit(self, draws: Draws, random: np.random.Generator) -> Draws:
        for place, index in enumerate(draws.index.tolist()):
            if index in self.view.cases:
                draws.images[place] = self._edited(index, draws.images[place], random)
        return draws

    def _edited(self, index: int, image: Tensor, random: np.random.Generator) -> Tensor:
        case = self.view.cases[index]
        data: dict[Hashable, Any] = {
            "image": image,
            "cells": case.cells,
            "misleading": case.misleading,
            "grid_size": case.grid_size,
            "random": random,
        }
        edited: Tensor = self._edit(data)["image"]
        return edited


def mode_of_edit(name: str) -> type[EditedImages]:
    """The mode that applies the edit of that name."""
    return type(f"Edited_{name}", (EditedImages,), {"edit_name": name, "__doc__": EditedImages.__doc__})
