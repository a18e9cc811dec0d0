"""From the mouse on the rendered view to the server's own record: the mask is exact in every geometry and format.

The pixels of each file tell their cell: grey value ``(cell + 1) * STEP``. So what was clicked on is read off the
screen, and what the server has is compared with the file as the server reads it. No transform of the module is asked.
"""

from collections.abc import Iterator

import numpy as np
import pytest

from imil import images
from imil.grid import Grid
from imil.study import Study, create_study
from slicer_host.geometries import GEOMETRIES, STEP, Geometry
from tests.monailabel_app.server_process import Server, serve, stop
from tests.reviewable import open_round

CELLS = 4
FINE_CELLS = 16
SHOWN = [geometry for geometry in GEOMETRIES.values() if min(geometry.shape) >= FINE_CELLS]


def numbered(geometry: Geometry) -> np.ndarray:
    grid = Grid.square(CELLS, geometry.shape)
    pixels = np.zeros(geometry.shape, np.uint8)
    for cell in range(grid.num_cells):
        pixels[grid.cell_slices(cell)] = (cell + 1) * STEP
    return pixels


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("exact")
    (folder / "study").mkdir()
    rows = ["image,label,split"]
    for number, geometry in enumerate(SHOWN):
        path = geometry.write(folder / "study", numbered(geometry), f"{number:02} {geometry.name}")
        rows += [f"{path.name},{'ab'[number % 2]},train"]
    for label in "ab":  # a study needs test cases, too
        path = SHOWN[0].write(folder / "study", numbered(SHOWN[0]), f"test {label}")
        rows += [f"{path.name},{label},test"]
    (folder / "study" / "manifest.csv").write_text("\n".join(rows) + "\n")
    create_study(folder / "study", "csv").store.close()
    running = serve(folder / "study", folder / "server.log")
    yield running
    stop(running)


@pytest.fixture
def study(server: Server) -> Iterator[Study]:
    opened = Study.open(server.study)
    yield opened
    opened.store.close()


def cells_on_screen(desk) -> np.ndarray:
    """The cell at each pixel of the view, -1 for none, after zoom and pan: int (height, width), bottom row first."""
    import slicer
    import vtk
    from vtkmodules.util.numpy_support import vtk_to_numpy

    host = desk.host
    desk.logic.viewer.set_heat_map_visible(False)
    composite = host.slice_widget().sliceLogic().GetSliceCompositeNode()
    slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID()).GetDisplayNode().SetInterpolate(0)
    window = host.slice_widget().sliceView().renderWindow()
    width, height = window.GetSize()
    host.wheel_view(width * 0.4, height * 0.6, steps=2, modifiers=["control"])
    host.drag_view([(width / 2, height / 2), (width / 2 + 31, height / 2 - 17)], button="middle")
    desk.logic.viewer.deactivate()  # the grid's lines aren't to be read as grey values
    host.idle(0.05)
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    host.idle(0.05)
    window.Render()
    pixels = vtk.vtkUnsignedCharArray()
    window.GetPixelData(0, 0, width - 1, height - 1, 0, pixels, 0)
    grey = vtk_to_numpy(pixels).reshape(height, width, 3)[..., 0].astype(int)
    desk.logic.viewer.activate()
    host.idle(0.05)
    assert (grey % STEP == 0).all()
    return grey // STEP - 1


def test_mask_on_the_server_is_what_was_painted(desk, server: Server, study: Study) -> None:
    open_round(study, [case.id for case in study.cases if case.split == "train"], grid_size=CELLS)
    desk.connect(server.url)
    random = np.random.default_rng(0)
    for number, geometry in enumerate(SHOWN):
        desk.host.wait_until(lambda number=number: desk.review.case is not None and desk.position == number + 1, 30)
        cells = cells_on_screen(desk)
        chosen = sorted(int(cell) for cell in random.permutation(np.unique(cells[cells >= 0]))[:3])
        assert len(chosen) == 3, geometry.name
        for cell in chosen:
            ys, xs = np.nonzero(cells == cell)
            one = random.integers(len(xs))
            desk.host.click_view(int(xs[one]), int(ys[one]))
        case = desk.review.case.case.id
        desk.keys("Return")
        desk.settle()
        check_recorded(server, study, case, chosen, geometry)


def check_recorded(server: Server, study: Study, case: str, chosen: list[int], geometry: Geometry) -> None:
    event = study.store.events(study.store.latest_run().id)[-1]
    assert (event.case_id, list(event.cells)) == (case, chosen), geometry.name
    mask = served_mask(server, study, case, geometry.shape)
    pixels = images.read_image(study.image_path(case)).pixels
    np.testing.assert_array_equal(mask == 1, np.isin(pixels, [(cell + 1) * STEP for cell in chosen]))


def served_mask(server: Server, study: Study, case: str, shape: tuple[int, int]) -> np.ndarray:
    reply = server.get("/datastore/label", params={"label": case, "tag": "imil"})
    assert reply.ok, reply.text
    path = study.folder / "mask.nii.gz"
    path.write_bytes(reply.content)
    return images.read_mask(path, shape)


def test_sixteen_by_sixteen_cells_reach_the_server(desk, server: Server, study: Study) -> None:
    largest = max(range(len(SHOWN)), key=lambda number: np.prod(SHOWN[number].shape))
    case = [case.id for case in study.cases if case.split == "train"][largest]
    open_round(study, [case], grid_size=FINE_CELLS)
    desk.connect(server.url)
    rows = range(3, 9)
    desk.host.drag_view([desk.logic.viewer.center_of(row * FINE_CELLS + 5) for row in rows])
    desk.keys("2")
    desk.click_cell(255)
    desk.keys("Return")
    desk.settle()
    event = study.store.events(study.store.latest_run().id)[-1]
    assert event.cells == tuple(row * FINE_CELLS + 5 for row in rows)
    assert event.misleading == (255,)
    shape = SHOWN[largest].shape
    expected = Grid.square(FINE_CELLS, shape).mask(event.cells, event.misleading)
    np.testing.assert_array_equal(served_mask(server, study, case, shape), expected)
