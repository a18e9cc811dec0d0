"""A case in the Red slice view, with the parts of the module that draw it and paint on it, but without the module."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy

# As Slicer does with the folder of a scripted module.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "slicer_module" / "IMIL"))

ANATOMY = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Pixels of 1 mm, columns to the left and rows to the back: what SimpleITK makes of a PNG."""


class Stage:
    """Puts cases on the screen; needs a started host. Call `close` at the end."""

    def __init__(self, host) -> None:
        import slicer
        from IMILLib.gridview import GridView
        from IMILLib.overlay import CaseView
        from IMILLib.painter import Painter

        self.host = host
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
        host.idle(0.02)
        self.widget = host.slice_widget()
        self.node = self.widget.mrmlSliceNode()
        self.composite = self.widget.sliceLogic().GetSliceCompositeNode()
        self.case = CaseView(self.widget)
        self.grid_view = GridView(self.widget, self.case)
        self.marks = None
        self.painter = Painter(self.widget, self.case, lambda: self.marks)
        self.painter.attach()

    def show(self, pixels, grid, heat_map=None, ijk_to_ras=ANATOMY, low=0.0, high=255.0, title="case") -> None:
        """Show a case; ``grid`` may be the server's or the module's."""
        from IMILLib.images import Picture

        self.show_picture(Picture(pixels, ijk_to_ras, low, high, {}), grid, heat_map, title)

    def show_file(self, path: Path, grid, heat_map=None) -> None:
        """Show an image file as the module reads it from the server."""
        from IMILLib.images import read_picture

        self.show_picture(read_picture(path.read_bytes(), path.name), grid, heat_map, path.name)

    def show_picture(self, picture, grid, heat_map=None, title="case") -> None:
        from IMILLib.grid import CellGrid
        from IMILLib.marks import Marks

        if heat_map is None:
            heat_map = np.zeros(picture.pixels.shape, np.float32)
        cells = CellGrid(grid.row_edges, grid.col_edges)
        self.marks = Marks(cells.num_cells)
        self.marks.observe(self._show_marks)
        self.case.show(picture, heat_map, cells, title)

    def _show_marks(self) -> None:
        self.case.set_marks(self.marks.cells, self.marks.misleading)
        self.grid_view.update(self.marks.values)

    def zoom_and_pan(self) -> None:
        """As a reader does: Ctrl and wheel, then the middle button. Always ends at the same place."""
        import slicer.util

        width, height = self.size
        with slicer.util.RenderBlocker():
            self.host.wheel_view(width * 0.4, height * 0.6, steps=3, modifiers=["control"])
            self.host.drag_view(
                [(width / 2, height / 2), (width / 2 + 20, height / 2 + 9), (width / 2 + 41, height / 2 - 23)],
                button="middle",
            )

    def send(self, event: str, x: float, y: float, shift: bool = False) -> None:
        """One event of the mouse, as VTK passes it on; for strokes that something happens in the middle of."""
        interactor = self.widget.sliceView().interactor()
        interactor.SetEventInformation(round(x), round(y), 0, int(shift), "\0", 0, None)
        interactor.InvokeEvent(event)

    def middle_of(self, cell: int) -> tuple[float, float]:
        """Where a cell is on the screen."""
        top, bottom, left, right = self.case.grid.box(cell)
        return self.case.display_of((top + bottom - 1) / 2, (left + right - 1) / 2)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the view in its own pixels."""
        return self.widget.sliceView().renderWindow().GetSize()

    def picture(self) -> np.ndarray:
        """What is on the screen: uint8 (height, width, 3), the first row at the bottom, as VTK counts."""
        import vtk

        window = self.widget.sliceView().renderWindow()
        window.Render()
        width, height = window.GetSize()
        pixels = vtk.vtkUnsignedCharArray()
        window.GetPixelData(0, 0, width - 1, height - 1, 0, pixels, 0)
        return vtk_to_numpy(pixels).reshape(height, width, 3).copy()

    def labelmap(self, segment: str) -> np.ndarray:
        """A segment as Slicer itself exports it, in the image's geometry: uint8 (rows, cols)."""
        import slicer.util

        image = slicer.mrmlScene.GetNodeByID(self.composite.GetBackgroundVolumeID())
        segmentation = slicer.util.getNode("IMIL cells*")
        return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment, image)[0]

    def close(self) -> None:
        self.painter.detach()
        self.grid_view.remove()
        self.case.remove()
