"""A case in a slice view: the image, the heat map over it, the segmentation of its cells, and where is what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Callable

import numpy as np
import slicer
import vtk

from .casenodes import CaseNodes
from .colormaps import COLOR_MAPS
from .grid import CellGrid
from .i18n import _
from .viewstate import ViewState, set_lightbox

if TYPE_CHECKING:
    from .images import Picture

OPACITY, COLOR_MAP, THRESHOLD = 0.45, "even", 0.2
"""How a heat map looks unless somebody says otherwise."""
_PARALLEL, _HALF_A_SLICE = 0.9, 0.5 + 1e-6
"""The view's plane is the image's: cosine of the angle between both, and slices from one to the other, at most."""


class CaseView:
    """Shows one case at a time in a slice view, as Slicer shows any 2D image: patient's right on the left, head up.

    Never clears the scene, touches no node of anybody else's, and `clear` and `remove` give the view back as it was.
    Positions are pixels of the view, as VTK's events have them: origin at the bottom left, centres at whole numbers.

    Args:
        slice_widget: A slice widget of the layout manager, as ``slicer.app.layoutManager().sliceWidget("Red")``.
    """

    def __init__(self, slice_widget: Any) -> None:
        self.picture: Picture | None = None
        self.grid: CellGrid | None = None
        self.preview: tuple[int, ...] | None = None
        """The cells that stay visible in the preview; None without a preview."""
        self._widget = slice_widget
        self._nodes = CaseNodes()
        self._found: ViewState | None = None
        self._marked: dict[str, tuple[int, ...]] = {}
        self._opacity, self._color_map, self._threshold = OPACITY, COLOR_MAP, THRESHOLD
        self._heat_map_visible = True
        self._fitted: tuple[Any, ...] | None = None
        self._slice_observation: tuple[Any, int] | None = None
        self._observers: list[Callable[[], None]] = []

    # The case

    def show(self, picture: Picture, heat_map: np.ndarray, grid: CellGrid, title: str, overlay_title: str = "") -> None:
        """Show a case, fitted to the view, without marks and preview.

        Args:
            picture: The image.
            heat_map: float32 in [0, 1], as many rows and columns as the image.
            grid: The cells, over as many pixels.
            title: What the nodes are named after.
            overlay_title: The name of the heat map's node, if it's no heat map of the case.

        Raises:
            ValueError: if the three differ in size.
        """
        _check_shapes(picture.pixels.shape, heat_map.shape, (grid.height, grid.width))
        with slicer.util.RenderBlocker():
            self._remember_view()
            self.picture, self.grid, self.preview = picture, grid, None
            self._nodes.show_image(picture.pixels, picture.ijk_to_ras, picture.low, picture.high, title)
            self.set_heat_map(heat_map, overlay_title or _("IMIL heat map of {title}").format(title=title))
            self._nodes.set_heat_map_look(self._color_map, self._threshold)
            self._nodes.show_cells(title)
            self._marked.clear()
            self.set_marks((), ())
            self._select_volumes()
            self._fit()
            self._observe_slice_node()
            self._notify()

    def set_heat_map(self, heat_map: np.ndarray, name: str) -> None:
        """Another heat map over the same image; nothing else changes."""
        if self.picture is not None:
            self._nodes.show_heat_map(heat_map, self.picture.ijk_to_ras, name)

    def set_marks(self, cells: Iterable[int], misleading: Iterable[int]) -> None:
        """Make the segmentation hold exactly these cells; a segment that has them already isn't touched."""
        if self.picture is None or self.grid is None:
            return
        for name, marked in (("matters", tuple(cells)), ("misled", tuple(misleading))):
            if self._marked.get(name) != marked:
                self._nodes.set_segment(name, marked, self.grid, self.picture.ijk_to_ras)
                self._marked[name] = marked

    def blank(self) -> None:
        """Show nothing for a moment: the next case is on its way. `clear` still gives back what was there before."""
        with slicer.util.RenderBlocker():
            composite = self._logic.GetSliceCompositeNode()
            if self._selected:
                was_modifying = composite.StartModify()
                composite.SetBackgroundVolumeID(None)
                composite.SetForegroundVolumeID(None)
                composite.EndModify(was_modifying)
            self.picture = self.grid = self.preview = None
            self._notify()

    def clear(self) -> None:
        """Show no case, and what the view showed before the first one; the nodes stay, for the next case."""
        with slicer.util.RenderBlocker():
            if self._found is not None and self._nodes.image is not None:
                self._found.restore(self._logic, self._nodes.image, self._nodes.heat_map)
            self._found = self._fitted = None
            self._observe_slice_node(False)
            self.picture = self.grid = self.preview = None
            self._notify()

    def remove(self) -> None:
        """As `clear`, and take the nodes out of the scene."""
        with slicer.util.RenderBlocker():
            self.clear()
            self._nodes.remove()

    @property
    def on_screen(self) -> bool:
        """Whether the view shows our image, in its plane: a user may choose another, delete it, turn the view."""
        return self._selected and self._in_plane()

    @property
    def _selected(self) -> bool:
        """Whether the view's background is our image now."""
        image = self._nodes.image
        composite = self._logic.GetSliceCompositeNode()
        return (
            self.picture is not None
            and image is not None
            and composite is not None
            and composite.GetBackgroundVolumeID() == image.GetID()
        )

    def observe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback()`` after another case, none, or another preview is shown; what is returned ends that."""
        self._observers.append(callback)

        def unobserve() -> None:
            if callback in self._observers:
                self._observers.remove(callback)

        return unobserve

    # How it looks

    def set_opacity(self, opacity: float) -> None:
        """Of the heat map, from 0 to 1."""
        self._opacity = min(max(opacity, 0.0), 1.0)
        self._apply_opacity()

    def set_color_map(self, name: str) -> None:
        """Of the heat map.

        Raises:
            ValueError: if it's no name in ``colormaps.COLOR_MAPS``.
        """
        if name not in COLOR_MAPS:
            raise ValueError(
                _("There is no colour map {name}; there are {names}.").format(name=name, names=", ".join(COLOR_MAPS))
            )
        self._color_map = name
        self._nodes.set_heat_map_look(self._color_map, self._threshold)

    def set_threshold(self, threshold: float) -> None:
        """From 0 to 1; smaller values of the heat map are invisible."""
        self._threshold = min(max(threshold, 0.0), 1.0)
        self._nodes.set_heat_map_look(self._color_map, self._threshold)

    def set_heat_map_visible(self, visible: bool) -> None:
        self._heat_map_visible = visible
        self._apply_opacity()

    def set_preview(self, cells: Iterable[int] | None) -> None:
        """Show the image as the model will see it, all black but these cells; None ends that. No pixel is changed."""
        preview = None if cells is None else tuple(cells)
        if self.picture is None or preview == self.preview:
            return
        with slicer.util.RenderBlocker():
            self.preview = preview
            self._apply_opacity()
            self._notify()

    # Where is what

    def cell_under(self, x: float, y: float) -> int | None:
        """The cell at a position in the view; None beside the image, and where it isn't on the screen."""
        if self.grid is None or not self.on_screen:
            return None
        column, row, depth = self._to_image() @ (x, y, 0.0, 1.0)
        return self.grid.cell_at(row, column) if abs(depth) <= 0.5 else None

    def pixel_under(self, x: float, y: float) -> tuple[float, float]:
        """The image's (row, column) at a position in the view; whole numbers are pixels' centres.

        Raises:
            ValueError: if no case is shown.
        """
        column, row, _depth = self._to_image() @ (x, y, 0.0, 1.0)
        return float(row), float(column)

    def display_of(self, row: float, col: float) -> tuple[float, float]:
        """Where a position in the image is in the view: the opposite of `pixel_under`.

        Raises:
            ValueError: if no case is shown.
        """
        x, y = self.to_display() @ (col, row, 1.0)
        return float(x), float(y)

    def to_display(self) -> np.ndarray:
        """The (2, 3) matrix from (column, row, 1) of the image to (x, y) of the view.

        Raises:
            ValueError: if no case is shown.
        """
        ijk_to_xy = np.linalg.inv(self._xy_to_ras()) @ self._ijk_to_ras()
        return ijk_to_xy[:2][:, [0, 1, 3]]

    def grid_steps(self, down: int, right: int) -> tuple[int, int]:
        """(rows, columns) of the grid to walk to get so many cells down and to the right on the screen.

        Raises:
            ValueError: if no case is shown.
        """
        along_columns, along_rows = self.to_display()[:, 0], self.to_display()[:, 1]
        if abs(along_columns[0]) * np.hypot(*along_rows) >= abs(along_rows[0]) * np.hypot(*along_columns):
            return int(down * -np.sign(along_rows[1])), int(right * np.sign(along_columns[0]))
        return int(right * np.sign(along_rows[0])), int(down * -np.sign(along_columns[1]))

    @property
    def _logic(self) -> Any:
        return self._widget.sliceLogic()

    def _notify(self) -> None:
        for observer in list(self._observers):
            observer()

    def _xy_to_ras(self) -> np.ndarray:
        return slicer.util.arrayFromVTKMatrix(self._widget.mrmlSliceNode().GetXYToRAS())

    def _ijk_to_ras(self) -> np.ndarray:
        if self.picture is None:
            raise ValueError(_("No case is shown; show one first."))
        return np.asarray(self.picture.ijk_to_ras, float)

    def _to_image(self) -> np.ndarray:
        """The (3, 4) matrix from (x, y, 0, 1) of the view to (column, row, depth) of the image."""
        return (np.linalg.inv(self._ijk_to_ras()) @ self._xy_to_ras())[:3]

    def _in_plane(self) -> bool:
        """Whether the view's plane is the image's: otherwise the image is a line, or not there at all."""
        xy_to_ras, ijk_to_ras = self._xy_to_ras(), self._ijk_to_ras()
        width, height, _depth = self._widget.mrmlSliceNode().GetDimensions()
        normals = [np.cross(matrix[:3, 0], matrix[:3, 1]) for matrix in (xy_to_ras, ijk_to_ras)]
        lengths = [np.linalg.norm(normal) for normal in normals]
        if min(width, height) <= 0 or min(lengths) == 0 or np.linalg.det(xy_to_ras) == 0:
            return False
        if abs(normals[0] @ normals[1]) < _PARALLEL * lengths[0] * lengths[1]:
            return False
        rows, columns = self.picture.pixels.shape
        corners = np.array([(c, r, 0, 1) for c in (0, columns - 1) for r in (0, rows - 1)], float).T
        seen = np.linalg.inv(xy_to_ras) @ ijk_to_ras @ corners
        seen[2] = 0
        return bool(np.all(np.abs(self._to_image()[2] @ seen) <= _HALF_A_SLICE))

    def _remember_view(self) -> None:
        """What to give back later: what the view showed when our image came, or came again after another one."""
        foreign = not self._selected and self._logic.GetSliceCompositeNode().GetBackgroundVolumeID()
        if self._found is None or foreign:
            self._found = ViewState(self._logic)

    def _select_volumes(self) -> None:
        composite = self._logic.GetSliceCompositeNode()
        was_modifying = composite.StartModify()
        composite.SetBackgroundVolumeID(self._nodes.image.GetID())
        composite.SetForegroundVolumeID(self._nodes.heat_map.GetID())
        composite.SetLabelVolumeID(None)
        composite.SetCompositing(composite.Alpha)
        composite.EndModify(was_modifying)
        self._apply_opacity()

    def _apply_opacity(self) -> None:
        if not self._selected:
            return
        shown = self._heat_map_visible and self.preview is None
        self._logic.GetSliceCompositeNode().SetForegroundOpacity(self._opacity if shown else 0.0)

    def _fit(self) -> None:
        """Turn the view into the image's plane and fit it.

        The standard plane nearest to the image's comes first: turning from any other could end upside down. The plane's
        axes are named to Slicer, which otherwise takes an image that is one pixel high for one seen from the side.
        """
        node, image = self._widget.mrmlSliceNode(), self._nodes.image
        was_modifying = node.StartModify()
        set_lightbox(node, (1, 1))
        node.SetOrientation(_nearest_plane(self._ijk_to_ras()))
        ijk_to_ras = vtk.vtkMatrix4x4()
        image.GetIJKToRASMatrix(ijk_to_ras)
        node.RotateToAxes(ijk_to_ras, 2)
        width, height, _depth = node.GetDimensions()
        if min(width, height) > 0:  # a view that was never on the screen, or is squeezed to nothing
            self._logic.FitSliceToVolume(image, width, height)
        self._fitted = self._frame()
        node.EndModify(was_modifying)

    def _frame(self) -> tuple[Any, ...]:
        """What a reader changes by zooming, panning and turning, but not by making the window larger; and its size."""
        node = self._widget.mrmlSliceNode()
        plane = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()).tobytes()
        return plane, node.GetFieldOfView()[1], tuple(node.GetXYZOrigin()), tuple(node.GetDimensions())

    def _observe_slice_node(self, wanted: bool = True) -> None:
        node = self._widget.mrmlSliceNode()
        if self._slice_observation is not None and not (wanted and self._slice_observation[0] is node):
            observed, tag = self._slice_observation
            observed.RemoveObserver(tag)
            self._slice_observation = None
        if wanted and self._slice_observation is None:
            self._slice_observation = (node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_slice_node))

    def _on_slice_node(self, caller: Any, event: str) -> None:
        """Fits again when the view got another size and the reader hasn't chosen another part of the image since."""
        if self._fitted is None or not self._selected:
            return
        *chosen, size = self._frame()
        *fitted, fitted_size = self._fitted
        if chosen == fitted and size != fitted_size:
            self._fit()


def _nearest_plane(ijk_to_ras: np.ndarray) -> str:
    """The standard plane whose normal is closest to that of the image's rows and columns."""
    normal = np.abs(np.cross(ijk_to_ras[:3, 0], ijk_to_ras[:3, 1]))
    return ("Sagittal", "Coronal", "Axial")[2 - int(np.argmax(normal[::-1]))]


def _check_shapes(image: tuple[int, ...], heat_map: tuple[int, ...], grid: tuple[int, int]) -> None:
    for name, shape in ((_("heat map"), heat_map), (_("grid"), grid)):
        if tuple(shape) != tuple(image):
            raise ValueError(
                _("The {name} has {shape} pixels, but its image has {image} (rows x columns).").format(
                    name=name, shape=" x ".join(map(str, shape)), image=" x ".join(map(str, image))
                )
            )
