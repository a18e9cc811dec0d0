"""The table of the grid's cells: where readers and model looked, and which are swapped between all images."""

from __future__ import annotations

from typing import Any, Callable

from ..i18n import _
from ..insightrecords import CellFacts, Insight
from ..insightwords import cell_row, cells_in_order
from ..review import Review
from ..viewer import Viewer
from .tables import TextTable
from .widgets import on


class CellsPanel:
    """Shows the cells and lets her veto that some are swapped.

    Args:
        attempt: calls what it's given and tells its ValueError.
    """

    def __init__(self, ui: Any, review: Review, viewer: Viewer, attempt: Callable[[Callable[[], None]], None]) -> None:
        self._ui, self._review, self._viewer, self._attempt = ui, review, viewer, attempt
        self._facts: list[CellFacts] = []
        self._insight: Insight | None = None
        titles = {
            _("Row"): 4, _("Col."): 4, _("Chosen"): 7, _("Misled"): 7, _("Heat"): 7, _("Influence"): 10, _("State"): 8,
        }  # fmt: skip
        self._table = TextTable(ui.cells_table, titles, 6, range(6))
        on(ui.cells_table.itemSelectionChanged, self._point)
        on(ui.veto_cells_button.clicked, lambda: self._attempt(lambda: review.insight.veto_cells(self._chosen())))
        on(ui.restore_cells_button.clicked, lambda: self._attempt(lambda: review.insight.restore_cells(self._chosen())))

    def refresh(self, insight: Insight, is_open: bool) -> None:
        """After what is known changed."""
        ui = self._ui
        planned = bool(insight.swapped or insight.vetoed)
        if self._insight is None or (self._insight.number, self._insight.round) != (insight.number, insight.round):
            ui.cells_button.setProperty("collapsed", not planned)  # once; afterwards it's as the reader has it
        self._insight = insight
        self._facts = cells_in_order(insight)
        self._table.show([cell_row(insight, facts) for facts in self._facts])
        for button in (ui.veto_cells_button, ui.restore_cells_button):
            button.setVisible(planned and is_open)
        self._show_buttons()

    def _chosen(self) -> list[int]:
        return [self._facts[place].cell for place in self._table.selected if place < len(self._facts)]

    def _point(self) -> None:
        """Frame the chosen cell in the image; of several the last one."""
        chosen = self._chosen()
        self._viewer.set_pointed(chosen[-1] if chosen else None)
        self._show_buttons()

    def _show_buttons(self) -> None:
        chosen, insight = set(self._chosen()), self._insight
        self._ui.veto_cells_button.setEnabled(insight is not None and not chosen.isdisjoint(insight.swapped))
        self._ui.restore_cells_button.setEnabled(insight is not None and not chosen.isdisjoint(insight.vetoed))
