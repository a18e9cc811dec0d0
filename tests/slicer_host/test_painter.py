"""Mouse and keyboard on the slice view, beside what Slicer itself does with them."""

import numpy as np
import pytest

from imil.grid import Grid
from slicer_host.geometries import GEOMETRIES
from slicer_host.stage import Stage

MATTERS, MISLED = 1, 2


@pytest.fixture
def stage(host):
    stage = Stage(host)
    stage.show(np.full((80, 100), 90, np.uint8), Grid(4, 5, 80, 100))
    yield stage
    stage.close()


def view_of(stage):
    """What Slicer's own mouse actions change: field of view and place."""
    return tuple(stage.node.GetFieldOfView()), tuple(stage.node.GetXYZOrigin()), str(stage.node.GetSliceToRAS())


def click(stage, cell, **how):
    stage.host.click_view(*stage.middle_of(cell), **how)


def drag(stage, cells, **how):
    stage.host.drag_view([stage.middle_of(cell) for cell in cells], **how)


def test_a_click_toggles_and_each_is_a_step(stage):
    click(stage, 7)
    click(stage, 8)
    click(stage, 7)
    assert stage.marks.cells == (8,)
    stage.marks.undo()
    assert stage.marks.cells == (7, 8)
    stage.marks.undo()
    stage.marks.undo()
    assert stage.marks.cells == ()
    assert not stage.marks.can_undo


def test_the_other_brush_replaces_a_mark(stage):
    click(stage, 7)
    stage.painter.brush = MISLED
    click(stage, 7)
    assert (stage.marks.cells, stage.marks.misleading) == ((), (7,))


def test_two_quick_clicks_are_two_clicks_and_do_not_maximise_the_view(stage):
    import slicer

    layout = slicer.app.layoutManager().layout
    # What Qt makes of it: press, release, double click, release.
    click(stage, 7)
    stage.send("LeftButtonDoubleClickEvent", *stage.middle_of(7))
    stage.send("LeftButtonReleaseEvent", *stage.middle_of(7))
    assert stage.marks.cells == ()
    stage.marks.undo()
    assert stage.marks.cells == (7,)
    assert slicer.app.layoutManager().layout == layout


def test_a_drag_with_few_events_marks_every_cell_on_its_way_in_one_step(stage):
    click(stage, 19)
    drag(stage, [0, 4, 14])
    assert stage.marks.cells == (0, 1, 2, 3, 4, 9, 14, 19)
    stage.marks.undo()
    assert stage.marks.cells == (19,)


def test_a_drag_from_a_chosen_cell_takes_this_brushs_marks_off(stage):
    stage.marks.replace([5, 6, 8], [7])
    drag(stage, [5, 9])
    assert (stage.marks.cells, stage.marks.misleading) == ((), (7,))
    stage.marks.undo()
    assert stage.marks.cells == (5, 6, 8)


def test_a_drag_over_chosen_cells_leaves_them_chosen(stage):
    stage.marks.replace([6], [7])
    drag(stage, [5, 9])
    assert (stage.marks.cells, stage.marks.misleading) == ((5, 6, 7, 8, 9), ())


def test_a_drag_with_shift_takes_any_marks_off_and_does_not_pan(stage):
    stage.marks.replace([6], [7])
    before = view_of(stage)
    drag(stage, [5, 9], modifiers=["shift"])
    assert stage.marks.values == (0,) * 20
    assert view_of(stage) == before
    click(stage, 3, modifiers=["shift"])
    assert stage.marks.values == (0,) * 20


def test_painting_moves_nothing(stage):
    before = view_of(stage)
    drag(stage, [0, 12, 19])
    click(stage, 4)
    assert view_of(stage) == before


@pytest.mark.parametrize("button", ["right", "middle"])
def test_slicers_other_drags_still_work_and_paint_nothing(stage, button):
    before = view_of(stage)
    drag(stage, [6, 7, 13], button=button)
    assert stage.marks.values == (0,) * 20
    assert view_of(stage) != before


def test_the_wheel_still_zooms(stage):
    before = stage.node.GetFieldOfView()[0]
    stage.host.wheel_view(*stage.middle_of(7), steps=2, modifiers=["control"])
    assert stage.node.GetFieldOfView()[0] < before
    click(stage, 7)
    assert stage.marks.cells == (7,)


def test_control_and_alt_belong_to_slicer(stage):
    click(stage, 7, modifiers=["control"])
    click(stage, 7, modifiers=["alt"])
    assert stage.marks.values == (0,) * 20


def test_a_stroke_that_begins_beside_the_image_paints_nothing(stage):
    stage.host.click_view(2, 2)
    stage.host.drag_view([(2, 2), stage.middle_of(7)])
    assert stage.marks.values == (0,) * 20


def test_a_stroke_may_leave_the_image_and_come_back(stage):
    width, _height = stage.size
    first, last = stage.middle_of(4), stage.middle_of(14)
    stage.host.drag_view([first, (width - 1, first[1]), (width - 1, last[1]), last])
    assert stage.marks.cells == (4, 14)


def set_mouse_mode(stage, name):
    node = stage.node.GetInteractionNode()
    node.SetCurrentInteractionMode(getattr(node, name))


def test_placing_markups_is_left_to_slicer(stage):
    import slicer

    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    points.CreateDefaultDisplayNodes()
    slicer.app.applicationLogic().GetSelectionNode().SetReferenceActivePlaceNodeID(points.GetID())
    slicer.app.applicationLogic().GetSelectionNode().SetReferenceActivePlaceNodeClassName(points.GetClassName())
    set_mouse_mode(stage, "Place")
    stage.host.move_view(*stage.middle_of(7))
    click(stage, 7)
    assert stage.marks.values == (0,) * 20
    assert points.GetNumberOfDefinedControlPoints() == 1
    set_mouse_mode(stage, "ViewTransform")
    slicer.mrmlScene.RemoveNode(points)
    click(stage, 7)
    assert stage.marks.cells == (7,)


def test_adjusting_the_window_is_left_to_slicer(stage):
    import slicer

    stage.show(np.tile(np.arange(100, dtype=np.uint8), (80, 1)), Grid(4, 5, 80, 100))
    display = slicer.mrmlScene.GetNodeByID(stage.composite.GetBackgroundVolumeID()).GetDisplayNode()
    set_mouse_mode(stage, "AdjustWindowLevel")
    stage.case.set_heat_map_visible(False)  # Slicer adjusts what is on top
    before = display.GetWindow()
    drag(stage, [6, 7, 13])
    set_mouse_mode(stage, "ViewTransform")
    assert stage.marks.values == (0,) * 20
    assert display.GetWindow() != before


def begin(stage, *cells):
    stage.send("LeftButtonPressEvent", *stage.middle_of(cells[0]))
    for cell in cells[1:]:
        stage.send("MouseMoveEvent", *stage.middle_of(cell))


def go_on(stage, cell):
    stage.send("MouseMoveEvent", *stage.middle_of(cell))
    stage.send("LeftButtonReleaseEvent", *stage.middle_of(cell))


def test_another_mouse_mode_ends_a_stroke(stage):
    begin(stage, 0, 1)
    set_mouse_mode(stage, "Place")
    go_on(stage, 3)
    set_mouse_mode(stage, "ViewTransform")
    go_on(stage, 4)
    assert stage.marks.cells == (0, 1)
    assert not stage.marks.in_stroke


def test_leaving_the_view_ends_a_stroke(stage):
    begin(stage, 0, 1)
    stage.host.leave_view()
    go_on(stage, 3)
    assert stage.marks.cells == (0, 1)
    stage.marks.undo()
    assert stage.marks.cells == ()


def test_a_release_that_never_came_does_not_join_strokes(stage):
    begin(stage, 0, 1)
    begin(stage, 10, 11)
    go_on(stage, 12)
    stage.marks.undo()
    assert stage.marks.cells == (0, 1)


def test_a_release_outside_the_view_ends_the_stroke(stage):
    begin(stage, 3, 4)
    stage.send("MouseMoveEvent", 5000, stage.middle_of(4)[1])
    stage.send("LeftButtonReleaseEvent", 5000, stage.middle_of(4)[1])
    go_on(stage, 14)
    assert stage.marks.cells == (3, 4)


def test_undo_in_the_middle_of_a_stroke_ends_it(stage):
    begin(stage, 0, 1)
    stage.marks.undo()
    go_on(stage, 3)
    assert stage.marks.values == (0,) * 20


def test_another_case_in_the_middle_of_a_stroke_is_not_painted(stage):
    begin(stage, 0, 1)
    first = stage.marks
    stage.show(np.full((80, 100), 90, np.uint8), Grid(4, 5, 80, 100))
    go_on(stage, 3)
    assert stage.marks.values == (0,) * 20
    assert first.cells == (0, 1)
    assert not first.in_stroke


def test_zooming_in_the_middle_of_a_stroke_paints_what_is_under_the_mouse(stage):
    begin(stage, 6)
    x, y = stage.middle_of(7)
    stage.host.wheel_view(x, y, steps=2, modifiers=["control"])
    stage.send("MouseMoveEvent", x, y)
    stage.send("LeftButtonReleaseEvent", x, y)
    assert stage.marks.cells == (6, 7)


def test_detaching_ends_a_stroke_and_leaves_no_observer(host):
    before = host.census()["observers"]
    stage = Stage(host)
    stage.show(np.full((80, 100), 90, np.uint8), Grid(4, 5, 80, 100))
    begin(stage, 0, 1)
    stage.painter.detach()
    go_on(stage, 3)
    assert stage.marks.cells == (0, 1)
    assert not stage.marks.in_stroke
    stage.painter.detach()
    stage.painter.attach()
    stage.painter.attach()
    click(stage, 3)
    assert stage.marks.cells == (0, 1, 3)
    stage.close()
    assert host.census()["observers"] == before


def test_nothing_is_painted_without_a_case(stage):
    at = stage.middle_of(7)
    stage.case.clear()
    stage.host.click_view(*at)
    stage.painter.move_cursor(1, 0)
    stage.painter.toggle_cursor()
    assert stage.marks.values == (0,) * 20
    assert stage.painter.cursor is None


def test_nothing_is_painted_while_there_are_no_marks(stage):
    at = stage.middle_of(7)
    marks, stage.marks = stage.marks, None
    stage.host.click_view(*at)
    stage.painter.toggle_cursor()
    assert marks.values == (0,) * 20


def test_the_cell_under_the_mouse_is_told_once(stage):
    seen = []
    stage.painter.on_hover = seen.append
    for cell in (7, 7, 8):
        stage.host.move_view(*stage.middle_of(cell))
    stage.host.move_view(1, 1)
    stage.host.move_view(*stage.middle_of(3))
    stage.host.leave_view()
    assert seen == [7, 8, None, 3, None]


def test_painting_is_told(stage):
    told = []
    stage.painter.on_paint = lambda: told.append(stage.marks.cells)
    drag(stage, [5, 7])
    assert told[0] == (5,)
    assert told[-1] == (5, 6, 7)


def test_the_keyboard_alone_marks_cells(stage):
    seen = []
    stage.painter.on_cursor = seen.append
    stage.painter.toggle_cursor()
    assert stage.painter.cursor == 12  # the grid's middle
    stage.painter.toggle_cursor()
    stage.painter.move_cursor(-1, 0)
    stage.painter.move_cursor(0, 1)
    stage.painter.brush = MISLED
    stage.painter.toggle_cursor()
    for _ in range(9):
        stage.painter.move_cursor(1, 1)
    assert (stage.marks.cells, stage.marks.misleading) == ((12,), (8,))
    assert stage.painter.cursor == 19
    assert seen[:3] == [12, 7, 8]
    stage.painter.clear_cursor()
    assert seen[-1] is None


def test_the_keyboard_begins_at_the_mouse(stage):
    stage.host.move_view(*stage.middle_of(3))
    stage.painter.move_cursor(1, 0)
    assert stage.painter.cursor == 3


WITH_NEIGHBOURS = [g for g in GEOMETRIES.values() if min(g.grid.rows, g.grid.cols) >= 3]


@pytest.mark.parametrize("geometry", WITH_NEIGHBOURS, ids=[g.name for g in WITH_NEIGHBOURS])
def test_arrow_keys_go_where_they_point_on_the_screen(stage, geometry, tmp_path):
    stage.show_file(geometry.write(tmp_path, geometry.rows_numbered()), geometry.grid)
    for down, right in [(1, 0), (-1, 0), (0, 1), (0, -1)]:
        stage.painter.cursor = geometry.grid.cols + 1
        before = np.array(stage.middle_of(stage.painter.cursor))
        stage.painter.move_cursor(down, right)
        x, y = np.array(stage.middle_of(stage.painter.cursor)) - before
        assert (np.sign(x) if abs(x) > abs(y) else 0, np.sign(-y) if abs(y) > abs(x) else 0) == (right, down)
