"""What isn't the panel: a review from the Python console, with and without windows, and the module's own self-test."""

from pathlib import Path

import pytest

from imil.store import Action
from imil.study import Study
from slicer_host.panelfixtures import MODULE, QUEUED, Desk, answers
from tests.monailabel_app.server_process import Server


def test_five_lines_in_the_console_review_a_case(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    import slicer.util

    logic = slicer.util.getModuleLogic("IMIL")
    logic.connect(panel_server.url, reader="Ada")
    case = logic.next_case()
    logic.show(case)
    receipt = logic.submit(case, cells=[5, 6], rationale="It looked at the marker.")

    (event,) = answers(panel_study)
    assert (event.cells, event.rationale, event.id) == ((5, 6), "It looked at the marker.", receipt.event)
    assert (receipt.remaining, receipt.total) == (QUEUED - 1, QUEUED)
    # The panel shows the same session.
    desk.settle()
    assert desk.ui.receipt_label.text == f"Saved; {QUEUED - 1} left."
    assert logic.next_case().case.position == 2


def test_a_whole_round_from_the_console(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    logic = desk.logic
    logic.connect(panel_server.url, reader="Ada")
    positions = []
    while (case := logic.next_case()) is not None:
        positions.append(case.case.position)
        logic.submit(case, cells=[0], misleading=[1])
    assert positions == list(range(1, QUEUED + 1))
    assert logic.review.waiting.endswith("Continue training.")
    assert [event.misleading for event in answers(panel_study)] == [(1,)] * QUEUED


def test_console_errors_are_sentences(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    logic = desk.logic
    with pytest.raises(RuntimeError, match=r"Nothing answers at http://127\.0\.0\.1:9"):
        logic.connect("http://127.0.0.1:9", reader="Ada")
    with pytest.raises(ValueError, match="Enter your name first"):
        logic.connect(panel_server.url, reader="")
    logic.connect(panel_server.url, reader="Ada")
    case = logic.next_case()
    with pytest.raises(ValueError, match="Mark at least one cell"):
        logic.submit(case, cells=[])
    with pytest.raises(ValueError, match="Cell 16 doesn't exist"):
        logic.submit(case, cells=[16])
    wire = {"id": case.case.id, "run": case.case.run, "round": case.case.round}
    assert panel_server.put_label(wire, "Ada", action="skip").ok
    with pytest.raises(RuntimeError, match="answer"):
        logic.submit(case, cells=[3])
    assert [event.action for event in answers(panel_study)] == [Action.SKIP]


def test_the_logic_needs_no_window(
    host, panel_server: Server, panel_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `Slicer --no-main-window`: there is no layout manager, so no panel is made."""
    import qt
    import slicer

    monkeypatch.setattr(qt.QStandardPaths, "writableLocation", lambda _: str(tmp_path))
    monkeypatch.setattr(type(slicer.app), "layoutManager", lambda self: None)
    host.load_module(MODULE)
    logic = slicer.util.getModuleLogic("IMIL")
    logic.connect(panel_server.url, reader="Ada")
    case = logic.next_case()
    with pytest.raises(RuntimeError, match="without slice views"):
        logic.show(case)
    assert logic.submit(case, cells=[2]).remaining == QUEUED - 1
    monkeypatch.undo()


def test_the_modules_own_test_passes_and_leaves_no_answer(
    desk: Desk, panel_server: Server, panel_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer
    from IMILLib.preferences import Preferences

    Preferences().remember_connection("http://example.org", "Grace", "", False)
    monkeypatch.setenv("IMIL_TEST_SERVER", panel_server.url)
    slicer.selfTests["IMIL"](msec=1)
    events = answers(panel_study)
    assert [event.action for event in events] == [Action.GRID, Action.UNDO]
    assert {event.reader for event in events} == {"IMIL self-test"}
    assert desk.review.connection == "disconnected"
    kept = Preferences()
    assert (kept.url, kept.reader) == ("http://example.org", "Grace")
    run = panel_study.store.latest_run()
    assert panel_study.store.queue(run.id, 1)[0].case_id == events[0].case_id


def test_the_modules_own_test_says_how_to_start_a_server(desk: Desk) -> None:
    import slicer

    with pytest.raises(AssertionError, match="start one with `imil serve STUDY`"):
        slicer.selfTests["IMIL"](msec=1)


def test_reloading_the_module_leaves_nothing_behind(host, desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    desk.click_cell(5)
    desk.settle()
    before = host.census()
    again = host.reload("IMIL")
    host.idle(0.2)
    assert again is not desk.widget
    host.process_events()
    after = host.census()
    assert after["threads"] <= before["threads"]
    assert after["nodes"] <= before["nodes"]
    # What was marked comes back.
    again.ui.url_edit.setText(panel_server.url)
    again.ui.reader_edit.setText("Ada")
    again.panel.connection.connect()
    host.wait_until(lambda: again.logic.review.case is not None, 30)
    assert again.logic.review.case.marks.cells == (5,)


def test_an_unexpected_error_is_told_and_can_be_dismissed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr(type(desk.review), "test", lambda *arguments: broken())
    desk.host.click(desk.ui.test_button)
    desk.host.errors.clear()
    assert desk.ui.problem_label.text == (
        "Something unexpected happened: the sky fell. Details are in Slicer's error log."
    )
    assert "Traceback" in caplog.text
    desk.host.click(desk.ui.problem_dismiss_button)
    assert not desk.ui.problem_frame.visible
