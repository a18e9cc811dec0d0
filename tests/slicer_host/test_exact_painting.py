"""Cells painted with the mouse on the rendered view are those of the file, to the pixel, in every geometry.

Where a cell is on the screen is read off the picture itself: the file's grey values tell the cell's row and column, as
the server reads them. The module's own transforms aren't asked.
"""

from pathlib import Path

import numpy as np
import pytest

from imil.images import read_image
from slicer_host.geometries import GEOMETRIES, STEP, Geometry
from slicer_host.stage import Stage

# One of each way that an image takes to the screen is always tried; the others are slow tests.
_ALWAYS = (
    "png 64 x 64",
    "png one pixel high",
    "nifti +x+y",
    "nifti -y-x",
    "dicom coronal flipped",
    "mha coronal transposed",
)
EVERYWHERE = pytest.mark.parametrize(
    "geometry",
    [
        pytest.param(geometry, id=name, marks=[] if name in _ALWAYS else [pytest.mark.slow])
        for name, geometry in GEOMETRIES.items()
    ],
)


@pytest.fixture
def stage(host):
    stage = Stage(host)
    yield stage
    stage.close()


_known: dict[tuple[str, tuple[int, int]], np.ndarray] = {}


def cells_on_screen(stage: Stage, geometry: Geometry, folder: Path) -> np.ndarray:
    """Shows the geometry after zoom and pan; the cell at each pixel of the view, -1 for none.

    int (height, width), bottom row first, as read off the screen.
    """
    key = (geometry.name, stage.size)
    if key not in _known:
        rows = numbers_on_screen(stage, geometry, folder, geometry.rows_numbered())
        columns = numbers_on_screen(stage, geometry, folder, geometry.columns_numbered())
        _known[key] = np.where((rows >= 0) & (columns >= 0), rows * geometry.grid.cols + columns, -1)
    else:
        show(stage, geometry, folder, geometry.columns_numbered())
    return _known[key]


def numbers_on_screen(stage: Stage, geometry: Geometry, folder: Path, pixels: np.ndarray) -> np.ndarray:
    show(stage, geometry, folder, pixels)
    grey = stage.picture()[..., 0].astype(float)
    number = np.rint(grey / STEP).astype(int) - 1
    assert not (np.abs(grey - (number + 1) * STEP) > 2).any()
    return number


def show(
    stage: Stage, geometry: Geometry, folder: Path, pixels: np.ndarray, heat_map: np.ndarray | None = None
) -> None:
    """The image's own pixels on the screen, to the last one at a cell's border: without interpolation."""
    path = geometry.write(folder, pixels)
    np.testing.assert_array_equal(read_image(path).pixels, pixels)
    stage.show_file(path, geometry.grid, heat_map)
    stage.case.set_heat_map_visible(heat_map is not None)
    for volume_id in (stage.composite.GetBackgroundVolumeID(), stage.composite.GetForegroundVolumeID()):
        without_interpolation(volume_id)
    stage.zoom_and_pan()


def without_interpolation(volume_id: str) -> None:
    import slicer

    slicer.mrmlScene.GetNodeByID(volume_id).GetDisplayNode().SetInterpolate(0)


def places(cells: np.ndarray, count: int, seed: int = 0) -> list[tuple[int, int]]:
    """Positions (x, y) in different cells, anywhere in the cell, its border pixels included."""
    rng = np.random.default_rng(seed)
    found = []
    for cell in rng.permutation(np.unique(cells[cells >= 0]))[:count]:
        ys, xs = np.nonzero(cells == cell)
        one = rng.integers(len(xs))
        found.append((int(xs[one]), int(ys[one])))
    return found


def check_sampled_positions(stage: Stage, cells: np.ndarray) -> None:
    """Everywhere in the view, beside the image too, `cell_under` is the cell that is seen there."""
    rows, columns = range(0, len(cells), 13), range(0, cells.shape[1], 11)
    ours = [[stage.case.cell_under(x, y) for x in columns] for y in rows]
    expected = cells[np.ix_(rows, columns)]
    np.testing.assert_array_equal(np.array(ours, float), np.where(expected < 0, np.nan, expected))


@EVERYWHERE
def test_clicks_after_zoom_and_pan_mark_the_cells_under_them(stage, geometry, tmp_path):
    cells = cells_on_screen(stage, geometry, tmp_path)
    assert (cells >= 0).mean() > 0.01
    check_sampled_positions(stage, cells)
    chosen = places(cells, 6)
    misled = chosen.pop() if len(chosen) > 2 else None
    for x, y in chosen:
        stage.host.click_view(x, y)
    if misled is not None:
        stage.painter.brush = 2
        stage.host.click_view(*misled)

    expected = sorted(int(cells[y, x]) for x, y in chosen)
    expected_misled = [] if misled is None else [int(cells[misled[1], misled[0]])]
    assert list(stage.marks.cells) == expected
    assert list(stage.marks.misleading) == expected_misled
    mask = geometry.grid.mask(expected, expected_misled)
    np.testing.assert_array_equal(stage.case.grid.mask(stage.marks.cells, stage.marks.misleading), mask)
    np.testing.assert_array_equal(stage.labelmap("matters"), mask == 1)
    np.testing.assert_array_equal(stage.labelmap("misled"), mask == 2)


@EVERYWHERE
def test_a_drag_marks_every_cell_that_the_line_crosses_on_the_screen(stage, geometry, tmp_path):
    cells = cells_on_screen(stage, geometry, tmp_path)
    ys, xs = np.nonzero(cells >= 0)
    start, end = (xs[0] + 1, ys[0]), (xs[-1] - 1, ys[-1])
    stage.host.drag_view([start, end])

    steps = np.linspace(0, 1, 4000)
    line_x = np.rint(start[0] + steps * (end[0] - start[0])).astype(int)
    line_y = np.rint(start[1] + steps * (end[1] - start[1])).astype(int)
    crossed = {int(cell) for cell in cells[line_y, line_x] if cell >= 0}
    surely = {cell for cell in crossed if (cells[line_y, line_x] == cell).sum() > 20}
    assert surely <= set(stage.marks.cells)
    touched = {int(cell) for dy in (-1, 0, 1) for cell in cells[(line_y + dy).clip(0, len(cells) - 1), line_x]}
    assert set(stage.marks.cells) <= touched
    stage.marks.undo()
    assert stage.marks.cells == ()


@EVERYWHERE
def test_a_hot_cell_shows_in_that_cell(stage, geometry, tmp_path):
    cells = cells_on_screen(stage, geometry, tmp_path)
    hot = int(np.bincount(cells[cells >= 0]).argmax())
    stage.case.set_opacity(1.0)
    show(stage, geometry, tmp_path, geometry.rows_numbered(), geometry.one_cell(hot, 1.0, np.float32))

    picture = stage.picture().astype(int)
    coloured = np.ptp(picture, axis=2) > 30
    np.testing.assert_array_equal(coloured, cells == hot)


@EVERYWHERE
def test_the_preview_is_black_but_for_the_chosen_cells(stage, geometry, tmp_path):
    cells = cells_on_screen(stage, geometry, tmp_path)
    stage.grid_view.show()
    x, y = places(cells, 1, seed=1)[0]
    stage.host.click_view(x, y)
    before = stage.case.picture.pixels.copy()
    stage.case.set_preview(stage.marks.cells)
    np.testing.assert_array_equal(stage.picture().any(axis=2), cells == cells[y, x])
    np.testing.assert_array_equal(stage.case.picture.pixels, before)
    stage.case.set_preview(None)
    assert (stage.picture().any(axis=2) & (cells >= 0)).sum() > (
        cells == cells[y, x]
    ).sum() or stage.case.grid.num_cells == 1


@pytest.mark.parametrize(
    ("name", "right", "up"),
    [
        ("png 64 x 64", (0, 1), (-1, 0)),
        ("nifti +x+y", (0, 1), (-1, 0)),
        ("nifti -x+y", (0, -1), (-1, 0)),
        ("nifti +x-y", (0, 1), (1, 0)),
        ("nifti +y-x", (-1, 0), (0, -1)),
        ("dicom coronal", (0, 1), (-1, 0)),
        ("dicom coronal flipped", (0, -1), (1, 0)),
        ("dicom sagittal", (0, 1), (-1, 0)),
        ("mha coronal transposed", (1, 0), (0, -1)),
    ],
)
def test_the_patient_is_shown_from_the_front_or_below_and_upright(stage, name, right, up, tmp_path):
    """Where the screen's right and up are in the file, as (rows, columns)."""
    geometry = GEOMETRIES[name]
    stage.show_file(geometry.write(tmp_path, geometry.rows_numbered()), geometry.grid)
    middle_x, middle_y = (length / 2 for length in stage.size)
    here = np.array(stage.case.pixel_under(middle_x, middle_y))
    to_right = np.array(stage.case.pixel_under(middle_x + 40, middle_y)) - here
    to_top = np.array(stage.case.pixel_under(middle_x, middle_y + 40)) - here
    np.testing.assert_allclose(to_right / np.abs(to_right).max(), right, atol=1e-6)
    np.testing.assert_allclose(to_top / np.abs(to_top).max(), up, atol=1e-6)
