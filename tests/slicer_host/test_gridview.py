"""What is drawn over the image: read off the screen."""

import numpy as np
import pytest

from imil.grid import Grid
from slicer_host.stage import Stage

GRID = Grid(4, 5, 80, 100)
MATTERS, MISLED = 1, 2


@pytest.fixture
def stage(host):
    stage = Stage(host)
    stage.case.set_heat_map_visible(False)
    stage.grid_view.show()
    yield stage
    stage.close()


def show(stage, value=128, grid=GRID):
    stage.show(np.full((grid.height, grid.width), value, np.uint8), grid)
    stage.case.set_heat_map_visible(False)


def cell_area(stage, cell, margin=3):
    """Slices of the picture, (rows from below, columns), that many pixels inside a cell's border."""
    top, bottom, left, right = stage.case.grid.box(cell)
    x0, y0 = stage.case.display_of(bottom - 0.5, left - 0.5)
    x1, y1 = stage.case.display_of(top - 0.5, right - 0.5)
    return slice(round(y0) + margin, round(y1) - margin), slice(round(x0) + margin, round(x1) - margin)


def drawn(stage, value=128):
    """Pixels that aren't the image's."""
    return (np.abs(stage.picture().astype(int) - value) > 12).any(axis=2)


def grown(pixels):
    """By a pixel on all sides: where a line between two pixels is drawn depends on rounding."""
    padded = np.pad(pixels, 1)
    height, width = pixels.shape
    return np.any([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)


@pytest.mark.parametrize("zoomed", [False, True])
@pytest.mark.parametrize("grid", [GRID, Grid(16, 16, 211, 190), Grid(1, 5, 37, 101)], ids=["4x5", "16x16", "1x5"])
def test_the_lines_lie_on_the_cells_edges(stage, grid, zoomed):
    show(stage, grid=grid)
    if zoomed:
        stage.zoom_and_pan()
    width, height = stage.size
    lines = drawn(stage)
    expected_x = [stage.case.display_of(0, edge - 0.5)[0] + 0.5 for edge in grid.col_edges]
    expected_y = [stage.case.display_of(edge - 0.5, 0)[1] + 0.5 for edge in grid.row_edges]
    left, right = max(expected_x[0], 0), min(expected_x[-1], width)
    bottom, top = max(expected_y[-1], 0), min(expected_y[0], height)
    inside = np.s_[int(bottom) + 3 : int(top) - 3, int(left) + 3 : int(right) - 3]
    for axis, expected, start in ((0, expected_x, left), (1, expected_y, bottom)):
        full = lines[inside].mean(axis=axis) > 0.95
        found = np.flatnonzero(full) + int(start) + 3.5
        ours = [at for at in expected if int(start) + 5 < at < int(start) + len(full) + 1]
        assert len(ours) > 0 or grid.rows == 1
        for at in ours:
            assert np.abs(found - at).min() <= 1
        for at in found:
            assert np.abs(np.array(expected) - at).min() <= 2


def test_everything_moves_with_the_image(stage):
    show(stage)
    stage.marks.replace([6, 7], [12])
    stage.grid_view.set_hover(8)
    stage.grid_view.set_cursor(13)
    before = drawn(stage)
    width, height = stage.size
    stage.host.drag_view([(width / 2, height / 2), (width / 2 + 37, height / 2 - 21)], button="middle")
    after, before = drawn(stage)[: height - 21, 37:], before[21:, : width - 37]
    for one, other in ((after, before), (before, after)):
        assert not (one & ~grown(other))[3:-3, 3:-3].any()  # at the view's border lines are cut off


def test_swapped_cells_have_arrows_until_others_are_named(stage):
    show(stage)
    stage.grid_view.set_swapped((6, 13))
    for cell in range(GRID.num_cells):
        area = drawn(stage)[cell_area(stage, cell, 6)]
        assert area.any() == (cell in (6, 13))
        if area.any():  # in the middle, with an arrow in each of its halves
            height, width = area.shape
            assert not area[: height // 4].any()
            assert not area[:, : width // 5].any()
            assert area[: height // 2].any()
            assert area[height // 2 :].any()
    show(stage)  # another image
    assert drawn(stage)[cell_area(stage, 6, 6)].any()
    stage.grid_view.set_swapped(())
    assert not drawn(stage)[cell_area(stage, 6, 6)].any()


def test_the_window_does_not_change_it(stage):
    import slicer

    show(stage)
    stage.marks.replace([6], [12])
    before = drawn(stage)
    display = slicer.mrmlScene.GetNodeByID(stage.composite.GetBackgroundVolumeID()).GetDisplayNode()
    display.SetWindowLevelMinMax(0, 256)  # the image as before, to a grey level
    np.testing.assert_array_equal(drawn(stage), before)


def luminance(colors):
    """Of sRGB bytes, as WCAG 2 defines it."""
    light = np.where(colors / 255 <= 0.04045, colors / 255 / 12.92, ((colors / 255 + 0.055) / 1.055) ** 2.4)
    return light @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("value", [0, 64, 128, 192, 255])
@pytest.mark.parametrize("mark", [MATTERS, MISLED])
def test_marks_are_visible_on_every_grey(stage, value, mark):
    show(stage, value)
    stage.marks.set_mark(7, mark)
    area = stage.picture()[cell_area(stage, 7)].astype(float)
    lit, image = luminance(area), float(luminance(np.full(3, float(value))))
    contrast = np.maximum((lit + 0.05) / (image + 0.05), (image + 0.05) / (lit + 0.05))
    assert (contrast > 3).mean() > 0.02
    stage.marks.clear()
    assert not drawn(stage, value)[cell_area(stage, 7)].any()


def test_the_two_marks_differ_without_colour(stage):
    show(stage)
    stage.marks.set_mark(7, MATTERS)
    matters = drawn(stage)[cell_area(stage, 7)]
    stage.marks.set_mark(7, MISLED)
    misled = drawn(stage)[cell_area(stage, 7)]
    assert (matters ^ misled).sum() > 0.3 * matters.sum()
    top = slice(-4, None)
    assert matters[top].any(axis=0).mean() > 0.95
    assert 0.4 < misled[top].any(axis=0).mean() < 0.9


def test_marks_stay_inside_their_cells(stage):
    show(stage)
    stage.marks.set_mark(7, MATTERS)
    pattern = drawn(stage)
    for neighbour in (2, 6, 8, 12):
        assert not pattern[cell_area(stage, neighbour)].any()


def test_the_cells_under_mouse_and_keyboard_are_framed(stage):
    show(stage)
    plain = drawn(stage)
    stage.grid_view.set_hover(7)
    hovered = drawn(stage) & ~plain
    assert hovered[cell_area(stage, 7)].sum() == hovered.sum() > 100
    stage.grid_view.set_hover(None)
    stage.grid_view.set_cursor(7)
    focused = drawn(stage) & ~plain
    assert focused[cell_area(stage, 7)].sum() == focused.sum() > 100
    assert (focused ^ hovered).sum() > 50
    stage.grid_view.set_cursor(None)
    np.testing.assert_array_equal(drawn(stage), plain)


def test_the_next_case_begins_without_the_last_ones_marks(stage):
    show(stage)
    plain = drawn(stage)
    stage.marks.mark_all(MATTERS)
    show(stage)
    np.testing.assert_array_equal(drawn(stage), plain)


def test_marks_come_back_after_the_preview(stage):
    show(stage)
    stage.marks.replace([6], [12])
    before = stage.picture()
    stage.case.set_preview([6])
    preview = stage.picture()
    assert (preview[cell_area(stage, 6)] == 128).all()
    for cell in set(range(20)) - {6}:
        assert not preview[cell_area(stage, cell)].any()
    stage.case.set_preview(None)
    np.testing.assert_array_equal(stage.picture(), before)


def test_nothing_is_drawn_over_another_image_nor_after_hiding(stage):
    import slicer
    import slicer.util

    show(stage)
    stage.marks.mark_all(MATTERS)
    other = slicer.util.addVolumeFromArray(np.full((1, 80, 100), 128, np.uint8))
    other.GetDisplayNode().SetAutoWindowLevel(0)
    other.GetDisplayNode().SetWindowLevelMinMax(0, 255)
    other.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    ours = stage.composite.GetBackgroundVolumeID()
    stage.composite.SetBackgroundVolumeID(other.GetID())
    inside = cell_area(stage, 7)
    assert not drawn(stage)[inside].any()
    stage.composite.SetBackgroundVolumeID(ours)
    assert drawn(stage)[inside].any()
    stage.grid_view.hide()
    assert not drawn(stage)[inside].any()
    stage.zoom_and_pan()
    assert not drawn(stage)[cell_area(stage, 7)].any()
    stage.grid_view.show()
    assert drawn(stage)[cell_area(stage, 7)].any()
    stage.composite.SetBackgroundVolumeID(None)


def test_a_resized_view_is_drawn_right(stage):
    show(stage)
    window = stage.host.window
    window.resize(window.width, window.height + 120)
    stage.host.idle(0.05)
    stage.marks.set_mark(7, MATTERS)
    pattern = drawn(stage)
    assert pattern[cell_area(stage, 7)].any()
    for neighbour in (2, 6, 8, 12):
        assert not pattern[cell_area(stage, neighbour)].any()


def test_removing_takes_everything_off(host):
    renderer = host.slice_widget().sliceView().renderWindow().GetRenderers().GetFirstRenderer()
    props, census = renderer.GetViewProps().GetNumberOfItems(), host.census()
    stage = Stage(host)
    show(stage)
    stage.grid_view.show()
    stage.grid_view.show()
    stage.marks.mark_all(MATTERS)
    stage.close()
    stage.grid_view.remove()
    stage.picture()
    assert renderer.GetViewProps().GetNumberOfItems() <= props
    assert host.census()["observers"] == census["observers"]
