"""The radiographs of the benchmark: test images that differ by the marker alone."""

import numpy as np
import pytest

from imil.errors import BadInput
from imil.experiments.refocus.data import read_test, read_training, write
from imil.experiments.refocus.presets import SETTINGS, Size
from imil.experiments.refocus.sources import TEST_SEEDS, DrawnRadiographs, half_of_each_class
from imil.phantom import generate

SIZE = Size(train=20, test=20)


@pytest.fixture
def drawn(tmp_path):
    def draw(name, shortcut=1.0, seed=100):
        training, test = tmp_path / f"{name}.npz", tmp_path / f"{name}-test.npz"
        source = DrawnRadiographs(SETTINGS[name], SIZE)
        write(training, source.training(shortcut, seed))
        write(test, source.test(seed))
        return read_training(training), read_test(test)

    return draw


def test_training_images_come_with_their_truth(drawn):
    part, _ = drawn("corner")
    assert part.data.pixels.dtype == np.uint8
    assert part.data.pixels.shape == part.lung.shape == (20, 64, 64)
    diseased = part.data.labels == 1
    assert (part.marked == diseased).all()  # the shortcut is perfect
    assert (part.marker.any((1, 2)) == diseased).all()
    assert (part.lesion.any((1, 2)) == diseased).all()


@pytest.mark.parametrize("name", ["corner", "unregistered", "lung_random"])
def test_test_images_with_and_without_the_marker_differ_where_it_is_and_nowhere_else(drawn, name):
    _, part = drawn(name)
    differ = part.with_marker.pixels != part.without_marker.pixels
    assert differ.any((1, 2)).all()
    rows, columns = differ.any(2).sum(1), differ.any(1).sum(1)
    assert max(rows.max(), columns.max()) <= 0.25 * 64
    assert (part.with_marker.pixels >= part.without_marker.pixels).all()  # a marker is bright


def test_half_of_each_class_of_the_test_images_is_marked(drawn):
    _, part = drawn("corner")
    for label in (0, 1):
        of_class = part.data.labels == label
        assert part.marked[of_class].sum() == of_class.sum() // 2
    shown = np.where(part.marked[:, None, None], part.with_marker.pixels, part.without_marker.pixels)
    assert (part.data.pixels == shown).all()


def test_test_images_are_of_another_series_than_training_images(drawn):
    training, part = drawn("none", None)
    other = generate(SIZE.test, 100 + TEST_SEEDS, SETTINGS["none"].phantom)
    assert (part.data.pixels == np.round(other.pixels * 255)).all()
    assert not (part.data.pixels == training.data.pixels).all((1, 2)).any()


def test_without_markers_there_is_one_of_each_test_image(drawn):
    training, part = drawn("none", None)
    assert part.with_marker is None
    assert part.without_marker is None
    assert not part.marked.any()
    assert not training.marker.any()


def test_exposure_marks_images_but_has_no_place(drawn):
    training, part = drawn("exposure")
    assert training.marked.any()
    assert not training.marker.any()
    assert (part.with_marker.pixels.mean((1, 2)) > part.without_marker.pixels.mean((1, 2))).all()


def test_half_of_a_class_of_an_odd_number_is_the_smaller_one():
    assert half_of_each_class(np.array([0, 0, 0, 1]), 5)[:3].sum() == 1


def test_damaged_images_are_named(tmp_path):
    path = tmp_path / "images.npz"
    path.write_bytes(b"PK nothing")
    with pytest.raises(BadInput, match=r"images\.npz can't be read"):
        read_training(path)
