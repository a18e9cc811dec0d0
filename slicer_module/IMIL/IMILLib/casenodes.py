"""The MRML nodes of a case: the image, its heat map, the two colour maps and the segmentation of the marked cells.

They are made when they are first needed, used again for every case, and made anew if somebody deleted them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from .colormaps import COLOR_MAPS
from .grid import CellGrid
from .i18n import _

SEGMENTS = ("matters", "misled")
"""IDs of the two segments."""
SEGMENT_COLORS = {"matters": (0.24, 0.88, 0.52), "misled": (0.35, 0.70, 1.00)}
"""Red, green, blue in [0, 1]. Green and blue are far from the even colour map, which has neither."""
_LABELMAP = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
_ABOVE_ALL = 2.0
"""An upper threshold that no heat map reaches."""


class CaseNodes:
    """Owns the nodes; knows no view."""

    def __init__(self) -> None:
        self._nodes: dict[str, Any] = {}

    @property
    def image(self) -> Any:
        """The scalar volume of the image; None if there is none in the scene."""
        return self._present("image")

    @property
    def heat_map(self) -> Any:
        """The scalar volume of the heat map; None if there is none in the scene."""
        return self._present("heat map")

    @property
    def segmentation(self) -> Any:
        """The segmentation of the cells; None if there is none in the scene."""
        return self._present("cells")

    def show_image(self, pixels: np.ndarray, ijk_to_ras: np.ndarray, low: float, high: float, title: str) -> None:
        """Put an image (rows, cols) into its volume; ``low`` is shown black, ``high`` white."""
        volume = self._volume("image", _("IMIL {title}").format(title=title))
        was_modifying = volume.StartModify()
        _fill_volume(volume, pixels, ijk_to_ras)
        volume.EndModify(was_modifying)
        _set_window(volume.GetDisplayNode(), low, high)

    def show_heat_map(self, values: np.ndarray, ijk_to_ras: np.ndarray, name: str) -> None:
        """Put a heat map float32 (rows, cols) in [0, 1] into its volume, which gets this name."""
        volume = self._volume("heat map", name)
        was_modifying = volume.StartModify()
        _fill_volume(volume, values, ijk_to_ras)
        volume.EndModify(was_modifying)
        _set_window(volume.GetDisplayNode(), 0.0, 1.0)

    def set_heat_map_look(self, color_map: str, threshold: float) -> None:
        """Which colours the heat map has, and below which value it's invisible."""
        display = self.heat_map and self.heat_map.GetDisplayNode()
        if display is None:
            return
        was_modifying = display.StartModify()
        display.SetAndObserveColorNodeID(self._color_node(color_map).GetID())
        display.SetThreshold(threshold, _ABOVE_ALL)
        display.SetApplyThreshold(1)
        display.EndModify(was_modifying)

    def show_cells(self, title: str) -> None:
        """Name the segmentation after the case, and give it the image's geometry."""
        node = self.segmentation
        if node is not None and node.GetDisplayNode() is None:
            # Slicer can crash when a segmentation that has lost its display node gets another.
            slicer.mrmlScene.RemoveNode(node)
            node = None
        if node is None:
            node = self._add("cells", "vtkMRMLSegmentationNode")
            node.CreateDefaultDisplayNodes()
            # The grid view draws the cells; whoever wants Slicer to draw them, too, clicks on the eye.
            node.GetDisplayNode().SetVisibility(False)
        node.SetName(_("IMIL cells of {title}").format(title=title))
        node.SetReferenceImageGeometryParameterFromVolumeNode(self.image)

    def set_segment(self, name: str, cells: tuple[int, ...], grid: CellGrid, ijk_to_ras: np.ndarray) -> None:
        """Make a segment hold exactly these cells. Costs a copy of the mask; other segments aren't touched."""
        node = self.segmentation
        if node is None:
            return
        segmentation = node.GetSegmentation()
        segment = segmentation.GetSegment(name)
        if segment is None:
            segment = _empty_segment(name)
            labelmap = slicer.vtkOrientedImageData()
            _fill_labelmap(labelmap, cells, grid, ijk_to_ras)
            segment.AddRepresentation(_LABELMAP, labelmap)
            segmentation.AddSegment(segment, name)
            return
        if _shares_labelmap(segmentation, segment):
            segmentation.SeparateSegmentLabelmap(name)
        labelmap = segment.GetRepresentation(_LABELMAP)
        if labelmap is None:
            labelmap = slicer.vtkOrientedImageData()
            segment.AddRepresentation(_LABELMAP, labelmap)
        segment.SetLabelValue(1)
        _fill_labelmap(labelmap, cells, grid, ijk_to_ras)

    def remove(self) -> None:
        """Take the nodes out of the scene, with what belongs to them.

        The segmentation goes before the image that it refers to, and before its display node: Slicer crashes otherwise.
        """
        for node in (self._nodes.pop("cells", None), *self._nodes.values()):
            for doomed in (node, *_belongings(node)):
                if doomed is not None and slicer.mrmlScene.IsNodePresent(doomed):
                    slicer.mrmlScene.RemoveNode(doomed)
        self._nodes.clear()

    def _present(self, role: str) -> Any:
        node = self._nodes.get(role)
        return node if node is not None and slicer.mrmlScene.IsNodePresent(node) else None

    def _add(self, role: str, class_name: str) -> Any:
        node = slicer.mrmlScene.AddNewNodeByClass(class_name)
        node.SetAttribute("IMIL.Role", role)
        # The server has image and heat map; only what the reader marked is worth saving with a scene.
        node.SetSaveWithScene(role == "cells")
        self._nodes[role] = node
        return node

    def _volume(self, role: str, name: str) -> Any:
        volume = self._present(role) or self._add(role, "vtkMRMLScalarVolumeNode")
        if volume.GetDisplayNode() is None:
            volume.CreateDefaultDisplayNodes()
        volume.SetName(name)
        return volume

    def _color_node(self, color_map: str) -> Any:
        role = f"colours {color_map}"
        node = self._present(role)
        if node is not None:
            return node
        node = self._add(role, "vtkMRMLColorTableNode")
        colors = COLOR_MAPS[color_map]() / 255.0
        was_modifying = node.StartModify()
        node.SetTypeToUser()
        node.SetName(_("IMIL colours {name}").format(name=color_map))
        node.SetNumberOfColors(len(colors))
        for index, (red, green, blue) in enumerate(colors):
            node.SetColor(index, str(index), red, green, blue, 1.0)
        node.SetHideFromEditors(True)
        node.EndModify(was_modifying)
        return node


def _belongings(node: Any) -> list[Any]:
    """The display and storage nodes of a node, which Slicer would leave behind."""
    if not hasattr(node, "GetNumberOfDisplayNodes"):
        return []
    displays = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    return [*displays, node.GetStorageNode()]


def _shares_labelmap(segmentation: Any, segment: Any) -> bool:
    """Whether another segment is kept in the same image; Slicer keeps several in one after loading, say."""
    labelmap = segment.GetRepresentation(_LABELMAP)
    segments = [segmentation.GetNthSegment(index) for index in range(segmentation.GetNumberOfSegments())]
    sharing = [other for other in segments if other.GetRepresentation(_LABELMAP) is labelmap]
    return labelmap is not None and len(sharing) > 1


def _set_window(display: Any, low: float, high: float) -> None:
    was_modifying = display.StartModify()
    display.SetAutoWindowLevel(0)
    display.SetWindowLevelMinMax(low, high if high > low else low + 1.0)
    display.EndModify(was_modifying)


def _fill_volume(volume: Any, pixels: np.ndarray, ijk_to_ras: np.ndarray) -> None:
    volume.SetIJKToRASMatrix(_vtk_matrix(ijk_to_ras))
    data = volume.GetImageData()
    if data is None:
        data = vtk.vtkImageData()
        _fill_image(data, pixels)
        volume.SetAndObserveImageData(data)
    else:
        _fill_image(data, pixels)


def _fill_labelmap(labelmap: Any, cells: tuple[int, ...], grid: CellGrid, ijk_to_ras: np.ndarray) -> None:
    labelmap.SetImageToWorldMatrix(_vtk_matrix(ijk_to_ras))
    _fill_image(labelmap, grid.inside(cells).view(np.uint8))


def _fill_image(data: Any, pixels: np.ndarray) -> None:
    """Copy pixels (rows, cols) into a VTK image, into the memory it has if that fits.

    A copy, because whatever VTK still shows must not lose its memory, nor change the caller's array when edited. It
    takes a millisecond or two at 2048 x 2048.
    """
    rows, cols = pixels.shape
    scalars = data.GetPointData().GetScalars()
    kind = get_vtk_array_type(pixels.dtype)
    if (
        scalars is None
        or data.GetExtent() != (0, cols - 1, 0, rows - 1, 0, 0)
        or scalars.GetDataType() != kind
        or scalars.GetNumberOfComponents() != 1
    ):
        data.SetExtent(0, cols - 1, 0, rows - 1, 0, 0)
        data.AllocateScalars(kind, 1)
        scalars = data.GetPointData().GetScalars()
    np.copyto(vtk_to_numpy(scalars).reshape(rows, cols), pixels)
    scalars.Modified()
    data.Modified()


def _empty_segment(name: str) -> Any:
    segment = slicer.vtkSegment()
    segment.SetName({"matters": _("Matters"), "misled": _("Misled the model")}[name])
    segment.SetColor(*SEGMENT_COLORS[name])
    segment.SetLabelValue(1)
    return segment


def _vtk_matrix(matrix: np.ndarray) -> Any:
    result = vtk.vtkMatrix4x4()
    result.DeepCopy(np.asarray(matrix, float).ravel().tolist())
    return result
