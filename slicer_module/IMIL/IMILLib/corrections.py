"""Corrections of what was learnt on their way: each is on disk until the server has it, and is sent until it does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable

from .errors import ServerError
from .fields import Fields
from .i18n import _
from .insightrecords import Correction, Insight
from .link import CONNECTED, Link
from .outbox import Outbox
from .problems import DISK, STALE, Problem

_FINAL = frozenset({"conflict", "missing", "rejected", "too_large"})
"""Refusals that are about the correction itself: sent again, it would be refused again."""


@dataclass(frozen=True)
class PendingCorrection:
    """A correction that the server hasn't confirmed, and ``url``, the server it's for; ``created`` is ISO 8601, UTC."""

    correction: Correction
    url: str
    created: str

    @property
    def key(self) -> str:
        return self.correction.key

    @property
    def reader(self) -> str:
        return self.correction.reader

    @classmethod
    def parse(cls, value: object) -> PendingCorrection:
        """From JSON. Raises ServerError ``nonsense``."""
        read = Fields(value, _("the kept correction"))
        return cls(Correction.parse(read.objects("correction")), read.text("url"), read.text("created"))


class Corrections:
    """Sends corrections one after the other, the oldest first.

    Attributes:
        pending: corrections to this server by this reader that aren't confirmed.

    Args:
        outbox: where they are kept.
        link: the connection.
        on_insight: called with what was learnt, as it stands after a correction arrived.
        on_refusal: called after a correction was refused, and is forgotten.
        on_problem: called with something the reader should know.
    """

    def __init__(
        self,
        outbox: Outbox[PendingCorrection],
        link: Link,
        on_insight: Callable[[Insight], None],
        on_refusal: Callable[[], None],
        on_problem: Callable[[Problem], None],
    ) -> None:
        self.pending: list[PendingCorrection] = []
        self._outbox, self._link = outbox, link
        self._on_insight, self._on_refusal, self._on_problem = on_insight, on_refusal, on_problem
        self._under_way = self._halted = False

    def begin(self, url: str, reader: str) -> None:
        """Take up what an earlier session left unsent."""
        self._under_way = self._halted = False
        try:
            kept = self._outbox.entries(url, reader)
        except OSError as error:
            self._on_problem(Problem(DISK, str(error)))
            kept = []
        known = {entry.key for entry in kept}
        # What couldn't be written to disk is in memory alone: it must survive a reconnection.
        same = [entry for entry in self.pending if (entry.url, entry.reader) == (url, reader)]
        self.pending = kept + [entry for entry in same if entry.key not in known]

    def add(self, correction: Correction, url: str) -> None:
        """Keep a correction; the next `send` sends it."""
        entry = PendingCorrection(correction, url, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        try:
            self._outbox.put(entry)
        except OSError as error:
            self._on_problem(Problem(DISK, str(error), entry.key))
        self.pending.append(entry)
        self._halted = False

    def send(self) -> None:
        """Send the oldest one that waits, if nothing is under way and the server is there."""
        client = self._link.client
        if self._under_way or self._halted or not self.pending or client is None or self._link.state != CONNECTED:
            return
        entry = self.pending[0]
        self._under_way = True
        self._link.front.call(
            lambda: client.correct(entry.correction),
            lambda insight: self._sent(entry, insight),
            lambda error: self._not_sent(entry, error),
        )

    def retry(self) -> None:
        """Send again what waits, also after a refusal that wasn't about the correction."""
        self._halted = False
        self.send()

    def interrupted(self) -> None:
        """The connection is gone, and with it what was under way."""
        self._under_way = False

    def _sent(self, entry: PendingCorrection, insight: Insight) -> None:
        self._under_way = False
        self._drop(entry)
        self._on_insight(insight)
        self.send()

    def _not_sent(self, entry: PendingCorrection, error: Exception) -> None:
        self._under_way = False
        if isinstance(error, ServerError) and error.offline:
            self._link.failed(error)
        elif isinstance(error, ServerError) and error.kind not in _FINAL:
            self._halted = True  # the token, say: it's told, and sent again when that is mended
            self._on_problem(Problem.of(error))
        else:
            self._drop(entry)
            self._on_problem(_refused(entry.correction, error))
            self._link.look_now()  # perhaps the run went on
            self._on_refusal()

    def _drop(self, entry: PendingCorrection) -> None:
        self.pending = [other for other in self.pending if other.key != entry.key]
        try:
            self._outbox.remove(entry.key)
        except OSError as error:
            # The server knows the key: sent again after a restart, it counts once all the same.
            self._on_problem(Problem(DISK, str(error), entry.key))


def _refused(correction: Correction, error: Exception) -> Problem:
    sentence = _("What you said of {name} was refused. {reason}").format(
        name=correction.image or _("the swapped cells"), reason=error
    )
    kind = getattr(error, "kind", "rejected")
    return Problem(STALE if kind == "conflict" else kind, sentence)
