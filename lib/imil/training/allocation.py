"""Memory between training steps: kept by the process rather than given back and asked for again."""

import ctypes
import functools
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt, see malloc.h of the GNU C library."""
_KEPT = 2**31 - 1
"""Bytes at the top of the heap that are kept; the largest number that mallopt takes."""
_FROM_HEAP = 2**25
"""Blocks up to so many bytes come from the heap; the most that the GNU C library allows."""


@functools.cache
def keep_freed_memory() -> None:
    """Tell the C library to keep what is freed, for the next step.

    Each step of training on a CPU frees its maps, and asks for as much again. The GNU C library gives large blocks back
    to the system, which then has to map and clear thousands of pages in every step: up to a third of the time of a
    small network. Other C libraries have no such call, and are left alone.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _FROM_HEAP)
        mallopt(_TRIM_THRESHOLD, _KEPT)
