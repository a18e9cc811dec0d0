"""Queues of a real engine by each selection, and out-of-fold predictions that two processes ask for at once."""

import multiprocessing
from typing import get_args

import numpy as np
import pytest
import torch

from imil.errors import BadInput
from imil.queueing import build_queue, out_of_fold_probabilities
from imil.settings import Selection
from imil.training.engine import TrainingEngine
from tests.imil.training.conftest import data, one_thread, tiny_settings

__all__ = ["data", "one_thread"]  # fixtures


def engine_of(training_data, **changes):
    made = TrainingEngine(tiny_settings(num_outliers=6, folds=3, **changes), ["normal", "tb"], training_data)
    made.fit(2)
    return made


def out_of_fold(engine, folder):
    return out_of_fold_probabilities(engine, {case: case for case in engine.train.ids}, folder, feedback={})


REASONS = {"highest_confidence": "misprediction", "random": "random"}


@pytest.mark.parametrize("selection", get_args(Selection))
def test_a_queue_by_each_selection(data, tmp_path, selection):
    engine = engine_of(data, selection=selection)
    foreign = out_of_fold(engine, tmp_path) if engine.settings.needs_folds else None
    queue = build_queue(engine, out_of_fold=foreign)
    assert 0 < len(queue.cases) <= 6
    assert {case.reason for case in queue.cases} == {REASONS.get(selection, selection)}
    shown = engine.predict() if foreign is None else foreign
    for case in queue.cases:
        np.testing.assert_allclose(case.probabilities, shown[data.ids.index(case.case_id)])
        assert case.heatmap.shape == (16, 16)
    if selection == "class_balanced":
        assert sorted(case.label for case in queue.cases) == ["normal"] * 3 + ["tb"] * 3
    if selection in ("highest_confidence", "out_of_fold"):
        assert all(case.prediction != case.label for case in queue.cases)
    first = queue.cases[0].case_id
    assert first not in {case.case_id for case in build_queue(engine, exclude={first}, out_of_fold=foreign).cases}


def test_only_these_settings_need_folds():
    assert not tiny_settings().needs_folds
    assert not tiny_settings(selection="class_balanced").needs_folds
    assert tiny_settings(fill="out_of_fold").needs_folds
    assert tiny_settings(selection="out_of_fold").needs_folds
    assert tiny_settings(selection="out_of_fold", fill="least_confident").needs_folds


def _ask(training_data, folder, together, result):
    torch.set_num_threads(1)
    engine = engine_of(training_data)
    together.wait()
    np.save(result, out_of_fold(engine, folder))


def test_two_processes_may_ask_for_the_same_folds_at_once(data, tmp_path):
    fork = multiprocessing.get_context("fork")
    together = fork.Barrier(2, timeout=60)
    folder, results = tmp_path / "folds", [tmp_path / "a.npy", tmp_path / "b.npy"]
    asking = [fork.Process(target=_ask, args=(data, folder, together, result)) for result in results]
    for process in asking:
        process.start()
    for process in asking:
        process.join(120)
    assert [process.exitcode for process in asking] == [0, 0]
    alone = out_of_fold(engine_of(data), tmp_path / "alone")
    for result in results:
        np.testing.assert_array_equal(np.load(result), alone)
    assert sorted(path.name for path in folder.iterdir()) == ["fold-0.npy", "fold-1.npy", "fold-2.npy"]
    # A third that comes later trains nothing, and refuses what doesn't fit.
    np.testing.assert_array_equal(out_of_fold(engine_of(data), folder), alone)
    np.save(folder / "fold-1.npy", alone[:3])
    with pytest.raises(BadInput, match="delete the folder"):
        out_of_fold(engine_of(data), folder)
