"""A review in the panel: what it shows, what its buttons do, and what reaches the server."""

import pytest

from imil.store import Action
from imil.study import Study
from slicer_host.panelfixtures import MODULE, QUEUED, Desk, answers
from tests.monailabel_app.server_process import Server


def test_a_case_is_shown_in_words_and_bars(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    ui, case = desk.ui, desk.review.case.case
    assert ui.position_label.text == f"Case 1 of {QUEUED}"
    assert ui.image_label.text.replace("\u200b", "") == case.id
    assert (ui.truth_label.text, ui.prediction_label.text) == (case.label, f"{case.prediction}, 95 %")
    bars = [bar for bar in ui.probabilities_box.findChildren("QProgressBar") if bar.visible]
    assert [bar.value for bar in bars] == [950, 50]
    assert [(bar.accessibleName, bar.accessibleDescription) for bar in bars] == [
        (case.prediction, "95 %"),
        (case.label, "5 %"),
    ]
    assert ui.details_label.text == (
        f"The model is wrong here, and sure of it. Grad-CAM at layer blocks.3; run {case.run}, epoch {case.epoch}."
    )
    assert ui.status_label.text == f"Run {case.run}: round 1, 0 of {QUEUED} cases answered"
    assert not ui.previous_answer_label.visible
    assert not ui.receipt_label.visible


def test_of_many_classes_the_true_and_the_predicted_one_come_first(
    desk: Desk, panel_server: Server, panel_study: Study
) -> None:
    desk.connect(panel_server.url)
    classes = tuple(f"class {number}" for number in range(20))
    chances = tuple(0.1 - 0.005 * number for number in range(20))
    desk.widget.panel.case._probabilities.show(classes, chances, "class 19", "class 0")
    bars = [bar.accessibleName for bar in desk.ui.probabilities_box.findChildren("QProgressBar") if bar.visible]
    assert bars == ["class 0", "class 19", *classes[1:19]]


def test_painting_both_kinds_and_submitting_by_mouse(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    ui, host = desk.ui, desk.host
    desk.click_cell(5)
    desk.click_cell(6)
    host.click(ui.misled_button)
    desk.click_cell(0)
    assert desk.marks == ((5, 6), (0,))
    assert ui.marks_label.text == "2 cells matter, 1 misled the model."
    host.move_view(*desk.logic.viewer.center_of(0))
    assert ui.hover_label.text.startswith("row 1, column 1: misled, heat ")
    ui.focus_combo.setEditText("the corner")
    ui.switch_combo.setEditText("the middle")
    host.click(ui.submit_button)
    desk.settle()
    (event,) = answers(panel_study)
    assert (event.action, event.reader, event.cells, event.misleading) == (Action.GRID, "Ada", (5, 6), (0,))
    assert event.rationale == "The model was focused on the corner so I switched the focus to the middle."
    assert 0 < event.seconds < 60
    assert ui.receipt_label.text == f"Saved; {QUEUED - 1} left."
    assert ui.status_label.text.endswith(f"1 of {QUEUED} cases answered")
    # The next case begins afresh: the paper's brush, nothing marked, no reason.
    assert desk.position == 2
    assert desk.marks == ((), ())
    assert ui.matters_button.checked
    assert (ui.focus_combo.currentText, ui.switch_combo.currentText) == ("", "")
    assert [ui.focus_combo.itemText(0), ui.switch_combo.itemText(0)] == ["the corner", "the middle"]


def test_buttons_change_the_marks_and_take_it_back(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    ui, host = desk.ui, desk.host
    everything = tuple(range(16))
    assert (ui.none_button.enabled, ui.undo_button.enabled, ui.redo_button.enabled) == (False, False, False)
    host.click(ui.all_button)
    assert desk.marks == (everything, ())
    host.click(ui.none_button)
    desk.click_cell(3)
    host.click(ui.invert_button)
    assert desk.marks == (everything[:3] + everything[4:], ())
    for expected in ((3,), (), everything, ()):
        host.click(ui.undo_button)
        assert desk.marks == (expected, ())
    assert not ui.undo_button.enabled
    host.click(ui.redo_button)
    assert desk.marks == (everything, ())


def test_submitting_without_cells_says_why_not(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    desk.host.click(desk.ui.submit_button)
    assert desk.ui.receipt_label.text == "Mark at least one cell that matters, or skip the case."
    desk.click_cell(1)
    assert not desk.ui.receipt_label.visible
    assert answers(panel_study) == []


def test_skip_relabel_and_exclude(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    ui, host = desk.ui, desk.host
    host.click(ui.skip_button)
    label = desk.review.case.case.label
    host.click(ui.relabel_button)
    assert [ui.relabel_combo.itemText(index) for index in range(ui.relabel_combo.count)] == [
        name for name in ("normal", "tb") if name != label
    ]
    host.click(ui.relabel_confirm_button)
    host.click(ui.exclude_button)
    assert (ui.relabel_box.visible, ui.exclude_box.visible) == (False, True)
    host.click(ui.exclude_confirm_button)
    assert ui.receipt_label.text == "Say why the image is unfit for training, then exclude it."
    host.type_text("cut off", ui.exclude_edit)
    host.click(ui.exclude_confirm_button)
    desk.settle()
    assert not ui.exclude_box.visible
    skipped, relabelled, excluded = answers(panel_study)
    assert skipped.action == Action.SKIP
    assert (relabelled.action, relabelled.new_label) == (Action.RELABEL, "tb" if label == "normal" else "normal")
    assert (excluded.action, excluded.rationale) == (Action.EXCLUDE, "cut off")
    assert desk.position == 4


def test_an_earlier_answer_comes_back_and_can_be_replaced(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    ui, host = desk.ui, desk.host
    desk.click_cell(5)
    ui.focus_combo.setEditText("the corner")
    host.click(ui.submit_button)
    desk.settle()
    host.click(ui.previous_button)
    host.wait_until(lambda: desk.review.case is not None and desk.position == 1)
    desk.settle()
    assert desk.marks == ((5,), ())
    assert ui.focus_combo.currentText == "the corner"
    assert ui.previous_answer_label.text == "You answered this case: 1 cell matters. A new answer replaces it."
    assert ui.submit_button.text == "Submit again"
    assert not ui.previous_button.enabled
    desk.click_cell(6)
    host.click(ui.submit_button)
    desk.settle()
    assert [(event.case_id, event.cells) for event in answers(panel_study)] == [
        (answers(panel_study)[0].case_id, (5,)),
        (answers(panel_study)[0].case_id, (5, 6)),
    ]
    assert ui.receipt_label.text == f"Saved; {QUEUED - 1} left."


def test_a_reason_in_other_words_is_kept(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    """As another client may have sent it."""
    desk.connect(panel_server.url)
    case = desk.review.case.case
    desk.click_cell(2)
    desk.review.submit("It read the text in the corner.")
    desk.settle()
    desk.review.open(case.id)
    desk.settle()
    assert desk.ui.foreign_rationale_label.text == "It read the text in the corner."
    desk.host.click(desk.ui.submit_button)
    desk.settle()
    assert [event.rationale for event in answers(panel_study)] == ["It read the text in the corner."] * 2


def test_the_heat_map_can_be_changed_and_hidden(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    ui, host = desk.ui, desk.host
    composite = host.slice_widget().sliceLogic().GetSliceCompositeNode()
    ui.opacity_slider.setValue(80)
    assert composite.GetForegroundOpacity() == pytest.approx(0.8)
    assert ui.opacity_value.text == "80 %"
    host.click(ui.blink_button)
    assert composite.GetForegroundOpacity() == 0
    assert ui.blink_button.text == "Heat map: hidden"
    host.click(ui.blink_button)
    assert composite.GetForegroundOpacity() == pytest.approx(0.8)


def test_heat_is_told_without_colours(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    """By a number for each cell, and by a bar that says which end of the colours is strong."""
    desk.connect(panel_server.url)
    ui, opened, viewer = desk.ui, desk.review.case, desk.logic.viewer
    opened.heat_map[:] = 0
    top, bottom, left, right = opened.grid.box(6)
    opened.heat_map[top:bottom, left:right] = 0.87
    place = (ui.marks_label.y, ui.submit_button.y)
    desk.host.move_view(*viewer.center_of(6))
    assert ui.hover_label.text == "row 2, column 3: heat 87 %"
    desk.click_cell(6)
    assert ui.hover_label.text == "row 2, column 3: matters, heat 87 %"
    desk.host.idle(0.05)
    assert (ui.marks_label.y, ui.submit_button.y) == place
    desk.host.move_view(*viewer.center_of(0))
    assert ui.hover_label.text == "row 1, column 1: heat 0 %"
    ui.display_button.setProperty("collapsed", False)
    for index, map_name in enumerate(("even", "jet")):
        ui.color_map_combo.setCurrentIndex(index)
        from IMILLib.colormaps import COLOR_MAPS

        shown = ui.color_bar.pixmap.toImage()
        colors = COLOR_MAPS[map_name]()[::2]
        assert shown.width() == len(colors)
        for place in (0, 50, 127):
            color = shown.pixelColor(place, 0)
            assert (color.red(), color.green(), color.blue()) == tuple(colors[place])
    assert (ui.weak_label.text, ui.strong_label.text) == ("weak", "strong")
    desk.host.idle(0.05)
    assert (
        ui.weak_label.mapToGlobal(ui.weak_label.rect.center()).x()
        < ui.strong_label.mapToGlobal(ui.strong_label.rect.center()).x()
    )
    assert ui.color_bar.width >= 128


def test_preview_lasts_while_the_button_is_held(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    from PySide6 import QtCore, QtTest

    desk.connect(panel_server.url)
    button, viewer = desk.ui.preview_button, desk.logic.viewer
    assert not button.enabled
    desk.click_cell(5)
    QtTest.QTest.mousePress(button, QtCore.Qt.LeftButton)
    assert viewer.preview
    QtTest.QTest.mouseRelease(button, QtCore.Qt.LeftButton)
    assert not viewer.preview


def test_display_settings_and_words_are_remembered(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    desk.ui.opacity_slider.setValue(70)
    desk.ui.threshold_slider.setValue(35)
    desk.ui.color_map_combo.setCurrentIndex(1)
    desk.click_cell(1)
    desk.ui.switch_combo.setEditText("the hilum")
    desk.host.click(desk.ui.submit_button)
    desk.settle()
    desk.host.unload("IMIL")
    desk.host.load_module(MODULE)
    again = Desk(desk.host)
    ui = again.ui
    assert (ui.opacity_slider.value, ui.threshold_slider.value, ui.color_map_combo.currentIndex) == (70, 35, 1)
    assert (ui.url_edit.text, ui.reader_edit.text) == (panel_server.url, "Ada")
    again.keys("Return")
    desk.host.wait_until(lambda: again.review.case is not None, 30)
    again.settle()
    assert [ui.switch_combo.itemText(index) for index in range(ui.switch_combo.count)] == ["the hilum"]


def test_pausing_stops_the_clock_and_painting_starts_it(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    ui, watch = desk.ui, desk.review.case.stopwatch
    desk.host.click(ui.pause_button)
    before = watch.seconds
    desk.host.idle(0.1)
    assert watch.seconds == before
    assert ui.pause_button.text == "Paused"
    desk.click_cell(4)
    desk.host.idle(0.1)
    assert watch.seconds > before + 0.05
    assert (ui.pause_button.checked, ui.pause_button.text) == (False, "Pause")


def test_leaving_and_coming_back_goes_on_where_it_was(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    import slicer

    manager = slicer.app.layoutManager()
    before = manager.layout
    desk.connect(panel_server.url)
    desk.click_cell(5)
    only_red = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    assert manager.layout == only_red
    desk.host.leave()
    assert manager.layout == before
    desk.host.press("A", desk.host.window)
    assert desk.marks == ((5,), ())
    desk.host.open("IMIL")
    assert manager.layout == only_red
    assert desk.marks == ((5,), ())
    desk.click_cell(6)
    desk.keys("Return")
    desk.settle()
    assert [event.cells for event in answers(panel_study)] == [(5, 6)]


def test_closing_the_scene_keeps_the_case(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    desk.click_cell(5)
    desk.host.close_scene()
    assert desk.marks == ((5,), ())
    desk.click_cell(10)
    desk.keys("Return")
    desk.settle()
    assert [event.cells for event in answers(panel_study)] == [(5, 10)]


def test_the_last_case_says_so_and_leads_on(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    ui = desk.ui
    for position in range(1, QUEUED + 1):
        desk.host.wait_until(lambda position=position: desk.review.case is not None and desk.position == position, 20)
        desk.keys("A", "Return")
    desk.settle()
    desk.host.wait_until(lambda: ui.empty_label.text.endswith("Continue training."), 20)
    assert ui.receipt_label.text == "Saved; that was the last case of this round."
    assert not ui.case_box.visible
    desk.host.click(ui.empty_button)
    assert ui.training_page.visible
    assert ui.continue_button.enabled
    assert len(answers(panel_study)) == QUEUED
