"""Tasks in their order: what a task is, where tasks run, and how all of them get done, once each."""

from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from typing import Protocol

from filelock import FileLock, Timeout

from imil.errors import Conflict, ImilError
from imil.experiments.folder import ExperimentFolder

POLL_SECONDS = 1.0

Progress = Callable[[int, int, Sequence[str]], None]
"""Told how many trainings are done, of how many, and which are running."""


class Task(Protocol):
    """Something to do in a process of its own.

    Attributes:
        key: its name; unique in the experiment.
        needs: keys of the tasks that must be done before.
    """

    @property
    def key(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def done(self) -> bool:
        """Whether its files are there already."""
        ...

    def run(self, device: str, threads: int) -> None:
        """Do it.

        Args:
            device: the torch device to train on; ``auto`` for the setting's own.
            threads: of torch on the CPU. The same number gives the same weights.
        """
        ...


class Backend(Protocol):
    """Where tasks run: `imil.experiments.processes.LocalProcesses`, or a Ray cluster."""

    @property
    def free(self) -> int:
        """How many more tasks can be started now."""
        ...

    def start(self, task: Task) -> None: ...

    def finished(self, timeout: float) -> list[str]:
        """Keys of the tasks that have ended since the last call; raises if one failed."""
        ...

    def close(self) -> None:
        """Stop what is still running."""
        ...


def carry_out(todo: Sequence[Task], backend: Backend, progress: Progress | None = None) -> None:
    """Do whatever of some tasks isn't done yet, each as soon as those that it needs are done.

    Args:
        todo: all tasks, also those that are done.
        backend: where they run; the caller closes it.
        progress: told whenever something begins or ends.

    Raises:
        ImilError: if a task fails, or waits for one that isn't among them.
    """
    done = {task.key for task in todo if task.done}
    wanted = _wanted(todo, done)
    waiting = [task for task in todo if task.key in wanted]
    total = len(done) + len(waiting)
    running: list[str] = []
    while waiting or running:
        ready = [task for task in waiting if all(need in done for need in task.needs)]
        for task in ready[: backend.free]:
            backend.start(task)
            waiting.remove(task)
            running.append(task.key)
        if progress is not None:
            progress(len(done), total, running)
        if not running:
            stuck = ", ".join(task.key for task in waiting[:3])
            raise ImilError(f"The trainings {stuck} wait for others that don't exist.")
        for key in backend.finished(POLL_SECONDS):
            running.remove(key)
            done.add(key)
    if progress is not None:
        progress(total, total, [])


def _wanted(todo: Sequence[Task], done: Set[str]) -> set[str]:
    """The tasks that must be done: those that are there for themselves, and whatever these need.

    What is only there for others isn't needed any more once these are all done, even if its files were removed.
    """
    by_key = {task.key: task for task in todo}
    for_others = {need for task in todo for need in task.needs}
    open_ = [task.key for task in todo if task.key not in for_others and task.key not in done]
    wanted: set[str] = set()
    while open_:
        key = open_.pop()
        if key in wanted:
            continue
        wanted.add(key)
        open_ += [need for need in by_key[key].needs if need in by_key and need not in done]
    return wanted


@contextmanager
def alone(folder: ExperimentFolder) -> Iterator[None]:
    """Refuse to train in a folder in which another process does; they would write the same checkpoints."""
    folder.work.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.work / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Conflict(
            f"Another process is carrying out the experiment in {folder.path}; wait until it stops, or stop it."
        ) from None
    try:
        yield
    finally:
        lock.release()


def sentence_of(error: BaseException) -> str:
    """What went wrong, for a person."""
    if isinstance(error, ImilError):
        return str(error)
    return f"{type(error).__name__}: {error}"
