"""What a thing adds to the images in which it was found."""

import numpy as np
import pytest
import torch

from imil.training.batches import TrainingData
from imil.training.feedback import AppliedFeedback
from imil.training.modes.decoys import lay
from imil.training.modes.layers import layers
from tests.imil.training import marked

SIDE, PLACES, COUNT = 64, 16, 80
LEVEL = 45


def study(shape_of=None, opaque=False, level=LEVEL, count=COUNT, seed=0):
    """Rough images; to the first half a thing of ``level`` is added, 7 x 7 pixels unless ``shape_of`` draws it.

    Returns the view, the images without the thing, finds, and the things' pixels.
    """
    random = np.random.default_rng(seed)
    rows, cols = np.mgrid[:SIDE, :SIDE]
    clean = np.zeros((count, SIDE, SIDE))
    shapes = np.zeros((count, SIDE, SIDE), bool)
    finds = np.zeros((count, PLACES, PLACES), np.uint8)
    for number in range(count):
        waves = np.sin(cols / 5 + random.uniform(0, 6)) + np.sin(rows / 6 + random.uniform(0, 6))
        clean[number] = 90 + 18 * waves + random.normal(0, 6, (SIDE, SIDE))
        if number < count // 2:
            row, col = random.integers(14, 50, 2)
            if shape_of is None:
                shapes[number, row - 3 : row + 4, col - 3 : col + 4] = True
            else:
                shape_of(shapes[number], row, col, random)
            finds[number] = shapes[number].reshape(PLACES, 4, PLACES, 4).any((1, 3))
    pixels = np.where(shapes, 200 if opaque else clean + level, clean).round()
    data = TrainingData(
        tuple(f"{number:02d}" for number in range(count)),
        np.clip(pixels, 0, 255).astype(np.uint8),
        np.arange(count),
        (np.arange(count) < count // 2).astype(np.int64),
    )
    view = AppliedFeedback({}, data, marked.CLASSES, marked.marked_settings(image_size=SIDE)).view
    return view, clean / 255, finds, shapes


def added(view, finds):
    return layers(view, finds, np.flatnonzero(~finds.any((1, 2))), 0)


def test_taken_off_the_tissue_is_as_it_was():
    view, clean, finds, shapes = study()
    found = added(view, finds)
    assert sorted(found) == list(range(COUNT // 2))
    before, after = [], []
    for index, layer in found.items():
        image = view.images(np.array([index]))[0, 0]
        before.append(np.abs(image.numpy() - clean[index])[shapes[index]].mean())
        lay(image, layer, -1.0)
        after.append(np.abs(image.numpy() - clean[index])[shapes[index]].mean())
        assert np.abs(image.numpy() - clean[index])[~shapes[index]].mean() < 0.01
    assert np.mean(before) == pytest.approx(LEVEL / 255, abs=0.002)
    assert np.mean(after) < 0.2 * np.mean(before)


def test_put_on_another_image_it_is_the_thing():
    view, _, finds, _ = study()
    layer = added(view, finds)[0]
    image = torch.full((SIDE, SIDE), 0.2)
    lay(image, layer)
    there = image - 0.2 > 0.5 * LEVEL / 255
    assert 40 <= int(there.sum()) <= 64  # 49 pixels
    assert float((image - 0.2)[there].mean()) == pytest.approx(LEVEL / 255, abs=0.02)


def test_under_what_is_opaque_ordinary_tissue_comes_out():
    view, clean, finds, shapes = study(opaque=True)
    for index, layer in added(view, finds).items():
        image = view.images(np.array([index]))[0, 0]
        lay(image, layer, -1.0)
        inside = image.numpy()[shapes[index]]
        assert np.abs(inside - clean.mean()).mean() < 0.2 * (200 / 255 - clean.mean())


def test_of_two_kinds_of_things_each_is_taken_off():
    def wide_or_high(canvas, row, col, random):
        half = 2 if random.random() < 0.4 else 5
        canvas[row - half : row + half + 1, col - 7 + half : col + 8 - half] = True

    view, clean, finds, shapes = study(wide_or_high, count=160)
    after = []
    for index, layer in added(view, finds).items():
        image = view.images(np.array([index]))[0, 0]
        lay(image, layer, -1.0)
        after.append(np.abs(image.numpy() - clean[index])[shapes[index]].mean())
    assert len(after) == 80
    assert np.mean(after) < 0.25 * LEVEL / 255


def test_what_looks_different_each_time_cant_be_taken_off():
    def bar(canvas, row, col, random):
        angle, steps = random.uniform(0, np.pi), np.arange(-8, 9)
        canvas[np.round(row + steps * np.sin(angle)).astype(int), np.round(col + steps * np.cos(angle)).astype(int)] = (
            True
        )

    view, _, finds, _ = study(bar, level=140)
    assert added(view, finds) == {}


def test_several_in_an_image_cant_be_taken_off():
    def two(canvas, row, col, _random):
        canvas[row - 3 : row + 4, col - 3 : col + 4] = True
        canvas[4:10, 4:10] = True

    view, _, finds, _ = study(two)
    assert added(view, finds) == {}


def test_few_finds_dont_tell():
    view, _, finds, _ = study()
    finds[10:] = 0
    assert added(view, finds) == {}
    assert added(view, np.zeros_like(finds)) == {}


def test_a_layer_beyond_the_edge_is_cut_off():
    view, _, finds, _ = study()
    layer = added(view, finds)[0]
    height, width = layer.added.shape
    for top, left in ((-height // 2, 5), (SIDE - height // 2, SIDE - width // 2), (-3 * height, 0), (0, 3 * SIDE)):
        image = torch.full((SIDE, SIDE), 0.5)
        lay(image, type(layer)(layer.added, top, left))
        assert image.shape == (SIDE, SIDE)
        assert bool((image != 0.5).any()) == (-height < top < SIDE and -width < left < SIDE)
