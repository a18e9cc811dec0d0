"""`propagate`: cells that no reader ever chose are swapped between all training images."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from imil.errors import BadInput
from imil.grid import Grid
from imil.settings import RunSettings
from imil.training.draws import Draws
from imil.training.insight import Insight
from imil.training.modes.base import FeedbackMode, FeedbackView, register_mode
from imil.training.modes.swapping import MEASURED, margins
from imil.training.requirements import all_chosen, never_chosen


@register_mode("propagate")
class Propagate(FeedbackMode):
    """Whatever lies in the cells that (almost) no reader chose in any fed-back image is taken for irrelevant in all.

    At each draw of each training image, those cells come from another training image, the same one for all cells, drawn
    at random among all that aren't excluded. What stands there then says nothing about the class. This is IMIL's own,
    CAIPI's randomised counterexamples (Teso and Kersting 2019) carried over to images that nobody looked at. It needs
    images that are registered: a cell must show the same part of the body in all of them.

    With ``propagate_by=influence`` only those of these cells are swapped whose swap changes the model's log-odds by
    more than the mean over all cells.
    """

    learns = True
    rewinds = True

    def __init__(self, view: FeedbackView, settings: RunSettings, insight: Insight | None = None) -> None:
        super().__init__(view, settings, insight)
        assert insight is not None  # it learns
        mask = grid_mask(view, insight.grid_size, insight.cells)
        self._swapped = torch.from_numpy(mask).to(view.device) if insight.cells else None
        self._pool = np.flatnonzero(view.kept)

    @classmethod
    def learn(cls, view: FeedbackView, network: nn.Module, settings: RunSettings, seed: int) -> dict[str, Any]:
        """The cells to swap, and how much the model depends on each cell; see `FeedbackMode.learn`."""
        started = time.monotonic()
        size = next(iter(view.cases.values())).grid_size
        never = never_chosen(view.cases.values(), settings.propagate_tolerance)
        missing = all_chosen(view.cases.values(), settings.propagate_tolerance)
        if missing is not None:
            raise BadInput(missing)
        influence = cell_influence(view, network, size, seed)
        cells = np.array(never)
        if settings.propagate_by == "influence":
            cells = cells[influence[cells] > influence.mean()]
            if not len(cells):
                raise BadInput(
                    "There is nothing to propagate: the model's output hardly depends on any of the "
                    f"{len(never)} cells that no reader chose; use propagate_by=position to swap them "
                    "nevertheless, or another feedback mode."
                )
        return {
            "cells": tuple(int(cell) for cell in cells),
            "influence": influence,
            "seconds": time.monotonic() - started,
        }

    def edit(self, draws: Draws, random: np.random.Generator) -> Draws:
        """The batch with the cells swapped."""
        if self._swapped is not None:
            donors = self.view.images(self._pool[random.integers(0, len(self._pool), len(draws.index))])
            draws.images = torch.where(self._swapped, donors, draws.images)
        return draws


def grid_mask(view: FeedbackView, size: int, cells: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """The pixels of some cells of a grid over the images, bool (S, S)."""
    inside: npt.NDArray[np.bool_] = Grid.square(size, (view.image_size, view.image_size)).mask(cells) == 1
    return inside


def cell_influence(view: FeedbackView, network: nn.Module, size: int, seed: int) -> npt.NDArray[np.float32]:
    """How much the model's output depends on each cell, float32 (size * size,).

    The mean over at most `MEASURED` images, drawn at random, of the absolute change of the log-odds of an image's label
    when the cell is swapped for the same one of another of these images.
    """
    random = np.random.default_rng(seed)
    indices = random.permutation(np.flatnonzero(view.kept))[:MEASURED]
    images, labels = view.images(indices), view.labels[indices]
    before = margins(network, view, images, labels)
    influence = np.zeros(size * size, np.float32)
    for cell in range(size * size):
        inside = torch.from_numpy(grid_mask(view, size, (cell,))).to(view.device)
        swapped: Tensor = torch.where(inside, images[torch.from_numpy(random.permutation(len(indices)))], images)
        influence[cell] = float((margins(network, view, swapped, labels) - before).abs().mean())
    return influence
