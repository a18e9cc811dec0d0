"""The table of the round's cases."""

import time
from dataclasses import replace

import pytest

from imil.study import Study
from slicer_host.panelfixtures import QUEUED, Desk, answers
from tests.monailabel_app.server_process import Server


def texts(desk: Desk, row: int) -> list[str]:
    table = desk.ui.queue_table
    return [table.item(row, column).text() for column in range(table.columnCount)]


def visible(desk: Desk) -> list[int]:
    table = desk.ui.queue_table
    return [int(table.item(row, 0).text()) for row in range(table.rowCount) if not table.isRowHidden(row)]


def point_of(desk: Desk, row: int) -> tuple[int, int]:
    table = desk.ui.queue_table
    middle = table.visualItemRect(table.item(row, 2)).center()
    return middle.x(), middle.y()


def test_a_row_for_each_case(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    desk.keys("Alt+2")
    case = desk.review.case.case
    assert desk.ui.queue_table.rowCount == QUEUED
    assert texts(desk, 0) == ["1", "on screen", case.id, case.label, case.prediction, "95 %", "Ada"]
    assert desk.ui.queue_label.text == f"0 of {QUEUED} answered"


def test_double_click_and_enter_open_a_case(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    import qt

    desk.connect(panel_server.url)
    desk.keys("Alt+2")
    desk.host.idle(0.1)
    desk.host.click(desk.ui.queue_table.viewport(), point_of(desk, 3))
    desk.host.click(desk.ui.queue_table.viewport(), point_of(desk, 3), double=True)
    desk.host.wait_until(lambda: desk.review.case is not None and desk.position == 4, 20)
    assert desk.ui.review_page.visible
    desk.settle()
    desk.keys("Alt+2")
    assert qt.QApplication.focusWidget() == desk.ui.queue_table
    desk.keys("Up", "Up", "Return")
    desk.host.wait_until(lambda: desk.review.case is not None and desk.position == 2, 20)


def test_filters(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.review.ahead = 0
    desk.connect(panel_server.url)
    desk.keys("A", "Return")
    desk.settle()
    desk.keys("Alt+2")
    combo = desk.ui.filter_combo
    everything = list(range(1, QUEUED + 1))
    for name, expected in (("All", everything), ("Mine", [1, 2]), ("Open", everything[1:]), ("Done", [1])):
        combo.setCurrentIndex(combo.findText(name))
        assert visible(desk) == expected, name


def test_cases_of_other_readers_cannot_be_opened(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.review.ahead = 0
    held = panel_server.next_case("Bo")
    answered = panel_server.next_case("Cy")
    assert panel_server.put_label(answered, "Cy", action="skip").ok
    desk.connect(panel_server.url)
    desk.keys("Alt+2")
    assert [texts(desk, row)[1] for row in range(4)] == ["held", "done", "on screen", "open"]
    assert [texts(desk, row)[6] for row in range(2)] == ["Bo", "Cy"]
    table = desk.ui.queue_table
    for row, allowed in ((0, False), (1, False), (2, True), (3, True)):
        table.selectRow(row)
        assert desk.ui.open_button.enabled == allowed
    assert held["id"] == texts(desk, 0)[2]


def test_what_cannot_be_opened_says_whose_it_is(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.review.ahead = 0
    held = panel_server.next_case("Bo")
    answered = panel_server.next_case("Cy")
    assert panel_server.put_label(answered, "Cy", action="skip").ok
    desk.connect(panel_server.url)
    desk.keys("Alt+2")
    desk.host.idle(0.1)
    label = desk.ui.queue_label
    summary = label.text
    desk.host.click(desk.ui.queue_table.viewport(), point_of(desk, 0))
    assert label.text == summary
    desk.host.click(desk.ui.queue_table.viewport(), point_of(desk, 0), double=True)
    assert label.text.replace("\u200b", "") == f"{held['id']} is with Bo now."
    desk.widget.panel.queue.refresh()
    assert "Bo" in label.text  # the next list from the server doesn't take it away
    desk.keys("Down")
    assert label.text == summary
    desk.keys("Return")
    assert label.text.replace("\u200b", "") == f"{answered['id']} was answered by Cy."
    assert desk.ui.queue_page.visible


def test_all_columns_are_in_sight(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    """In the window and the panel that Slicer begins with; also when the list has to scroll."""
    desk.connect(panel_server.url)
    desk.keys("Alt+2")
    queue, table = desk.review.queue, desk.ui.queue_table
    name = "folder/" + "x" * 80 + ".png"
    rows = tuple(
        replace(queue.rows[number % QUEUED], id=name, position=number + 1, confidence=0.999) for number in range(100)
    )
    desk.review._queue.queue = replace(queue, rows=rows)
    desk.widget.panel.queue.refresh()
    desk.host.idle(0.1)
    assert table.verticalScrollBar().visible
    assert table.width <= 410
    header, metrics = table.horizontalHeader(), table.fontMetrics()
    assert header.count() == 7
    assert header.length() <= table.viewport().width
    for column in range(7):
        assert not table.isColumnHidden(column)
        assert table.columnWidth(column) >= 24
    for column, text in ((0, "100"), (1, "on screen"), (5, "> 99 %"), (5, "Conf."), (6, "Reader")):
        assert table.columnWidth(column) >= metrics.horizontalAdvance(text) + 6, text
    assert table.columnWidth(2) >= metrics.horizontalAdvance("abcdefgh")
    assert table.horizontalHeaderItem(4).toolTip() == "Prediction"
    assert table.item(0, 2).toolTip() == f"<qt>{name}</qt>"


def test_a_refresh_keeps_the_selection_and_shows_news(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.review.ahead = 0
    desk.connect(panel_server.url)
    desk.keys("Alt+2")
    desk.ui.queue_table.selectRow(4)
    other = panel_server.next_case("Bo")
    assert panel_server.put_label(other, "Bo", action="skip").ok
    desk.host.click(desk.ui.refresh_button)
    desk.host.wait_until(lambda: texts(desk, 1)[1] == "done", 20)
    assert desk.ui.queue_table.currentRow() == 4
    assert len(desk.ui.queue_table.selectedItems()) == desk.ui.queue_table.columnCount
    assert desk.ui.queue_label.text == f"1 of {QUEUED} answered"


def test_hundreds_of_rows_cost_nothing_to_refresh(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    desk.keys("Alt+2")
    queue = desk.review.queue
    rows = tuple(
        replace(queue.rows[number % QUEUED], id=f"image {number}", position=number + 1) for number in range(600)
    )
    review, panel = desk.review, desk.widget.panel
    review._queue.queue = replace(queue, rows=rows)
    panel.queue.refresh()
    items = [desk.ui.queue_table.item(row, 1) for row in range(600)]
    started = time.perf_counter()
    review._queue.queue = replace(queue, rows=(replace(rows[0], state="done", mine=True, action="skip"), *rows[1:]))
    panel.queue.refresh()
    assert time.perf_counter() - started < 0.2
    assert [desk.ui.queue_table.item(row, 1) for row in range(600)] == items
    assert texts(desk, 0)[1] == "yours: skipped"


def test_an_answer_shows_at_once(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    desk.keys("Alt+2")
    assert texts(desk, 0)[1] == "on screen"
    desk.keys("Alt+1", "A", "Return", "Alt+2")
    assert texts(desk, 0)[1] == "yours"
    desk.settle()
    assert len(answers(panel_study)) == 1


@pytest.mark.parametrize("reader", ["Ada", "<b>Ada</b>"])
def test_names_are_shown_as_they_are(desk: Desk, panel_server: Server, panel_study: Study, reader: str) -> None:
    """Nothing from a server or a reader is read as HTML."""
    desk.connect(panel_server.url, reader)
    desk.keys("Alt+2")
    assert texts(desk, 0)[6] == reader
    tooltip = desk.ui.queue_table.item(0, 6).toolTip()
    assert tooltip == f"<qt>{reader.replace('<', '&lt;').replace('>', '&gt;')}</qt>"
