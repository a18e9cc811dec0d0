"""Connecting: what is said, what is remembered, and what is not."""

from pathlib import Path

import pytest

from imil.store import Action
from imil.study import Study
from slicer_host.panelfixtures import MODULE, Desk, answers
from tests.monailabel_app.server_process import Server
from tests.slicer_module.bad_server import BadServer


def test_first_use_says_what_to_do_and_begins_at_the_address(desk: Desk) -> None:
    import qt

    assert desk.ui.hint_label.text.startswith("To begin, start a server")
    assert qt.QApplication.focusWidget() == desk.ui.url_edit
    assert desk.ui.status_label.text == "Not connected"


def test_testing_says_what_is_there_without_connecting(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    ui = desk.ui
    ui.url_edit.setText(panel_server.url)
    desk.host.click(ui.test_button)
    desk.host.wait_until(lambda: "IMIL" in ui.result_label.text, 20)
    assert "with the study study" in ui.result_label.text
    assert "epoch 2 of 4" in ui.result_label.text
    assert desk.review.connection == "disconnected"
    assert ui.test_button.enabled


def test_testing_nothing_says_so(desk: Desk) -> None:
    desk.ui.url_edit.setText("http://127.0.0.1:9")
    desk.host.click(desk.ui.test_button)
    desk.host.wait_until(lambda: "127.0.0.1:9" in desk.ui.result_label.text, 20)
    assert desk.ui.result_label.text.startswith("Nothing answers at http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("url", "reader", "said", "focus"),
    [
        ("http://127.0.0.1:1", " ", "Enter your name first", "reader_edit"),
        ("ftp://somewhere", "Ada", "ftp", "url_edit"),
    ],
)
def test_what_cannot_be_used_is_said_beside_it(desk: Desk, url: str, reader: str, said: str, focus: str) -> None:
    import qt

    ui = desk.ui
    ui.url_edit.setText(url)
    ui.reader_edit.setText(reader)
    desk.host.click(ui.connect_button)
    assert said in ui.result_label.text
    assert qt.QApplication.focusWidget() == getattr(ui, focus)
    assert desk.review.connection == "disconnected"


def test_a_connection_that_fails_says_why(desk: Desk) -> None:
    ui = desk.ui
    ui.url_edit.setText("http://127.0.0.1:9")
    ui.reader_edit.setText("Ada")
    desk.host.click(ui.connect_button)
    desk.host.wait_until(lambda: ui.problem_frame.visible, 20)
    assert ui.problem_label.text.startswith("Nothing answers at http://127.0.0.1:9")
    assert not ui.problem_retry_button.visible
    desk.host.click(ui.problem_dismiss_button)
    assert not ui.problem_frame.visible
    assert ui.connect_button.enabled


def test_disconnecting_gives_everything_back(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    ui = desk.ui
    desk.keys("Alt+4")
    assert not ui.url_edit.enabled
    desk.host.click(ui.disconnect_button)
    desk.settle()
    assert ui.url_edit.enabled
    assert ui.connect_button.visible
    assert ui.empty_label.text == "Connect to a server first."
    from IMILLib.client import Client

    assert {row.holder for row in Client(panel_server.url, "Bo").queue().rows} == {""}


def test_the_token_is_forgotten_unless_asked_for(host, desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.ui.token_edit.setText("secret")
    desk.connect(panel_server.url)
    kept = host.app.settings()
    kept.sync()
    assert "secret" not in Path(kept.fileName()).read_text(encoding="utf-8")
    host.unload("IMIL")
    host.load_module(MODULE)
    again = Desk(host)
    assert (again.ui.token_edit.text, again.ui.remember_check.checked) == ("", False)
    assert again.ui.reader_edit.text == "Ada"
    again.ui.token_edit.setText("secret")
    host.click(again.ui.remember_check, (8, 8))
    again.connect(panel_server.url)
    host.unload("IMIL")
    host.load_module(MODULE)
    third = Desk(host)
    assert (third.ui.token_edit.text, third.ui.remember_check.checked) == ("secret", True)
    host.click(third.ui.remember_check, (8, 8))
    kept.sync()
    assert "secret" not in Path(kept.fileName()).read_text(encoding="utf-8")


def test_a_remembered_token_is_for_its_own_address(host, desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.ui.token_edit.setText("secret")
    host.click(desk.ui.remember_check, (8, 8))
    desk.connect(panel_server.url)
    host.unload("IMIL")
    host.load_module(MODULE)
    ui = Desk(host).ui
    assert ui.token_edit.text == "secret"
    ui.url_edit.setText("http://elsewhere:8000")
    assert ui.token_edit.text == ""
    ui.url_edit.setText(panel_server.url + "/")
    assert ui.token_edit.text == "secret"
    ui.url_edit.setText("")
    ui.token_edit.setText("another")
    ui.url_edit.setText("http://elsewhere:8000")
    assert ui.token_edit.text == "another"


def test_cases_fetched_ahead_are_as_many_as_asked_for(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.ui.ahead_spin.setValue(0)
    desk.connect(panel_server.url)
    assert desk.review.ahead == 0
    rows = desk.review.queue.rows
    assert sum(1 for row in rows if row.holder == "Ada") <= 1


def test_a_dead_server_is_told_and_answers_wait_in_sight(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    with BadServer(panel_server.url) as proxy:
        desk.connect(proxy.url)
        ui = desk.ui
        desk.keys("A", "Return")
        desk.settle()
        assert ui.receipt_label.text.startswith("Saved;")
        proxy.mode = "drop"
        desk.keys("A", "Return")
        desk.host.wait_until(lambda: desk.review.connection == "offline", 30)
        assert ui.status_label.text == "No answer from the server; trying again. Nothing is lost."
        desk.host.idle(0.1)
        assert ui.status_label.height < 2 * ui.status_label.fontMetrics().lineSpacing()
        assert ui.pending_label.text == "1 answer waits to be sent."
        assert not ui.receipt_label.visible
        proxy.mode = "pass"
        desk.host.click(ui.send_now_button)
        desk.host.wait_until(lambda: not desk.review.pending, 30)
        assert not ui.pending_box.visible
        assert ui.receipt_label.text.startswith("Saved;")


def test_a_refused_answer_can_be_decided_on(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    """Somebody else's answer under the same name, from another machine, came first."""
    desk.connect(panel_server.url)
    ui, opened = desk.ui, desk.review.case
    case = {"id": opened.case.id, "run": opened.case.run, "round": 1}
    assert panel_server.put_label(case, "Ada", action="skip").ok
    desk.keys("A", "Return")
    desk.host.wait_until(lambda: ui.problem_frame.visible, 30)
    assert ui.problem_label.text.startswith(f"You have answered {opened.case.id} before, from elsewhere.")
    assert (ui.problem_replace_button.visible, ui.problem_discard_button.visible) == (True, True)
    assert ui.problem_dismiss_button.text == "Later"
    desk.host.click(ui.problem_dismiss_button)
    assert ui.pending_label.text == "1 answer was refused."
    desk.host.click(ui.decide_button)
    desk.host.click(ui.problem_replace_button)
    desk.host.wait_until(lambda: not desk.review.pending, 30)
    assert not ui.problem_frame.visible
    assert [event.action for event in answers(panel_study)] == [Action.SKIP, Action.GRID]
