"""Cell edges, and cells to masks and back."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imil.errors import BadInput
from imil.grid import Grid


def test_edges_by_hand():
    grid = Grid(3, 4, 10, 11)
    assert grid.row_edges == [0, 3, 6, 10]
    assert grid.col_edges == [0, 2, 5, 8, 11]


def test_mask_by_hand():
    # A 2 x 2 grid on 3 x 4 pixels: rows split 1 + 2, columns 2 + 2. Cell 1 is top right, cell 2 bottom left.
    expected = [[0, 0, 1, 1], [2, 2, 0, 0], [2, 2, 0, 0]]
    np.testing.assert_array_equal(Grid(2, 2, 3, 4).mask([1], [2]), expected)


@pytest.mark.parametrize("cells", range(1, 17))
def test_every_size_is_covered_without_overlap_by_cells_that_differ_by_at_most_one_pixel(cells):
    for size in range(cells, 65):
        edges = Grid(cells, 1, size, 1).row_edges
        gaps = np.diff(edges)
        assert edges[0] == 0
        assert edges[-1] == size
        assert gaps.min() >= 1
        assert gaps.max() - gaps.min() <= 1


@st.composite
def grids(draw):
    height, width = draw(st.integers(1, 64)), draw(st.integers(1, 64))
    return Grid(draw(st.integers(1, min(16, height))), draw(st.integers(1, min(16, width))), height, width)


@given(grids())
def test_the_cells_tile_the_image(grid):
    times_covered = np.zeros((grid.height, grid.width), int)
    for cell in range(grid.num_cells):
        times_covered[grid.cell_slices(cell)] += 1
    assert (times_covered == 1).all()


@given(grids(), st.data())
def test_cells_to_mask_and_back(grid, data):
    every = st.sets(st.integers(0, grid.num_cells - 1))
    relevant = data.draw(every)
    misleading = data.draw(every) - relevant
    assert grid.cells_of(grid.mask(relevant, misleading)) == (tuple(sorted(relevant)), tuple(sorted(misleading)))


@given(grids(), st.data())
def test_one_changed_pixel_is_found_out(grid, data):
    mask = grid.mask(data.draw(st.sets(st.integers(0, grid.num_cells - 1))))
    row, col = data.draw(st.integers(0, grid.height - 1)), data.draw(st.integers(0, grid.width - 1))
    mask[row, col] = 1 - mask[row, col]
    cell_rows = np.diff(grid.row_edges)[np.searchsorted(grid.row_edges, row, side="right") - 1]
    cell_cols = np.diff(grid.col_edges)[np.searchsorted(grid.col_edges, col, side="right") - 1]
    assume(cell_rows * cell_cols > 1)
    with pytest.raises(BadInput, match="only in part"):
        grid.cells_of(mask)


@pytest.mark.parametrize("numbers", [(0, 1, 5, 5), (1, -1, 5, 5), (1, 1, 0, 5)])
def test_a_grid_needs_positive_numbers(numbers):
    with pytest.raises(BadInput, match="at least 1"):
        Grid(*numbers)


def test_a_grid_larger_than_the_image_is_refused():
    with pytest.raises(BadInput, match=r"4 x 4 cells doesn't fit an image of 3 x 300 pixels"):
        Grid.square(4, (3, 300))


@pytest.mark.parametrize("cell", [-1, 16, 2.5, True, "3"])
def test_a_cell_that_does_not_exist_is_named(cell):
    with pytest.raises(BadInput, match="0 to 15"):
        Grid(4, 4, 8, 8).check_cells([cell])


def test_a_cell_cannot_be_both_relevant_and_misleading():
    with pytest.raises(BadInput, match="Cell 3 is marked both"):
        Grid(2, 2, 4, 4).mask([3], [3])


def test_a_mask_of_another_size_or_with_unknown_values_is_refused():
    grid = Grid(2, 2, 4, 6)
    with pytest.raises(BadInput, match="6 x 4 pixels, but the image is 4 x 6"):
        grid.cells_of(np.zeros((6, 4), np.uint8))
    with pytest.raises(BadInput, match="the value 7"):
        grid.cells_of(np.full((4, 6), 7, np.uint8))
