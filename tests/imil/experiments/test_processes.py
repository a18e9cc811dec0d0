"""Trainings in processes of their own: the same results however many at a time, and whatever is killed."""

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from imil.experiments.conduct import conduct
from imil.experiments.folder import ExperimentFolder, read_result
from imil.experiments.plan import tasks
from imil.experiments.processes import LocalProcesses, TaskFailed, default_jobs, devices
from imil.experiments.resuming import stop_path
from imil.experiments.trainings import Trunk
from imil.training import checkpoints
from tests.imil.experiments.eager_task import Sleeps, save_every_epoch
from tests.imil.experiments.experiment_helpers import carried_out, planned, request, same

KILLS = 6
ARMS = ("imil", "mixup", "random_cells")


def in_processes(asked, out, jobs):
    return conduct(planned(asked, out), ExperimentFolder(out), LocalProcesses(jobs))


@pytest.mark.slow
def test_one_or_two_processes_or_none_of_its_own_give_the_same_results(tiny_study, tmp_path):
    asked = request(tiny_study, arms=ARMS, seeds=(0, 1))
    here, _ = carried_out(asked, tmp_path / "here")
    for jobs in (1, 2):
        there = in_processes(asked, tmp_path / f"jobs{jobs}", jobs)
        assert there.results.keys() == here.results.keys() == {"baseline", *ARMS}
        for name, results in here.results.items():
            assert [result.seed for result in results] == [0, 1]
            assert all(same(one, other) for one, other in zip(results, there.results[name], strict=True))


def test_a_training_that_fails_is_named_with_its_reason(tiny_study, tmp_path):
    asked = request(tiny_study, arms=("baseline",), seeds=(3,), lr=10, optimizer="sgd", momentum=0.99, epochs=40)
    with pytest.raises(TaskFailed, match=r"^The training (shared-\w+|baseline)-seed-3 ended: .*learning rate 10"):
        in_processes(asked, tmp_path / "out", 1)


def test_a_process_that_is_killed_is_told_with_the_likeliest_cause(tmp_path):
    backend = LocalProcesses(1)
    try:
        backend.start(Sleeps("imil-seed-0", tmp_path / "pid"))
        wait_for(tmp_path / "pid")
        assert backend.free == 0
        assert backend.finished(0.05) == []
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        with pytest.raises(TaskFailed, match=r"^The training imil-seed-0 ended: .* killed, .* memory") as told:
            backend.finished(30)
        assert "\n" not in str(told.value)
    finally:
        backend.close()


def test_closing_ends_what_is_running(tmp_path):
    backend = LocalProcesses(1)
    backend.start(Sleeps("imil-seed-0", tmp_path / "pid"))
    pid = int(wait_for(tmp_path / "pid").read_text())
    backend.close()
    assert not psutil.pid_exists(pid)


def test_one_process_for_each_device_or_processor():
    assert devices("cpu") == ["cpu"]
    assert devices("cuda:1") == ["cuda:1"]
    assert default_jobs(["cuda:0", "cuda:1", "cuda:2"]) == 3
    assert 1 <= default_jobs(["cpu"]) <= (os.cpu_count() or 1)


def wait_for(path, seconds=60):
    deadline = time.monotonic() + seconds
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return path


def killed_and_done_again(task, *, kills=KILLS):
    """Kill the task at random moments, and do it again until it's done; how often a checkpoint was left behind."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["imil.experiments.trainings"])

    def in_a_process(kill_after=None):
        process = context.Process(target=save_every_epoch, args=(task,))
        process.start()
        process.join(kill_after)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        return process.exitcode

    def forget():
        shutil.rmtree(task.folder, ignore_errors=True)
        if not isinstance(task, Trunk):
            task.result.unlink(missing_ok=True)

    assert in_a_process() == 0  # starts the fork server, too
    forget()
    started = time.monotonic()
    assert in_a_process() == 0
    seconds = time.monotonic() - started
    moments, killed, on_the_way = random.Random(0), 0, 0
    for _ in range(5 * kills):
        if killed == kills:
            break
        if task.done:
            forget()
        killed += in_a_process(moments.uniform(0.02, seconds)) == -signal.SIGKILL
        on_the_way += (task.folder / "checkpoint.pt").exists()
    assert killed == kills
    assert in_a_process() == 0
    return on_the_way


@pytest.fixture
def long_tasks(tiny_study, tmp_path):
    """A trunk with two stops and an arm with two rounds and out-of-fold models, of some seconds in all."""
    folder = ExperimentFolder(tmp_path / "out")
    asked = request(
        tiny_study,
        "timing",
        arms=("imil_early", "imil_twice"),
        epochs=20,
        imil_epochs=(8,),
        fill="out_of_fold",
        folds=2,
    )
    found = {task.key.split("-")[0]: task for task in tasks(planned(asked, folder.path), folder)}
    return found["shared"], found["imil_twice"]


def test_a_trunk_that_is_killed_and_done_again_ends_with_the_same_weights(long_tasks, tmp_path):
    trunk, _ = long_tasks
    assert trunk.stops == (4, 8)
    reference = replace(trunk, folder=tmp_path / "reference")
    reference.run("cpu", 1)
    assert killed_and_done_again(trunk) > 0
    for stop in trunk.stops:
        one, other = (checkpoints.load(stop_path(task.folder, stop)) for task in (trunk, reference))
        assert checkpoints.weights_sha256(one["network"]) == checkpoints.weights_sha256(other["network"])
        assert one["steps"] == other["steps"] == stop * 4
    assert not (trunk.folder / "checkpoint.pt").exists()


@pytest.mark.slow
def test_an_arm_that_is_killed_and_done_again_ends_with_the_same_result(long_tasks, tmp_path):
    trunk, arm = long_tasks
    trunk.run("cpu", 1)
    reference = replace(arm, folder=tmp_path / "reference", result=tmp_path / "reference.npz")
    reference.run("cpu", 1)
    assert killed_and_done_again(arm) > 0
    assert same(read_result(arm.result), read_result(reference.result))
    assert not arm.folder.exists()
    assert len({sample.round for sample in read_result(arm.result).samples}) == 2


PARENT = """
import sys
from pathlib import Path
from imil.experiments.processes import LocalProcesses
from imil.experiments.run import Request, plan_of
from imil.experiments.folder import ExperimentFolder
from imil.experiments.conduct import conduct
from imil.settings import RunSettings
from imil.study import Study
study, out, settings = sys.argv[1:]
request = Request("compare", Study.open(Path(study)), RunSettings.model_validate_json(settings), seeds=(0, 1),
                  arms=("imil", "mixup"))
folder = ExperimentFolder(Path(out))
conduct(plan_of(request, folder), folder, LocalProcesses(2))
"""


@pytest.mark.slow
def test_killing_the_experiment_leaves_no_process_and_the_next_call_goes_on(tiny_study, tmp_path):
    out = tmp_path / "out"
    asked = request(tiny_study, arms=("imil", "mixup"), seeds=(0, 1), epochs=60, imil_epochs=(20,))
    script = [sys.executable, "-c", PARENT, str(tiny_study.folder), str(out), asked.settings.model_dump_json()]
    parent = subprocess.Popen(script, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        deadline = time.monotonic() + 200
        while not list(out.glob("results/*/*.npz")):
            assert parent.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len(family) >= 2  # the fork server and at least one training
    finally:
        parent.kill()
        parent.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    before = {path: path.stat().st_mtime_ns for path in out.glob("results/*/*.npz")}
    assert 0 < len(before) < 6
    outcome = in_processes(asked, out, 2)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    reference, _ = carried_out(asked, tmp_path / "reference")
    for name, results in reference.results.items():
        assert all(same(one, other) for one, other in zip(results, outcome.results[name], strict=True))
