"""The lines at the top: how things stand, and what went wrong."""

from __future__ import annotations

from typing import Any

from ..i18n import _
from ..problems import ANSWERED, DISCARD, REPLACE, RETRY, Problem
from ..records import Queue, RunStatus
from ..review import CONNECTED, CONNECTING, OFFLINE, Review
from ..wording import APPROVAL, AWAITING, state_in_words
from .widgets import icon, on, put_text, set_picture


class StatusPanel:
    """The status line, and the box for a `Problem` with what can be done about it."""

    def __init__(self, ui: Any, review: Review, icons: str) -> None:
        self._ui, self._review, self._icons = ui, review, icons
        self._unexpected = ""
        on(ui.problem_retry_button.clicked, lambda: self._resolve(RETRY))
        on(ui.problem_replace_button.clicked, lambda: self._resolve(REPLACE))
        on(ui.problem_discard_button.clicked, lambda: self._resolve(DISCARD))
        on(ui.problem_dismiss_button.clicked, self._dismiss)
        set_picture(ui.problem_icon, icon(icons, "state_warning"))

    def show_unexpected(self, sentence: str) -> None:
        """Tell of an error of the module itself."""
        self._unexpected = sentence
        self.refresh_problem()

    def refresh(self) -> None:
        """State of connection and run."""
        shape, text = self._state()
        set_picture(self._ui.status_icon, icon(self._icons, shape))
        put_text(self._ui.status_label, text)

    def refresh_problem(self) -> None:
        """The problem, if there is one."""
        ui = self._ui
        problem = Problem("unexpected", self._unexpected) if self._unexpected else self._review.problem
        ui.problem_frame.setVisible(problem is not None)
        if problem is None:
            return
        put_text(ui.problem_label, self._sentence(problem))
        ui.problem_retry_button.setVisible(RETRY in problem.choices)
        ui.problem_replace_button.setVisible(REPLACE in problem.choices)
        ui.problem_discard_button.setVisible(DISCARD in problem.choices)
        ui.problem_dismiss_button.setText(_("Later") if problem.choices else _("Dismiss"))

    def _sentence(self, problem: Problem) -> str:
        """What is told: the problem's own words, but a question where the server gives advice to programmers."""
        entry = next((entry for entry in self._review.pending if entry.answer.key == problem.key), None)
        if problem.kind != ANSWERED or entry is None:
            return problem.sentence
        return _(
            "You have answered {name} before, from elsewhere. Replace that answer by this one, or discard this one?"
        ).format(name=entry.answer.case_id)

    def _state(self) -> tuple[str, str]:
        review = self._review
        if review.connection == CONNECTING:
            return "state_busy", _("Connecting")
        if review.connection == OFFLINE:
            return "state_offline", _("No answer from the server; trying again. Nothing is lost.")
        status = review.status
        if review.connection != CONNECTED or status is None:
            return "state_off", _("Not connected")
        if status.run is None:
            return "state_ok", _("Connected as {reader}; there is no run yet").format(reader=review.reader)
        where = _("Run {run}: {state}, epoch {epoch} of {epochs}").format(
            run=status.run, state=state_in_words(status), epoch=status.epoch, epochs=status.epochs
        )
        if status.state == AWAITING:
            where = _("Run {run}: round {round}, {done} of {total} cases answered").format(
                run=status.run, round=status.round, done=_answered(status, review.queue), total=status.queued
            )
        if status.state == APPROVAL:
            where = _("Run {run}: look at what round {round} taught").format(run=status.run, round=status.round)
        return _shape(status.state, status.training), where

    def _resolve(self, choice: str) -> None:
        if self._review.problem is not None:
            self._review.resolve(self._review.problem.key, choice)

    def _dismiss(self) -> None:
        if self._unexpected:
            self._unexpected = ""
            self.refresh_problem()
        else:
            self._review.dismiss_problem()


def _answered(status: RunStatus, queue: Queue | None) -> int:
    """The queue knows of this reader's answers before the server's next status does."""
    if queue is None or (queue.run, queue.round) != (status.run, status.round):
        return status.reviewed
    return sum(1 for row in queue.rows if row.state == "done")


def _shape(state: str, training: bool) -> str:
    if state == "training":
        return "state_training" if training else "state_stopped"
    shapes = {AWAITING: "state_review", APPROVAL: "state_review", "completed": "state_ok", "failed": "state_warning"}
    return shapes.get(state, "state_ok")
