"""Lines and filled areas as VTK 2D actors, in pixels of the view."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

_RIM = 2.0
"""Pixels by which the dark line below a bright one is wider."""


class TwoToneLines:
    """Line segments in a colour, with a dark rim that keeps them visible on a white background.

    Args:
        color: Red, green, blue in [0, 1].
        width: In pixels, before `set_scale`.
        opacity: In [0, 1].
    """

    def __init__(self, color: tuple[float, float, float], width: float, opacity: float = 1.0) -> None:
        self._data = vtk.vtkPolyData()
        self._actors = (
            _actor(self._data, (0.0, 0.0, 0.0), 0.75 * opacity, width + _RIM),
            _actor(self._data, color, opacity, width),
        )
        self._width, self._scale = width, 1.0
        self._renderer: Any = None
        self._corners = np.zeros((0, 2, 2))

    def set_segments(self, segments: np.ndarray) -> None:
        """Draw these: (n, 2, 2), start and end of each as (x, y), where pixel ``p`` of the view covers [p, p + 1)."""
        if not np.array_equal(segments, self._corners):
            self._corners = segments
            _set_cells(self._data, segments, self._data.SetLines)

    def set_scale(self, scale: float) -> None:
        """Draw lines that many times as wide: a screen with small pixels needs more of them."""
        if scale != self._scale:
            self._scale = scale
            for actor, width in zip(self._actors, (self._width + _RIM, self._width)):
                actor.GetProperty().SetLineWidth(width * scale)

    def set_visible(self, visible: bool) -> None:
        for actor in self._actors:
            actor.SetVisibility(visible)

    def add_to(self, renderer: Any) -> None:
        """Draw into this renderer, over what was added before."""
        self._renderer = renderer
        for actor in self._actors:
            renderer.AddViewProp(actor)

    def remove(self) -> None:
        if self._renderer is not None:
            for actor in self._actors:
                self._renderer.RemoveViewProp(actor)
        self._renderer = None


class FilledQuads(TwoToneLines):
    """Areas with four corners, filled with one colour."""

    def __init__(self, color: tuple[float, float, float]) -> None:
        super().__init__(color, 1.0)
        self._actors = self._actors[1:]

    def set_corners(self, corners: np.ndarray) -> None:
        """Fill these: (n, 4, 2), the corners in their order as (x, y); a pixel is filled if its centre is inside."""
        if not np.array_equal(corners, self._corners):
            self._corners = corners
            _set_cells(self._data, corners, self._data.SetPolys)


def _actor(data: Any, color: tuple[float, float, float], opacity: float, width: float) -> Any:
    mapper = vtk.vtkPolyDataMapper2D()
    mapper.SetInputData(data)
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*color)
    actor.GetProperty().SetOpacity(opacity)
    actor.GetProperty().SetLineWidth(width)
    actor.PickableOff()
    return actor


def _set_cells(data: Any, corners: np.ndarray, set_them: Callable[[Any], None]) -> None:
    """Make ``data`` consist of these cells: (n, corners of each, 2)."""
    count, size, _two = corners.shape
    points, cells = vtk.vtkPoints(), vtk.vtkCellArray()
    if count:
        flat = np.zeros((count * size, 3), np.float32)
        flat[:, :2] = corners.reshape(-1, 2)
        points.SetData(numpy_to_vtk(flat, deep=True))
        cells.SetData(_ids(np.arange(count + 1) * size), _ids(np.arange(count * size)))
    data.SetPoints(points)
    set_them(cells)


def _ids(numbers: np.ndarray) -> Any:
    return numpy_to_vtkIdTypeArray(numbers.astype(np.int64), deep=True)
