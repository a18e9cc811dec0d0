"""Sums and means over the cells of a grid."""

import numpy as np
import numpy.typing as npt

from imil.grid import Grid
from imil.readers.base import ReaderCase


def cell_sums(grid: Grid, values: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """The sum over each cell, float64 (num_cells,), of values (height, width)."""
    by_row = np.add.reduceat(values.astype(np.float64), grid.row_edges[:-1], axis=0)
    return np.add.reduceat(by_row, grid.col_edges[:-1], axis=1).ravel()


def cell_sizes(grid: Grid) -> npt.NDArray[np.float64]:
    """The number of pixels of each cell, float64 (num_cells,)."""
    return np.outer(np.diff(grid.row_edges), np.diff(grid.col_edges)).ravel().astype(np.float64)


def mean_heat(case: ReaderCase) -> npt.NDArray[np.float64]:
    """The heat map's mean over each cell, float64 (num_cells,), in [0, 1], on the heat map's own pixels."""
    grid = Grid(case.grid.rows, case.grid.cols, *case.heatmap.shape)
    return cell_sums(grid, case.heatmap) / cell_sizes(grid)
