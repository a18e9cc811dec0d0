"""Share of a map inside of a mask, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imil.errors import BadInput
from imil.metrics.attribution import share_inside

MASK = [[1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("values", "mask", "share"),
    [
        ([[1, 2], [3, 4]], MASK, 0.3),
        ([[-1, 2], [3, -4]], MASK, 0.3),  # signs don't cancel
        ([[1, 2], [3, 4]], [[0.5, 0.5], [0, 1]], 0.55),
        ([[5, 5], [5, 5]], [[1, 0], [0, 0]], 0.25),  # a flat map: the share that the mask covers
        ([[0, 1], [0, 0]], MASK, 1),
        ([[0, 0], [1, 0]], MASK, 0),
        ([[1, 2], [3, 4]], [[0, 0], [0, 0]], 0),
        ([[0, 0], [0, 0]], MASK, float("nan")),
    ],
)
def test_share_by_hand(values, mask, share):
    assert share_inside([values], [mask]) == pytest.approx([share], nan_ok=True)


def test_batch_of_half_precision_maps_and_boolean_masks():
    maps = np.array([[[1, 2], [3, 4]], [[0, 0], [0, 0]], [[2, 0], [0, 0]]], dtype=np.float16)
    found = share_inside(maps, np.array([MASK] * 3, dtype=bool))
    assert found == pytest.approx([0.3, float("nan"), 1], nan_ok=True)
    assert found.dtype == np.float64
    assert share_inside(np.zeros((0, 2, 2)), np.zeros((0, 2, 2))).shape == (0,)


@given(st.integers(0, 1000), st.floats(0.001, 1000))
def test_share_has_no_scale_and_adds_up(seed, scale):
    generator = np.random.default_rng(seed)
    maps, masks = generator.normal(size=(2, 5, 4)), generator.random((2, 5, 4))
    inside = share_inside(maps, masks)
    assert ((inside >= 0) & (inside <= 1)).all()
    assert share_inside(maps * scale, masks) == pytest.approx(inside)
    assert inside + share_inside(maps, 1 - masks) == pytest.approx(np.ones(2))


@pytest.mark.parametrize(
    ("maps", "masks", "sentence"),
    [
        (np.ones((1, 2, 2)), np.ones((1, 2, 3)), r"\(1, 2, 2\) and the masks \(1, 2, 3\)"),
        (np.ones((2, 2)), np.ones((2, 2)), r"images, rows, cols"),
        (np.ones((1, 2, 2)), np.full((1, 2, 2), 255), "255"),
        (np.ones((1, 2, 2)), np.full((1, 2, 2), np.nan), "nan"),
        (np.full((1, 2, 2), np.nan), np.ones((1, 2, 2)), "Map 0"),
    ],
)
def test_bad_maps_and_masks_are_told(maps, masks, sentence):
    with pytest.raises(BadInput, match=sentence):
        share_inside(maps, masks)
