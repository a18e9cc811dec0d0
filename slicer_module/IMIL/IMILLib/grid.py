"""The grid that a reader paints on: pixels to cells, cells to masks.

The server owns the geometry: it sends a case's cell edges, and everything here follows from them. Cells are numbered
row by row from 0, top left first, rows and columns being those of the image file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import numpy as np

from .i18n import _

MATTERS = 1
"""Mask value, and mark, of a cell that matters."""
MISLED = 2
"""Mask value, and mark, of a cell that misled the model."""


class CellGrid:
    """Cells over an image: cell ``r * cols + c`` covers rows ``row_edges[r]:row_edges[r + 1]``, columns likewise.

    Args:
        row_edges: ``rows + 1`` whole numbers, ascending, from 0 to the image's height in pixels.
        col_edges: ``cols + 1`` whole numbers, ascending, from 0 to the image's width.

    Raises:
        ValueError: if edges don't start at 0 or don't ascend.
    """

    def __init__(self, row_edges: Sequence[int], col_edges: Sequence[int]) -> None:
        self.row_edges = _checked_edges(row_edges)
        self.col_edges = _checked_edges(col_edges)

    @classmethod
    def square(cls, size: int, shape: tuple[int, int]) -> CellGrid:
        """``size`` x ``size`` cells over an image of ``shape`` (rows, cols), by the server's own rule.

        For images that no case is about: with a case, the server sends the edges. Only cells' numbers are sent back.

        Raises:
            ValueError: if the image is smaller than the grid.
        """
        return cls(*([length * part // size for part in range(size + 1)] for length in shape))

    @property
    def rows(self) -> int:
        return len(self.row_edges) - 1

    @property
    def cols(self) -> int:
        return len(self.col_edges) - 1

    @property
    def num_cells(self) -> int:
        return self.rows * self.cols

    @property
    def height(self) -> int:
        return self.row_edges[-1]

    @property
    def width(self) -> int:
        return self.col_edges[-1]

    def cell_at(self, row: float, col: float) -> int | None:
        """The cell under a point, or None outside the image.

        Args:
            row: Pixel coordinate along the file's rows; pixel ``r`` covers ``[r - 0.5, r + 0.5)``.
            col: Likewise along the columns.
        """
        return self._cell_of_point(row + 0.5, col + 0.5)

    def box(self, cell: int) -> tuple[int, int, int, int]:
        """(top, bottom, left, right) of a cell: it covers rows ``top:bottom`` and columns ``left:right``.

        Raises:
            ValueError: if there is no such cell.
        """
        row, col = divmod(self._checked_cell(cell), self.cols)
        return self.row_edges[row], self.row_edges[row + 1], self.col_edges[col], self.col_edges[col + 1]

    def name(self, cell: int) -> str:
        """What a reader calls the cell: its row and column, counted from 1.

        Raises:
            ValueError: if there is no such cell.
        """
        row, col = divmod(self._checked_cell(cell), self.cols)
        return _("row {row}, column {column}").format(row=row + 1, column=col + 1)

    def neighbour(self, cell: int, down: int, right: int) -> int:
        """The cell so many rows further down and columns further right; at the border it stays inside.

        Raises:
            ValueError: if there is no such cell.
        """
        row, col = divmod(self._checked_cell(cell), self.cols)
        row = min(max(row + down, 0), self.rows - 1)
        col = min(max(col + right, 0), self.cols - 1)
        return row * self.cols + col

    def cells_between(self, a: tuple[float, float], b: tuple[float, float]) -> list[int]:
        """Every cell that the straight stroke from ``a`` to ``b`` passes through, in its order, without repeats.

        Args:
            a: (row, col) in pixel coordinates, as for `cell_at`; may lie outside the image.
            b: Likewise.
        """
        start = np.array(a, float) + 0.5
        way = np.array(b, float) + 0.5 - start
        crossings = [0.0, 1.0]
        for edges, origin, length in zip((self.row_edges, self.col_edges), start, way):
            if length:
                crossings.extend(at for at in (np.array(edges) - origin) / length if 0.0 < at < 1.0)
        crossings.sort()
        # Between two neighbouring crossings the stroke stays in one cell: that of the middle.
        middles = [(before + after) / 2 for before, after in zip(crossings, crossings[1:])]
        found = [self._cell_of_point(*(start + way * at)) for at in [0.0, *middles, 1.0]]
        return [cell for cell in dict.fromkeys(found) if cell is not None]

    def mask(self, cells: Iterable[int], misleading: Iterable[int] = ()) -> np.ndarray:
        """A mask uint8 (height, width): 1 where a cell matters, 2 where one misled the model, else 0.

        Raises:
            ValueError: if a cell doesn't exist or is in both lists.
        """
        values = np.zeros(self.num_cells, np.uint8)
        values[[self._checked_cell(cell) for cell in cells]] = MATTERS
        for cell in misleading:
            if values[self._checked_cell(cell)] == MATTERS:
                raise ValueError(
                    _("Cell {cell} is marked both as mattering and as misleading; choose one of them.").format(
                        cell=cell
                    )
                )
            values[cell] = MISLED
        return self._spread(values)

    def inside(self, cells: Iterable[int]) -> np.ndarray:
        """A bool array (height, width), true inside the cells.

        Raises:
            ValueError: if a cell doesn't exist.
        """
        values = np.zeros(self.num_cells, bool)
        values[[self._checked_cell(cell) for cell in cells]] = True
        return self._spread(values)

    def _spread(self, values: np.ndarray) -> np.ndarray:
        by_row = np.repeat(values.reshape(self.rows, self.cols), np.diff(self.col_edges), axis=1)
        return np.repeat(by_row, np.diff(self.row_edges), axis=0)

    def _cell_of_point(self, down: float, right: float) -> int | None:
        """The cell of a point measured in pixels from the image's outer corner."""
        if not (0 <= down < self.height and 0 <= right < self.width):
            return None
        return (bisect_right(self.row_edges, down) - 1) * self.cols + bisect_right(self.col_edges, right) - 1

    def _checked_cell(self, cell: int) -> int:
        if not 0 <= cell < self.num_cells:
            raise ValueError(
                _("Cell {cell} doesn't exist: a {rows} x {cols} grid has the cells 0 to {last}.").format(
                    cell=cell, rows=self.rows, cols=self.cols, last=self.num_cells - 1
                )
            )
        return int(cell)


def _checked_edges(edges: Sequence[int]) -> tuple[int, ...]:
    found = tuple(int(edge) for edge in edges)
    ascending = all(before < after for before, after in zip(found, found[1:]))
    if len(found) < 2 or found[0] != 0 or not ascending:
        raise ValueError(
            _("{edges} can't be the edges of cells: at least two numbers are needed, rising from 0.").format(
                edges=list(found)
            )
        )
    return found
