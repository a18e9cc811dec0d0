"""What the round's answers taught: the sentences, the images in which something was found, and what she says to it."""

from __future__ import annotations

from typing import Any, Callable

from ..grid import MISLED
from ..i18n import _
from ..insightrecords import Find
from ..insightwords import cell_facts, find_facts, find_row, title, told, waiting
from ..review import CONNECTED, Review
from ..viewer import Viewer
from ..wording import APPROVAL
from .cellspanel import CellsPanel
from .tables import MAX_ROWS, TextTable
from .widgets import on, put_text, show_text


class InsightPanel:
    """Shows the page while there is no case on the screen, and sends vetoes and corrections.

    Args:
        in_sight: whether the reader sees the image; if not, it says so. Nothing is corrected unseen.
    """

    def __init__(self, ui: Any, review: Review, viewer: Viewer, in_sight: Callable[[], bool]) -> None:
        self._ui, self._review, self._viewer, self._in_sight = ui, review, viewer, in_sight
        self._objection = ""
        self._asked = False
        titles = {_("Image"): 10, _("Label"): 7, _("Sure"): 8, _("Influence"): 10, _("State"): 10}
        self._table = TextTable(ui.finds_table, titles, 0, (2, 3))
        self.cells = CellsPanel(ui, review, viewer, self._try)
        ui.find_hover_label.setMinimumHeight(ui.find_hover_label.fontMetrics().height())
        on(ui.finds_table.itemSelectionChanged, self._choose)
        on(ui.another_button.clicked, review.insight.show_another)
        on(ui.clear_find_button.clicked, self.clear)
        on(ui.veto_button.clicked, self.veto)
        on(ui.correct_button.clicked, self.correct)
        on(ui.restore_button.clicked, self.restore)
        on(ui.go_on_button.clicked, self._go_on)
        on(ui.reopen_button.clicked, lambda: self._train({"reopen": True}))

    @property
    def shown(self) -> bool:
        """Whether the page is in the place of a case."""
        return self._review.case is None and self._review.insight.insight is not None

    @property
    def painting(self) -> bool:
        """Whether an image is open in which she may say where it is."""
        opened = self._review.insight.opened
        return self._review.case is None and opened is not None and opened.paintable

    # -- what she says -----------------------------------------------------------------------------------------------

    def veto(self) -> None:
        """Nothing is there."""
        self._say(self._review.insight.veto)

    def correct(self) -> None:
        """It's in the marked cells."""
        self._say(self._review.insight.correct)

    def restore(self) -> None:
        """As it was found."""
        self._say(self._review.insight.restore)

    def clear(self) -> None:
        """Take all marks off."""
        self._change(lambda marks: marks.clear())

    def actions(self) -> dict[str, Callable[[], Any]]:
        """What the keys do here, by their names."""
        insight, viewer = self._review.insight, self._viewer
        return {
            "exclude": self.veto,
            "relabel": self.restore,
            "next": lambda: insight.step(1),
            "previous": lambda: insight.step(-1),
            "up": lambda: self._in_sight() and viewer.move_cursor(-1, 0),
            "down": lambda: self._in_sight() and viewer.move_cursor(1, 0),
            "left": lambda: self._in_sight() and viewer.move_cursor(0, -1),
            "right": lambda: self._in_sight() and viewer.move_cursor(0, 1),
            "toggle": lambda: self._in_sight() and viewer.toggle_cursor(),
            "none": self.clear,
            "undo": lambda: self._change(lambda marks: marks.undo()),
            "redo": lambda: self._change(lambda marks: marks.redo()),
        }

    # -- what is shown -----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """After what is known of it changed, or a case came or went."""
        ui, insight = self._ui, self._review.insight.insight
        ui.insight_box.setVisible(self.shown)
        self._viewer.set_swapped(() if insight is None or not self.shown else insight.swapped)
        if insight is None or not self.shown:
            return
        put_text(ui.insight_title, title(insight))
        put_text(ui.insight_label, told(insight))
        rows = self._review.insight.rows
        self._table.show([find_row(insight, row, self._review.reader) for row in rows[:MAX_ROWS]])
        hidden = len(rows) - MAX_ROWS
        more = _("The {shown} surest are listed, {hidden} more aren't.").format(shown=MAX_ROWS, hidden=hidden)
        show_text(ui.more_finds_label, more if hidden > 0 else "")
        for button in (ui.veto_button, ui.correct_button, ui.restore_button, ui.clear_find_button):
            button.setVisible(insight.looks and self._review.insight.open)
        ui.another_button.setVisible(self._review.insight.open)
        self.cells.refresh(insight, self._review.insight.open)
        self.refresh_find()
        self.refresh_answers()

    def refresh_find(self) -> None:
        """After another image came onto the screen, or its marks changed."""
        if not self.shown:
            return
        opened, insight = self._review.insight.opened, self._review.insight.insight
        names = [row.id for row in self._review.insight.rows[:MAX_ROWS]]
        image = "" if opened is None else opened.image
        self._table.select(names.index(image) if image in names else None)
        find = self._review.insight.row(image)
        if insight is None or find is None or opened is None:
            show_text(self._ui.find_label, "")
            self._show_buttons(None, 0)
            return
        if self.painting:
            self._viewer.brush = MISLED
        painted = len(opened.painted)
        show_text(self._ui.find_label, f"{image}\n{find_facts(insight, find, self._review.reader, painted)}")
        self._show_buttons(find, painted)

    def refresh_cell(self) -> None:
        """After the pointer or the cursor moved to another cell."""
        opened, insight, cell = self._review.insight.opened, self._review.insight.insight, self._viewer.cell
        there = self.shown and opened is not None and insight is not None and cell is not None
        self._ui.find_hover_label.setText(cell_facts(insight, cell, opened.grid.name(cell)) if there else "")

    def refresh_answers(self) -> None:
        """After a correction was sent or arrived, or training was asked for."""
        ui, insight = self._ui, self._review.insight
        show_text(ui.insight_said_label, self._objection or waiting(len(insight.pending)))
        status = self._review.status
        awaits = status is not None and status.state == APPROVAL
        free = not self._asked and not self._review.starting and self._review.connection == CONNECTED
        ui.go_on_button.setVisible(awaits)
        ui.reopen_button.setVisible(awaits)
        ui.go_on_button.setEnabled(awaits and free and not insight.pending)
        ui.reopen_button.setEnabled(awaits and free)

    def replied(self) -> None:
        """The server took, or refused, a request to train."""
        self._asked = False
        self.refresh_answers()

    def object(self, sentence: str) -> None:
        """Say why what she tried can't be done."""
        self._objection = sentence
        self.refresh_answers()

    # -- inner -------------------------------------------------------------------------------------------------------

    def _show_buttons(self, find: Find | None, painted: int) -> None:
        ui, there = self._ui, find is not None and self.painting
        ui.veto_button.setEnabled(there and find.found and not find.vetoed)
        ui.restore_button.setEnabled(there and (find.vetoed or find.corrected))
        ui.correct_button.setEnabled(there and painted > 0)
        ui.clear_find_button.setEnabled(painted > 0)

    def _choose(self) -> None:
        chosen, rows = self._table.selected, self._review.insight.rows
        if chosen and chosen[0] < len(rows):
            self._objection = ""
            self._review.insight.show(rows[chosen[0]].id)
            self.refresh_answers()

    def _say(self, send: Callable[[], None]) -> None:
        if self.painting and self._in_sight():
            self._try(send)
            self._viewer.focus()

    def _try(self, send: Callable[[], None]) -> None:
        """Send something, or say why that can't be."""
        self._objection = ""
        try:
            send()
        except ValueError as error:
            self._objection = str(error)
        self.refresh_answers()

    def _change(self, change: Callable[[Any], Any]) -> None:
        opened = self._review.insight.opened
        if opened is not None and self.painting and self._in_sight():
            change(opened.marks)

    def _go_on(self) -> None:
        unsent = self._review.insight.unsent
        if unsent:
            sentence = _("You marked cells in {names}, but didn't send them; do so, or clear them.")
            self.object(sentence.format(names=", ".join(unsent)))
            self._viewer.focus()
            return
        self._train({})

    def _train(self, request: dict[str, Any]) -> None:
        self._objection = ""
        self._asked = True
        self.refresh_answers()
        self._review.train(request)
