import itertools
import math

import pytest

from imil.errors import BadInput, Conflict, NotFound
from imil.store import NEXT_STATES, EpochMetrics, Run, RunState, Store
from imil.store.models import RunRow
from imil.store.runs import move


def metrics(run: int, epoch: int, split: str = "train", **values: float) -> EpochMetrics:
    given = {"loss": 0.5, "accuracy": 0.75, "auroc": 0.8, "ece": 0.1, "brier": 0.2, "seconds": 2.0} | values
    return EpochMetrics(run=run, epoch=epoch, split=split, **given)


def test_a_new_run_is_training_with_its_settings(store: Store) -> None:
    settings = {"epochs": 10, "imil_epochs": [4, 7], "network": "resnet50"}
    run = store.create_run(settings, ["normal", "tb"])
    assert (run.id, run.state, run.kind, run.parent) == (1, RunState.TRAINING, "imil", None)
    assert (run.epoch, run.epochs, run.round, run.rounds) == (0, 10, 0, 2)
    assert (run.settings, run.classes) == (settings, ["normal", "tb"])
    assert run.created.tzinfo is not None
    assert store.run(run.id) == run == store.latest_run()
    assert store.latest_run("without_feedback") is None


def test_a_comparison_has_a_parent_and_no_rounds(store: Store, training: Run) -> None:
    run = store.create_run(training.settings, training.classes, kind="without_feedback", parent=training.id, epoch=4)
    assert (run.parent, run.rounds, run.epoch) == (training.id, 0, 4)
    assert store.latest_run() == training
    assert [entry.id for entry in store.runs()] == [training.id, run.id]
    with pytest.raises(NotFound, match="run 99"):
        store.create_run(training.settings, training.classes, kind="without_feedback", parent=99)


def test_two_people_cant_both_start_after_the_same_run(store: Store, training: Run) -> None:
    store.create_run(training.settings, training.classes, newest=training.id)
    with pytest.raises(Conflict, match="Run 2 was started in the meantime"):
        store.create_run(training.settings, training.classes, newest=training.id)
    assert len(store.runs()) == 2


@pytest.mark.parametrize("number", [0, 7, -1, 2**40, 2**80])
def test_an_unknown_run_is_not_found(store: Store, number: int) -> None:
    with pytest.raises(NotFound, match=f"no run {number}"):
        store.run(number)
    with pytest.raises(NotFound, match=f"no run {number}"):
        store.set_state(number, RunState.FAILED)


@pytest.mark.parametrize(("present", "state"), itertools.product(RunState, RunState))
def test_only_the_moves_of_the_table_are_made(present: RunState, state: RunState) -> None:
    row = RunRow(id=1, state=present)
    if state in NEXT_STATES[present]:
        move(row, state)
        assert row.state == state
    else:
        with pytest.raises(Conflict, match=f"Run 1 is {present} and can't become {state}"):
            move(row, state)
        assert row.state == present


def test_set_state_refuses_when_the_run_has_moved_on(store: Store, training: Run) -> None:
    assert store.set_state(training.id, RunState.FAILED, message="disk full").message == "disk full"
    with pytest.raises(Conflict, match="Run 1 is failed, not training"):
        store.set_state(training.id, RunState.COMPLETED, expect=RunState.TRAINING)
    assert store.set_state(training.id, RunState.TRAINING, expect=RunState.FAILED).message == ""
    assert store.set_state(training.id, RunState.COMPLETED, model_sha256="a" * 64).model_sha256 == "a" * 64
    with pytest.raises(Conflict, match="start a new run"):
        store.set_state(training.id, RunState.TRAINING)


def test_review_begins_and_ends_only_with_a_round(store: Store, training: Run, make_queue) -> None:
    with pytest.raises(Conflict, match="without a round"):
        store.set_state(training.id, RunState.AWAITING_REVIEW)
    store.open_round(training.id, 4, "f" * 64, make_queue(1))
    for state in RunState:
        with pytest.raises(Conflict, match="without a round"):
            store.set_state(training.id, state)
    assert store.run(training.id).state is RunState.AWAITING_REVIEW


def test_epochs_are_recorded_once_however_often_they_run(store: Store, training: Run) -> None:
    store.record_epoch(training.id, 1, [metrics(training.id, 1), metrics(training.id, 1, "val", seconds=1.0)])
    store.record_epoch(training.id, 2, [metrics(training.id, 2, loss=0.4)])
    store.record_epoch(training.id, 2, [metrics(training.id, 2, loss=0.3, auroc=math.nan)])
    found = store.epochs(training.id)
    assert [(entry.epoch, entry.split) for entry in found] == [(1, "train"), (1, "val"), (2, "train")]
    assert found[2].loss == 0.3
    assert math.isnan(found[2].auroc)
    assert found[2].values()["auroc"] is None
    assert store.epochs(training.id, epoch=1) == found[:2]
    run = store.run(training.id)
    assert (run.epoch, run.seconds) == (2, 5.0)
    assert store.epoch_seconds(training.id) == 2.5


def test_epochs_of_others_or_outside_training_are_refused(store: Store, training: Run) -> None:
    assert store.epoch_seconds(training.id) is None
    with pytest.raises(BadInput, match="run 9, epoch 1"):
        store.record_epoch(training.id, 1, [metrics(9, 1)])
    store.set_state(training.id, RunState.COMPLETED)
    with pytest.raises(Conflict, match="only recorded while it is training"):
        store.record_epoch(training.id, 1, [metrics(training.id, 1)])
    assert store.epochs(training.id) == []


def test_scores_keep_nan_and_replace(store: Store, training: Run) -> None:
    store.save_score(training.id, 1, 4, "test", {"accuracy": 0.5})
    store.save_score(training.id, 1, 4, "test", {"accuracy": 0.75, "auroc": math.nan})
    store.save_score(training.id, 0, 0, "test", {"accuracy": 0.25})
    first, second = store.scores(training.id)
    assert (first.round, second.round, second.metrics["accuracy"]) == (0, 1, 0.75)
    assert math.isnan(second.metrics["auroc"])
