"""The keys: one table of them all, active only while the module is on the screen."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Callable

import qt

from ..i18n import _
from .widgets import on

CELL, LETTER, EDIT, PAGE, GO, ESCAPE, TAB = "cell", "letter", "edit", "page", "go", "escape", "tab"
"""Groups of keys, by what else may want them: arrows and Space; letters and digits; undo; Page Up and Down; Enter;
Escape; what changes the tab."""
_TEXT = ("QLineEdit", "QTextEdit", "QPlainTextEdit", "QAbstractSpinBox")
LISTS = ("finds_table", "cells_table")
"""Tables beside an image that is worked on: letters are its keys, and don't search there."""
_CONTROLS = ("QAbstractButton", "QAbstractSlider", "QTabBar")


@dataclass(frozen=True)
class Key:
    """A key: its sequences as Qt writes them, the name of what it does, in words, and its group."""

    sequences: tuple[str, ...]
    name: str
    text: str
    group: str


def keys() -> tuple[Key, ...]:
    """All keys, in the order in which the help lists them."""
    return (
        Key(
            ("Return", "Enter"),
            "submit",
            _("Submit and go on (in the queue: open the chosen case; of a find: send the marks)"),
            GO,
        ),
        Key(("S",), "skip", _("Skip"), LETTER),
        Key(("R",), "relabel", _("Relabel (of a find: as it was found)"), LETTER),
        Key(("X",), "exclude", _("Exclude (of a find: nothing is there)"), LETTER),
        Key(("PgDown",), "next", _("Next case, or next image with a find"), PAGE),
        Key(("PgUp",), "previous", _("Previous case, or previous image"), PAGE),
        Key(("Up",), "up", _("Cell above"), CELL),
        Key(("Down",), "down", _("Cell below"), CELL),
        Key(("Left",), "left", _("Cell to the left"), CELL),
        Key(("Right",), "right", _("Cell to the right"), CELL),
        Key(("Space",), "toggle", _("Mark or unmark the cell"), CELL),
        Key(("1",), "matters", _("Brush: matters"), LETTER),
        Key(("2",), "misled", _("Brush: misled the model"), LETTER),
        Key(("A",), "all", _("Mark all cells"), LETTER),
        Key(("N",), "none", _("Mark none"), LETTER),
        Key(("I",), "invert", _("Invert the marks"), LETTER),
        Key(("Ctrl+Z",), "undo", _("Undo"), EDIT),
        Key(("Ctrl+Y", "Ctrl+Shift+Z"), "redo", _("Redo"), EDIT),
        Key(("B",), "blink", _("Heat map on and off"), LETTER),
        Key(("V",), "preview", _("As the model will see it, on and off"), LETTER),
        Key(("F",), "reason", _("Write the reason"), LETTER),
        Key(("P",), "pause", _("Pause"), LETTER),
        Key(("Esc",), "back", _("Back to the image"), ESCAPE),
        Key(("Alt+1",), "tab_review", _("Tab Review"), TAB),
        Key(("Alt+2",), "tab_queue", _("Tab Queue"), TAB),
        Key(("Alt+3",), "tab_training", _("Tab Training"), TAB),
        Key(("Alt+4",), "tab_connection", _("Tab Connection"), TAB),
    )


def as_html() -> str:
    """The keys as a table, for the panel and the module's help."""
    rows = "".join(
        f"<tr><td><b>{html.escape(_shown(key))}</b>&nbsp;&nbsp;</td><td>{html.escape(key.text)}</td></tr>"
        for key in keys()
    )
    return f'<table cellspacing="0" cellpadding="1">{rows}</table>'


class Shortcuts:
    """Makes the keys work, and leaves them to whatever has the keyboard where that needs them.

    Args:
        window: whose shortcuts they are: Slicer's main window.
        panel: the module's panel.
        actions: what to do, by the key's name.
        reviewing: whether a case or image can be worked on now: otherwise its keys do nothing.
    """

    def __init__(
        self, window: Any, panel: Any, actions: dict[str, Callable[[], None]], reviewing: Callable[[], bool]
    ) -> None:
        self._window, self._panel, self._actions, self._reviewing = window, panel, actions, reviewing
        self._made: list[tuple[Any, str]] = []

    def install(self) -> None:
        """Make them work."""
        if self._made:
            return
        for key in keys():
            for sequence in key.sequences:
                shortcut = qt.QShortcut(qt.QKeySequence(sequence), self._window)
                shortcut.setAutoRepeat(key.group in (CELL, EDIT))
                on(shortcut.activated, self._actions[key.name])
                self._made.append((shortcut, key.group))
        self.refresh()

    def remove(self) -> None:
        """Give all keys back."""
        for shortcut, _group in self._made:
            shortcut.setEnabled(False)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._made.clear()

    def refresh(self) -> None:
        """After the keyboard went to another widget, or something else changed that matters here."""
        if not self._made:
            return
        focus = qt.QApplication.focusWidget()
        kept = kept_by(focus, focus is not None and self._panel.isAncestorOf(focus))
        idle = () if self._reviewing() else (CELL, LETTER, EDIT, PAGE)
        for shortcut, group in self._made:
            shortcut.setEnabled(group not in kept and group not in idle)


def kept_by(focus: Any, inside: bool) -> frozenset[str]:
    """The groups of keys that a widget needs for itself.

    Args:
        focus: the widget that has the keyboard, or None.
        inside: whether it's in the module's panel, which handles Enter and Escape for its own widgets.
    """
    if focus is None:
        return frozenset()
    foreign = () if inside else (GO, ESCAPE)
    if _is(focus, _TEXT) or (_is(focus, ("QComboBox",)) and focus.editable):
        return frozenset((CELL, LETTER, EDIT, *foreign, *(() if inside else (PAGE,))))
    if _is(focus, ("QAbstractItemView",)):
        return frozenset((CELL, PAGE, *(() if focus.objectName in LISTS else (LETTER,)), *foreign))
    if _is(focus, ("QComboBox",)):
        return frozenset((CELL, LETTER, *foreign))
    return frozenset((CELL, *foreign)) if _is(focus, _CONTROLS) else frozenset()


def _is(widget: Any, classes: Iterable[str]) -> bool:
    return any(widget.inherits(name) for name in classes)


def _shown(key: Key) -> str:
    names = {"Return": _("Enter"), "Enter": "", "PgDown": _("Page Down"), "PgUp": _("Page Up"), "Esc": _("Esc")}
    return ", ".join(text for text in (names.get(sequence, sequence) for sequence in key.sequences) if text)
