"""Carrying out tasks in processes of this machine, several at a time, one for each processor or GPU.

Each task has a process of its own, so that one that is killed for lack of memory costs nothing but itself. The
processes are forked from one that has imported everything already (a fork server), so starting one takes no time.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from imil.errors import ImilError
from imil.experiments.schedule import Task, sentence_of

MEMORY_EACH = 4 * 2**30
"""Bytes of memory that each process is given room for, when their number isn't set."""


class TaskFailed(ImilError):
    """A task ended with an error; what was finished before stays."""


def devices(setting: str) -> list[str]:
    """The torch devices to train on, for the setting ``device``: each GPU for ``auto``, if there are any."""
    if setting != "auto":
        return [setting]
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] or ["cpu"]


def default_jobs(found: Sequence[str]) -> int:
    """One for each GPU; or as many as there are processors for this process, if there is memory for so many."""
    if found != ["cpu"]:
        return len(found)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)), memory // MEMORY_EACH))


def local_processes(device: str, jobs: int | None = None) -> "LocalProcesses":
    """Processes for the setting ``device``, ``jobs`` at a time; None for as many as there is room for."""
    found = devices(device)
    return LocalProcesses(jobs or default_jobs(found), found)


class LocalProcesses:
    """Runs tasks in up to ``jobs`` processes.

    Args:
        jobs: how many at a time.
        devices: torch devices, given out in turn.
        threads: of torch in each process.
    """

    def __init__(self, jobs: int, devices: Iterable[str] = ("cpu",), threads: int = 1) -> None:
        names = list(devices)
        self._free = [names[number % len(names)] for number in range(jobs)]
        self._threads = threads
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["imil.experiments.trainings"])
        _start_fork_server()
        self._running: dict[str, tuple[BaseProcess, Connection, str]] = {}

    @property
    def free(self) -> int:
        """How many more tasks can be started."""
        return len(self._free)

    def start(self, task: Task) -> None:
        """Start a task; there must be room for it."""
        device = self._free.pop(0)
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_work, args=(task, device, self._threads, sender), daemon=True)
        process.start()
        sender.close()
        self._running[task.key] = (process, receiver, device)

    def finished(self, timeout: float) -> list[str]:
        """The keys of tasks that have ended, after at most ``timeout`` seconds.

        Raises:
            TaskFailed: if one ended with an error.
        """
        sentinels = {process.sentinel: key for key, (process, _, _) in self._running.items()}
        ended = [sentinels[sentinel] for sentinel in wait(list(sentinels), timeout) if isinstance(sentinel, int)]
        for key in ended:
            process, receiver, device = self._running.pop(key)
            process.join()
            self._free.append(device)
            if process.exitcode:
                raise TaskFailed(f"The training {key} ended: {_reason(process.exitcode, receiver)}")
        return ended

    def close(self) -> None:
        """Stop what is still running. It goes on from its last checkpoint another time."""
        for process, _, _ in self._running.values():
            process.kill()
        for process, _, _ in self._running.values():
            process.join()
        self._running.clear()


def _start_fork_server() -> None:
    """Start it deaf to Ctrl-C, which is for its parent: it imports for seconds, and would print where it was."""
    if threading.current_thread() is not threading.main_thread():
        forkserver.ensure_running()  # only the main thread may change what a signal does
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, handler)


def _work(task: Task, device: str, threads: int, sender: Connection) -> None:
    """What a process does: the task; an error goes to the parent as a sentence."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        task.run(device, threads)
    except Exception as error:
        if os.environ.get("IMIL_TRACEBACK"):
            raise
        sender.send(sentence_of(error))
        os._exit(1)


def _end_with_parent() -> None:
    """A task whose experiment was killed would race with the next attempt for its files."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _reason(exitcode: int, receiver: Connection) -> str:
    with contextlib.suppress(EOFError, OSError):
        if receiver.poll():
            return str(receiver.recv())
    if exitcode == -signal.SIGKILL:
        return "its process was killed, most likely for lack of memory; try a smaller batch_size, or fewer --jobs."
    return f"its process ended with status {exitcode}; set IMIL_TRACEBACK=1 and run it again to see where."
