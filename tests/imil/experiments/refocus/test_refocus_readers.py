"""Who answers in the benchmark, and how controls change the answers."""

import numpy as np
import pytest

from imil.experiments.refocus.arms import ARMS
from imil.experiments.refocus.data import TrainingPart
from imil.experiments.refocus.readers import answers
from imil.phantom import CLASSES
from imil.store.records import QueuedCase
from imil.training.batches import TrainingData

COUNT = 40


def part_of(*, marked=True):
    """Images of 16 x 16: lungs in the middle cells, disease in cell 5 of the second class, the marker in cell 0."""
    masks = np.zeros((3, COUNT, 16, 16), np.uint8)
    lesion, lung, marker = masks
    labels = np.arange(COUNT) % 2
    lung[:, 4:12, 4:12] = 1
    lesion[labels == 1, 4:8, 4:8] = 1
    if marked:
        marker[labels == 1, :3, :3] = 1
    ids = tuple(f"case{index:02d}" for index in range(COUNT))
    data = TrainingData(ids, np.zeros((COUNT, 16, 16), np.uint8), np.arange(COUNT), labels)
    return TrainingPart(data, lesion, lung, marker, marker.any((1, 2)), CLASSES)


def asked(name, part, seed=0):
    heat = np.zeros((16, 16), np.float32)
    queue = [
        QueuedCase(case, CLASSES[label], CLASSES[label], 0.9, (0.1, 0.9), "class_balanced", heat, "gradcam", "layer")
        for case, label in zip(part.data.ids, part.data.labels.tolist(), strict=True)
    ]
    return answers(ARMS[name], queue, part, grid_size=4, seed=seed)


@pytest.fixture
def part():
    return part_of()


def test_the_oracle_marks_disease_or_lungs_and_what_misleads(part):
    found = asked("counterfactual", part)
    assert len(found) == COUNT
    assert (found["case00"].cells, found["case00"].misleading) == ((5, 6, 9, 10), ())
    assert (found["case01"].cells, found["case01"].misleading) == ((5,), (0,))


def test_the_careless_reader_overlooks_the_marker_in_half_of_the_images(part):
    right, careless = asked("counterfactual", part), asked("counterfactual_careless", part)
    assert 4 <= sum(bool(said.misleading) for said in careless.values()) <= 16  # of 20
    assert {case: said.cells for case, said in careless.items()} == {case: said.cells for case, said in right.items()}


def test_the_sloppy_reader_mistakes_a_few_cells(part):
    right, sloppy = asked("counterfactual", part), asked("counterfactual_sloppy", part)
    wrong = sum(len(set(right[case].cells) ^ set(said.cells)) for case, said in sloppy.items())
    false = sum(len(set(said.misleading) - set(right[case].misleading)) for case, said in sloppy.items())
    assert 0.02 < wrong / (16 * COUNT) < 0.08
    assert 0.005 < false / (16 * COUNT) < 0.05


def test_controls_turn_the_cells_round_or_draw_them(part):
    right = asked("counterfactual", part)["case01"]
    random, wrong = (asked(f"counterfactual_{name}", part)["case01"] for name in ("random_cells", "wrong_cells"))
    assert (len(random.cells), len(random.misleading)) == (len(right.cells), len(right.misleading))
    assert set(wrong.cells) == set(range(16)) - set(right.cells)
    assert wrong.misleading == right.cells


def test_without_markers_some_harmless_cells_outside_of_the_lungs_are_called_misleading():
    found = asked("counterfactual", part_of(marked=False))
    mistaken = [cell for said in found.values() for cell in said.misleading]
    assert 4 <= len(mistaken) <= 20
    assert not {5, 6, 9, 10} & set(mistaken)


def test_answers_depend_on_the_seed_alone(part):
    for name in ("counterfactual_sloppy", "counterfactual_random_cells"):
        assert asked(name, part, 3) == asked(name, part, 3)
        assert asked(name, part, 3) != asked(name, part, 4)
