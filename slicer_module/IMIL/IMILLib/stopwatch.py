"""The time a reader spends on a case, without pauses and absences."""

from __future__ import annotations

from typing import Callable

IDLE_LIMIT = 120.0
"""Seconds without a sign of the reader after which she is taken to have left."""


class Stopwatch:
    """Counts seconds between `start` and now, but not while paused, nor while nobody is there.

    Whoever hasn't given a sign (`touch`) for ``idle_limit`` seconds left at the last one: the watch then counts up to
    it only, and goes on at the next.

    Args:
        clock: Gives seconds that never go back, as ``time.monotonic``.
        idle_limit: In seconds.
    """

    def __init__(self, clock: Callable[[], float], idle_limit: float = IDLE_LIMIT) -> None:
        self._clock = clock
        self._idle_limit = idle_limit
        self._counted = 0.0
        self._since: float | None = None
        """When the stretch that is being counted began; None while stopped or paused."""
        self._touched = 0.0

    @property
    def seconds(self) -> float:
        """Counted so far."""
        return self._counted + self._stretch()

    @property
    def running(self) -> bool:
        """Whether seconds are being counted now."""
        return self._since is not None and not self._idle()

    def start(self) -> None:
        """Count from 0."""
        self._counted = 0.0
        self._since = self._touched = self._clock()

    def pause(self) -> None:
        """Stop counting until `resume`; a second call changes nothing."""
        self._counted += self._stretch()
        self._since = None

    def resume(self) -> None:
        """Go on counting, from now; nothing happens if it does already."""
        if self._since is None:
            self._since = self._touched = self._clock()
        else:
            self.touch()

    def touch(self) -> None:
        """A sign of the reader. Wakes a watch that stopped by itself, but not one that was paused."""
        if self._since is None:
            return
        now = self._clock()
        if self._idle():
            self._counted += self._stretch()
            self._since = now
        self._touched = now

    def _idle(self) -> bool:
        return self._clock() - self._touched > self._idle_limit

    def _stretch(self) -> float:
        if self._since is None:
            return 0.0
        return (self._touched if self._idle() else self._clock()) - self._since
