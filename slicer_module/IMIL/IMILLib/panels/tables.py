"""Small tables of texts: filled in place, so that a selection stays, and as narrow as the panel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import qt

from .widgets import tip

ROOM = 10
"""Pixels that a cell has around its text."""
MAX_ROWS = 1000
"""More rows than this aren't shown: nobody reads them, and each costs time."""


class TextTable:
    """Keeps a QTableWidget the same as rows of texts.

    Args:
        table: the widget.
        titles: of the columns, each with the number of letters that it has room for.
        stretched: the column that gets what is left.
        numbers: columns whose texts stand at the right.
    """

    def __init__(self, table: Any, titles: dict[str, int], stretched: int, numbers: Iterable[int]) -> None:
        self._table, self._numbers = table, frozenset(numbers)
        self._shown: list[tuple[str, ...]] = []
        names = list(titles)
        table.setColumnCount(len(names))
        table.setHorizontalHeaderLabels(names)
        for column, name in enumerate(names):
            table.horizontalHeaderItem(column).setToolTip(name)  # a narrow column cuts it
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + 8)
        table.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        header = table.horizontalHeader()
        header.setMinimumSectionSize(24)
        header.setTextElideMode(qt.Qt.ElideRight)
        letter = table.fontMetrics().averageCharWidth()
        for column, letters in enumerate(titles.values()):
            table.setColumnWidth(column, letters * letter + ROOM)
        header.setSectionResizeMode(stretched, qt.QHeaderView.Stretch)

    def show(self, rows: Sequence[tuple[str, ...]]) -> None:
        """Show these rows, `MAX_ROWS` at most; only what changed is touched, and nobody is told of a selection."""
        table, rows = self._table, rows[:MAX_ROWS]
        table.setUpdatesEnabled(False)
        table.blockSignals(True)
        table.setRowCount(len(rows))
        del self._shown[len(rows) :]
        for place, texts in enumerate(rows):
            self._fill(place, texts)
        table.blockSignals(False)
        table.setUpdatesEnabled(True)

    def select(self, place: int | None) -> None:
        """Choose a row, or none, without telling anybody."""
        table = self._table
        if place == (table.currentRow() if table.selectedItems() else None):
            return
        table.blockSignals(True)
        if place is None or place >= table.rowCount:
            table.clearSelection()
        else:
            table.selectRow(place)
        table.blockSignals(False)

    @property
    def selected(self) -> list[int]:
        """The chosen rows, from the top."""
        return sorted({item.row() for item in self._table.selectedItems()})

    def _fill(self, place: int, texts: tuple[str, ...]) -> None:
        if place == len(self._shown):
            self._shown.append(texts)
            for column, text in enumerate(texts):
                self._table.setItem(place, column, self._item(text, column))
            return
        before, self._shown[place] = self._shown[place], texts
        for column, (old, new) in enumerate(zip(before, texts)):
            if old != new:
                item = self._table.item(place, column)
                item.setText(new)
                item.setToolTip(tip(new))

    def _item(self, text: str, column: int) -> Any:
        item = qt.QTableWidgetItem(text)
        item.setToolTip(tip(text))
        if column in self._numbers:
            item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        return item
