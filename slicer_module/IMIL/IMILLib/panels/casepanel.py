"""The case on the screen: which it is, what is known, what the model says."""

from __future__ import annotations

from typing import Any, Callable

from ..casewords import how_made, percent, why_queued
from ..guidance import what_to_mark
from ..i18n import _
from ..review import CONNECTED, DISCONNECTED, OFFLINE, Review
from ..wording import AWAITING
from .probabilities import Probabilities
from .widgets import on, put_text, quietly, show_text, tip

CONNECTION, TRAINING = "connection", "training"
"""Where to go on without a case."""


class CasePanel:
    """Shows the facts of the open case, or why there is none and where to go on.

    Args:
        go_to: called with `CONNECTION` or `TRAINING` when the reader wants to go there.
    """

    def __init__(self, ui: Any, review: Review, go_to: Callable[[str], None]) -> None:
        self._ui, self._review, self._go_to = ui, review, go_to
        self._probabilities = Probabilities(ui)
        on(ui.previous_button.clicked, review.previous)
        on(ui.next_button.clicked, review.next)
        on(ui.pause_button.clicked, self._pause)
        on(ui.empty_button.clicked, lambda: self._go_to(self._way_on()))

    @property
    def paused(self) -> bool:
        return bool(self._ui.pause_button.checked)

    def toggle_pause(self) -> None:
        """Stop or start the clock."""
        self._ui.pause_button.setChecked(not self._ui.pause_button.checked)
        self._pause()

    def resume(self) -> None:
        """The reader works on."""
        if self.paused:
            self.toggle_pause()

    def refresh(self) -> None:
        """After another case, or none, came onto the screen."""
        ui, opened = self._ui, self._review.case
        ui.case_box.setVisible(opened is not None)
        quietly(ui.pause_button, ui.pause_button.setChecked, False)
        self._show_pause()
        self.refresh_empty()
        if opened is None:
            return
        case = opened.case
        ui.position_label.setText(_("Case {position} of {total}").format(position=case.position, total=case.total))
        put_text(ui.image_label, case.id)
        ui.image_label.setToolTip(tip(case.id))
        put_text(ui.truth_label, case.label)
        put_text(
            ui.prediction_label,
            _("{prediction}, {confidence}").format(prediction=case.prediction, confidence=percent(case.confidence)),
        )
        self._probabilities.show(case.classes, case.probabilities, case.label, case.prediction)
        put_text(ui.details_label, f"{why_queued(case)} {how_made(case)}".strip())
        self.refresh_guidance()
        self.refresh_steps()

    def refresh_guidance(self) -> None:
        """What the run's feedback mode needs; that may be another one now."""
        info = self._review.info
        show_text(self._ui.guidance_label, "" if info is None else what_to_mark(info.feedback))

    def refresh_empty(self) -> None:
        """Why there is no case, unless what there is to look at in its place says it all."""
        ui = self._ui
        ui.empty_box.setVisible(self._review.case is None and not self._review.insight.open)
        show_text(ui.empty_label, self._review.waiting)
        way = self._way_on()
        ui.empty_button.setVisible(bool(way))
        ui.empty_button.setText(_("Go to Training") if way == TRAINING else _("Go to Connection"))

    def refresh_steps(self) -> None:
        """Whether there is a case before and after this one."""
        opened, queue = self._review.case, self._review.queue
        if opened is None or queue is None:
            return
        here = opened.case.position
        places = [row.position for row in queue.rows if self._review.may_open(row)]
        self._ui.previous_button.setEnabled(any(place < here for place in places))
        self._ui.next_button.setEnabled(any(place > here for place in places))

    def _way_on(self) -> str:
        review = self._review
        if review.connection == DISCONNECTED:
            return CONNECTION
        status = review.status
        if review.connection not in (CONNECTED, OFFLINE) or status is None:
            return ""
        answered = status.state == AWAITING and status.reviewed >= status.queued
        return TRAINING if status.state != AWAITING or answered else ""

    def _pause(self) -> None:
        if self.paused:
            self._review.pause_case()
        else:
            self._review.resume_case()
        self._show_pause()

    def _show_pause(self) -> None:
        self._ui.pause_button.setText(_("Paused") if self.paused else _("Pause"))
