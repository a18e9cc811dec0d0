"""What a round taught, in the panel: what is shown, what a reader says to it, and what reaches the server."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from monailabel.client import MONAILabelClient

from imil.rounds import Rounds
from imil.store import InsightCorrection
from imil.study import Study
from slicer_host.panelfixtures import QUEUED, Desk
from tests.learnt import SWAPPED, await_approval
from tests.monailabel_app.server_process import Server
from tests.slicer_module.bad_server import BadServer


@pytest.fixture
def proxy(panel_server: Server) -> Iterator[BadServer]:
    with BadServer(panel_server.url) as running:
        yield running


def rows(desk: Desk, name: str = "finds_table") -> list[list[str]]:
    table = getattr(desk.ui, name)
    return [[table.item(row, col).text() for col in range(table.columnCount)] for row in range(table.rowCount)]


def pick(desk: Desk, image: str) -> None:
    """Choose an image in the table by mouse, and wait for it."""
    table = desk.ui.finds_table
    place = [row[0] for row in rows(desk)].index(image)
    table.scrollToItem(table.item(place, 0))
    desk.host.idle(0.05)
    middle = table.visualItemRect(table.item(place, 0)).center()
    desk.host.click(table.viewport(), (middle.x(), middle.y()))
    desk.host.wait_until(lambda: desk.review.insight.opened.image == image, 20)
    desk.settle()


def overlay(desk: Desk) -> np.ndarray:
    """What lies over the image in the view: true where it's coloured."""
    import slicer

    composite = desk.host.slice_widget().sliceLogic().GetSliceCompositeNode()
    node = slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID())
    assert node.GetName() == f"IMIL find in {desk.review.insight.opened.image}"
    return slicer.util.arrayFromVolume(node)[0] > 0.5


def said(study: Study) -> list[tuple[str, str, str, tuple[int, ...]]]:
    """All corrections of the newest run's insight, in their order."""
    record = study.store.insight(study.store.latest_run().id)
    return [(each.reader, each.action, each.case_id, each.cells) for each in study.store.corrections(record.id)]


def test_the_page_shows_what_was_learnt(desk: Desk, panel_server: Server, learnt_study: Study) -> None:
    desk.connect(panel_server.url)
    ui, told = desk.ui, Rounds(learnt_study).insight()
    assert (ui.review_page.visible, ui.case_box.visible, ui.empty_box.visible) == (True, False, False)
    assert ui.status_label.text == f"Run {told['run']}: look at what round 1 taught"
    assert ui.insight_title.text == "What the answers of round 1 taught"
    assert ui.insight_label.text.split("\n")[:-1] == [*told["sentences"], *told["notes"]]
    assert "of class 'tb' carry something like this" in ui.insight_label.text
    assert ui.insight_label.text.endswith("it happens to all images when training goes on.")

    # The images with finds, the surest first; then those of the round in which nothing was found.
    finds = [image["id"] for image in told["images"]]
    assert [row[0] for row in rows(desk)][: len(finds)] == finds
    assert rows(desk)[0] == [finds[0], "tb", "73 %", "1.25", "found"]
    assert [row[1:] for row in rows(desk)[len(finds) :]] == [["normal", "–", "–", "–"]] * QUEUED
    assert desk.review.insight.opened.image == finds[0]
    quarter = np.zeros((48, 64), bool)
    quarter[:6, :8] = True
    assert np.array_equal(overlay(desk), quarter)
    assert ui.find_label.text.replace("\u200b", "") == (
        f"{finds[0]}\nClass tb; found here, with 73 % certainty. Without it the model's log-odds change by 1.25."
    )
    # The cells that are swapped are drawn, and stand first in their table.
    assert desk.logic.viewer._grid_view._swapped == SWAPPED
    table = rows(desk, "cells_table")
    assert [row[:2] for row in table[:4]] == [["1", "1"], ["1", "4"], ["4", "1"], ["4", "4"]]
    assert {row[6] for row in table[:4]} == {"swapped"}
    assert table[0] == ["1", "1", "0 %", "100 %", "8 %", "0.00", "swapped"]
    assert len(table) == 16
    desk.host.move_view(*desk.logic.viewer.center_of(15))
    assert ui.find_hover_label.text == "row 4, column 4: chosen 0 %, heat 5 %, influence 1.50, swapped"


def test_an_image_is_vetoed_corrected_and_restored(desk: Desk, panel_server: Server, learnt_study: Study) -> None:
    desk.connect(panel_server.url)
    ui, host = desk.ui, desk.host
    first, second = [row[0] for row in rows(desk)][:2]
    assert (ui.veto_button.enabled, ui.correct_button.enabled, ui.restore_button.enabled) == (True, False, False)
    desk.keys("X")  # the view has the keyboard
    assert rows(desk)[0][4] == "vetoed"  # before the server says so
    desk.settle()
    assert rows(desk)[0][4] == "vetoed"
    assert "Vetoed by you" in ui.find_label.text
    assert overlay(desk).sum() == 6 * 8 - 4 * 6  # its rim

    # By keyboard: the next image, a brush stroke in the view, and the cells are sent.
    desk.keys("PgDown", "X")  # too early: nothing happens to an image that isn't seen yet
    assert ui.insight_said_label.text == "Another image is on its way; wait until you see it."
    host.wait_until(lambda: desk.review.insight.opened.image == second, 20)
    desk.settle()
    desk.keys("1", "S", "A", "V")  # keys of cases do nothing here
    host.drag_view([desk.logic.viewer.center_of(5), desk.logic.viewer.center_of(6)])
    assert desk.review.insight.opened.marks.misleading == (5, 6)
    assert "You marked 2 cells." in ui.find_label.text
    desk.keys("PgDown")
    host.wait_until(lambda: desk.review.insight.opened.image != second, 20)
    desk.settle()
    host.click(ui.go_on_button)
    assert ui.insight_said_label.text.replace("\u200b", "").startswith(f"You marked cells in {second}, but didn't")
    desk.keys("PgUp")
    host.wait_until(lambda: desk.review.insight.opened.image == second, 20)
    desk.settle()
    desk.keys("Return")
    desk.settle()
    assert desk.review.insight.opened.painted == ()
    assert rows(desk)[1][4] == "corrected"
    marked = np.zeros((48, 64), bool)
    marked[12:24, 16:48] = True
    assert np.array_equal(overlay(desk), marked)

    host.click(ui.restore_button)
    desk.settle()
    assert rows(desk)[1][4] == "found"
    assert overlay(desk).sum() == 6 * 8
    assert said(learnt_study) == [
        ("Ada", "veto", first, ()),
        ("Ada", "correct", second, (5, 6)),
        ("Ada", "restore", second, ()),
    ]

    # From the table: its letters are keys, and Enter opens nothing.
    ui.finds_table.setFocus()
    desk.keys("Up")
    desk.settle()
    desk.keys("R")
    desk.settle()
    assert rows(desk)[0][4] == "found"

    # Something that was missed, in an image that readers have seen.
    missed = rows(desk)[-1][0]
    pick(desk, missed)
    assert "the model found nothing here" in ui.find_label.text
    assert not ui.veto_button.enabled
    desk.click_cell(10)
    host.click(ui.correct_button)
    desk.settle()
    assert said(learnt_study)[-1] == ("Ada", "correct", missed, (10,))
    assert [row[4] for row in rows(desk) if row[0] == missed] == ["corrected"]
    host.click(ui.another_button)
    host.wait_until(lambda: desk.review.insight.opened.image != missed, 20)
    desk.settle()
    assert desk.review.insight.opened.image in {case.id for case in learnt_study.cases if case.split == "train"}


def test_cells_that_are_swapped_are_vetoed(desk: Desk, panel_server: Server, learnt_study: Study) -> None:
    desk.connect(panel_server.url)
    ui, host, table = desk.ui, desk.host, desk.ui.cells_table
    assert (ui.veto_cells_button.enabled, ui.restore_cells_button.enabled) == (False, False)
    table.selectRow(1)
    assert desk.logic.viewer._grid_view._hover == 3
    host.click(ui.veto_cells_button)
    desk.settle()
    assert said(learnt_study) == [("Ada", "veto", "", (3,))]
    assert desk.logic.viewer._grid_view._swapped == (0, 12, 15)
    assert rows(desk, "cells_table")[1][6] == "vetoed"
    assert "Readers vetoed 1 cell." in ui.insight_label.text
    host.click(ui.restore_cells_button)
    desk.settle()
    assert said(learnt_study)[1:] == [("Ada", "restore", "", (3,))]
    assert desk.logic.viewer._grid_view._swapped == SWAPPED
    table.selectRow(10)
    assert not ui.veto_cells_button.enabled


def test_what_others_say_is_seen_and_marks_stay(desk: Desk, panel_server: Server, learnt_study: Study) -> None:
    desk.connect(panel_server.url)
    image = desk.review.insight.opened.image
    desk.click_cell(9)
    run = learnt_study.store.latest_run().id
    key = "0fb0d1a5-5d5a-4c4e-8f2f-0123456789ab"
    Rounds(learnt_study).correct(InsightCorrection("correct", image, (2,), run=run, round=1, reader="Ben", key=key))
    desk.review.refresh()  # it would look by itself, after some seconds
    desk.host.wait_until(lambda: rows(desk)[0][4] == "corrected (Ben)", 20)
    desk.settle()
    assert "corrected by Ben" in desk.ui.find_label.text
    there = np.zeros((48, 64), bool)
    there[:12, 32:48] = True
    assert np.array_equal(overlay(desk), there)
    assert desk.review.insight.opened.painted == (9,)
    # Ben takes the round back to its answers: the marks are of no use any more, and she is told.
    reply = MONAILabelClient(panel_server.url).train_start("classifier", {"reopen": True})
    assert reply["state"] == "awaiting_review"
    desk.review.refresh()
    desk.host.wait_until(lambda: not desk.ui.insight_box.visible, 20)
    assert f"marked in {image}; they were not used" in desk.ui.problem_label.text.replace("\u200b", "")
    desk.host.wait_until(lambda: "Every case of round 1 is answered" in desk.ui.empty_label.text, 20)


def test_without_a_server_corrections_wait_and_count_once(desk: Desk, proxy: BadServer, learnt_study: Study) -> None:
    desk.connect(proxy.url)
    ui, host, first = desk.ui, desk.host, desk.review.insight.opened.image
    proxy.only, proxy.mode = "/activelearning/imil_insight", "drop"  # it arrives, but its reply doesn't
    host.click(ui.veto_button)
    host.wait_until(lambda: desk.review.connection == "offline", 30)
    assert ui.insight_said_label.text == "1 correction is on its way."
    assert (rows(desk)[0][4], ui.go_on_button.enabled) == ("vetoed", False)
    assert len(list((desk.review.insight._corrections._outbox._folder).glob("*.json"))) == 1
    proxy.mode = "pass"
    host.wait_until(lambda: not desk.review.insight.pending, 60)
    desk.settle()
    assert said(learnt_study) == [("Ada", "veto", first, ())]
    assert not list((desk.review.insight._corrections._outbox._folder).glob("*.json"))
    assert ui.go_on_button.enabled

    # A refusal that isn't about what she said doesn't cost it.
    proxy.token, proxy.mode = "another", "token"
    desk.review.insight.restore()
    host.wait_until(lambda: "asks for a token" in ui.problem_label.text, 30)
    assert len(desk.review.insight.pending) == 1
    proxy.mode = "pass"
    desk.review.retry()
    desk.settle()
    assert said(learnt_study)[1:] == [("Ada", "restore", first, ())]
    desk.review.dismiss_problem()

    # What the server refuses is told, and forgotten: it says what stands.
    learnt_study.store.reopen_round(learnt_study.store.latest_run().id, 1, learnt_study.store.latest_run().state)
    pending = desk.review.insight
    pending.veto()
    host.wait_until(lambda: ui.problem_frame.visible, 30)
    assert ui.problem_label.text.replace("\u200b", "").startswith(f"What you said of {first} was refused.")
    assert pending.pending == []


def test_back_to_the_answers(desk: Desk, panel_server: Server, learnt_study: Study) -> None:
    desk.connect(panel_server.url, "Cy")  # who has answered all cases
    ui, host = desk.ui, desk.host
    desk.keys("Alt+3")
    assert (ui.continue_button.enabled, ui.back_button.visible, ui.round_box.visible) == (True, True, False)
    desk.keys("Alt+1")
    host.click(ui.reopen_button)
    host.wait_until(lambda: desk.review.status.state == "awaiting_review", 20)
    desk.settle()
    assert not ui.insight_box.visible
    assert Rounds(learnt_study).insight() == {}
    desk.keys("Alt+2")
    desk.review.open(desk.review.queue.rows[0].id)
    host.wait_until(lambda: desk.review.case is not None, 20)
    desk.settle()
    # The case is as it was, with what this mode needs of its answer.
    desk.keys("Alt+1")
    assert (ui.case_box.visible, desk.logic.viewer._grid_view._swapped) == (True, ())
    assert "even if disease lies in the same cell" in ui.guidance_label.text
    assert "swapped between all training images" in ui.guidance_label.text
    desk.click_cell(1)
    assert desk.marks == ((1, 5, 6), (0,))


def test_a_mode_that_looks_for_nothing_has_no_finds(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    cases = [case.id for case in panel_study.cases if case.split == "train"][:QUEUED]
    await_approval(panel_study, cases, feedback="propagate")
    desk.connect(panel_server.url)
    ui = desk.ui
    assert sorted(row[0] for row in rows(desk)) == sorted(cases)  # to see the cells on them
    assert not overlay(desk).any()
    assert not any(button.visible for button in (ui.veto_button, ui.correct_button, ui.restore_button))
    assert ui.veto_cells_button.visible
    assert "swapped between all training images" in ui.insight_label.text.lower()


def test_long_names_do_not_widen_the_page(desk: Desk, panel_server: Server, learnt_study: Study) -> None:
    from dataclasses import replace

    desk.connect(panel_server.url)
    insight = desk.review.insight
    finds = tuple(replace(find, label="W" * 200) for find in insight._told.finds)
    cells: Any = {"said": (*insight._told.said,), "sentences": ("w" * 300,)}
    insight._told = replace(insight._told, finds=finds, **cells)
    desk.widget.panel.refresh()
    desk.host.idle(0.15)
    from slicer_host.window import PANEL_WIDTH, SIZE

    assert (desk.host.window.modulePanel().width, desk.host.window.width) == (PANEL_WIDTH, SIZE.width())
