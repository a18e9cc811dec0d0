import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IMILLib import cellpatterns

SIZES = st.tuples(st.floats(1, 2000), st.floats(1, 2000))


EVERY_PATTERN = pytest.mark.parametrize(
    "draw",
    [
        lambda size: cellpatterns.outline(size, 3),
        lambda size: cellpatterns.dashes(size, 3, 8),
        lambda size: cellpatterns.hatch(size, 3, 14),
        lambda size: cellpatterns.crosses(size, 3, 28),
        lambda size: cellpatterns.corners(size, 9),
    ],
    ids=["outline", "dashes", "hatch", "crosses", "corners"],
)


@EVERY_PATTERN
@pytest.mark.parametrize("size", [(0.0, 0.0), (0.0, 50.0), (50.0, 0.0)])
@pytest.mark.filterwarnings("error")
def test_a_view_squeezed_to_nothing_is_no_trouble(draw, size):
    assert np.isfinite(draw(size)).all()


@EVERY_PATTERN
@given(size=SIZES)
def test_every_pattern_stays_inside_its_cell(draw, size):
    lines = draw(size)
    assert lines.shape[1:] == (2, 2)
    assert np.isfinite(lines).all()
    assert lines.min(initial=0.5) >= -1e-9
    assert lines.max(initial=0.5) <= 1 + 1e-9


@given(size=st.tuples(st.floats(40, 2000), st.floats(40, 2000)))
def test_hatching_is_slanted_by_45_degrees_and_evenly_spaced(size):
    pixels = cellpatterns.hatch(size, 3, 14) * size
    assert len(pixels) >= 1
    way = pixels[:, 1] - pixels[:, 0]
    np.testing.assert_allclose(way[:, 0], -way[:, 1], atol=1e-6)
    sums = pixels[:, 0].sum(axis=1)
    np.testing.assert_allclose(np.diff(sums), 14 * np.sqrt(2), atol=1e-6)
    inside = np.array(size) - 3
    ends = pixels.reshape(-1, 2)
    on_frame = np.isclose(ends, 3, atol=1e-6) | np.isclose(ends, inside, atol=1e-6)
    assert on_frame.any(axis=1).all()


@given(size=st.tuples(st.floats(40, 2000), st.floats(40, 2000)))
def test_a_dashed_frame_has_gaps_and_a_solid_one_none(size):
    def drawn(lines):
        return np.linalg.norm((lines[:, 1] - lines[:, 0]) * size, axis=1).sum()

    solid, dashed = cellpatterns.outline(size, 3), cellpatterns.dashes(size, 3, 8)
    assert drawn(solid) == pytest.approx(2 * (size[0] - 6) + 2 * (size[1] - 6))
    assert 0.45 < drawn(dashed) / drawn(solid) < 0.75
    corners = {tuple(np.round(point, 9)) for point in solid[:, 0]}
    assert corners <= {tuple(np.round(point, 9)) for point in dashed.reshape(-1, 2)}


def test_crossed_hatching_holds_both_directions():
    lines = cellpatterns.crosses((100, 60), 3, 28) * (100, 60)
    way = lines[:, 1] - lines[:, 0]
    slants = np.sign(way[:, 0] * way[:, 1])
    assert (slants < 0).sum() == (slants > 0).sum() > 0


def test_patterns_are_placed_into_their_boxes():
    frame = cellpatterns.outline((10, 10), 0)
    lines = cellpatterns.placed(frame, np.array([[0, 0, 10, 20], [30, 40, 5, 5]], float))
    assert lines.shape == (8, 2, 2)
    np.testing.assert_array_equal(lines[:4].reshape(-1, 2).max(axis=0), (10, 20))
    np.testing.assert_array_equal(lines[4:].reshape(-1, 2).min(axis=0), (30, 40))
    np.testing.assert_array_equal(lines[4:].reshape(-1, 2).max(axis=0), (35, 45))


def test_no_cells_give_no_lines():
    assert cellpatterns.placed(cellpatterns.hatch((50, 50), 3, 14), np.zeros((0, 4))).shape == (0, 2, 2)
