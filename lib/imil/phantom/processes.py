"""Work spread over forked processes that write into shared memory.

Drawing a phantom is many short numpy calls; threads would spend half their time waiting for one another.
"""

import math
import mmap
import os
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from imil.errors import ImilError

_WORTH_A_PROCESS = 16
"""With fewer items for each process, forking costs more than it saves."""


def shared_zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array of zeros that forked processes write to together."""
    count = math.prod(shape)
    flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_POPULATE", 0)
    memory = mmap.mmap(-1, max(1, count * np.dtype(dtype).itemsize), flags=flags)
    return np.frombuffer(memory, dtype, count).reshape(shape)


def for_all(work: Callable[[Iterable[int]], None], count: int) -> None:
    """Call ``work`` with the numbers 0 to ``count - 1``, dealt out to one process for each processor.

    Args:
        work: writes its results to arrays made by `shared_zeros`; whatever else it changes is lost.
        count: how many numbers.

    Raises:
        ImilError: if a process ended before its work was done; it prints why.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(count // _WORTH_A_PROCESS, processors)
    if workers < 2 or not hasattr(os, "fork"):
        work(range(count))
        return
    children = [_fork(work, range(first, count, workers)) for first in range(1, workers)]
    try:
        work(range(0, count, workers))
    finally:
        failed = [child for child in children if os.waitpid(child, 0)[1] != 0]
    if failed:
        raise ImilError(f"{len(failed)} of {workers} processes that draw phantoms failed; what they printed says why.")


def _fork(work: Callable[[Iterable[int]], None], numbers: Iterable[int]) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work(numbers)
        status = 0
    except BaseException:  # noqa: BLE001 - the child ends here, whatever happened
        traceback.print_exc()
    finally:
        os._exit(status)
