"""A feedback mode that learns something simple, for tests of what is done with what a round taught.

It finds the image's brightest quarter wherever that is one of the quarters that readers called misleading, and swaps
the cells that nobody chose for black.
"""

from collections import Counter
from typing import Any

import numpy as np
import torch

from imil.errors import BadInput
from imil.grid import Grid
from imil.training.modes import FeedbackMode, register_mode

NAME, TOLERANT = "test_unchosen", "test_hardly_chosen"
SIDE = 8


@register_mode(NAME)
class Unchosen(FeedbackMode):
    """See the module."""

    learns = True
    tolerance = 0.0

    def __init__(self, view, settings, insight=None) -> None:
        super().__init__(view, settings, insight)
        mask = Grid.square(insight.grid_size, (view.image_size, view.image_size)).mask(insight.cells)
        self._black = torch.from_numpy(mask == 1)
        self._finds = torch.from_numpy(insight.finds).float()

    @classmethod
    def learn(cls, view, network, settings, seed) -> dict[str, Any]:
        size = next(iter(view.cases.values())).grid_size
        chosen = Counter(cell for case in view.cases.values() for cell in case.cells)
        cells = tuple(cell for cell in range(size * size) if chosen[cell] <= cls.tolerance * len(view.cases))
        if not cells:
            raise BadInput("Every cell was chosen by somebody; ask for more cases.")
        random = np.random.default_rng(seed)
        images = view.images(np.arange(len(view)))
        quarters = torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)
        finds = np.zeros((len(view), SIDE, SIDE), np.uint8)
        for index, quarter in enumerate(quarters.argmax(1).tolist()):
            row, col = divmod(quarter, 2)
            if index % 3:
                finds[index, row * 4 : row * 4 + 4, col * 4 : col * 4 + 4] = 1
        with torch.inference_mode():
            logits = network(view.normalised(images)).numpy()
        return {
            "cells": cells,
            "influence": random.random(size * size, np.float32),
            "finds": finds,
            "scores": (finds.max(axis=(1, 2)) * random.uniform(0.5, 1, len(view))).astype(np.float32),
            "find_influence": np.abs(logits[:, 0] - logits[:, 1]) * finds.max(axis=(1, 2)),
            "notes": ("Made for a test.",),
            "seconds": 0.5,
        }

    def edit(self, draws, random):
        draws.images[:, :, self._black] = 0.0
        found = torch.nn.functional.interpolate(self._finds[draws.index][:, None], draws.images.shape[-2:])
        noise = torch.from_numpy(random.random(draws.images.shape, np.float32))
        draws.images = torch.where(found > 0, noise, draws.images)
        return draws


@register_mode(TOLERANT)
class HardlyChosen(Unchosen):
    """Swaps what at most two thirds of the images' readers chose."""

    tolerance = 0.67
