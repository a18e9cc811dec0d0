"""Requests to train, and what became of them."""

from __future__ import annotations

from typing import Any, Callable

from .link import Link
from .problems import TRAINING, Problem
from .records import RunStatus
from .wording import APPROVAL, AWAITING

ASKS = 6
"""Looks at why training ended: the process on the server takes a moment to end after it has stopped to train."""


class TrainingControl:
    """Asks the server to train or to stop, and notices when training ends by itself, or never begins.

    Attributes:
        starting: the server took a request to train, but doesn't train yet.

    Args:
        link: the connection.
        on_reply: called when the server took or refused a request, or when training turned out to have ended.
        on_problem: called with something the reader should know.
    """

    def __init__(self, link: Link, on_reply: Callable[[], None], on_problem: Callable[[Problem], None]) -> None:
        self.starting = False
        self._stopping = False
        self._asks = 0
        self._link, self._on_reply, self._on_problem = link, on_reply, on_problem

    def train(self, request: dict[str, Any]) -> None:
        """Send a request to train: settings, and the flags of ``POST /train/classifier``."""
        client = self._link.client
        if client is not None:
            self._link.front.call(lambda: client.train(request), self._starts, self._refused)

    def stop(self) -> None:
        """Stop the training process; the run can be resumed."""
        client = self._link.client
        if client is not None:
            self._stopping = True
            self._link.front.call(client.stop_training, self._taken, self._refused)

    def watch(self, before: RunStatus, now: RunStatus) -> None:
        """Compare two looks at the run: the server's process checks some settings only when it has started."""
        went_on = _place(before) != _place(now)
        expected = self.starting or before.training
        self.starting = self.starting and not now.training and not went_on
        if now.training or now.state in (AWAITING, APPROVAL, "completed"):
            self._asks = 0
        elif expected and not self._stopping:
            self._asks = ASKS
        self._stopping = self._stopping and now.training
        if self.starting or self._asks:
            self._asks = max(0, self._asks - 1)
            self._ask_why_it_ended()

    def forget(self) -> None:
        """The connection is given up."""
        self.starting = self._stopping = False
        self._asks = 0

    def _starts(self, reply: object) -> None:
        self.starting, self._stopping = True, False
        self._taken(reply)

    def _taken(self, _reply: object) -> None:
        self._link.look_now()
        self._on_reply()

    def _refused(self, error: Exception) -> None:
        self._link.failed(error)
        self._on_problem(Problem.of(error))
        self._on_reply()

    def _ask_why_it_ended(self) -> None:
        client = self._link.client
        if client is not None:
            self._link.back.call(client.training_problem, self._ended, self._link.failed)

    def _ended(self, problem: str) -> None:
        status = self._link.status
        if problem and status is not None and (self.starting or status.state != "completed"):
            self.starting = False
            self._asks = 0
            self._on_problem(Problem(TRAINING, problem))
            self._on_reply()


def _place(status: RunStatus) -> tuple[object, ...]:
    """What changes when a request to train has come to something."""
    return status.run, status.round, status.epoch, status.state, status.queued, status.message
