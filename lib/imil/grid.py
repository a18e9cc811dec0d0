"""The grid that a reader paints on: cell edges in pixels, and cells to masks and back.

Cells are numbered row by row from 0, top left first: cell ``r * cols + c`` covers rows
``row_edges[r]:row_edges[r + 1]`` and columns ``col_edges[c]:col_edges[c + 1]``. The same numbers are used by the
Python API, over REST, at the console and in the report's pictures.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imil.errors import BadInput

RELEVANT = 1
"""Mask value of a cell that matters."""
MISLEADING = 2
"""Mask value of a cell that misled the model."""


@dataclass(frozen=True)
class Grid:
    """A ``rows`` x ``cols`` grid over an image of ``height`` x ``width`` pixels.

    Raises:
        BadInput: if a number is below 1, or the grid has more rows or columns than the image has pixels.
    """

    rows: int
    cols: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.rows, self.cols, self.height, self.width) < 1:
            raise BadInput(
                f"A grid of {self.rows} x {self.cols} cells on an image of {self.height} x {self.width} pixels is "
                "impossible: all four numbers must be at least 1."
            )
        if self.rows > self.height or self.cols > self.width:
            raise BadInput(
                f"A grid of {self.rows} x {self.cols} cells doesn't fit an image of {self.height} x {self.width} "
                "pixels: each cell needs at least one pixel; choose a smaller grid_size."
            )

    @classmethod
    def square(cls, size: int, shape: tuple[int, int]) -> "Grid":
        """The grid of ``size`` x ``size`` cells over an image of ``shape`` (height, width)."""
        return cls(size, size, *shape)

    @property
    def num_cells(self) -> int:
        return self.rows * self.cols

    @property
    def row_edges(self) -> list[int]:
        """``rows + 1`` pixel positions from 0 to ``height``; neighbouring gaps differ by at most one pixel."""
        return _edges(self.height, self.rows)

    @property
    def col_edges(self) -> list[int]:
        """``cols + 1`` pixel positions from 0 to ``width``; neighbouring gaps differ by at most one pixel."""
        return _edges(self.width, self.cols)

    def cell_slices(self, cell: int) -> tuple[slice, slice]:
        """The (row, column) slices of one cell."""
        (cell,) = self.check_cells([cell])
        row, col = divmod(cell, self.cols)
        rows, cols = self.row_edges, self.col_edges
        return slice(rows[row], rows[row + 1]), slice(cols[col], cols[col + 1])

    def check_cells(self, cells: Iterable[int]) -> tuple[int, ...]:
        """The cells sorted and without repeats.

        Raises:
            BadInput: if one isn't a whole number in ``[0, num_cells)``.
        """
        numbers = list(cells)
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int | np.integer):
                raise BadInput(f"Cell {number!r} isn't a whole number; cells are numbered 0 to {self.num_cells - 1}.")
            if not 0 <= number < self.num_cells:
                raise BadInput(
                    f"Cell {number} doesn't exist: a {self.rows} x {self.cols} grid has the cells 0 to "
                    f"{self.num_cells - 1}."
                )
        return tuple(sorted({int(number) for number in numbers}))

    def mask(self, cells: Iterable[int], misleading: Iterable[int] = ()) -> npt.NDArray[np.uint8]:
        """A ``(height, width)`` uint8 mask: 1 where a cell matters, 2 where one misled the model, else 0.

        Raises:
            BadInput: if a cell doesn't exist, or is both relevant and misleading.
        """
        relevant, wrong = self.check_cells(cells), self.check_cells(misleading)
        both = sorted(set(relevant) & set(wrong))
        if both:
            raise BadInput(f"Cell {both[0]} is marked both as relevant and as misleading; choose one of them.")
        values = np.zeros(self.num_cells, np.uint8)
        values[list(relevant)] = RELEVANT
        values[list(wrong)] = MISLEADING
        by_row = np.repeat(values.reshape(self.rows, self.cols), np.diff(self.row_edges), axis=0)
        return np.repeat(by_row, np.diff(self.col_edges), axis=1)

    def cells_of(self, mask: npt.NDArray[np.generic]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The (relevant, misleading) cells of a mask made of whole cells.

        Raises:
            BadInput: if the mask has another size, another value than 0, 1 and 2, or a cell that is only partly set.
        """
        if mask.shape != (self.height, self.width):
            raise BadInput(
                f"The mask is {' x '.join(map(str, mask.shape))} pixels, but the image is {self.height} x "
                f"{self.width} (rows x columns)."
            )
        unknown = np.setdiff1d(np.unique(mask), [0, RELEVANT, MISLEADING])
        if unknown.size:
            raise BadInput(
                f"The mask holds the value {unknown[0]}; allowed are 0, 1 (this matters) and 2 (this misled the model)."
            )
        starts = np.ix_(self.row_edges[:-1], self.col_edges[:-1])
        values = mask[starts].astype(np.uint8).ravel()
        relevant = tuple(int(cell) for cell in np.flatnonzero(values == RELEVANT))
        misleading = tuple(int(cell) for cell in np.flatnonzero(values == MISLEADING))
        differs = self.mask(relevant, misleading) != mask
        if differs.any():
            row, col = (int(position[0]) for position in np.nonzero(differs))
            raise BadInput(
                f"The mask covers a cell only in part (near row {row}, column {col}); whole cells of the "
                f"{self.rows} x {self.cols} grid are needed, with the edges that the server sent."
            )
        return relevant, misleading


def _edges(size: int, parts: int) -> list[int]:
    return [size * part // parts for part in range(parts + 1)]
