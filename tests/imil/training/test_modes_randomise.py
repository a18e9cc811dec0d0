import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput
from imil.grid import Grid
from imil.settings import resolve
from imil.training.batches import Batches, TrainingData
from imil.training.draws import Draws
from imil.training.feedback import AppliedFeedback
from imil.training.modes.randomise import Randomise, grey_values, moved_cells

CLASSES = ["normal", "tb"]
WAYS = ["images", "noise", "shuffle"]


def numbered(count: int, side: int) -> TrainingData:
    """Image n is grey value 10 n everywhere; the classes take turns."""
    pixels = np.repeat(np.arange(count, dtype=np.uint8) * 10, side * side).reshape(count, side, side)
    return TrainingData(tuple("abcdefghij"[:count]), pixels, np.arange(count), np.arange(count) % 2)


def mode_on(data: TrainingData, *cases: CaseFeedback, fill: str = "images") -> Randomise:
    chosen = resolve(feedback="randomise", randomise_with=fill)
    return Randomise(AppliedFeedback({case.case_id: case for case in cases}, data, CLASSES, chosen).view, chosen)


def draws_of(mode: Randomise, *indices: int) -> Draws:
    index = np.array(indices, np.int64)
    return Draws(index, mode.view.images(index), torch.from_numpy(mode.view.labels[index]))


def test_other_images_by_hand():
    # Of four 2 x 2 images with the values 0, 10, 20, 30 the last is excluded, so 1 is filled from 0 or 2.
    mode = mode_on(numbered(4, 2), CaseFeedback("b", "grid", 2, (0,), (3,)), CaseFeedback("d", "exclude"))
    seen = set()
    for seed in range(20):
        images = mode.edit(draws_of(mode, 2, 1), np.random.default_rng(seed)).images * 255
        assert images[0].round().unique().tolist() == [20]
        kept, *filled = images[1].round().flatten().tolist()
        assert kept == 10
        assert len(set(filled)) == 1  # one donor for all of the image
        seen.add(filled[0])
    assert seen == {0, 20}


@pytest.mark.parametrize("fill", WAYS)
@settings(max_examples=25, deadline=None)
@given(side=st.integers(6, 13), size=st.integers(1, 6), draw=st.data())
def test_selected_cells_and_other_images_stay(fill, side, size, draw):
    generator = np.random.default_rng(side)
    pixels = generator.integers(0, 256, (6, side, side), dtype=np.uint8)
    data = TrainingData(tuple("abcdef"), pixels, np.arange(6), np.arange(6) % 2)
    cells = sorted(draw.draw(st.sets(st.integers(0, size * size - 1), min_size=1)))
    misleading = sorted(draw.draw(st.sets(st.integers(0, size * size - 1))) - set(cells))
    mode = mode_on(data, CaseFeedback("c", "grid", size, tuple(cells), tuple(misleading)), fill=fill)
    draws = draws_of(mode, 0, 2, 5, 2)
    before = draws.images.clone()
    after = mode.edit(draws, np.random.default_rng(1)).images
    relevant = torch.from_numpy(Grid.square(size, (side, side)).mask(cells) == 1)
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert torch.equal(after[:, :, relevant], before[:, :, relevant])
    assert after.min() >= 0
    assert after.max() <= 1
    if fill == "shuffle":
        assert set(after[1].unique().tolist()) <= set(before[1].unique().tolist())


def test_each_draw_is_filled_afresh():
    for fill in WAYS:
        data = numbered(9, 8)
        data = dataclasses.replace(data, pixels=np.random.default_rng(0).integers(0, 255, (9, 8, 8), dtype=np.uint8))
        mode = mode_on(data, CaseFeedback("a", "grid", 4, (5,)), fill=fill)
        first = mode.edit(draws_of(mode, 0, 0), np.random.default_rng(3)).images
        assert not torch.equal(first[0], first[1])
        assert torch.equal(first, mode.edit(draws_of(mode, 0, 0), np.random.default_rng(3)).images)
        assert not torch.equal(first, mode.edit(draws_of(mode, 0, 0), np.random.default_rng(4)).images)


def test_moved_cells_of_unequal_size_by_hand():
    # 5 x 4 pixels, 2 x 2 cells: rows 0-1 and 2-4. The left cells change places: the lower one's last row is left out
    # above, the upper one's last row is repeated below.
    sources = moved_cells(Grid(2, 2, 5, 4), np.array([2, 1, 0, 3]))
    assert sources.tolist() == [[8, 9, 2, 3], [12, 13, 6, 7], [0, 1, 10, 11], [4, 5, 14, 15], [4, 5, 18, 19]]


@given(size=st.integers(1, 5), shape=st.tuples(st.integers(5, 12), st.integers(5, 12)), seed=st.integers(0, 99))
def test_moved_cells_come_from_the_cell_they_should(size, shape, seed):
    grid = Grid.square(size, shape)
    order = np.random.default_rng(seed).permutation(size * size)
    cell_of = np.zeros(shape, np.int64)
    for cell in range(size * size):
        cell_of[grid.cell_slices(cell)] = cell
    sources = moved_cells(grid, order)
    assert np.array_equal(cell_of.ravel()[sources], order[cell_of])
    identity = moved_cells(grid, np.arange(size * size))
    assert np.array_equal(identity.ravel(), np.arange(identity.size))


def test_noise_has_the_training_sets_mean_and_deviation():
    # Grey values 0 and 100 in equal numbers; the excluded white image doesn't count.
    pixels = np.zeros((3, 32, 32), np.uint8)
    pixels[1], pixels[2] = 100, 255
    data = TrainingData(("a", "b", "c"), pixels, np.arange(3), np.array([0, 1, 0]))
    mode = mode_on(data, CaseFeedback("a", "grid", 4, (0,)), CaseFeedback("c", "exclude"), fill="noise")
    assert grey_values(mode.view) == pytest.approx((50 / 255, 50 / 255))
    noise = mode.edit(draws_of(mode, *[0] * 40), np.random.default_rng(0)).images[:, :, 8:]
    # Of a normal distribution at one deviation above 0, what lies below 0 is cut to 0.
    assert float(noise.median()) == pytest.approx(50 / 255, abs=0.01)
    assert float((noise == 0).float().mean()) == pytest.approx(0.1587, abs=0.01)


def test_a_single_image_has_no_other():
    data = numbered(2, 4)
    cases = CaseFeedback("a", "grid", 2, (0,)), CaseFeedback("b", "exclude")
    with pytest.raises(BadInput, match=r"randomise takes parts of other .* 1 isn't excluded"):
        mode_on(data, *cases)
    assert mode_on(data, *cases, fill="shuffle").repeat == 8


def test_an_answer_without_a_relevant_cell_is_refused():
    with pytest.raises(BadInput, match="No relevant cell is selected in 'b'"):
        mode_on(numbered(4, 4), CaseFeedback("b", "grid", 2, (), (1,)))


def test_batches_hold_fed_back_images_of_both_classes_in_equal_numbers(data, tiny):
    # 2 of class tb, 1 of class normal: 8 draws each are 24, of which the 21 further ones are shared.
    cases = [CaseFeedback(f"case{number:02}.png", "grid", 4, (0,)) for number in (1, 3, 4)]
    applied = AppliedFeedback({case.case_id: case for case in cases}, data, CLASSES, tiny(feedback="randomise"))
    order = Batches(data, 8, 0, 1, feedback=applied).order
    assert len(order) == 33 + 21
    normal, tb = (sum(int((order == index).sum()) for index in group) for group in ((4,), (1, 3)))
    assert {normal, tb} <= {11, 12, 13}
    assert normal + tb == 24
