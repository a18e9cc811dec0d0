"""What all sections need: safe slots, labels that vanish when they're empty, combos, small tables."""

from __future__ import annotations

import html
import logging
from collections.abc import Sequence
from typing import Any, Callable

import qt

from ..casewords import breakable, unbroken
from ..i18n import _

_on_error: list[Callable[[str], None]] = []


def report_errors_to(callback: Callable[[str], None] | None) -> None:
    """Have unexpected errors of slots told by ``callback(sentence)``; None ends that."""
    _on_error[:] = [] if callback is None else [callback]


def guarded(function: Callable[[], Any]) -> Callable[[], None]:
    """A slot without arguments that never raises: an exception inside a slot could end Slicer."""

    def slot() -> None:
        try:
            function()
        except Exception as error:  # whatever it is, it's logged and told
            logging.exception("IMIL: unexpected error")
            for tell in _on_error:
                tell(
                    _("Something unexpected happened: {error}. Details are in Slicer's error log.").format(
                        error=str(error) or type(error).__name__
                    )
                )

    return slot


def on(signal: Any, function: Callable[[], Any]) -> None:
    """Connect a signal; its arguments are left out, because their number differs between Qt's overloads."""
    signal.connect(guarded(function))


def show_text(label: Any, text: str) -> None:
    """Set a label's text; an empty label takes no room, and a long word can be broken rather than widen the panel."""
    put_text(label, text)
    label.setVisible(bool(text))


def put_text(label: Any, text: str) -> None:
    """As `show_text`, for a label that keeps its room."""
    text = breakable(text)
    if label.text != text:
        label.setText(text)


def show_table(label: Any, rows: Sequence[Sequence[str]]) -> None:
    """Show `html_table`; an empty one takes no room."""
    text = html_table(rows)
    if label.text != text:
        label.setText(text)
    label.setVisible(bool(text))


def make_copyable(label: Any) -> None:
    """Offer the label's whole text for copying, without the places at which it may be broken.

    Text chosen with the mouse would take those along, and nobody sees them where it is pasted.
    """
    label.setTextInteractionFlags(qt.Qt.NoTextInteraction)
    action = qt.QAction(_("Copy"), label)
    on(action.triggered, lambda: qt.QApplication.clipboard().setText(unbroken(label.text)))
    label.addAction(action)
    label.setContextMenuPolicy(qt.Qt.ActionsContextMenu)


def tip(text: str) -> str:
    """A tooltip that breaks lines, and shows text from a server as it is."""
    return f"<qt>{html.escape(text)}</qt>" if text else ""


def fill(combo: Any, names: Sequence[str], chosen: str) -> None:
    """Replace a combo's entries without telling anybody; an unknown choice becomes the first entry."""
    names = list(names)
    combo.blockSignals(True)
    if [combo.itemText(index) for index in range(combo.count)] != names:
        combo.clear()
        combo.addItems(names)
    if names:
        combo.setCurrentIndex(names.index(chosen) if chosen in names else 0)
    combo.blockSignals(False)


def quietly(widget: Any, setter: Callable[[Any], Any], value: Any) -> None:
    """Set a widget's value without its signals."""
    widget.blockSignals(True)
    setter(value)
    widget.blockSignals(False)


def html_table(rows: Sequence[Sequence[str]]) -> str:
    """A table with a header row; numbers stand at the right. Empty for no rows."""
    if not rows:
        return ""
    lines = []
    for place, row in enumerate(rows):
        cells = []
        for column, text in enumerate(row):
            side = "left" if column == 0 else "right"
            tag = "th" if place == 0 or column == 0 else "td"
            weight = ' style="font-weight:normal"' if tag == "th" and place else ""
            cells.append(f'<{tag} align="{side}"{weight}>{html.escape(breakable(text))}</{tag}>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table cellspacing="0" cellpadding="2" width="100%">{"".join(lines)}</table>'


def icon(folder: str, name: str) -> Any:
    """An icon of the module."""
    return qt.QIcon(f"{folder}/{name}.svg")


def set_picture(label: Any, picture: Any) -> None:
    """Show an icon in a label, as large as the label's text is high."""
    side = max(16, label.fontMetrics().height())
    label.setPixmap(picture.pixmap(side, side))
