"""Runs from start to end: stops, rounds, comparison, and kills at any moment."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imil.errors import BadInput, Conflict, ImilError
from imil.rounds import Rounds, StartRequest
from imil.runs import advance, checkpoint_path, load_model, round_checkpoint_path, split_data
from imil.settings import resolve
from imil.store import Action, Answer, RunState
from imil.study import Study, create_study
from imil.training import checkpoints

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "feedback": "blackout",
    "selection": "highest_confidence",
    "network": "imil_small",
    "image_size": 32,
    "epochs": 4,
    "imil_epochs": (2,),
    "num_outliers": 4,
    "fill": "least_confident",
    "optimizer": "adamw",
    "lr": 0.003,
    "batch_size": 4,
}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def study(tiny_images):
    return create_study(tiny_images, "csv")


def start(study, **changes):
    return advance(study, Rounds(study).plan(StartRequest(settings=resolve(**(SETTINGS | changes)))))


def go_on(study, **flags):
    return advance(study, Rounds(study).plan(StartRequest(**flags)))


def answer_all(study, reader="ada", action=Action.GRID, cell=5, **fields):
    rounds = Rounds(study)
    while (entry := rounds.next_case(reader)) is not None:
        cells = () if action in (Action.SKIP, Action.EXCLUDE) else (cell,)
        new_label = next(name for name in study.classes if name != entry.label) if action is Action.RELABEL else ""
        key = str(uuid.uuid4())
        rounds.submit(
            Answer(entry.case_id, entry.run, entry.round, reader, action, cells, (), new_label, key=key, **fields)
        )


def weights(study, run):
    return checkpoints.load(checkpoint_path(study, run.id))["network"]


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_stops_for_its_round_and_goes_on_to_the_end(study):
    seen = []
    plan = Rounds(study).plan(StartRequest(settings=resolve(**SETTINGS)))
    run = advance(study, plan, seen.append)
    assert (run.state, run.epoch, run.round) == (RunState.AWAITING_REVIEW, 2, 1)
    assert [progress.epoch for progress in seen if progress.phase == "training"] == [0, 1, 2]
    queue = study.store.queue(run.id, 1)
    assert len(queue) == 4
    for entry in queue:
        heatmap = study.store.heatmap(run.id, 1, entry.case_id)
        assert heatmap.shape == (32, 32)
        assert heatmap.min() >= 0
        assert heatmap.max() <= 1
    answer_all(study)
    run = go_on(study)
    assert (run.state, run.epoch) == (RunState.COMPLETED, 4)
    assert run.model_sha256 == checkpoints.weights_sha256(weights(study, run))
    assert len(study.store.epochs(run.id)) == 2 * 4  # train and test


def test_the_queue_holds_the_training_cases_most_confidently_wrong(study):
    run = start(study, fill="none", num_outliers=50)
    model = load_model(round_checkpoint_path(study, run.id, 1))
    data = split_data(study, 32, "train")
    probabilities = model.predict(data.pixels[data.rows])
    wrong = [
        (-probabilities[i].max(), data.ids[i]) for i in range(len(data)) if probabilities[i].argmax() != data.labels[i]
    ]
    assert [entry.case_id for entry in study.store.queue(run.id, 1)] == [case for _, case in sorted(wrong)]


def test_feedback_changes_the_weights_and_a_skip_does_not(study):
    run = start(study)
    copy = study.folder.with_name("copy")
    study.store.close()
    shutil.copytree(study.folder, copy)
    blacked, skipped = Study.open(study.folder), Study.open(copy)
    answer_all(blacked)
    answer_all(skipped, action=Action.SKIP)
    go_on(blacked)
    go_on(skipped)
    go_on(skipped, without_feedback=True)
    comparison = skipped.store.latest_run("without_feedback")
    assert comparison.state is RunState.COMPLETED
    assert comparison.parent == run.id
    assert equal(weights(skipped, run), weights(skipped, comparison))
    assert not equal(weights(blacked, run), weights(skipped, comparison))


def test_pausing_changes_nothing(study, tmp_path):
    """The comparison run, which branched at the round, equals a run that never stopped."""
    start(study)
    comparison = go_on(study, without_feedback=True)
    unpaused_folder = tmp_path / "unpaused"
    shutil.copytree(study.folder, unpaused_folder, ignore=shutil.ignore_patterns(".imil"))
    unpaused_study = create_study(unpaused_folder, "csv")
    unpaused = start(unpaused_study, imil_epochs=())
    assert unpaused.state is RunState.COMPLETED
    assert equal(weights(study, comparison), weights(unpaused_study, unpaused))
    assert comparison.model_sha256 == unpaused.model_sha256


def test_several_rounds_queue_each_case_once(study):
    run = start(study, imil_epochs=(1, 2), num_outliers=3)
    answer_all(study)
    run = go_on(study)
    assert (run.state, run.round) == (RunState.AWAITING_REVIEW, 2)
    first, second = ({entry.case_id for entry in study.store.queue(run.id, number)} for number in (1, 2))
    assert not first & second
    answer_all(study)
    assert go_on(study).state is RunState.COMPLETED


def test_relabel_and_exclude_take_effect(study):
    run = start(study, num_outliers=1)
    answer_all(study, action=Action.EXCLUDE)
    excluded = study.store.queue(run.id, 1)[0].case_id
    assert Rounds(study).feedback(run.id) == {}  # the round isn't closed yet
    go_on(study)
    assert Rounds(study).feedback(run.id)[excluded].action == "exclude"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"fill": "out_of_fold"}, {"misprediction", "out_of_fold"}),
        ({"selection": "out_of_fold", "fill": "none"}, {"out_of_fold"}),
    ],
    ids=["fill", "selection"],
)
def test_out_of_fold_queues_what_models_trained_elsewhere_mispredict(study, changes, expected):
    messages = []
    plan = Rounds(study).plan(StartRequest(settings=resolve(**(SETTINGS | {"folds": 2} | changes))))
    run = advance(study, plan, lambda progress: messages.append((progress.phase, progress.message)))
    assert [message for phase, message in messages if phase == "folds"] == [
        "Model 1 of 2 on the other folds",
        "Model 2 of 2 on the other folds",
    ]
    reasons = {entry.reason for entry in study.store.queue(run.id, 1)}
    assert reasons <= expected
    assert "out_of_fold" in reasons
    for entry in study.store.queue(run.id, 1):
        assert entry.prediction != entry.label


def test_a_damaged_checkpoint_fails_the_run_in_a_sentence_and_costs_nothing_stored(study):
    run = start(study)
    answer_all(study)
    path = checkpoint_path(study, run.id)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="damaged"):
        go_on(study)
    failed = study.store.run(run.id)
    assert failed.state is RunState.FAILED
    assert "damaged" in failed.message
    path.write_bytes(whole)
    assert go_on(study).state is RunState.COMPLETED
    assert len(study.store.events(run.id)) == 4


def test_without_its_checkpoint_a_run_goes_on_from_its_last_round(study, tmp_path):
    run = start(study)
    answer_all(study)
    twin_folder = tmp_path / "twin"
    shutil.copytree(study.folder, twin_folder)
    twin = Study.open(twin_folder)
    checkpoint_path(twin, run.id).unlink()
    assert equal(weights(study, go_on(study)), weights(twin, go_on(twin)))


def test_a_full_disk_fails_the_run_and_it_can_be_resumed(study):
    resource = pytest.importorskip("resource")
    run = start(study)
    answer_all(study)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))  # a checkpoint is larger, the store is not
    try:
        with pytest.raises(ImilError, match="can't be written"):
            go_on(study)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert study.store.run(run.id).state is RunState.FAILED
    assert go_on(study).state is RunState.COMPLETED


def test_an_error_after_the_round_was_opened_leaves_the_round(study):
    def interrupt(progress):
        if progress.phase == "awaiting_review":
            raise RuntimeError("the terminal is gone")

    plan = Rounds(study).plan(StartRequest(settings=resolve(**SETTINGS)))
    with pytest.raises(RuntimeError, match="the terminal is gone"):
        advance(study, plan, interrupt)
    assert study.store.latest_run().state is RunState.AWAITING_REVIEW


def test_a_training_image_smaller_than_the_grid_is_named_before_anything_is_written(tiny_images):
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(tiny_images / "images" / "case00.png")
    manifest = tiny_images / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("p00,train,,masks/lung.png", "p00,train,,"))
    study = create_study(tiny_images, "csv")
    with pytest.raises(BadInput, match=r"'images/case00.png' is too small: A grid of 4 x 4 cells doesn't fit"):
        start(study)
    assert study.store.latest_run() is None
    assert start(study, grid_size=1, num_outliers=20).state is RunState.AWAITING_REVIEW
    answer_all(study, cell=0)
    assert go_on(study).state is RunState.COMPLETED


def test_two_processes_cannot_train_on_a_study_at_once(study):
    from imil.trainlock import TrainLock

    plan = Rounds(study).plan(StartRequest(settings=resolve(**SETTINGS)))
    with TrainLock(study.state_dir), pytest.raises(Conflict, match="in training by process"):
        advance(study, plan)
    assert study.store.latest_run() is None


def test_a_split_without_cases_is_named(study):
    with pytest.raises(Conflict, match="'val'"):
        split_data(study, 32, "val")


class Worker:
    """The process of run_worker.py."""

    def __init__(self):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.imil.run_worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def step(self, study: Path, acknowledged: Path, kill_after: float | None = None) -> tuple[int, float]:
        """The child's exit status and how long it ran."""
        print(study, acknowledged, file=self._process.stdin, flush=True)
        _, pid = self._process.stdout.readline().split()
        started = time.monotonic()
        timer = None
        if kill_after is not None:
            timer = threading.Timer(kill_after, _kill, [int(pid)])
            timer.start()
        _, status = self._process.stdout.readline().split()
        if timer is not None:
            timer.cancel()
        return int(status), time.monotonic() - started

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=30)


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.mark.parametrize("kills", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments_the_round_completes_with_the_same_weights(tiny_images, tmp_path, kills):
    reference_folder = tmp_path / "reference"
    shutil.copytree(tiny_images, reference_folder)
    create_study(tiny_images, "csv").store.close()
    create_study(reference_folder, "csv").store.close()
    worker = Worker()
    try:
        spent, acknowledged = 0.0, tmp_path / "reference.txt"
        for _ in range(4):  # to the first round, to the second, to its approval, to the end
            status, seconds = worker.step(reference_folder, acknowledged)
            assert status == 0
            spent += seconds
        reference = Study.open(reference_folder).store.latest_run()
        assert reference.state is RunState.COMPLETED

        moments, acknowledged, killed = random.Random(0), tmp_path / "killed.txt", 0
        for _ in range(3 * kills):
            if killed == kills:
                break
            status, _ = worker.step(tiny_images, acknowledged, kill_after=moments.uniform(0.0, spent / 4))
            assert status in (0, signal.SIGKILL)
            killed += status == signal.SIGKILL
            if Study.open(tiny_images).store.latest_run() is None:
                continue
            if Study.open(tiny_images).store.latest_run().state is RunState.COMPLETED:
                shutil.rmtree(tiny_images / ".imil")
                acknowledged.unlink()
                create_study(tiny_images, "csv").store.close()
        assert killed == kills
        store = Study.open(tiny_images).store
        for _ in range(5):
            run = store.latest_run()
            if run is not None and run.state is RunState.COMPLETED:
                break
            assert worker.step(tiny_images, acknowledged)[0] == 0
    finally:
        worker.close()
    run = store.latest_run()
    assert run.state is RunState.COMPLETED
    assert run.model_sha256 == reference.model_sha256
    keys = [event.key for event in store.events(run.id)]
    assert len(keys) == len(set(keys)) == 10
    assert [len(store.corrections(one.id)) for one in store.insights(run.id)] == [1]
    assert set(acknowledged.read_text(encoding="utf-8").split()) <= set(keys)
    epochs = [(metrics.epoch, metrics.split) for metrics in store.epochs(run.id)]
    assert len(epochs) == len(set(epochs)) == 2 * 8


def test_predictions_of_a_loaded_model_are_probabilities(study):
    run = start(study)
    model = load_model(checkpoint_path(study, run.id))
    pixels = study.pixels(32)
    probabilities = model.predict(pixels)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert model.heat_maps(pixels[:3]).maps.shape == (3, 32, 32)
    with pytest.raises(BadInput, match="needed is uint8"):
        model.predict(pixels[:, :16, :16])
