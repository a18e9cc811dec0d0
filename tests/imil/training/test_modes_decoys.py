"""What a found thing adds to an image, and the parts of finds that are something else."""

import numpy as np
import torch

from imil.training.batches import TrainingData
from imil.training.feedback import AppliedFeedback
from imil.training.modes.decoys import Decoy, add, make_decoys
from imil.training.modes.extent import FEWEST, things
from imil.training.modes.finder import surest_parts
from tests.imil.training import marked

SIDE, PLACES = 64, 16
LEVEL = 50
"""Grey value that the disc adds."""


def discs(count=60, seed=0):
    """A view of smooth images, the first half with a bright disc somewhere, a quarter of these over a bright cloud."""
    random = np.random.default_rng(seed)
    rows, cols = np.mgrid[:SIDE, :SIDE]
    pixels = np.zeros((count, SIDE, SIDE))
    finds = np.zeros((count, PLACES, PLACES), np.uint8)
    shape = np.zeros((count, SIDE, SIDE), bool)
    for number in range(count):
        pixels[number] = 80 + 20 * np.sin(cols / 9 + random.uniform(0, 6)) + random.normal(0, 2, (SIDE, SIDE))
        if number < count // 2:
            row, col = random.integers(16, 48, 2)
            shape[number] = (rows - row) ** 2 + (cols - col) ** 2 <= 9
            pixels[number][shape[number]] += LEVEL
            if number % 4 == 0:
                pixels[number] += 60 * np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / 30)
            finds[number] = shape[number].reshape(PLACES, 4, PLACES, 4).any((1, 3))
    ids = tuple(f"{number:02d}" for number in range(count))
    labels = (np.arange(count) < count // 2).astype(np.int64)
    data = TrainingData(ids, np.clip(pixels, 0, 255).astype(np.uint8), np.arange(count), labels)
    settings = marked.marked_settings(image_size=SIDE)
    return AppliedFeedback({}, data, marked.CLASSES, settings).view, finds, shape


def test_a_decoy_is_the_thing_without_what_lies_around_and_behind_it():
    view, finds, shape = discs()
    without = np.flatnonzero(~finds.any((1, 2)))
    decoys = make_decoys(view, things(view, finds, without, 0), 0)
    assert FEWEST <= len(decoys) <= 20  # of 30 finds, without those over a cloud
    for one in decoys:
        height, width = one.added.shape
        assert 7 <= height <= 14
        assert 7 <= width <= 14
        middle = one.added[height // 2 - 1 : height // 2 + 2, width // 2 - 1 : width // 2 + 2].mean()
        edge = torch.cat([one.added[0], one.added[-1], one.added[:, 0], one.added[:, -1]]).abs().mean()
        assert abs(middle - LEVEL / 255) < 0.12
        assert edge < 0.05
        # It stands where a disc is.
        assert shape[:, one.top + height // 2, one.left + width // 2].any()
    again = make_decoys(view, things(view, finds, without, 0), 0)
    assert all(torch.equal(first.added, second.added) for first, second in zip(decoys, again, strict=True))


def test_of_few_finds_each_is_a_decoy_as_large_as_it_was_found():
    view, finds, _ = discs()
    few = finds.copy()
    few[5:] = 0
    decoys = make_decoys(view, things(view, few, np.arange(30, 60), 0), 0)
    assert len(decoys) == 5
    assert all(one.added.max() > 0.6 * LEVEL / 255 for one in decoys)
    assert make_decoys(view, np.zeros_like(finds), 0) == []


def test_decoys_are_added_in_place_or_anywhere_and_cut_off_at_the_edge():
    one = Decoy(torch.full((4, 2), 0.5), 2, 3)
    images = add(torch.full((2, 1, 8, 8), 0.75), [one], 1.0, np.random.default_rng(0), share_in_place=1.0)
    expected = torch.full((8, 8), 0.75)
    expected[2:6, 3:5] = 1
    assert torch.equal(images[0, 0], expected)
    anywhere = add(torch.zeros(200, 1, 8, 8), [one], 1.0, np.random.default_rng(0), share_in_place=0.0)
    sizes = (anywhere > 0).sum((1, 2, 3))
    assert set(sizes.tolist()) > {4, 8}
    assert sizes.min() >= 2
    assert not add(torch.zeros(5, 1, 8, 8), [one], 0.0, np.random.default_rng(0), share_in_place=0.5).any()
    assert not add(torch.zeros(5, 1, 8, 8), [], 1.0, np.random.default_rng(0), share_in_place=0.5).any()


def test_parts_of_a_find_that_are_less_sure_than_what_is_found_elsewhere_are_dropped():
    sureness = np.zeros((5, 6, 6), np.float32)
    sureness[:4, 1, 1] = 0.9, 0.8, 0.7, 0.6  # the lower quartile of the surest is 0.675
    sureness[:4, 4, 4] = 0.65, 0.69, 0.5, 0.3  # a second part
    sureness[:4, 2, 2] = 0.55  # touches the first at a corner
    found = surest_parts(sureness > 0.2, sureness)
    assert found[:4, 1, 1].all()
    assert found[:4, 2, 2].all()
    assert found[:4, 4, 4].tolist() == [False, True, False, False]
    assert not found[4].any()
    assert not surest_parts(np.zeros((2, 3, 3), bool), np.zeros((2, 3, 3), np.float32)).any()
