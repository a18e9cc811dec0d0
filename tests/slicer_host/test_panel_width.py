"""Long names and messages: the panel stays as wide as it is, and the image keeps its room."""

from dataclasses import replace

import pytest

from imil.study import Study
from slicer_host.panelfixtures import Desk
from slicer_host.window import PANEL_WIDTH, SIZE
from tests.monailabel_app.server_process import Server

UID = "1.2.826.0.1.3680043.8.498." + "7" * 38
NAMES = {"uid": UID, "letters": "W" * 300, "url": "http://" + "a" * 150 + ".example/" + "b" * 140}


def widths(desk: Desk) -> tuple[int, int]:
    """Of panel and window, after Qt has laid them out."""
    desk.host.idle(0.15)
    return desk.host.window.modulePanel().width, desk.host.window.width


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_label_widens_the_panel(desk: Desk, panel_server: Server, panel_study: Study, name: str) -> None:
    from IMILLib.panels.widgets import show_text

    assert len(UID) == 64
    desk.connect(panel_server.url)
    labels = [
        label
        for label in desk.widget.parent.findChildren("QLabel")
        if label.wordWrap and label.objectName and label.objectName not in ("keys_label",)
    ]
    assert len(labels) > 15
    for tab in (1, 2, 3, 4):
        desk.keys(f"Alt+{tab}")
        for label in labels:
            if "table" not in label.text:
                show_text(label, f"Something is the matter with {name}, again.")
        desk.ui.problem_frame.setVisible(True)
        desk.ui.pending_box.setVisible(True)
        assert widths(desk) == (PANEL_WIDTH, SIZE.width())
        for label in labels:
            if label.visible:
                assert label.minimumSizeHint.width() <= label.width, label.objectName


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_long_names_from_the_server_do_not_either(
    desk: Desk, panel_server: Server, panel_study: Study, name: str
) -> None:
    """By the ways on which they come."""
    from IMILLib.problems import Problem
    from IMILLib.records import PreviousAnswer

    desk.connect(panel_server.url)
    panel, review, ui = desk.widget.panel, desk.review, desk.ui
    opened = review.case
    earlier = PreviousAnswer("relabel", (), (), name, f"It looked at {name}.", 1.0)
    opened.loaded = replace(
        opened.loaded,
        case=replace(
            opened.case, id=name, label=name, prediction=name, classes=(name, "b"), reason=name, answer=earlier
        ),
    )
    opened.rationale = f"It looked at {name}."
    panel.case.refresh()
    panel.answer.refresh_case()
    review._problems.add(Problem("server", f"The image {name!r} can't be read."))
    assert widths(desk) == (PANEL_WIDTH, SIZE.width())
    assert "\u200b" in ui.previous_answer_label.text
    assert "\u200b" in ui.foreign_rationale_label.text
    rows = tuple(replace(row, id=name, holder=name) for row in review.queue.rows)
    review._queue.queue = replace(review.queue, rows=rows)
    panel.refresh()
    desk.keys("Alt+2")
    assert widths(desk) == (PANEL_WIDTH, SIZE.width())
    desk.keys("Alt+3")
    status = review.status
    panel.training._show_state(replace(status, message=f"Training failed at {name}."))
    assert widths(desk) == (PANEL_WIDTH, SIZE.width())


def test_a_failed_test_of_a_long_address(desk: Desk) -> None:
    ui = desk.ui
    ui.url_edit.setText("http://127.0.0.1:9/" + "a" * 200)
    desk.host.click(ui.test_button)
    desk.host.wait_until(lambda: "\u200b" in ui.result_label.text, 20)
    assert widths(desk) == (PANEL_WIDTH, SIZE.width())


def test_what_is_copied_has_no_breaks(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    import qt

    desk.connect(panel_server.url)
    opened, ui = desk.review.case, desk.ui
    opened.loaded = replace(opened.loaded, case=replace(opened.case, id=UID))
    desk.widget.panel.case.refresh()
    assert "\u200b" in ui.image_label.text
    for action in ui.image_label.actions():
        action.trigger()
    assert qt.QApplication.clipboard().text() == UID
    assert ui.image_label.toolTip == f"<qt>{UID}</qt>"
