"""What is open in Slicer's Red slice view: image, heat map or find, grid and marks, painted by mouse and keyboard."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Callable, Protocol

import slicer

from .arrangement import Arrangement
from .grid import CellGrid
from .gridview import GridView
from .marks import Marks
from .overlay import CaseView
from .painter import Painter

if TYPE_CHECKING:
    import numpy as np

    from .images import Picture

VIEW = "Red"


class Shown(Protocol):
    """What can be shown: a case (`opencase.OpenCase`), or an image with a find (`openfind.OpenFind`).

    Attributes:
        overlay: float32 (rows, cols) in [0, 1], shown in colour over ``picture``, under the name ``overlay_title``.
        paintable: whether ``marks``, those of the cells of ``grid``, can be painted.
    """

    picture: Picture
    overlay: np.ndarray
    grid: CellGrid
    marks: Marks
    title: str
    overlay_title: str
    paintable: bool


class Viewer:
    """Shows one case or image at a time and lets the reader mark its cells.

    Attributes:
        brush: the mark that is painted, `grid.MATTERS` or `grid.MISLED`.
        layout: of Slicer's views while a case is shown, by default the Red slice view alone; None leaves the views
            to whatever is shown beside the case.
        on_marks: called without arguments after the marks changed; ``on_cell`` after the cell under the pointer, or
            under the keyboard's cursor, changed.

    Args:
        arrangement: of Slicer's views; the view is made the only one while a case is shown.

    Raises:
        RuntimeError: if Slicer runs without views.
    """

    def __init__(self, arrangement: Arrangement) -> None:
        manager = slicer.app.layoutManager()
        widget = None if manager is None else manager.sliceWidget(VIEW)
        if widget is None:
            raise RuntimeError("A case can't be shown: this Slicer runs without slice views.")
        self.layout: int | None = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
        self._widget = widget
        self._arrangement = arrangement
        self._case_view = CaseView(widget)
        self._grid_view = GridView(widget, self._case_view)
        self._painter = Painter(widget, self._case_view, self._marks)
        self._painter.on_hover = self._hovered
        self._painter.on_cursor = self._cursor_moved
        self._opened: Shown | None = None
        self._unobserve: Callable[[], None] | None = None
        self._hover: int | None = None
        self._active = self._waits = False
        self.on_marks: Callable[[], None] = _nothing
        self.on_cell: Callable[[], None] = _nothing

    # -- which case --------------------------------------------------------------------------------------------------

    def show(self, opened: Shown | None) -> None:
        """Show another case or image, or none."""
        if opened is self._opened and not self._waits and (opened is None or self.on_screen):
            return
        self._let_go()
        self._opened, self._waits = opened, False
        self.arrange()
        if opened is None:
            self._grid_view.hide()
            self._case_view.clear()
            return
        with slicer.util.RenderBlocker():
            self._case_view.show(opened.picture, opened.overlay, opened.grid, opened.title, opened.overlay_title)
            self._show_marks()
            self._painter.clear_cursor()
            self._grid_view.set_hover(None)
            if self._active:
                self._grid_view.show()
        self._unobserve = opened.marks.observe(self._marked)

    def refresh_overlay(self) -> None:
        """The overlay of what is open is another one now."""
        if self._opened is not None:
            self._case_view.set_heat_map(self._opened.overlay, self._opened.overlay_title)

    def wait(self) -> None:
        """The next case is on its way: an empty view, but the view that it will be in, and with the keyboard."""
        self._let_go()
        self._opened, self._waits = None, True
        self._grid_view.hide()
        self._case_view.blank()

    def arrange(self) -> None:
        """Give the views to the case, or back if there is none."""
        if self.layout is None or self._waits:
            return
        if self._opened is None:
            self._arrangement.restore()
        else:
            self._arrangement.show(self.layout)

    def activate(self) -> None:
        """Take mouse and keys: the module is on the screen."""
        self._active = True
        self._painter.attach()
        self.arrange()
        if self._opened is not None:
            self._grid_view.show()

    def deactivate(self) -> None:
        """Leave mouse and keys to others. The nodes stay, for Slicer's other modules."""
        self._active = False
        self.preview = False
        self._painter.detach()
        self._grid_view.hide()
        self._arrangement.restore()

    def forget(self) -> None:
        """The scene is being closed: take our nodes out; `show` makes them anew."""
        self._let_go()
        self._opened = None
        self._grid_view.hide()
        self._case_view.remove()

    def remove(self) -> None:
        """Leave nothing behind."""
        self.deactivate()
        self.forget()
        self._grid_view.remove()

    @property
    def on_screen(self) -> bool:
        """Whether the reader sees the case: its image is in the view, and the view is among those that are shown."""
        return self._opened is not None and bool(self._widget.visible) and self._case_view.on_screen

    @property
    def interactor(self) -> Any:
        """The view's VTK interactor."""
        return self._widget.sliceView().interactor()

    def focus(self) -> None:
        """Give the view the keyboard."""
        self._widget.sliceView().setFocus()

    # -- marks -------------------------------------------------------------------------------------------------------

    @property
    def brush(self) -> int:
        return self._painter.brush

    @brush.setter
    def brush(self, mark: int) -> None:
        self._painter.brush = mark

    @property
    def cell(self) -> int | None:
        """The cell under the pointer, else the keyboard's."""
        return self._hover if self._hover is not None else self._painter.cursor

    def center_of(self, cell: int) -> tuple[int, int]:
        """Where a cell's middle is: (x, y) in the view's pixels, from the bottom left."""
        top, bottom, left, right = self._case_view.grid.box(cell)
        x, y = self._case_view.display_of((top + bottom - 1) / 2, (left + right - 1) / 2)
        return round(x), round(y)

    def set_swapped(self, cells: Iterable[int]) -> None:
        """The cells that are drawn as swapped between images."""
        self._grid_view.set_swapped(cells)

    def set_pointed(self, cell: int | None) -> None:
        """Frame a cell as if the pointer were over it; the pointer itself takes over when it moves."""
        self._grid_view.set_hover(cell)

    def move_cursor(self, down: int, right: int) -> None:
        """Move the keyboard's cell by so many cells on the screen."""
        self._painter.move_cursor(down, right)

    def toggle_cursor(self) -> None:
        """Mark or unmark the keyboard's cell."""
        self._painter.toggle_cursor()

    # -- how it looks ------------------------------------------------------------------------------------------------

    @property
    def preview(self) -> bool:
        """Whether the image is shown as the model will see it."""
        return self._case_view.preview is not None

    @preview.setter
    def preview(self, wanted: bool) -> None:
        opened = self._opened
        self._case_view.set_preview(opened.marks.cells if wanted and opened is not None else None)

    def set_opacity(self, opacity: float) -> None:
        """Of the heat map, 0 to 1."""
        self._case_view.set_opacity(opacity)

    def set_threshold(self, threshold: float) -> None:
        """Hide heat below this, 0 to 1."""
        self._case_view.set_threshold(threshold)

    def set_color_map(self, name: str) -> None:
        """One of `colormaps.COLOR_MAPS`."""
        self._case_view.set_color_map(name)

    def set_heat_map_visible(self, visible: bool) -> None:
        """Show or hide the heat map."""
        self._case_view.set_heat_map_visible(visible)

    def _marks(self) -> Marks | None:
        return None if self._opened is None or not self._opened.paintable else self._opened.marks

    def _marked(self) -> None:
        self._show_marks()
        if self.preview:
            self.preview = True
        self.on_marks()
        self.on_cell()

    def _show_marks(self) -> None:
        marks = self._opened.marks
        self._case_view.set_marks(marks.cells, marks.misleading)
        self._grid_view.update(marks.values)

    def _hovered(self, cell: int | None) -> None:
        self._hover = cell
        self._grid_view.set_hover(cell)
        self.on_cell()

    def _cursor_moved(self, cell: int | None) -> None:
        self._hover = None
        self._grid_view.set_hover(None)
        self._grid_view.set_cursor(cell)
        self.on_cell()

    def _let_go(self) -> None:
        if self._unobserve is not None:
            self._unobserve()
            self._unobserve = None
        self._hover = None


def _nothing() -> None:
    """Nobody listens."""
