"""The open round before training goes on: another feedback mode for its answers, and more cases."""

from __future__ import annotations

from typing import Any, Callable

from ..guidance import needs_each_class, what_to_mark
from ..i18n import _
from ..review import Review
from ..settingsform import SettingsForm
from ..settingsgroups import GIVEN_ANEW
from ..training import Actions
from .settingswidgets import SettingsWidgets
from .widgets import on, show_text


class RoundPanel:
    """Offers what may be changed when a round is continued.

    Args:
        train: sends a request to train.
        on_change: called after somebody changed a value.
    """

    def __init__(
        self, ui: Any, review: Review, train: Callable[[dict[str, Any]], None], on_change: Callable[[], None]
    ) -> None:
        self._ui, self._review, self._on_change = ui, review, on_change
        self._form = SettingsForm({}, {})
        self._described: tuple[Any, ...] | None = None
        self._widgets = SettingsWidgets(ui.round_settings_box.layout(), self._changed, False)
        on(ui.more_button.clicked, lambda: train(self._more()))

    @property
    def changed(self) -> dict[str, Any]:
        """Settings that are to be other ones from now on, as a request to train takes them."""
        return self._form.changed

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each that can't be used."""
        return self._form.problems

    def refresh(self, can: Actions, free: bool) -> None:
        """After the run's state changed; ``free``: no request is under way."""
        self._ui.round_box.setVisible(can.more)
        self._ui.more_button.setEnabled(free)
        if can.more:
            self._describe()
            self._show()

    def _describe(self) -> None:
        """Build the form when the run, or what it goes on with, is another one."""
        info = self._review.info
        if info is None:
            return
        settings = {
            name: {**info.settings[name], "default": info.present.get(name, info.settings[name].get("default"))}
            for name in GIVEN_ANEW
            if name in info.settings
        }
        described = (info.status.run, info.status.round, settings)
        if described == self._described:
            return
        self._described = described
        self._form = SettingsForm(settings, {})
        self._widgets.build(self._form)

    def _changed(self) -> None:
        self._show()
        self._on_change()

    def _show(self) -> None:
        ui, mode = self._ui, self._mode()
        ui.round_button.setText(_("Feedback mode: {mode}").format(mode=mode))
        show_text(ui.round_hint_label, "\n".join((*self.problems, what_to_mark(mode))).strip())
        each = needs_each_class(mode)
        ui.more_hint_label.setText(_("the hardest of each class") if each else _("chosen as in this run"))

    def _mode(self) -> str:
        return str(self._form.values.get("feedback", ""))

    def _more(self) -> dict[str, Any]:
        request: dict[str, Any] = {"more_cases": int(self._ui.more_spin.value)}
        return {**request, "selection": "class_balanced"} if needs_each_class(self._mode()) else request
