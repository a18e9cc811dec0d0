"""The probabilities of all classes as bars with numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt

from ..casewords import percent, shortened
from ..i18n import _
from .widgets import tip

VISIBLE_ROWS = 6
"""With more classes the list scrolls."""
STEPS = 1000


class Probabilities:
    """Fills the scroll area ``ui.probabilities_area``; its rows are used again.

    The true and the predicted class come first, then the others, each most probable first: with many classes the
    rest has to be scrolled to.
    """

    def __init__(self, ui: Any) -> None:
        self._area, self._box, self._layout = ui.probabilities_area, ui.probabilities_box, ui.probabilities_box.layout()
        self._layout.setColumnStretch(1, 1)
        self._rows: list[tuple[Any, Any, Any]] = []

    def show(self, classes: Sequence[str], probabilities: Sequence[float], truth: str, prediction: str) -> None:
        """One row for each class; the true and the predicted one say so."""
        named = (truth, prediction)
        ranked = sorted(zip(classes, probabilities), key=lambda pair: (pair[0] not in named, -pair[1]))
        while len(self._rows) < len(ranked):
            self._add_row()
        for place, row in enumerate(self._rows):
            for widget in row:
                widget.setVisible(place < len(ranked))
        for (caption, bar, share), (name, probability) in zip(self._rows, ranked):
            caption.setText(shortened(name, 20) + _role(name, truth, prediction))
            caption.setToolTip(tip(name))
            bar.setValue(round(STEPS * probability))
            bar.setToolTip(tip(f"{name}: {percent(probability)}"))
            bar.setAccessibleName(name)
            bar.setAccessibleDescription(percent(probability))
            share.setText(percent(probability))
        self._fit(len(ranked))

    def _add_row(self) -> None:
        caption, bar, share = qt.QLabel(self._box), qt.QProgressBar(self._box), qt.QLabel(self._box)
        caption.setTextFormat(qt.Qt.PlainText)
        bar.setRange(0, STEPS)
        bar.setTextVisible(False)
        bar.setMinimumWidth(60)
        bar.setMaximumHeight(max(8, bar.fontMetrics().height() * 2 // 3))
        share.setAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        place = len(self._rows)
        for column, widget in enumerate((caption, bar, share)):
            self._layout.addWidget(widget, place, column)
        self._rows.append((caption, bar, share))

    def _fit(self, rows: int) -> None:
        """Make the area as high as its rows, up to the limit."""
        shown = self._rows[: min(rows, VISIBLE_ROWS)]
        spacing = self._layout.verticalSpacing()
        self._area.setFixedHeight(sum(caption.sizeHint.height() + spacing for caption, _bar, _share in shown) + 2)


def _role(name: str, truth: str, prediction: str) -> str:
    if name == truth == prediction:
        return _(" (true, predicted)")
    if name == truth:
        return _(" (true)")
    return _(" (predicted)") if name == prediction else ""
