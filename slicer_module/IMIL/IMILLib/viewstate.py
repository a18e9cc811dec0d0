"""What a slice view showed before, to be put back afterwards."""

from __future__ import annotations

from typing import Any

import slicer
import vtk


class ViewState:
    """The volumes, the plane and the field of view of a slice view, as they are now.

    Volumes are remembered weakly: one that is deleted meanwhile isn't held, nor mistaken for a later one of its ID.
    """

    def __init__(self, slice_logic: Any) -> None:
        composite, node = slice_logic.GetSliceCompositeNode(), slice_logic.GetSliceNode()
        self._volumes = [
            _weakly(slicer.mrmlScene.GetNodeByID(volume_id or ""))
            for volume_id in (
                composite.GetBackgroundVolumeID(),
                composite.GetForegroundVolumeID(),
                composite.GetLabelVolumeID(),
            )
        ]
        self._opacity = composite.GetForegroundOpacity()
        self._compositing = composite.GetCompositing()
        self._plane = vtk.vtkMatrix4x4()
        self._plane.DeepCopy(node.GetSliceToRAS())
        self._field_of_view = tuple(node.GetFieldOfView())
        self._origin = tuple(node.GetXYZOrigin())
        self._lightbox = (node.GetLayoutGridRows(), node.GetLayoutGridColumns())

    def restore(self, slice_logic: Any, background: Any, foreground: Any) -> None:
        """Put back what is still ours: a volume that somebody else chose since stays, and so does the plane with it.

        Args:
            slice_logic: The view's.
            background: Our volume that took the place of the background; None if it's gone.
            foreground: Likewise of the foreground.
        """
        composite = slice_logic.GetSliceCompositeNode()
        old_background, old_foreground, old_label = (_id_if_present(found.Get()) for found in self._volumes)
        was_modifying = composite.StartModify()
        if composite.GetForegroundVolumeID() in (None, _id_if_present(foreground)):
            composite.SetForegroundVolumeID(old_foreground)
            composite.SetForegroundOpacity(self._opacity)
            composite.SetCompositing(self._compositing)
        if composite.GetLabelVolumeID() is None:
            composite.SetLabelVolumeID(old_label)
        if composite.GetBackgroundVolumeID() in (None, _id_if_present(background)):
            composite.SetBackgroundVolumeID(old_background)
            self._restore_plane(slice_logic.GetSliceNode())
        composite.EndModify(was_modifying)

    def _restore_plane(self, node: Any) -> None:
        """The field of view keeps its height if the view has another shape now."""
        was_modifying = node.StartModify()
        set_lightbox(node, self._lightbox)
        node.GetSliceToRAS().DeepCopy(self._plane)
        width, height, _depth = node.GetDimensions()
        across, along, through = self._field_of_view
        if width > 0 and height > 0:
            across = along * width / height
        node.SetFieldOfView(across, along, through)
        node.SetXYZOrigin(*self._origin)
        node.UpdateMatrices()
        node.EndModify(was_modifying)


def set_lightbox(slice_node: Any, grid: tuple[int, int]) -> None:
    """Show so many rows and columns of slices; newer Slicers have one only, and mind being asked."""
    if (slice_node.GetLayoutGridRows(), slice_node.GetLayoutGridColumns()) != grid:
        slice_node.SetLayoutGrid(*grid)


def _weakly(node: Any) -> Any:
    reference = vtk.vtkWeakReference()
    reference.Set(node)
    return reference


def _id_if_present(node: Any) -> str | None:
    return node.GetID() if node is not None and slicer.mrmlScene.IsNodePresent(node) else None
