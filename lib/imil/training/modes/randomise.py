"""`randomise`: what wasn't selected in a fed-back image is filled afresh at each draw."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from imil.grid import Grid
from imil.settings import RunSettings
from imil.training.draws import Draws
from imil.training.insight import Insight
from imil.training.modes.base import FeedbackView, register_mode
from imil.training.modes.guided import GuidedMode

MEASURED = 512
"""Most images that the noise's mean and standard deviation are taken from."""


@register_mode("randomise")
class Randomise(GuidedMode):
    """CAIPI (Teso and Kersting 2019, "Explanatory interactive machine learning", algorithm 1): counterexamples.

    The label stays and whatever doesn't matter is random, so that nothing but the selected cells can explain the label.
    Theirs are made once, with random values or those of other examples of the class. Here the unselected cells,
    misleading ones too, are filled afresh at each draw, as ``randomise_with`` says:

    - ``images``: by the same places of one other training image, of any class: a shortcut is the same within a class;
    - ``noise``: by normal noise of the training set's mean and standard deviation, pixel by pixel, cut to [0, 1];
    - ``shuffle``: by one another, in random order.
    """

    def __init__(self, view: FeedbackView, settings: RunSettings, insight: Insight | None = None) -> None:
        super().__init__(view, settings, insight)
        self._fill = {"images": self._other_images, "noise": self._noise, "shuffle": self._shuffled}[
            settings.randomise_with
        ]
        if settings.randomise_with == "images":
            self.need_others()
        elif settings.randomise_with == "noise":
            self._mean, self._std = grey_values(view)

    def edit(self, draws: Draws, random: np.random.Generator) -> Draws:
        """The batch with the unselected cells of its fed-back images filled."""
        rows, places = self.fed_back_among(draws.index)
        if len(rows):
            own = draws.images[rows]
            draws.images[rows] = torch.where(self.relevant[places], own, self._fill(draws.index[rows], own, random))
        return draws

    def _other_images(self, indices: npt.NDArray[np.int64], own: Tensor, random: np.random.Generator) -> Tensor:
        return self.view.images(self.others(indices, random))

    def _noise(self, indices: npt.NDArray[np.int64], own: Tensor, random: np.random.Generator) -> Tensor:
        generator = torch.Generator(own.device).manual_seed(int(random.integers(2**63)))
        noise = torch.randn(own.shape, generator=generator, device=own.device)
        return noise.mul_(self._std).add_(self._mean).clamp_(0, 1)

    def _shuffled(self, indices: npt.NDArray[np.int64], own: Tensor, random: np.random.Generator) -> Tensor:
        side = self.view.image_size
        sources = np.empty((len(indices), side * side), np.int64)
        for place, index in enumerate(indices.tolist()):
            case = self.view.cases[index]
            order = np.arange(case.grid_size**2)
            unselected = np.setdiff1d(order, case.cells)
            order[unselected] = random.permutation(unselected)
            sources[place] = moved_cells(Grid.square(case.grid_size, (side, side)), order).ravel()
        return own.flatten(1).gather(1, torch.from_numpy(sources).to(own.device)).view_as(own)


def moved_cells(grid: Grid, order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each pixel of an image comes from when its cells change places.

    Cells can differ by a pixel in height or width: of a larger one the last row or column is left out, of a smaller one
    it's repeated.

    Args:
        grid: over the image.
        order: int64 (cells,), for each cell the one that takes its place.

    Returns:
        int64 (height, width), positions in the image laid out row by row.
    """
    rows, row_offset, heights = _along(grid.row_edges)
    cols, col_offset, widths = _along(grid.col_edges)
    source_row, source_col = np.divmod(order[rows[:, None] * grid.cols + cols], grid.cols)
    from_row = np.array(grid.row_edges)[source_row] + np.minimum(row_offset[:, None], heights[source_row] - 1)
    from_col = np.array(grid.col_edges)[source_col] + np.minimum(col_offset, widths[source_col] - 1)
    sources: npt.NDArray[np.int64] = from_row * grid.width + from_col
    return sources


def _along(edges: list[int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each pixel along one side the number of its cell and its place in it, and the size of each cell."""
    sizes = np.diff(edges)
    cells = np.repeat(np.arange(len(sizes)), sizes)
    return cells, np.arange(edges[-1]) - np.array(edges)[cells], sizes


def grey_values(view: FeedbackView) -> tuple[float, float]:
    """Mean and standard deviation of the pixels in [0, 1] of at most `MEASURED` training images, evenly spread."""
    kept = np.flatnonzero(view.kept)
    counts = np.zeros(256, np.int64)
    for index in kept[:: -(-len(kept) // MEASURED)]:
        counts += np.bincount(view.data.pixels[view.data.rows[index]].ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = float(np.average(values, weights=counts))
    return mean, float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
