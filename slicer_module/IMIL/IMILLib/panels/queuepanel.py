"""The table of all cases of the round."""

from __future__ import annotations

from typing import Any, Callable

import qt

from ..casewords import row_reader, row_state, short_percent, whose
from ..i18n import _
from ..records import Queue, QueueRow
from ..review import Review
from .widgets import fill, on, put_text, tip

ALL, MINE, OPEN, DONE = range(4)
POSITION, _STATE, IMAGE, _LABEL, _PREDICTION, CONFIDENCE, _READER = range(7)
ROOM = 10
"""Pixels that a cell has around its text."""


class QueuePanel:
    """Shows the queue, filtered; opens cases.

    A refresh touches only what changed, so that a selection stays, and hundreds of rows cost nothing.

    Args:
        on_open: called after a case was opened from the table.
    """

    def __init__(self, ui: Any, review: Review, on_open: Callable[[], None]) -> None:
        self._ui, self._review, self._on_open = ui, review, on_open
        self._table = ui.queue_table
        self._refused = ""
        """The chosen case, if the reader tried to open it and may not."""
        self._shown: list[tuple[str, ...]] = []
        self._prepare()
        fill(ui.filter_combo, [_("All"), _("Mine"), _("Open"), _("Done")], "")
        on(ui.filter_combo.currentIndexChanged, self.refresh)
        on(ui.refresh_button.clicked, review.refresh)
        on(ui.open_button.clicked, self.open_selected)
        on(self._table.cellDoubleClicked, self.open_selected)
        on(self._table.itemSelectionChanged, self._selection_changed)

    def open_selected(self) -> None:
        """Open the case of the chosen row, if the reader may."""
        row = self._selected()
        if row is None:
            return
        if self._review.may_open(row):
            self._review.open(row.id)
            self._on_open()
        else:
            self._refused = row.id
            self._selection_changed()

    def refresh(self) -> None:
        """After the queue, the filter or the reader changed."""
        queue = self._review.queue
        rows = () if queue is None else queue.rows
        table = self._table
        table.setUpdatesEnabled(False)
        table.blockSignals(True)
        table.setRowCount(len(rows))
        del self._shown[len(rows) :]
        for place, row in enumerate(rows):
            self._fill(place, row)
            table.setRowHidden(place, not self._passes(row))
        table.blockSignals(False)
        table.setUpdatesEnabled(True)
        self._selection_changed()

    def choose_open_case(self) -> None:
        """Choose the row of the case on the screen, if no other one is chosen."""
        opened, queue = self._review.case, self._review.queue
        if opened is None or queue is None or self._table.selectedItems():
            return
        for place, row in enumerate(queue.rows):
            if row.id == opened.case.id:
                self._table.selectRow(place)

    def _fill(self, place: int, row: QueueRow) -> None:
        reader, here = self._review.reader, self._is_here(row)
        texts = (
            str(row.position),
            _("on screen") if here else row_state(row, reader),
            row.id,
            row.label,
            row.prediction,
            short_percent(row.confidence),
            row_reader(row) or (reader if here else ""),
        )
        if place == len(self._shown):
            self._shown.append(texts)
            for column, text in enumerate(texts):
                self._table.setItem(place, column, _item(text, column in (0, 5)))
            return
        before, self._shown[place] = self._shown[place], texts
        for column, (old, new) in enumerate(zip(before, texts)):
            if old != new:
                item = self._table.item(place, column)
                item.setText(new)
                item.setToolTip(tip(new))

    def _is_here(self, row: QueueRow) -> bool:
        """Whether it's the case on the screen, and this reader hasn't answered it."""
        opened = self._review.case
        return opened is not None and opened.case.id == row.id and not row.mine

    def _passes(self, row: QueueRow) -> bool:
        chosen = self._ui.filter_combo.currentIndex
        if chosen == MINE:
            return row.mine or self._is_here(row) or bool(row.holder and row.holder == self._review.reader)
        if chosen == OPEN:
            return row.state != "done" and not row.mine
        return chosen != DONE or row.state == "done" or row.mine

    def _selected(self) -> QueueRow | None:
        queue, place = self._review.queue, self._table.currentRow()
        if queue is None or not self._table.selectedItems() or not 0 <= place < len(queue.rows):
            return None
        if self._table.isRowHidden(place):
            return None
        return queue.rows[place]

    def _selection_changed(self) -> None:
        row = self._selected()
        if row is None or row.id != self._refused or self._review.may_open(row):
            self._refused = ""
        put_text(self._ui.queue_label, whose(row) if self._refused else _summary(self._review.queue))
        self._ui.open_button.setEnabled(row is not None and self._review.may_open(row))

    def _prepare(self) -> None:
        table = self._table
        titles = (_("#"), _("State"), _("Image"), _("True label"), _("Prediction"), _("Conf."), _("Reader"))
        table.setColumnCount(len(titles))
        table.setHorizontalHeaderLabels(list(titles))
        for column, title in enumerate(titles):
            table.horizontalHeaderItem(column).setToolTip(title)  # a narrow column cuts it
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + 8)
        header = table.horizontalHeader()
        header.setMinimumSectionSize(24)
        header.setTextElideMode(qt.Qt.ElideRight)
        table.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        # Sizes by content would be worked out anew for each of hundreds of rows. Numbers need what they need; the
        # other columns share the rest, elided where it is too little, and the tooltips have it all.
        metrics, letter = table.fontMetrics(), table.fontMetrics().averageCharWidth()
        widest = {
            POSITION: metrics.boundingRect("000").width() + ROOM,
            CONFIDENCE: max(metrics.boundingRect(text).width() for text in (titles[CONFIDENCE], "100 %")) + ROOM + 4,
        }
        for column, letters in enumerate((3, 10, 8, 7, 7, 6, 7)):
            table.setColumnWidth(column, widest.get(column, letters * letter + ROOM))
        header.setSectionResizeMode(IMAGE, qt.QHeaderView.Stretch)


def _item(text: str, number: bool) -> Any:
    item = qt.QTableWidgetItem(text)
    item.setToolTip(tip(text))
    if number:
        item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
    return item


def _summary(queue: Queue | None) -> str:
    if queue is None or not queue.rows:
        return _("No cases yet")
    done = sum(1 for row in queue.rows if row.state == "done")
    return _("{done} of {total} answered").format(done=done, total=len(queue.rows))
