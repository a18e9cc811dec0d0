from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IMILLib.grid import CellGrid

from imil.grid import Grid


@st.composite
def server_grids(draw):
    rows, cols = draw(st.integers(1, 16)), draw(st.integers(1, 16))
    return Grid(rows, cols, draw(st.integers(rows, 90)), draw(st.integers(cols, 90)))


@st.composite
def marked_grids(draw):
    grid = draw(server_grids())
    marks = draw(st.lists(st.integers(0, 2), min_size=grid.num_cells, max_size=grid.num_cells))
    return grid, [c for c, mark in enumerate(marks) if mark == 1], [c for c, mark in enumerate(marks) if mark == 2]


def client_grid(grid: Grid) -> CellGrid:
    return CellGrid(grid.row_edges, grid.col_edges)


@given(marked_grids())
def test_the_mask_is_the_servers(marked):
    server, cells, misleading = marked
    mask = client_grid(server).mask(cells, misleading)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, server.mask(cells, misleading))
    np.testing.assert_array_equal(client_grid(server).inside(cells), mask == 1)


@given(server_grids(), st.data())
def test_every_pixel_is_in_the_cell_that_the_server_has_it_in(server, data):
    grid = client_grid(server)
    cell = data.draw(st.integers(0, server.num_cells - 1))
    rows, cols = server.cell_slices(cell)
    assert grid.box(cell) == (rows.start, rows.stop, cols.start, cols.stop)
    for row in (rows.start, rows.stop - 1):
        for col in (cols.start, cols.stop - 1):
            assert grid.cell_at(row, col) == cell
            assert grid.cell_at(row - 0.5, col - 0.5) == cell
            assert grid.cell_at(row + 0.499999, col + 0.499999) == cell


@given(server_grids())
def test_outside_the_image_is_no_cell(server):
    grid = client_grid(server)
    assert (grid.height, grid.width, grid.num_cells) == (server.height, server.width, server.num_cells)
    for point in [(-0.51, 0), (0, -0.51), (grid.height - 0.5, 0), (0, grid.width - 0.5), (-1e9, 1e9), (np.nan, 0)]:
        assert grid.cell_at(*point) is None


@given(server_grids(), st.data())
def test_a_stroke_passes_every_cell_on_its_way_in_order(server, data):
    grid = client_grid(server)
    rows, cols = st.floats(-20, grid.height + 20), st.floats(-20, grid.width + 20)
    a, b = data.draw(st.tuples(rows, cols)), data.draw(st.tuples(rows, cols))
    passed = grid.cells_between(a, b)
    assert len(set(passed)) == len(passed)
    assert set(passed) == set(grid.cells_between(b, a)) or _touches_an_edge(grid, a, b)

    seen = []
    for at in np.linspace(0, 1, 400):
        row, col = np.array(a) * (1 - at) + np.array(b) * at
        if not _near_an_edge(grid, row, col):
            seen.append(grid.cell_at(row, col))
    seen = [cell for cell in dict.fromkeys(seen) if cell is not None]
    assert [cell for cell in passed if cell in seen] == seen
    for before, after in pairwise(passed):
        down, right = np.abs(np.subtract(divmod(before, grid.cols), divmod(after, grid.cols)))
        assert max(down, right) == 1


def _near_an_edge(grid, row, col):
    return min(np.abs(np.array(grid.row_edges) - 0.5 - row)) < 1e-6 or (
        min(np.abs(np.array(grid.col_edges) - 0.5 - col)) < 1e-6
    )


def _touches_an_edge(grid, a, b):
    """Along an edge or through a corner, which side counts depends on rounding."""
    crossings = []
    for edges, start, end in ((grid.row_edges, a[0], b[0]), (grid.col_edges, a[1], b[1])):
        if abs(start - end) < 1e-6 and min(np.abs(np.array(edges) - 0.5 - start)) < 1e-5:
            return True
        if start != end:
            crossings.extend((np.array(edges) - 0.5 - start) / (end - start))
    crossings = np.sort([*crossings, 0.0, 1.0])
    return bool((np.diff(crossings[(crossings > -0.01) & (crossings < 1.01)]) < 1e-6).any())


def test_a_stroke_within_one_pixel_is_one_cell():
    grid = CellGrid([0, 4, 8], [0, 4, 8])
    assert grid.cells_between((1, 1), (1, 1)) == [0]
    assert grid.cells_between((1, 1), (1, 6)) == [0, 1]
    assert grid.cells_between((0, 0), (7, 6)) == [0, 2, 3]
    assert grid.cells_between((-5, -5), (-5, 20)) == []
    assert grid.cells_between((5, -100), (5, 100)) == [2, 3]


@given(server_grids(), st.data())
def test_neighbours_stop_at_the_border(server, data):
    grid = client_grid(server)
    cell = data.draw(st.integers(0, grid.num_cells - 1))
    row, col = divmod(cell, grid.cols)
    assert grid.neighbour(cell, 0, 0) == cell
    assert grid.neighbour(cell, 1, 0) == min(row + 1, grid.rows - 1) * grid.cols + col
    assert grid.neighbour(cell, 0, -1) == row * grid.cols + max(col - 1, 0)
    assert grid.neighbour(cell, -100, -100) == 0
    assert grid.neighbour(cell, 100, 100) == grid.num_cells - 1


def test_cells_are_named_from_one():
    grid = CellGrid([0, 4, 8, 12], [0, 6, 12])
    assert grid.name(0) == "row 1, column 1"
    assert grid.name(5) == "row 3, column 2"


@pytest.mark.parametrize("edges", [[], [0], [1, 4], [0, 4, 4], [0, 5, 3]])
def test_impossible_edges_are_refused(edges):
    with pytest.raises(ValueError, match="can't be the edges"):
        CellGrid(edges, [0, 4])


def test_cells_that_do_not_exist_are_refused():
    grid = CellGrid([0, 4, 8], [0, 4, 8])
    for call in (
        lambda: grid.box(4),
        lambda: grid.name(-1),
        lambda: grid.neighbour(9, 0, 0),
        lambda: grid.mask([4]),
        lambda: grid.mask([0], [-1]),
        lambda: grid.inside([4]),
    ):
        with pytest.raises(ValueError, match="doesn't exist: a 2 x 2 grid has the cells 0 to 3"):
            call()
    with pytest.raises(ValueError, match="Cell 1 is marked both"):
        grid.mask([1], [1])
