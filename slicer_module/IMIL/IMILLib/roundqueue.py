"""The list of the round's cases: the server's, with the reader's own answers in it before the server has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Callable

from .link import CONNECTED, Link
from .outbox import Pending
from .records import Queue, QueueRow

PATIENCE_SECONDS = 2.0
"""How long after an answer the list is asked for again."""


class RoundQueue:
    """Keeps the list up to date.

    Attributes:
        queue: the list, or None before the first one has arrived.

    Args:
        link: the connection.
        pending: answers that the server hasn't confirmed.
        clock: seconds, rising.
        on_change: called when ``queue`` changes.
    """

    def __init__(
        self,
        link: Link,
        pending: Callable[[], Iterable[Pending]],
        clock: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self.queue: Queue | None = None
        self._link, self._pending, self._clock, self._on_change = link, pending, clock, on_change
        self._asking = self._changed = False
        self._due: float | None = None

    def ask(self) -> None:
        """Ask the server for the list, unless that's being done."""
        client = self._link.client
        if client is None or self._asking or self._link.state != CONNECTED:
            return
        self._asking = True
        self._due = None
        self._link.back.call(client.queue, self._arrived, self._failed)

    def ask_later(self) -> None:
        """Our own answer is in the list already; those of others can wait until a reader in a hurry pauses."""
        if self._due is None:
            self._due = self._clock() + PATIENCE_SECONDS

    def mark(self, case_id: str, action: str) -> None:
        """Show an answer of ours; the next `pump` tells of it, after the view is drawn."""
        if self.queue is not None:
            self.queue = _with_answers(self.queue, {case_id: action})
            self._changed = True

    def forget(self) -> None:
        """The connection is given up."""
        self.queue = self._due = None
        self._asking = self._changed = False

    def pump(self) -> None:
        """Tell of changes, and ask when it's time."""
        if self._changed:
            self._changed = False
            self._on_change()
        if self._due is not None and self._clock() >= self._due:
            self.ask()

    def neighbour(self, position: int, by: int, may_open: Callable[[QueueRow], bool]) -> str:
        """The next case (by = 1) or the one before (by = -1) that can be opened; empty if there is none."""
        rows = [] if self.queue is None else self.queue.rows
        others = [row for row in rows if (row.position - position) * by > 0 and may_open(row)]
        return min(others, key=lambda row: abs(row.position - position)).id if others else ""

    def _arrived(self, queue: Queue) -> None:
        self._asking = False
        unsent = {entry.answer.case_id: entry.answer.action for entry in self._pending() if not entry.kind}
        self.queue = _with_answers(queue, unsent)
        self._on_change()

    def _failed(self, error: Exception) -> None:
        self._asking = False
        self._link.failed(error)


def _with_answers(queue: Queue, actions: dict[str, str]) -> Queue:
    rows = tuple(
        replace(row, mine=True, action=actions[row.id], state="done", holder="") if row.id in actions else row
        for row in queue.rows
    )
    return replace(queue, rows=rows)
