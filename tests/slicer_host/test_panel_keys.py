"""The keys: a whole review by keyboard, and who gets a key when something else wants it."""

import pytest

from imil.store import Action
from imil.study import Study
from slicer_host.panelfixtures import Desk, answers
from tests.monailabel_app.server_process import Server


def test_from_connection_to_the_last_submission_by_keyboard_alone(
    host, desk: Desk, panel_server: Server, panel_study: Study
) -> None:
    """The module has just been opened for the first time; no widget is touched from outside."""
    host.type_text(panel_server.url)
    desk.keys("Tab")
    host.type_text("Ada")
    desk.keys("Return")
    host.wait_until(lambda: desk.review.case is not None, 30)
    desk.settle()

    # 1: cells by arrows and Space, both brushes, a reason with letters that are keys elsewhere
    desk.keys("Space", "Space", "Right", "Space", "2", "Up", "Space", "1")
    assert desk.marks == ((10, 11), (7,))
    desk.keys("F")
    host.type_text("an arrow, 1 of 2")
    desk.keys("Tab")
    host.type_text("six basal bvns")
    desk.keys("Return")
    assert desk.position == 2
    # 2: skip
    desk.keys("S")
    assert desk.position == 3
    # 3: relabel, the list has the keyboard
    label = desk.review.case.case.label
    desk.keys("R", "Return")
    host.wait_until(lambda: desk.review.case is not None and desk.position == 4)
    # 4: exclude, with a reason
    desk.keys("X")
    host.type_text("upside down")
    desk.keys("Return")
    host.wait_until(lambda: desk.review.case is not None and desk.position == 5)
    # 5: all, one off, undone and redone, the pointer's help switched
    desk.keys("A", "Space", "Space", "Ctrl+Z", "Ctrl+Y", "Ctrl+Z", "B", "B", "V", "V", "Return")
    host.wait_until(lambda: desk.review.case is not None and desk.position == 6)
    # back to 5 to change it, then the last one
    desk.keys("PgUp")
    host.wait_until(lambda: desk.review.case is not None and desk.position == 5)
    desk.keys("N", "Space", "Space", "I", "Return")
    host.wait_until(lambda: desk.review.case is not None and desk.position == 6)
    desk.keys("A", "Return")
    desk.settle()
    host.wait_until(lambda: desk.ui.empty_label.text.endswith("Continue training."), 20)

    events = answers(panel_study)
    assert [event.action for event in events] == [
        Action.GRID,
        Action.SKIP,
        Action.RELABEL,
        Action.EXCLUDE,
        Action.GRID,
        Action.GRID,
        Action.GRID,
    ]
    assert (events[0].cells, events[0].misleading) == ((10, 11), (7,))
    assert events[0].rationale == (
        "The model was focused on an arrow, 1 of 2 so I switched the focus to six basal bvns."
    )
    assert events[2].new_label == ("tb" if label == "normal" else "normal")
    assert events[3].rationale == "upside down"
    assert [len(event.cells) for event in events[4:]] == [16, 15, 16]
    assert events[4].case_id == events[5].case_id
    assert {event.reader for event in events} == {"Ada"}


def test_keys_are_named_in_the_panel_and_in_the_help(desk: Desk) -> None:
    from IMILLib.panels.shortcuts import keys

    help_text = desk.host.app.moduleManager().module("IMIL").helpText
    for key in keys():
        assert key.text in desk.ui.keys_label.text
        assert key.text in help_text
    sequences = [sequence for key in keys() for sequence in key.sequences]
    assert len(set(sequences)) == len(sequences)


def test_every_key_does_something(desk: Desk) -> None:
    from IMILLib.panels.shortcuts import keys

    assert {key.name for key in keys()} == set(desk.widget.panel._actions())


def shortcuts(desk: Desk) -> list[str]:
    return [shortcut.key.toString() for shortcut in desk.host.window.findChildren("QShortcut") if shortcut.enabled]


def test_keys_are_gone_outside_the_module(host, desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    assert "S" in shortcuts(desk)
    host.leave()
    assert shortcuts(desk) == []
    host.press("A", host.window)
    assert desk.marks == ((), ())
    host.open("IMIL")
    host.press("A", host.window)
    assert len(desk.marks[0]) == 16


def test_keys_of_the_case_rest_in_the_other_tabs(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    desk.keys("Alt+3", "A", "S", "Return", "Space", "Left")
    assert desk.marks == ((), ())
    assert desk.position == 1
    desk.keys("Alt+1", "A")
    assert len(desk.marks[0]) == 16
    assert answers(panel_study) == []


@pytest.mark.parametrize("name", ["focus_combo", "exclude_edit"])
def test_letters_and_arrows_go_to_a_line_of_text(
    desk: Desk, panel_server: Server, panel_study: Study, name: str
) -> None:
    desk.connect(panel_server.url)
    if name == "exclude_edit":
        desk.keys("X")
    widget = getattr(desk.ui, name)
    widget.setFocus()
    desk.host.type_text("sanirxbvp 12")
    desk.keys("Left", "Left", "Up", "Space", "Ctrl+Z")
    assert desk.marks == ((), ())
    assert desk.position == 1
    text = widget.currentText if name == "focus_combo" else widget.text
    assert text.startswith("sanirxbvp")
    desk.keys("Esc", "A")
    assert len(desk.marks[0]) == 16


def test_arrows_and_space_stay_with_a_slider_or_button(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    ui = desk.ui
    desk.host.click(ui.display_button, (20, 8))
    ui.opacity_slider.setFocus()
    before = ui.opacity_slider.value
    desk.keys("Right")
    assert ui.opacity_slider.value == before + 1
    ui.all_button.setFocus()
    desk.keys("Space")
    assert len(desk.marks[0]) == 16
    # A letter isn't a button's: it works from there, too.
    desk.keys("N")
    assert desk.marks == ((), ())


def test_enter_presses_the_button_that_has_the_keyboard(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    desk.click_cell(3)
    desk.ui.skip_button.setFocus()
    desk.keys("Return")
    desk.settle()
    assert [event.action for event in answers(panel_study)] == [Action.SKIP]


def test_keys_stay_with_another_text_of_slicer(host, desk: Desk, panel_server: Server, panel_study: Study) -> None:
    """Such as the Python console."""
    import qt

    desk.connect(panel_server.url)
    desk.click_cell(3)
    console = qt.QPlainTextEdit(host.window)
    console.show()
    console.setFocus()
    host.type_text("import slicer", console)
    for key in ("Return", "PgUp", "Left", "A"):
        host.press(key, console)
    assert desk.marks == ((3,), ())
    assert desk.position == 1
    assert console.plainText == "aimport slicer\n"
    console.setParent(None)
    desk.settle()
    assert answers(panel_study) == []


def test_tab_goes_through_the_panel_from_top_to_bottom(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    import qt

    desk.connect(panel_server.url)
    ui = desk.ui
    ui.next_button.setFocus()
    seen = []
    for _ in range(18):
        seen.append(qt.QApplication.focusWidget().objectName)
        desk.keys("Tab")
    expected = [
        "next_button",
        "blink_button",
        "matters_button",
        "all_button",  # of the two brushes the chosen one, as with radio buttons
        "invert_button",
        "focus_combo",
        "switch_combo",
        "submit_button",
        "skip_button",
        "relabel_button",
        "exclude_button",
    ]
    assert [name for name in seen if name in expected] == expected
