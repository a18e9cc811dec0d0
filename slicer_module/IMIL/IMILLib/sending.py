"""Answers on their way: each is on disk until the server has confirmed it, and is sent again until it does."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable

from .errors import ServerError
from .i18n import _
from .images import write_mask
from .link import CONNECTED, Link
from .outbox import Outbox, Pending
from .problems import ANSWERED, DISCARD, DISK, REPLACE, STALE, TAKEN, Problem
from .records import Queue, Receipt

PATIENCE_SECONDS = 1.5
"""An answer that is on its way for longer than this is worth a reader's notice."""


class Sending:
    """Sends answers one after the other, the oldest first.

    Attributes:
        pending: answers to this server by this reader that aren't confirmed; those with a ``kind`` were refused and
            wait for the reader's decision.

    Args:
        outbox: where they are kept.
        link: the connection.
        clock: seconds, rising.
        on_receipt: called with the confirmed answer and the receipt.
        on_problem: called with something the reader should know, or decide.
        on_change: called when ``overdue`` changes.
    """

    def __init__(
        self,
        outbox: Outbox,
        link: Link,
        clock: Callable[[], float],
        on_receipt: Callable[[Pending, Receipt], None],
        on_problem: Callable[[Problem], None],
        on_change: Callable[[], None],
    ) -> None:
        self.pending: list[Pending] = []
        self._outbox, self._link, self._clock = outbox, link, clock
        self._since: dict[str, float] = {}
        self._told: list[Pending] = []
        self._on_receipt, self._on_problem, self._on_change = on_receipt, on_problem, on_change
        self._under_way = ""

    def begin(self, url: str, reader: str) -> None:
        """Take up what an earlier session left unsent."""
        self._under_way = ""
        kept = self._kept(url, reader)
        known = {entry.answer.key for entry in kept}
        # An answer that couldn't be written to disk is in memory alone: it must survive a reconnection.
        same = [entry for entry in self.pending if (entry.url, entry.answer.reader) == (url, reader)]
        self.pending = kept + [entry for entry in same if entry.answer.key not in known]

    @property
    def overdue(self) -> list[Pending]:
        """The pending answers that aren't just on their way: refused, without a server, or slow."""
        young = self._clock() - PATIENCE_SECONDS
        there = self._link.state == CONNECTED
        return [
            entry
            for entry in self.pending
            if entry.kind or not there or self._since.get(entry.answer.key, young) <= young
        ]

    def _kept(self, url: str, reader: str) -> list[Pending]:
        try:
            aside = len(self._outbox.set_aside())
            kept = self._outbox.entries(url, reader)
            new = self._outbox.set_aside()[aside:]
        except OSError as error:
            self._on_problem(Problem(DISK, str(error)))
            return []
        if new:
            sentence = _(
                "{count} files with answers can't be read and were set aside in {folder}; nothing was deleted."
            ).format(count=len(new), folder=new[0].parent)
            self._on_problem(Problem(DISK, sentence))
        return kept

    def add(self, entry: Pending) -> None:
        """Keep an answer; the next `pump` sends it, so that the next case comes on the screen first."""
        try:
            self._outbox.put(entry)
        except OSError as error:
            sentence = _(
                "This answer could not be kept on disk ({reason}); it is lost if Slicer is closed before the server "
                "has it. Make room on the disk."
            ).format(reason=error.strerror or error)
            self._on_problem(Problem(DISK, sentence, entry.answer.key))
        self.pending.append(entry)
        self._since[entry.answer.key] = self._clock()

    def pump(self) -> None:
        """Send what waits, and tell when it has waited for long."""
        overdue = self.overdue
        if overdue != self._told:
            self._told = overdue
            self._on_change()
        self.send()

    def send(self) -> None:
        """Send the oldest answer that waits, if nothing is under way and the server is there."""
        client = self._link.client
        if self._under_way or client is None or self._link.state != CONNECTED:
            return
        entry = next((entry for entry in self.pending if not entry.kind), None)
        if entry is None:
            return
        self._under_way = entry.answer.key
        self._link.front.call(
            lambda: client.submit(entry.answer, write_mask(entry.mask(), entry.geometry)),
            lambda receipt: self._sent(entry, receipt),
            lambda error: self._not_sent(entry, error),
        )

    def retry(self) -> None:
        """Send everything again, also what was refused before."""
        for entry in [entry for entry in self.pending if entry.kind]:
            self._put(entry, replace(entry, kind="", problem=""))
        self.send()

    def resolve(self, key: str, choice: str) -> None:
        """Carry out the reader's decision about a refused answer. An unknown key means it's settled already."""
        entry = next((entry for entry in self.pending if entry.answer.key == key), None)
        if entry is None:
            return
        if choice == DISCARD:
            self._drop(entry)
        elif choice == REPLACE:
            self._put(entry, replace(entry, answer=replace(entry.answer, replace=True), kind="", problem=""))
        else:
            self._put(entry, replace(entry, kind="", problem=""))
        self.send()

    def interrupted(self) -> None:
        """The connection is gone, and with it what was under way."""
        self._under_way = ""

    def _sent(self, entry: Pending, receipt: Receipt) -> None:
        self._under_way = ""
        self._drop(entry)
        self._on_receipt(entry, receipt)
        self.send()

    def _not_sent(self, entry: Pending, error: Exception) -> None:
        self._under_way = ""
        if not isinstance(error, ServerError):
            self._refused(entry, "rejected", str(error))
        elif error.offline:
            self._link.failed(error)
            return
        elif error.kind == "conflict":
            self._explain(entry, str(error))
            return
        else:
            self._refused(entry, error.kind, str(error))
        self.send()

    def _explain(self, entry: Pending, sentence: str) -> None:
        """Ask for the queue: it shows whether the round is over, or who has the case."""
        client = self._link.client
        if client is None:
            return
        self._under_way = entry.answer.key
        self._link.front.call(
            client.queue,
            lambda queue: self._explained(entry, sentence, queue),
            lambda _error: self._explained(entry, sentence, None),
        )

    def _explained(self, entry: Pending, sentence: str, queue: Queue | None) -> None:
        self._under_way = ""
        self._refused(entry, _reason(entry, queue), sentence)
        self.send()

    def _refused(self, entry: Pending, kind: str, reason: str) -> None:
        sentence = _("Your answer to {name} was refused. {reason}").format(name=entry.answer.case_id, reason=reason)
        self._put(entry, replace(entry, kind=kind, problem=sentence))
        self._on_problem(Problem.refused(kind, sentence, entry.answer.key))

    def _put(self, old: Pending, new: Pending) -> None:
        """Change an entry in memory and on disk. It's on disk already in its old form, so a full disk loses nothing."""
        self.pending = [new if entry is old else entry for entry in self.pending]
        try:
            self._outbox.put(new)
        except OSError as error:
            self._on_problem(Problem(DISK, str(error), new.answer.key))

    def _drop(self, entry: Pending) -> None:
        self.pending = [other for other in self.pending if other.answer.key != entry.answer.key]
        self._since.pop(entry.answer.key, None)
        try:
            self._outbox.remove(entry.answer.key)
        except OSError as error:
            # The server knows the key: sent again after a restart, the answer counts once all the same.
            self._on_problem(Problem(DISK, str(error), entry.answer.key))


def _reason(entry: Pending, queue: Queue | None) -> str:
    """What kind of conflict it is."""
    if queue is None:
        return "conflict"
    answer = entry.answer
    if (queue.run, queue.round, queue.state) != (answer.run, answer.round, "awaiting_review"):
        return STALE
    row = next((row for row in queue.rows if row.id == answer.case_id), None)
    return ANSWERED if row is not None and row.mine else TAKEN
