"""A reader's session: connection, queue, the case on the screen, answers on their way, training. No Qt, no MRML.

Everything here runs on the main thread and returns at once; requests run in `link`'s two threads, and what they bring
is delivered by `Review.pump`, which a timer calls.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any, Callable

from .corrections import PendingCorrection
from .desk import Desk
from .drafts import Drafts
from .errors import ServerError
from .i18n import _
from .insightdesk import InsightDesk
from .link import CONNECTED, CONNECTING, DISCONNECTED, OFFLINE, Link
from .opencase import OpenCase
from .outbox import Outbox, Pending
from .problems import STALE, Problem, Problems
from .records import Queue, QueueRow, Receipt, RunStatus, ServerInfo
from .roundqueue import RoundQueue
from .sending import Sending
from .trainingcontrol import TrainingControl
from .wording import AWAITING, describe, why_no_case

__all__ = ["CONNECTED", "CONNECTING", "DISCONNECTED", "OFFLINE", "Problem", "Review"]

MAX_RATIONALE = 2000
"""Longest rationale that the server takes, in characters."""


class Review:
    """The session of one reader with one server.

    Topics of `observe`: ``connection``, ``status`` (the run), ``round`` (a queue became ready), ``queue``, ``case``
    (another one, or none, is on the screen), ``answers`` (pending ones, a receipt), ``problem``, ``training`` (the
    server took or refused a request to train), and those of `insightdesk.InsightDesk`.

    Attributes:
        insight: what the round's answers taught.

    Args:
        folder: where answers and drafts are kept until the server has them.
        ahead: number of cases to fetch ahead, 0 to 20.
        clock: seconds, rising.
    """

    def __init__(self, folder: Path, ahead: int = 2, clock: Callable[[], float] = time.monotonic) -> None:
        self._problems = Problems(lambda: self._tell("problem"))
        self.last_receipt: Receipt | None = None
        self._observers: list[Callable[[str], None]] = []
        self._link = Link(clock, self._on_info, self._on_link, self._problems.add)
        self._desk = Desk(
            self._link,
            Drafts(folder / "drafts"),
            clock,
            ahead,
            lambda: self._tell("case"),
            self._problems.add,
        )
        self._sending = Sending(
            Outbox(folder / "answers"),
            self._link,
            clock,
            self._on_receipt,
            self._problems.add,
            lambda: self._tell("answers"),
        )
        self._queue = RoundQueue(self._link, lambda: self.pending, clock, lambda: self._tell("queue"))
        self._training = TrainingControl(self._link, lambda: self._tell("training"), self._problems.add)
        corrections = Outbox(folder / "corrections", PendingCorrection)
        self.insight = InsightDesk(self._link, corrections, clock, self._rows, self._tell, self._problems.add)

    # -- what the panel shows ----------------------------------------------------------------------------------------

    @property
    def connection(self) -> str:
        """``disconnected``, ``connecting``, ``connected`` or ``offline``."""
        return self._link.state

    @property
    def info(self) -> ServerInfo | None:
        return self._link.info

    @property
    def status(self) -> RunStatus | None:
        return self._link.status

    @property
    def queue(self) -> Queue | None:
        """The cases of the round; None before the first list has arrived."""
        return self._queue.queue

    @property
    def starting(self) -> bool:
        """The server took a request to train, but doesn't train yet."""
        return self._training.starting

    @property
    def reader(self) -> str:
        return "" if self._link.client is None else self._link.client.reader

    @property
    def url(self) -> str:
        return "" if self._link.client is None else self._link.client.url

    @property
    def case(self) -> OpenCase | None:
        return self._desk.current

    @property
    def problem(self) -> Problem | None:
        """What the reader should know now: what she has to decide comes before what was merely told, the last last."""
        return self._problems.foremost

    @property
    def fetching(self) -> bool:
        """There is no case on the screen, but another one of the same round is on its way."""
        return self.case is None and self._desk.fetching

    @property
    def pending(self) -> list[Pending]:
        return self._sending.pending

    @property
    def overdue(self) -> list[Pending]:
        """The pending answers that aren't just on their way: refused, without a server, or slow."""
        return self._sending.overdue

    @property
    def busy(self) -> bool:
        """A request is under way."""
        return self._link.busy

    @property
    def ahead(self) -> int:
        return self._desk.ahead

    @ahead.setter
    def ahead(self, number: int) -> None:
        self._desk.ahead = max(0, min(20, int(number)))

    @property
    def waiting(self) -> str:
        """Why there is no case on the screen: a sentence, or empty if there is one."""
        if self.case is not None:
            return ""
        if self.connection in (DISCONNECTED, CONNECTING):
            return _("Connect to a server first.") if self.connection == DISCONNECTED else _("Connecting.")
        return self._desk.waiting or why_no_case(self.status, self.queue)

    def observe(self, callback: Callable[[str], None]) -> None:
        """Have ``callback(topic)`` called on the main thread whenever something changed."""
        self._observers.append(callback)

    def pump(self, wait: float = 0.0) -> None:
        """Deliver what has arrived and do what is due. To be called every 20 ms or so.

        Args:
            wait: seconds to wait for a request that is under way. Waiting lets the threads run: in Slicer the main
                thread holds Python's lock otherwise.
        """
        self._link.pump(wait)
        self._sending.pump()
        self._desk.pump()
        self._queue.pump()
        self.insight.pump()

    # -- connection --------------------------------------------------------------------------------------------------

    def connect(self, url: str, reader: str, token: str = "") -> None:
        """Begin to connect.

        Raises:
            ValueError: if the reader's name is empty or the address can't be one.
        """
        if not reader.strip():
            raise ValueError(_("Enter your name first: each answer carries its reader's name."))
        self.disconnect()
        self._problems.keep(lambda problem: False)
        try:
            self._link.connect(url, reader.strip(), token)
        except ServerError as error:
            raise ValueError(str(error)) from None

    def test(self, url: str, token: str, done: Callable[[bool, str], None]) -> None:
        """Ask a server what it is, without connecting to it. ``done(ok, sentence)`` is called on the main thread."""
        self._link.probe(url, token, lambda info: done(True, describe(info)), lambda error: done(False, str(error)))

    def disconnect(self) -> None:
        """Leave the server. What was begun is kept on disk, reservations are given back."""
        self._desk.clear()
        self._sending.interrupted()
        self._link.disconnect()
        self.last_receipt = None
        self._queue.forget()
        self._training.forget()
        self.insight.clear()

    def close(self) -> None:
        """Stop for good: drafts are written, threads end."""
        self._observers.clear()
        self._desk.clear()
        self._link.close()

    def refresh(self) -> None:
        """Ask for the server's state and the queue now."""
        self._link.look_now()
        self._queue.ask()

    # -- the queue ---------------------------------------------------------------------------------------------------

    def open(self, case_id: str) -> None:
        """Put a case of the queue on the screen."""
        self._desk.want(case_id)

    def next(self) -> None:
        """The case after this one in the queue, among those the reader can open; without one, the next open case."""
        self._step(1)

    def previous(self) -> None:
        """The case before this one in the queue, among those the reader can open."""
        self._step(-1)

    def _step(self, by: int) -> None:
        opened = self.case
        if opened is None or self.queue is None:
            self._desk.want()
            return
        here = opened.case.position
        other = self._queue.neighbour(here, by, self.may_open)
        if other:
            self._desk.want(other)

    def may_open(self, row: QueueRow) -> bool:
        """Whether this reader can open a case of the queue: hers, or neither answered nor held by others."""
        return row.mine or (row.state != "done" and row.holder in ("", self.reader))

    # -- answers -----------------------------------------------------------------------------------------------------

    def submit(self, rationale: str = "") -> None:
        """Send the marked cells. Raises ValueError with a sentence if there is no case, or no cell that matters."""
        opened = self._opened()
        if not opened.marks.cells:
            raise ValueError(_("Mark at least one cell that matters, or skip the case."))
        self._answer("grid", rationale)

    def skip(self, rationale: str = "") -> None:
        """Say nothing about the case. Raises ValueError if there is none."""
        self._answer("skip", rationale)

    def exclude(self, rationale: str = "") -> None:
        """Take the image out of training. Raises ValueError if there is no case, or no reason is given."""
        if not rationale.strip():
            raise ValueError(_("Say why the image is unfit for training, then exclude it."))
        self._answer("exclude", rationale)

    def relabel(self, new_label: str, rationale: str = "") -> None:
        """Say that the label is wrong. Raises ValueError if there is no case, or the class can't be."""
        case = self._opened().case
        allowed = [name for name in case.classes if name != case.label]
        if new_label not in allowed:
            raise ValueError(
                _("The new label can't be {name!r}; choose one of: {allowed}.").format(
                    name=new_label, allowed=", ".join(allowed)
                )
            )
        self._answer("relabel", rationale, new_label)

    def retry(self) -> None:
        """Send all pending answers again, now."""
        self._link.look_now()
        self._sending.retry()
        self.insight.retry()

    def resolve(self, key: str, choice: str) -> None:
        """Carry out a choice of a `Problem` about an answer, and go on."""
        self._sending.resolve(key, choice)
        self.dismiss_problem()
        self._problems.keep(lambda problem: problem.key != key)

    def show_refused(self) -> None:
        """Show the oldest answer that the server refused, to be decided on."""
        entry = next((entry for entry in self.pending if entry.kind), None)
        if entry is not None:
            self._problems.add(Problem.refused(entry.kind, entry.problem, entry.answer.key))

    def dismiss_problem(self) -> None:
        """The reader has seen it. A refused answer stays among the pending ones until she decides."""
        shown = self.problem
        self._problems.keep(lambda problem: problem is not shown)
        if shown is not None and shown.kind == STALE:
            self.refresh()
        if self.case is None and self.connection == CONNECTED and self._is_open():
            self._desk.want()

    def _answer(self, action: str, rationale: str, new_label: str = "") -> None:
        opened = self._opened()
        rationale = _as_text(rationale)
        if len(rationale) > MAX_RATIONALE:
            raise ValueError(
                _("The reason has {count} characters; at most {limit} are allowed.").format(
                    count=len(rationale), limit=MAX_RATIONALE
                )
            )
        opened.rationale = rationale
        answer = opened.answer(action, self.reader, str(uuid.uuid4()), new_label=new_label, rationale=rationale)
        entry = Pending(
            answer=answer,
            url=self.url,
            row_edges=opened.case.row_edges,
            col_edges=opened.case.col_edges,
            geometry=opened.picture.geometry,
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        self._sending.add(entry)
        self._queue.mark(opened.case.id, action)
        self._desk.answered(
            self._queue.neighbour(opened.case.position, 1, lambda row: row.state != "done" and self.may_open(row))
        )

    def _opened(self) -> OpenCase:
        if self.case is None:
            raise ValueError(_("There is no case on the screen. {why}").format(why=self.waiting))
        return self.case

    # -- time --------------------------------------------------------------------------------------------------------

    def pause_case(self) -> None:
        """The reader is away: her time stops."""
        if self.case is not None:
            self.case.stopwatch.pause()

    def resume_case(self) -> None:
        """She is back."""
        if self.case is not None:
            self.case.stopwatch.resume()

    def touch(self) -> None:
        """She did something."""
        if self.case is not None:
            self.case.stopwatch.touch()

    # -- training ----------------------------------------------------------------------------------------------------

    def train(self, request: dict[str, Any]) -> None:
        """Send a request to train: settings, and the flags of ``POST /train/classifier``."""
        self._training.train(request)

    def stop_training(self) -> None:
        """Stop the training process; the run can be resumed."""
        self._training.stop()

    # -- what the threads bring --------------------------------------------------------------------------------------

    def _on_link(self) -> None:
        if self.connection == OFFLINE:
            self._sending.interrupted()
            self.insight.interrupted()
        self._tell("connection")

    def _on_info(self, before: RunStatus | None) -> None:
        now = self.status
        if now is None:
            return
        if before is None:
            self._arrived()
        elif (before.run, before.round, before.state, before.queued) != (now.run, now.round, now.state, now.queued):
            self._moved()
        elif before.reviewed != now.reviewed:
            self._queue.ask()
        if before is not None:
            self._training.watch(before, now)
            self.insight.look(before, now)
        self._tell("status")

    def _arrived(self) -> None:
        """A connection was made, or is there again."""
        self._problems.keep(lambda problem: problem.key != "")
        self._sending.begin(self.url, self.reader)
        self._sending.send()
        self._queue.ask()
        self.insight.begin(self.url, self.reader)
        self._check_case()
        if self._is_open():
            self._desk.reopen()
            self._tell("round")

    def _moved(self) -> None:
        """The run is in another state, or another round, or cases were added to it."""
        self._queue.ask()
        self._check_case()
        if not self._is_open():
            self.last_receipt = None
            self._tell("answers")
        elif self.case is None:
            self._desk.want()
            self._tell("round")

    def _check_case(self) -> None:
        """If the round of the case on the screen is over, say so and take it away."""
        now, opened = self.status, self.case
        if now is None:
            return
        if opened is None:
            if not self._is_open():
                self._desk.clear()
            return
        if (now.run, now.round, now.state) == (opened.case.run, opened.case.round, AWAITING):
            return
        unsent = bool(opened.marks.cells or opened.marks.misleading) and not opened.answered
        self._desk.clear()
        if unsent:
            sentence = _("Round {round} was closed while {name} was open; what you marked in it was not used.").format(
                round=opened.case.round, name=opened.case.id
            )
            self._problems.add(Problem(STALE, sentence))

    def _on_receipt(self, _entry: Pending, receipt: Receipt) -> None:
        self.last_receipt = receipt
        if receipt.remaining == 0:
            self._link.look_now()
            self._queue.ask()
        else:
            self._queue.ask_later()
        self._tell("answers")

    def _rows(self) -> tuple[QueueRow, ...]:
        return () if self.queue is None else self.queue.rows

    def _is_open(self) -> bool:
        return self.status is not None and self.status.state == AWAITING

    def _tell(self, topic: str) -> None:
        for callback in list(self._observers):
            callback(topic)


def _as_text(words: str) -> str:
    """Without what no database takes as text, and nobody meant to type: NUL, and halves of surrogate pairs."""
    return "".join(sign for sign in words if sign != "\0" and not "\ud800" <= sign <= "\udfff")
