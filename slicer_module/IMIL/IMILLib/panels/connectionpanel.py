"""Where the server is and who reads."""

from __future__ import annotations

from typing import Any

from ..i18n import _
from ..preferences import Preferences
from ..review import CONNECTED, CONNECTING, DISCONNECTED, OFFLINE, Review
from ..wording import describe
from .widgets import icon, on, quietly, set_picture, show_text


class ConnectionPanel:
    """Address, name and token; connects, disconnects and tests."""

    def __init__(self, ui: Any, review: Review, preferences: Preferences, icons: str) -> None:
        self._ui, self._review, self._preferences, self._icons = ui, review, preferences, icons
        self._result: tuple[bool, str] | None = None
        ui.url_edit.setText(preferences.url)
        ui.reader_edit.setText(preferences.reader)
        ui.token_edit.setText(preferences.token)
        ui.remember_check.setChecked(preferences.remember_token)
        quietly(ui.ahead_spin, ui.ahead_spin.setValue, preferences.ahead)
        on(ui.url_edit.textChanged, self._address_changed)
        on(ui.connect_button.clicked, self.connect)
        on(ui.disconnect_button.clicked, review.disconnect)
        on(ui.test_button.clicked, self.test)
        on(ui.ahead_spin.valueChanged, self._set_ahead)
        on(ui.remember_check.clicked, self._remember)
        review.ahead = preferences.ahead

    def connect(self) -> None:
        """Connect with what is in the fields; whatever prevents it is said beside them."""
        ui = self._ui
        if self._review.connection in (CONNECTED, CONNECTING):
            return
        self._say(None)
        try:
            self._review.connect(self._address(), ui.reader_edit.text, ui.token_edit.text)
        except ValueError as error:
            self._say((False, str(error)))
            (ui.url_edit if ui.reader_edit.text.strip() else ui.reader_edit).setFocus()

    def test(self) -> None:
        """Say what is at the address."""
        self._say((True, _("Asking.")))
        self._ui.test_button.setEnabled(False)
        self._review.test(self._address(), self._ui.token_edit.text, self._tested)

    def refresh(self) -> None:
        """After the connection or the run changed."""
        ui, state = self._ui, self._review.connection
        there = state in (CONNECTED, OFFLINE)
        for field in (ui.url_edit, ui.reader_edit, ui.token_edit):
            field.setEnabled(state == DISCONNECTED)
        ui.connect_button.setVisible(not there)
        ui.connect_button.setEnabled(state == DISCONNECTED)
        ui.connect_button.setText(_("Connecting") if state == CONNECTING else _("Connect"))
        ui.disconnect_button.setVisible(state != DISCONNECTED)
        ui.test_button.setVisible(state == DISCONNECTED)
        ui.test_button.setEnabled(True)
        show_text(ui.hint_label, self._hint())
        if state == CONNECTED:
            self._remember()
            self._say((True, describe(self._review.info)) if self._review.info is not None else None)
        elif state == CONNECTING:
            self._say(None)

    def _hint(self) -> str:
        status = self._review.status
        if self._review.connection == DISCONNECTED and not self._preferences.url:
            return _(
                "To begin, start a server with `imil serve STUDY` on the machine that has the images, enter the "
                "address that it prints, and your name."
            )
        if self._review.connection == CONNECTED and status is not None and status.run is None:
            return _("There is no run yet. Next: start one in the tab Training.")
        return ""

    def _address_changed(self) -> None:
        """A remembered token is for its own server only: no other one gets to see it."""
        ui, kept = self._ui, self._preferences
        if kept.token and ui.token_edit.text in ("", kept.token):
            ui.token_edit.setText(kept.token if _bare(self._address()) == _bare(kept.url) else "")

    def _address(self) -> str:
        return self._ui.url_edit.text.strip() or self._ui.url_edit.placeholderText

    def _tested(self, ok: bool, sentence: str) -> None:
        self._ui.test_button.setEnabled(True)
        self._say((ok, sentence))

    def _say(self, result: tuple[bool, str] | None) -> None:
        ok, sentence = result or (True, "")
        show_text(self._ui.result_label, sentence)
        self._ui.result_icon.setVisible(bool(sentence))
        set_picture(self._ui.result_icon, icon(self._icons, "state_ok" if ok else "state_warning"))

    def _remember(self) -> None:
        ui = self._ui
        if self._review.connection == CONNECTED:
            self._preferences.remember_connection(
                self._review.url, self._review.reader, ui.token_edit.text, ui.remember_check.checked
            )
        elif not ui.remember_check.checked:
            self._preferences.forget_token()

    def _set_ahead(self) -> None:
        self._review.ahead = self._preferences.ahead = self._ui.ahead_spin.value


def _bare(url: str) -> str:
    """An address as far as it matters to whether two are the same server's."""
    return url.lower().rstrip("/") if "://" in url else f"http://{url.lower()}".rstrip("/")
