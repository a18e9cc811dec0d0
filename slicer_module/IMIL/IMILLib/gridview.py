"""The grid and the marked cells, drawn over a slice view as 2D actors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import vtk

from . import cellpatterns
from .casenodes import SEGMENT_COLORS
from .grid import MATTERS, MISLED, CellGrid
from .lineactors import FilledQuads, TwoToneLines
from .overlay import CaseView

_MARK_COLORS = {MATTERS: SEGMENT_COLORS["matters"], MISLED: SEGMENT_COLORS["misled"]}
GRID_COLOR, HOVER_COLOR, CURSOR_COLOR = (1.0, 1.0, 1.0), (1.0, 1.0, 0.75), (1.0, 1.0, 1.0)
SWAP_COLOR = (1.0, 0.62, 0.85)
_FRAME_INSET, _HOVER_INSET, _CURSOR_INSET = 2.5, 6.0, 9.0
"""Pixels between a cell's border and a line along it: those of neighbours, and of hover and cursor, don't overlap.

These and all other lengths here are Qt's pixels; `_scale_of` says how many of the screen's there are to one."""
_DASH, _SMALLEST_SPACING, _ARROW = 8.0, 14.0, 26.0
"""Pixels: a dash and the gap after it; from one hatching line to the next, in small cells; an arrow."""


class GridView:
    """Draws what `CaseView` shows: the grid, the marks, the cell under the mouse, the keyboard's cell, the preview.

    Cells that matter have a solid frame and slanted hatching, those that misled the model a dashed frame and crossed
    hatching, so that no information is in the colour alone; every line has a dark rim, to be seen on black and white.
    Cells that are swapped between images have two arrows.
    Everything follows the view's zoom, pan, flip and size, and disappears while the view shows another image.

    Args:
        slice_widget: A slice widget of the layout manager.
        case_view: What it draws.
    """

    def __init__(self, slice_widget: Any, case_view: CaseView) -> None:
        self._view = slice_widget.sliceView()
        self._widget = slice_widget
        self._case = case_view
        self._values: tuple[int, ...] = ()
        self._swapped: tuple[int, ...] = ()
        self._hover: int | None = None
        self._cursor: int | None = None
        self._wanted = False
        self._picture = case_view.picture
        self._blackness = FilledQuads((0.0, 0.0, 0.0))
        self._lines = TwoToneLines(GRID_COLOR, 1.0, opacity=0.55)
        self._hatching = {mark: TwoToneLines(color, 1.0) for mark, color in _MARK_COLORS.items()}
        self._frames = {mark: TwoToneLines(color, 3.0) for mark, color in _MARK_COLORS.items()}
        self._arrows = TwoToneLines(SWAP_COLOR, 2.0)
        self._hovered = TwoToneLines(HOVER_COLOR, 2.0)
        self._focused = TwoToneLines(CURSOR_COLOR, 3.0)
        self._layers = (
            self._blackness,
            self._lines,
            *self._hatching.values(),
            *self._frames.values(),
            self._arrows,
            self._hovered,
            self._focused,
        )
        self._tags: list[tuple[Any, int]] = []
        self._unobserve = case_view.observe(self._on_case)

    def show(self) -> None:
        """Draw, from now on, whenever there is something to draw."""
        self._wanted = True
        if not self._tags:
            renderer = self._view.renderWindow().GetRenderers().GetFirstRenderer()
            for layer in self._layers:
                layer.add_to(renderer)
            for node in (self._widget.mrmlSliceNode(), self._widget.sliceLogic().GetSliceCompositeNode()):
                self._tags.append((node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_view)))
        self._redraw()

    def hide(self) -> None:
        """Draw nothing until `show`."""
        self._wanted = False
        self._redraw()

    def update(self, values: Sequence[int]) -> None:
        """Draw these marks: 0, 1 (matters) or 2 (misled the model) for each cell."""
        if tuple(values) != self._values:
            self._values = tuple(values)
            self._redraw()

    def set_swapped(self, cells: Iterable[int]) -> None:
        """Draw these cells as swapped between images, until others are named."""
        if (named := tuple(cells)) != self._swapped:
            self._swapped = named
            self._redraw()

    def set_cursor(self, cell: int | None) -> None:
        """Draw the keyboard's cell; None for no cell."""
        if cell != self._cursor:
            self._cursor = cell
            self._redraw()

    def set_hover(self, cell: int | None) -> None:
        """Draw the frame of the cell under the mouse; None for no cell."""
        if cell != self._hover:
            self._hover = cell
            self._redraw()

    def remove(self) -> None:
        """Take everything off the view, for good."""
        self._unobserve()
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags.clear()
        for layer in self._layers:
            layer.remove()
        self._wanted = False
        self._view.scheduleRender()

    def _on_case(self) -> None:
        """Another case, or another preview. The marks of one case are not those of the next."""
        if self._case.picture is not self._picture:
            self._picture = self._case.picture
            self._values = ()
        self._redraw()

    def _on_view(self, caller: Any, event: str) -> None:
        """The slice node or the selection of volumes changed; Slicer renders by itself then."""
        self._draw()

    def _redraw(self) -> None:
        self._draw()
        self._view.scheduleRender()

    def _draw(self) -> None:
        shown = self._wanted and self._case.on_screen
        for layer in self._layers:
            layer.set_visible(shown)
        if not shown:
            return
        scale = _scale_of(self._view)
        for layer in self._layers:
            layer.set_scale(scale)
        drawing = _Drawing(self._case.grid, self._case.to_display(), scale)
        if self._case.preview is not None:
            kept = set(self._case.preview)
            self._blackness.set_corners(drawing.quads([c for c in range(drawing.num_cells) if c not in kept]))
            for layer in self._layers[1:]:
                layer.set_visible(False)
            return
        self._blackness.set_visible(False)
        self._lines.set_segments(drawing.grid_lines())
        for mark in _MARK_COLORS:
            cells = [cell for cell, value in enumerate(self._values) if value == mark]
            self._hatching[mark].set_segments(drawing.hatching(cells, mark))
            self._frames[mark].set_segments(drawing.mark_frames(cells, mark))
        self._arrows.set_segments(drawing.arrows(list(self._swapped)))
        self._hovered.set_segments(drawing.frame(self._hover))
        self._focused.set_segments(drawing.brackets(self._cursor))


class _Drawing:
    """Where the lines are on the screen, for one grid and one view of it.

    Args:
        grid: The cells.
        to_display: (2, 3), from (column, row, 1) to (x, y) in pixels of the view, centres at whole numbers.
        scale: Pixels of the view in one of Qt's.
    """

    def __init__(self, grid: CellGrid, to_display: np.ndarray, scale: float) -> None:
        self._scale = scale
        self.num_cells = grid.num_cells
        rows, cols = np.array(grid.row_edges, float), np.array(grid.col_edges, float)
        self._rows, self._cols = rows, cols
        left, top = np.meshgrid(cols[:-1], rows[:-1])
        width, height = np.meshgrid(np.diff(cols), np.diff(rows))
        self._boxes = np.stack([left, top, width, height], axis=-1).reshape(-1, 4)
        self._matrix = to_display
        across, down = np.hypot(*to_display[:, 0]), np.hypot(*to_display[:, 1])
        self._size = (across * cols[-1] / grid.cols, down * rows[-1] / grid.rows)

    def grid_lines(self) -> np.ndarray:
        height, width = self._rows[-1], self._cols[-1]
        lines = [[(0, row), (width, row)] for row in self._rows] + [[(col, 0), (col, height)] for col in self._cols]
        return self._on_screen(np.array(lines, float))

    def quads(self, cells: list[int]) -> np.ndarray:
        """(n, 4, 2): the corners of cells."""
        unit = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
        boxes = self._boxes[cells][:, None]
        return self._on_screen(boxes[..., :2] + unit * boxes[..., 2:])

    def hatching(self, cells: list[int], mark: int) -> np.ndarray:
        spacing = max(self._scale * _SMALLEST_SPACING, min(self._size) / 6)
        if mark == MATTERS:
            return self._place(cellpatterns.hatch(self._size, self._scale * _FRAME_INSET, spacing), cells)
        return self._place(cellpatterns.crosses(self._size, self._scale * _FRAME_INSET, 2 * spacing), cells)

    def mark_frames(self, cells: list[int], mark: int) -> np.ndarray:
        if mark == MATTERS:
            return self._place(cellpatterns.outline(self._size, self._scale * _FRAME_INSET), cells)
        return self._place(cellpatterns.dashes(self._size, self._scale * _FRAME_INSET, self._scale * _DASH), cells)

    def arrows(self, cells: list[int]) -> np.ndarray:
        return self._place(cellpatterns.arrows(self._size, self._scale * _ARROW), cells)

    def frame(self, cell: int | None) -> np.ndarray:
        return self._place(cellpatterns.outline(self._size, self._scale * _HOVER_INSET), [] if cell is None else [cell])

    def brackets(self, cell: int | None) -> np.ndarray:
        return self._place(
            cellpatterns.corners(self._size, self._scale * _CURSOR_INSET), [] if cell is None else [cell]
        )

    def _place(self, pattern: np.ndarray, cells: list[int]) -> np.ndarray:
        known = [cell for cell in cells if cell < self.num_cells]
        return self._on_screen(cellpatterns.placed(pattern, self._boxes[known]))

    def _on_screen(self, edges: np.ndarray) -> np.ndarray:
        """From edge coordinates, 0 being the image's outer border, to those of 2D actors.

        A pixel's centre is at a whole number in the image and in the view, but at a half in both of theirs.
        """
        return (edges - 0.5) @ self._matrix[:, :2].T + self._matrix[:, 2] + 0.5


def _scale_of(view: Any) -> float:
    """The view's pixels in one of Qt's: 2 with 200 % scaling. By the sizes, as the two may be on different screens."""
    width, height = view.renderWindow().GetSize()
    if view.width <= 0 or view.height <= 0 or width <= 0 or height <= 0:
        return 1.0
    return max(1.0, round(4 * min(width / view.width, height / view.height)) / 4)
