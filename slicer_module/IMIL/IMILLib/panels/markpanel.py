"""Brushes, what can be done with all marks at once, and what is marked, in words."""

from __future__ import annotations

from typing import Any, Callable

import qt

from ..casewords import marked, percent
from ..grid import MATTERS, MISLED
from ..i18n import _
from ..marks import Marks
from ..review import Review
from ..viewer import Viewer
from .widgets import icon, on, show_text


class MarkPanel:
    """Says what the reader's marks are and changes them.

    Args:
        in_sight: whether the reader sees the image; if not, it says so. Nothing is marked unseen.
    """

    def __init__(self, ui: Any, review: Review, viewer: Viewer, icons: str, in_sight: Callable[[], bool]) -> None:
        self._ui, self._review, self._viewer, self._in_sight = ui, review, viewer, in_sight
        side = max(16, ui.matters_button.fontMetrics().height())
        for button, name in ((ui.matters_button, "matters"), (ui.misled_button, "misled")):
            button.setIcon(icon(icons, name))
            button.setIconSize(qt.QSize(side, side))
        ui.hover_label.setMinimumHeight(ui.hover_label.fontMetrics().height())  # nothing moves when it has a text
        self.choose(MATTERS)
        on(ui.matters_button.clicked, lambda: self.choose(MATTERS))
        on(ui.misled_button.clicked, lambda: self.choose(MISLED))
        for button, action in (
            (ui.all_button, self.mark_all),
            (ui.none_button, self.clear),
            (ui.invert_button, self.invert),
            (ui.undo_button, self.undo),
            (ui.redo_button, self.redo),
        ):
            on(button.clicked, action)

    def choose(self, mark: int) -> None:
        """Take a brush."""
        self._viewer.brush = mark
        for button, of_button, name in (
            (self._ui.matters_button, MATTERS, _("Matters")),
            (self._ui.misled_button, MISLED, _("Misled the model")),
        ):
            chosen = of_button == mark
            button.setChecked(chosen)
            # Some styles hardly show which of two buttons is pressed.
            button.setText(_("\u2713 {name}").format(name=name) if chosen else name)

    def mark_all(self) -> None:
        """Mark every cell with the chosen brush."""
        self._change(lambda marks: marks.mark_all(self._viewer.brush))

    def clear(self) -> None:
        """Take all marks off."""
        self._change(Marks.clear)

    def invert(self) -> None:
        """Swap marked and unmarked cells."""
        self._change(lambda marks: marks.invert(self._viewer.brush))

    def undo(self) -> None:
        """Take back the last change."""
        self._change(Marks.undo)

    def redo(self) -> None:
        """Do it again."""
        self._change(Marks.redo)

    def refresh(self) -> None:
        """After the marks, or the case, changed."""
        ui, marks = self._ui, self._marks
        if marks is None:
            return
        show_text(ui.marks_label, marked(len(marks.cells), len(marks.misleading)))
        ui.undo_button.setEnabled(marks.can_undo)
        ui.redo_button.setEnabled(marks.can_redo)
        ui.none_button.setEnabled(any(marks.values))

    def refresh_cell(self) -> None:
        """After the pointer or the cursor moved to another cell."""
        opened, cell = self._review.case, self._viewer.cell
        if opened is None or cell is None:
            self._ui.hover_label.setText("")
            return
        mark = opened.marks.values[cell]
        what = {MATTERS: _("matters, "), MISLED: _("misled, ")}.get(mark, "")
        top, bottom, left, right = opened.grid.box(cell)
        heat = float(opened.heat_map[top:bottom, left:right].mean())
        self._ui.hover_label.setText(
            _("{cell}: {mark}heat {percent}").format(cell=opened.grid.name(cell), mark=what, percent=percent(heat))
        )

    def _change(self, change: Callable[[Marks], Any]) -> None:
        if self._marks is not None and self._in_sight():
            change(self._marks)

    @property
    def _marks(self) -> Marks | None:
        return None if self._review.case is None else self._review.case.marks
