"""Carrying out tasks on a Ray cluster.

Its machines must have IMIL installed, and see the study's and the experiment's folders by the same paths.
"""

import os
import socket
from typing import Any

from imil.errors import BadInput
from imil.experiments.processes import TaskFailed
from imil.experiments.schedule import Task, sentence_of

CONNECT_SECONDS = 5.0


class RayCluster:
    """Runs tasks on a cluster, one for each GPU, or for each processor where there is none.

    Weights are the same as on one machine: every task trains with one thread, and knows its seed.

    Args:
        address: of the cluster's head, e.g. ``10.0.0.1:6379``; ``auto`` for the one that this machine belongs to.

    Raises:
        BadInput: if Ray isn't installed, or the cluster can't be reached.
    """

    def __init__(self, address: str) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing about anybody's work goes elsewhere
        try:
            import ray
        except ImportError as error:
            raise BadInput("--ray needs the package ray, which isn't installed; install imil[ray].") from error
        self._ray: Any = ray
        try:
            _knock(address)  # Ray itself waits for minutes
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=True)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise BadInput(
                f"The Ray cluster at {address!r} can't be used ({reason}); start one with `ray start --head`, and name "
                "its address, or auto on a machine that belongs to it."
            ) from error
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        self._slots = gpus or max(1, int(resources.get("CPU", 1)))
        # A machine that is lost takes its tasks along; they go on from their checkpoints elsewhere.
        options = {"num_cpus": 0 if gpus else 1, "num_gpus": 1 if gpus else 0, "max_retries": 2}
        self._work = ray.remote(**options)(_work)
        self._device = "auto" if gpus else "cpu"
        self._running: dict[Any, str] = {}

    @property
    def free(self) -> int:
        """How many more tasks can be started."""
        return self._slots - len(self._running)

    def start(self, task: Task) -> None:
        """Start a task on some machine."""
        self._running[self._work.remote(task, self._device)] = task.key

    def finished(self, timeout: float) -> list[str]:
        """The keys of tasks that have ended, after at most ``timeout`` seconds.

        Raises:
            TaskFailed: if one ended with an error, or its process was lost.
        """
        ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=timeout)
        ended = [self._running.pop(reference) for reference in ready]
        for key, reference in zip(ended, ready, strict=True):
            try:
                problem = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                raise TaskFailed(f"The training {key} ended: {str(error).strip().splitlines()[0]}") from error
            if problem:
                raise TaskFailed(f"The training {key} ended: {problem}")
        return ended

    def close(self) -> None:
        """Stop what is still running, and leave the cluster."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()
        self._ray.shutdown()


def _knock(address: str) -> None:
    """Raises OSError if nothing listens at an address with a port."""
    host, separator, port = address.rpartition("://")[2].rpartition(":")
    if separator and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()


def _work(task: Task, device: str) -> str:
    """Does a task on a machine of the cluster; what went wrong, as a sentence, or nothing."""
    try:
        task.run(device, threads=1)
    except Exception as error:
        if os.environ.get("IMIL_TRACEBACK"):
            raise
        return sentence_of(error)
    return ""
