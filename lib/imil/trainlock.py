"""The lock of the one process that trains on a study. However that process ends, the system gives the lock back."""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from imil.errors import Conflict

_WAIT_SECONDS = 0.5
_held_here: dict[Path, int] = {}


class TrainLock:
    """Holds ``train.lock`` in a study's state folder for the length of a ``with`` block.

    Raises:
        Conflict: on entering, if somebody trains on this study already.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = _lock_path(state_dir)
        self._file = -1

    def __enter__(self) -> "TrainLock":
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        # `is_held` takes a shared lock for an instant, which mustn't look like training.
        deadline = time.monotonic() + _WAIT_SECONDS
        while not _try_lock(file, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                process = os.pread(file, 32, 0).decode("ascii", "replace").strip() or "unknown"
                os.close(file)
                raise Conflict(
                    f"The study {self._path.parent.parent} is in training by process {process}; wait until it stops."
                )
            time.sleep(0.01)
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file
        _held_here[self._path] = os.getpid()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _held_here.pop(self._path, None)
        os.close(self._file)


def is_held(state_dir: Path) -> bool:
    """Whether a process, this one included, is training on the study."""
    try:
        file = os.open(_lock_path(state_dir), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(file, fcntl.LOCK_SH)
    finally:
        os.close(file)


def is_held_elsewhere(state_dir: Path) -> bool:
    """Whether another process is training on the study."""
    return _held_here.get(_lock_path(state_dir)) != os.getpid() and is_held(state_dir)


def _lock_path(state_dir: Path) -> Path:
    return state_dir.resolve() / "train.lock"


def _try_lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
