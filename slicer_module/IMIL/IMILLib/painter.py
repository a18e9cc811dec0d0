"""Painting cells with the mouse and the keyboard: events of a slice view to marks."""

from __future__ import annotations

from typing import Any, Callable

from .grid import MATTERS
from .marks import Marks
from .overlay import CaseView

PRIORITY = 1.0
"""Before Slicer's interactor style (0), at the level of the Segment Editor's effects."""


class Painter:
    """Lets a reader paint in a slice view.

    A click gives a cell the brush's mark or, if it has it, takes it off. A drag paints every cell on its way, or takes
    this brush's marks off if it started on one; with Shift it takes any marks off. A stroke is one step for undo.

    Only the left button over the image, without Ctrl and Alt, is taken from Slicer, and none while Slicer's own mouse
    mode is another than "view": wheel, right and middle button always do what they do in Slicer.

    Args:
        slice_widget: A slice widget of the layout manager.
        case_view: Says which cell is where.
        marks_of: The marks to change; None while nothing can be painted.
    """

    def __init__(self, slice_widget: Any, case_view: CaseView, marks_of: Callable[[], Marks | None]) -> None:
        self.brush = MATTERS
        self.cursor: int | None = None
        """The keyboard's cell."""
        self.on_hover: Callable[[int | None], None] = _ignore
        """Called with the cell under the mouse, or None, when it changes."""
        self.on_cursor: Callable[[int | None], None] = _ignore
        """Called with the keyboard's cell when it changes."""
        self.on_paint: Callable[[], None] = _do_nothing
        """Called after the mouse or the keyboard changed marks."""
        self._widget = slice_widget
        self._case = case_view
        self._marks_of = marks_of
        self._hover: int | None = None
        self._stroke: _Stroke | None = None
        self._observed: Any = None
        self._tags: dict[str, int] = {}

    def attach(self) -> None:
        """Listen to the view from now on."""
        if self._tags:
            return
        self._observed = self._widget.sliceView().interactor()
        for event, handler in {
            "LeftButtonPressEvent": self._on_press,
            # Qt has this instead of the second press of two quick ones; Slicer would maximise the view.
            "LeftButtonDoubleClickEvent": self._on_press,
            "MouseMoveEvent": self._on_move,
            "LeftButtonReleaseEvent": self._on_release,
            "LeaveEvent": self._on_leave,
        }.items():
            self._tags[event] = self._observed.AddObserver(event, handler, PRIORITY)

    def detach(self) -> None:
        """Stop listening; a stroke under way is over."""
        self._end_stroke()
        self._set_hover(None)
        for tag in self._tags.values():
            self._observed.RemoveObserver(tag)
        self._tags.clear()
        self._observed = None

    def move_cursor(self, down: int, right: int) -> None:
        """Move the keyboard's cell so many cells on the screen; it begins at the mouse, else in the grid's middle."""
        grid = self._case.grid
        if grid is None or not self._case.on_screen:
            return
        if self.cursor is None or self.cursor >= grid.num_cells:
            middle = grid.rows // 2 * grid.cols + grid.cols // 2
            self._set_cursor(middle if self._hover is None else self._hover)
        else:
            self._set_cursor(grid.neighbour(self.cursor, *self._case.grid_steps(down, right)))

    def toggle_cursor(self) -> None:
        """What a click on the keyboard's cell would do."""
        marks = self._marks_of()
        if marks is None or not self._case.on_screen:
            return
        if self.cursor is None or self.cursor >= len(marks.values):
            self.move_cursor(0, 0)
            return
        self._end_stroke()
        marks.toggle(self.cursor, self.brush)
        self.on_paint()

    def clear_cursor(self) -> None:
        """The keyboard has no cell, as before its first use."""
        self._set_cursor(None)

    def _on_press(self, caller: Any, event: str) -> None:
        self._end_stroke()
        x, y = caller.GetEventPosition()
        cell = self._case.cell_under(x, y)
        marks = self._marks_of()
        if cell is None or marks is None or caller.GetControlKey() or caller.GetAltKey() or not self._slicer_lets_us():
            return
        self._stroke = _Stroke(marks, self.brush, cell, bool(caller.GetShiftKey()), self._case.pixel_under(x, y))
        self.on_paint()
        self._keep_from_slicer(event)

    def _on_move(self, caller: Any, event: str) -> None:
        x, y = caller.GetEventPosition()
        self._set_hover(self._case.cell_under(x, y))
        self._continue_stroke(x, y)

    def _on_release(self, caller: Any, event: str) -> None:
        if self._stroke is None:
            return
        self._continue_stroke(*caller.GetEventPosition())
        self._end_stroke()
        self._keep_from_slicer(event)

    def _on_leave(self, caller: Any, event: str) -> None:
        """Qt keeps the mouse while a button is held, so a view that is left has no stroke any more."""
        self._end_stroke()
        self._set_hover(None)

    def _continue_stroke(self, x: int, y: int) -> None:
        stroke = self._stroke
        if stroke is None:
            return
        # Another case, an undo in the middle, a tool of Slicer's: each ends the stroke where it was.
        if (
            self._marks_of() is not stroke.marks
            or not stroke.open
            or not self._case.on_screen
            or not self._slicer_lets_us()
        ):
            self._end_stroke()
            return
        before = stroke.marks.values
        stroke.extend(self._case, self._case.pixel_under(x, y))
        if stroke.marks.values != before:
            self.on_paint()

    def _end_stroke(self) -> None:
        if self._stroke is not None:
            stroke, self._stroke = self._stroke, None
            stroke.end()

    def _slicer_lets_us(self) -> bool:
        """Whether Slicer's mouse mode is the usual one, not placing of markups nor adjusting of the window."""
        node = self._widget.mrmlSliceNode().GetInteractionNode()
        return node is None or node.GetCurrentInteractionMode() not in (node.Place, node.AdjustWindowLevel)

    def _keep_from_slicer(self, event: str) -> None:
        self._observed.GetCommand(self._tags[event]).SetAbortFlag(1)

    def _set_hover(self, cell: int | None) -> None:
        if cell != self._hover:
            self._hover = cell
            self.on_hover(cell)

    def _set_cursor(self, cell: int | None) -> None:
        if cell != self.cursor:
            self.cursor = cell
            self.on_cursor(cell)


class _Stroke:
    """From press to release: which marks it gives or takes is decided by the press."""

    def __init__(self, marks: Marks, brush: int, cell: int, erase_all: bool, pixel: tuple[float, float]) -> None:
        self.marks = marks
        self._brush = brush
        self._erase_all = erase_all
        self._erases = erase_all or marks.values[cell] == brush
        self._last = pixel
        marks.begin_stroke()
        self._apply(cell)

    @property
    def open(self) -> bool:
        """Whether the marks still take it for one step."""
        return self.marks.in_stroke

    def extend(self, case: CaseView, pixel: tuple[float, float]) -> None:
        """Go straight on to a (row, column) of the image."""
        for cell in case.grid.cells_between(self._last, pixel):
            self._apply(cell)
        self._last = pixel

    def end(self) -> None:
        if self.open:
            self.marks.end_stroke()

    def _apply(self, cell: int) -> None:
        if not self._erases:
            self.marks.set_mark(cell, self._brush)
        elif self._erase_all or self.marks.values[cell] == self._brush:
            self.marks.set_mark(cell, 0)


def _ignore(cell: int | None) -> None:
    """The callback of nobody."""


def _do_nothing() -> None:
    """The callback of nobody."""
