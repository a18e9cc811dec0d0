"""Experiments on a Ray cluster of two nodes on this machine."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from imil.errors import BadInput
from imil.experiments.cluster import RayCluster
from imil.experiments.conduct import conduct
from imil.experiments.folder import ExperimentFolder
from imil.experiments.processes import TaskFailed
from tests.imil.experiments.eager_task import Sleeps
from tests.imil.experiments.experiment_helpers import carried_out, planned, request, same


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "no such address", "256.0.0.1:6379"])
def test_a_cluster_that_doesnt_answer_is_named_at_once(address, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    started = time.monotonic()
    with pytest.raises(
        BadInput, match=r"The Ray cluster at .* can't be used .* start one with `ray start --head`"
    ) as told:
        RayCluster(address)
    assert "\n" not in str(told.value)
    assert repr(address) in str(told.value)
    assert time.monotonic() - started < 30


@pytest.fixture(scope="module")
def cluster():
    """Address of a cluster of two nodes with a processor each."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH", "")))))
        nodes = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100_000_000}
        running = Cluster(initialize_head=True, head_node_args=nodes)
        running.add_node(num_cpus=1, object_store_memory=100_000_000)
        yield running.address
        running.shutdown()


@pytest.mark.slow
def test_two_workers_of_a_cluster_give_the_same_results(cluster, tiny_study, tmp_path):
    asked = request(tiny_study, arms=("imil", "mixup", "same_steps"), seeds=(0, 1))
    here, _ = carried_out(asked, tmp_path / "here")
    most = []
    backend = RayCluster(cluster)
    assert backend.free == 2
    plan = planned(asked, tmp_path / "there")
    there = conduct(plan, ExperimentFolder(tmp_path / "there"), backend, lambda *now: most.append(len(now[2])))
    assert max(most) == 2
    for name, results in here.results.items():
        assert all(same(one, other) for one, other in zip(results, there.results[name], strict=True))


@pytest.mark.slow
def test_a_training_that_fails_on_a_cluster_is_named(cluster, tiny_study, tmp_path):
    asked = request(tiny_study, arms=("baseline",), seeds=(3,), lr=10, optimizer="sgd", momentum=0.99, epochs=40)
    with pytest.raises(TaskFailed, match=r"^The training (shared-\w+|baseline)-seed-3 ended: .*learning rate 10"):
        conduct(planned(asked, tmp_path / "out"), ExperimentFolder(tmp_path / "out"), RayCluster(cluster))


@pytest.mark.slow
def test_a_worker_that_is_lost_has_its_training_done_elsewhere(cluster, tmp_path):
    backend = RayCluster(cluster)
    path = tmp_path / "pid"
    try:
        backend.start(Sleeps("imil-seed-0", path, seconds=5))
        first = wait_for_another(path, "")
        os.kill(int(first), signal.SIGKILL)
        second = wait_for_another(path, first)
        assert psutil.pid_exists(int(second))
        ended = []
        deadline = time.monotonic() + 60
        while not ended and time.monotonic() < deadline:
            ended = backend.finished(1)
        assert ended == ["imil-seed-0"]
    finally:
        backend.close()


@pytest.mark.slow
def test_a_training_whose_workers_are_all_lost_is_named(cluster, tmp_path):
    backend = RayCluster(cluster)
    path, pid = tmp_path / "pid", ""
    try:
        backend.start(Sleeps("imil-seed-0", path))
        for _ in range(3):
            pid = wait_for_another(path, pid)
            os.kill(int(pid), signal.SIGKILL)
        with pytest.raises(TaskFailed, match=r"^The training imil-seed-0 ended: ") as told:
            backend.finished(60)
        assert "\n" not in str(told.value)
    finally:
        backend.close()


def wait_for_another(path, before, seconds=60):
    """The number of the process that does the task, when it isn't ``before`` any more."""
    deadline = time.monotonic() + seconds
    while not path.exists() or (found := path.read_text()) in ("", before):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found
