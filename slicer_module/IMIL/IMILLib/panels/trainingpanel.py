"""Start, continue, stop and watch training."""

from __future__ import annotations

from typing import Any, Callable

from ..i18n import _
from ..plots import TrainingPlot
from ..records import RunStatus
from ..review import CONNECTED, Review
from ..settingsform import SettingsForm
from ..training import actions, compare, metric_table, progress
from ..wording import AWAITING, state_in_words
from .roundpanel import RoundPanel
from .settingswidgets import SettingsWidgets
from .widgets import fill, on, quietly, show_table, show_text


class TrainingPanel:
    """Shows how training goes, and asks the server for more of it.

    Args:
        plot: of the run's history.
        on_plot: called after the plot appeared or went away.
    """

    def __init__(self, ui: Any, review: Review, plot: TrainingPlot, on_plot: Callable[[], None]) -> None:
        self._ui, self._review, self._plot, self._on_plot = ui, review, plot, on_plot
        self._form = SettingsForm({}, {})
        self._described: tuple[Any, Any] | None = None
        self._widgets = SettingsWidgets(ui.settings_box.layout(), self._changed)
        self._asked = False
        self._round = RoundPanel(ui, review, self._train, self._changed)
        on(ui.preset_combo.currentIndexChanged, self._choose_preset)
        on(ui.reset_button.clicked, self._reset)
        on(ui.start_button.clicked, self._start)
        on(ui.new_run_confirm_button.clicked, self._start_new)
        on(ui.new_run_cancel_button.clicked, lambda: self._ask_new(False))
        on(ui.continue_button.clicked, self._continue)
        on(ui.early_button.clicked, lambda: self._ask_early(ui.early_button.checked))
        on(ui.early_confirm_button.clicked, lambda: self._train({"continue_early": True, **self._round.changed}))
        on(ui.early_cancel_button.clicked, lambda: self._ask_early(False))
        on(ui.back_button.clicked, lambda: self._train({"reopen": True}))
        on(ui.stop_button.clicked, self._stop)
        on(ui.plot_button.clicked, self._toggle_plot)
        self._ask_early(False)
        self._ask_new(False)

    def refresh(self) -> None:
        """After the run's state, or the connection, changed."""
        review, status = self._review, self._review.status
        self._describe()
        self._show_buttons(status)
        self._show_state(status)
        show_table(self._ui.metrics_label, [] if status is None else metric_table(status.metrics))
        self.refresh_comparison()
        history = () if review.info is None else review.info.history
        self._ui.plot_button.setEnabled(bool(history))
        if self._ui.plot_button.checked:
            self._show_plot()

    def refresh_comparison(self) -> None:
        """The table before and after, once the run is completed."""
        info, queue = self._review.info, self._review.queue
        table: list[list[str]] = []
        if info is not None and info.status.state == "completed":
            found = compare(info.history, info.scores, 0 if queue is None else queue.epoch)
            table = [] if found is None else found.table()
        show_table(self._ui.comparison_label, table)

    def replied(self) -> None:
        """The server took, or refused, a request."""
        self._asked = False
        self.refresh()

    def hide_plot(self) -> None:
        """Take the plot off the screen."""
        self._ui.plot_button.setChecked(False)
        self._ui.plot_button.setText(_("Show plot"))
        if self._plot.shown:
            self._plot.remove()
            self._on_plot()

    @property
    def _under_way(self) -> bool:
        return self._asked or self._review.starting

    # -- what is shown -----------------------------------------------------------------------------------------------

    def _describe(self) -> None:
        """Build the form when a server is there, or describes other settings than the last one."""
        info = self._review.info
        if info is None or self._described == (info.settings, info.presets):
            return
        self._described = (info.settings, info.presets)
        self._form = SettingsForm(info.settings, info.presets)
        fill(self._ui.preset_combo, self._form.presets, self._form.preset)
        self._widgets.build(self._form)
        self._show_differences()

    def _show_buttons(self, status: RunStatus | None) -> None:
        ui = self._ui
        queue = self._review.queue
        can = actions(status, self._review.connection == CONNECTED, 0 if queue is None else queue.epoch)
        free, begun = not self._under_way, status is not None and status.run is not None
        self._round.refresh(can, free)
        for button in (ui.continue_button, ui.early_button, ui.stop_button, ui.plot_button):
            button.setVisible(begun)
        ui.back_button.setVisible(can.reopen)
        ui.back_button.setEnabled(free)
        ui.continue_button.setEnabled(can.resume and free and not (can.more and self._round.problems))
        ui.early_button.setEnabled(can.early and free and not self._round.problems)
        ui.stop_button.setEnabled(can.stop and free)
        ui.start_button.setEnabled(can.start and free and not self._form.problems)
        if not can.early:
            self._ask_early(False)
        if not can.start:
            self._ask_new(False)
        if status is not None and status.run is None and free:
            ui.settings_button.setProperty("collapsed", False)

    def _show_state(self, status: RunStatus | None) -> None:
        ui = self._ui
        begun = status is not None and status.run is not None
        ui.training_bar.setVisible(begun)
        ui.time_left_label.setVisible(begun)
        if status is None:
            show_text(ui.training_label, _("Connect to a server to train."))
            return
        if self._under_way:
            show_text(ui.training_label, _("Asking the server; training takes a few seconds to begin."))
        elif begun:
            words = _("Run {run}: {state}.").format(run=status.run, state=state_in_words(status))
            show_text(ui.training_label, f"{words} {status.message}".strip())
        else:
            show_text(ui.training_label, _("There is no run yet. Choose settings below and start one."))
        if not begun:
            return
        ui.training_bar.setRange(0, max(1, status.epochs))
        ui.training_bar.setValue(status.epoch)
        ui.training_bar.setFormat("%p %")
        ui.time_left_label.setText(progress(status))

    def _show_differences(self) -> None:
        show_text(self._ui.differences_label, "\n".join((*self._form.problems, self._form.differences)).strip())

    # -- what is asked -----------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        self._show_differences()
        self._show_buttons(self._review.status)

    def _choose_preset(self) -> None:
        self._form.choose(self._ui.preset_combo.currentText)
        self._widgets.refresh()
        self._changed()

    def _reset(self) -> None:
        self._form.reset()
        self._widgets.refresh()
        self._changed()

    def _continue(self) -> None:
        status = self._review.status
        awaiting = status is not None and status.state == AWAITING
        self._train(self._round.changed if awaiting else {})

    def _start(self) -> None:
        status = self._review.status
        if status is None or status.run is None:
            self._start_run(self._form.request())
        elif status.state == "completed":
            self._start_new()
        else:
            self._ask_new(True)

    def _start_new(self) -> None:
        self._start_run({**self._form.request(), "new_run": True})

    def _start_run(self, request: dict[str, Any]) -> None:
        self._train(request)
        # The button goes away under the hand: what matters now is above it.
        self._ui.settings_button.setProperty("collapsed", True)
        self._ui.tabs.setFocus()

    def _train(self, request: dict[str, Any]) -> None:
        self._ask_early(False)
        self._ask_new(False)
        self._asked = True
        self.refresh()
        self._review.train(request)

    def _stop(self) -> None:
        self._asked = True
        self.refresh()
        self._review.stop_training()

    def _ask_early(self, wanted: bool) -> None:
        ui, status = self._ui, self._review.status
        quietly(ui.early_button, ui.early_button.setChecked, wanted)
        ui.early_box.setVisible(wanted)
        if wanted and status is not None:
            ui.early_label.setText(
                _(
                    "{left} of {total} cases are unanswered; they train on as they were, and the round is closed."
                ).format(left=status.queued - status.reviewed, total=status.queued)
            )
            ui.early_confirm_button.setFocus()

    def _ask_new(self, wanted: bool) -> None:
        ui, status = self._ui, self._review.status
        ui.new_run_box.setVisible(wanted)
        if wanted and status is not None:
            ui.new_run_label.setText(
                _("Run {run} ends here: it stays in the study, but can't be continued afterwards.").format(
                    run=status.run
                )
            )
            ui.new_run_confirm_button.setFocus()

    # -- plot --------------------------------------------------------------------------------------------------------

    def _toggle_plot(self) -> None:
        if self._ui.plot_button.checked:
            self._show_plot()
        else:
            self.hide_plot()

    def _show_plot(self) -> None:
        info, status = self._review.info, self._review.status
        if info is not None and status is not None and info.history:
            first = not self._plot.shown
            title = _("Run {run}").format(run=status.run)
            beside = self._review.case is not None or self._review.insight.opened is not None
            self._plot.show(info.history, title, beside)
            self._ui.plot_button.setText(_("Hide plot"))
            if first:
                self._on_plot()
