"""What each key does: with a case, with an image in which something was found, and in the tabs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Callable

import qt

from ..grid import MATTERS, MISLED
from ..review import Review
from ..viewer import Viewer

if TYPE_CHECKING:
    from .panel import Panel

REVIEW_TAB, QUEUE_TAB, TRAINING_TAB, CONNECTION_TAB = range(4)
_EVERYWHERE = ("submit", "blink", "back", "tab_review", "tab_queue", "tab_training", "tab_connection")
"""Keys that do the same with a case and with a find."""


class KeyActions:
    """Joins the keys to the panel's sections.

    Args:
        panel: has the sections; ``root`` is its widget, ``ui`` has the named widgets.
    """

    def __init__(self, panel: Panel, root: Any, ui: Any, review: Review, viewer: Viewer) -> None:
        self._panel, self._root, self._ui, self._review, self._viewer = panel, root, ui, review, viewer

    def by_name(self) -> dict[str, Callable[[], Any]]:
        """By the name of a key what it does."""
        of_case, of_find = self._with_a_case(), self._panel.insight.actions()

        def act(name: str) -> None:
            finds = name not in _EVERYWHERE and self._panel.insight.shown
            (of_find.get(name, _nothing) if finds else of_case[name])()

        return {name: partial(act, name) for name in of_case}

    def _with_a_case(self) -> dict[str, Callable[[], Any]]:
        panel, ui, viewer = self._panel, self._ui, self._viewer
        return {
            "submit": self._enter,
            "skip": panel.answer.skip,
            "relabel": panel.answer.ask_relabel,
            "exclude": panel.answer.ask_exclude,
            "next": self._review.next,
            "previous": self._review.previous,
            "up": lambda: panel.in_sight() and viewer.move_cursor(-1, 0),
            "down": lambda: panel.in_sight() and viewer.move_cursor(1, 0),
            "left": lambda: panel.in_sight() and viewer.move_cursor(0, -1),
            "right": lambda: panel.in_sight() and viewer.move_cursor(0, 1),
            "toggle": lambda: panel.in_sight() and viewer.toggle_cursor(),
            "matters": lambda: panel.marks.choose(MATTERS),
            "misled": lambda: panel.marks.choose(MISLED),
            "all": panel.marks.mark_all,
            "none": panel.marks.clear,
            "invert": panel.marks.invert,
            "undo": panel.marks.undo,
            "redo": panel.marks.redo,
            "blink": panel.display.blink,
            "preview": panel.display.toggle_preview,
            "reason": panel.answer.focus_reason,
            "pause": panel.case.toggle_pause,
            "back": self._back,
            "tab_review": panel.show_review,
            "tab_queue": lambda: self._to_tab(QUEUE_TAB, ui.queue_table),
            "tab_training": lambda: self._to_tab(TRAINING_TAB, ui.tabs),
            "tab_connection": lambda: self._to_tab(CONNECTION_TAB, ui.url_edit),
        }

    def _to_tab(self, index: int, widget: Any) -> None:
        self._ui.tabs.setCurrentIndex(index)
        widget.setFocus()

    def _back(self) -> None:
        self._panel.answer.close_questions()
        self._panel.display.preview(False)
        self._panel.bring_back()
        self._viewer.focus()

    def _enter(self) -> None:
        """Enter does what the widget with the keyboard says, else what the tab is for."""
        panel, ui, focus = self._panel, self._ui, qt.QApplication.focusWidget()
        if focus is not None and self._root.isAncestorOf(focus) and focus.inherits("QAbstractButton"):
            focus.click()
            return
        current = ui.tabs.currentIndex
        if current == CONNECTION_TAB:
            panel.connection.connect()
        elif current == QUEUE_TAB:
            panel.queue.open_selected()
        elif current == REVIEW_TAB and panel.insight.shown:
            panel.insight.correct()
        elif current == REVIEW_TAB and self._review.case is not None:
            if ui.relabel_button.checked:
                panel.answer.relabel()
            elif ui.exclude_button.checked:
                panel.answer.exclude()
            else:
                panel.answer.submit()


def _nothing() -> None:
    """What a key of cases does where there is a find."""
