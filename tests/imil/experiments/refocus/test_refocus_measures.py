"""What is measured: hand-computed numbers."""

import numpy as np
import pytest

from imil.experiments.refocus.data import TestPart, TrainingPart
from imil.experiments.refocus.measures import finder_quality, measure
from imil.training.batches import TrainingData
from imil.training.insight import Insight


def data(name, labels):
    ids = tuple(f"{name}{index}" for index in range(len(labels)))
    return TrainingData(ids, np.zeros((len(labels), 8, 8), np.uint8), np.arange(len(labels)), np.array(labels))


def test_what_the_marker_does_is_counted_where_it_points_the_wrong_way():
    labels = [0, 0, 1, 1]
    mixed, with_marker, without = (data(name, labels) for name in ("mixed", "with", "without"))
    part = TestPart(mixed, np.array([True, False, True, False]), with_marker, without)
    classes = {"mixed0": 1, "mixed1": 0, "mixed2": 1, "mixed3": 0}  # it reads the marker
    classes |= {
        "with0": 1,
        "with1": 0,
        "with2": 1,
        "with3": 1,
        "without0": 0,
        "without1": 0,
        "without2": 0,
        "without3": 1,
    }

    def predict(of):
        return np.eye(2, dtype=np.float32)[[classes[case] for case in of.ids]]

    found = measure(predict, part)
    assert found["accuracy"] == 0.5
    assert (found["accuracy_with"], found["accuracy_without"]) == (0.75, 0.75)
    assert found["drop_added"] == 0.5  # of two normal images, one is lost when it's added
    assert found["drop_removed"] == 0.5  # of two diseased ones, one is lost when it's removed
    assert found["flipped"] == 0.5


def test_without_markers_nothing_is_said_about_them():
    plain = data("plain", [0, 1])
    found = measure(lambda of: np.eye(2, dtype=np.float32), TestPart(plain, np.zeros(2, np.bool_), None, None))
    assert found["accuracy"] == 1
    assert found["flipped"] is None


@pytest.fixture
def part():
    """Five images of 8 x 8; the marker is in the upper left of images 0, 1 and 2."""
    marker = np.zeros((5, 8, 8), np.uint8)
    marker[:3, :2, :2] = 1
    nothing = np.zeros_like(marker)
    return TrainingPart(data("case", [0, 1, 0, 1, 1]), nothing, nothing, marker, marker.any((1, 2)), ("normal", "tb"))


def insight(part, finds):
    none = np.zeros(16, np.float32)
    return Insight("counterfactual", part.data.ids, 4, none, none, finds=finds)


def test_finds_are_judged_in_images_that_nobody_looked_at(part):
    finds = np.zeros((5, 2, 2), np.uint8)
    finds[0, 1, 1] = 1  # a reader's own mark, which is wrong
    finds[1, 0, 0] = 1  # right
    finds[3, 0, 0] = 1  # no marker there
    found = finder_quality(insight(part, finds), part, {"case0"})
    assert found == {
        "image_precision": 0.5,
        "image_recall": 0.5,
        "place_precision": 0.5,
        "place_recall": 0.5,
    }


def test_a_find_beside_the_marker_has_found_nothing(part):
    finds = np.zeros((5, 2, 2), np.uint8)
    finds[1:3, 1, 1] = 1
    found = finder_quality(insight(part, finds), part, set())
    assert (found["image_precision"], found["image_recall"]) == (1.0, 0.0)
    assert (found["place_precision"], found["place_recall"]) == (0.0, 0.0)


def test_where_nothing_was_looked_for_nothing_is_judged(part):
    assert set(finder_quality(insight(part, np.zeros((0, 0, 0), np.uint8)), part, set()).values()) == {None}


def test_without_a_find_precision_is_undefined(part):
    found = finder_quality(insight(part, np.zeros((5, 2, 2), np.uint8)), part, set())
    assert (found["image_precision"], found["image_recall"]) == (None, 0.0)
