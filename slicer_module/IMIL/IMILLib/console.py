"""A review in a few lines of Slicer's Python console: the same session as the panel's, but each call waits."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Callable

from .i18n import _
from .opencase import OpenCase
from .records import Receipt
from .review import CONNECTED, CONNECTING, Review

PUMP_SECONDS = 0.02


def connect(review: Review, url: str, reader: str, token: str, seconds: float) -> None:
    """Connect and wait until that is done.

    Raises:
        ValueError: if address or name can't be used.
        RuntimeError: one sentence, if there is no connection.
    """
    review.connect(url, reader, token)
    _wait(review, lambda: review.connection != CONNECTING, seconds)
    if review.connection != CONNECTED:
        reason = review.problem.sentence if review.problem is not None else _("The server doesn't answer.")
        raise RuntimeError(reason)


def next_case(review: Review, seconds: float) -> OpenCase | None:
    """The case on the screen, or the next one as soon as it's there; None if there is none now."""
    quiet = 0

    def settled() -> bool:
        # An answer may bring the next question with it, so one quiet moment isn't enough.
        nonlocal quiet
        quiet = 0 if review.busy else quiet + 1
        return review.case is not None or quiet > 3

    _wait(review, settled, seconds)
    return review.case


def submit(
    review: Review, opened: OpenCase, cells: Iterable[int], misleading: Iterable[int], rationale: str, seconds: float
) -> Receipt:
    """Mark these cells, send them, and wait for the receipt.

    Raises:
        ValueError: for a cell that doesn't exist, or if none matters.
        RuntimeError: if the server refuses the answer, or can't be reached: it is sent again by itself then.
    """
    bring(review, opened, seconds)
    opened.marks.replace(cells, misleading)
    known = {entry.answer.key for entry in review.pending}
    before = review.last_receipt
    review.submit(rationale)
    ours = [entry.answer.key for entry in review.pending if entry.answer.key not in known]

    def settled() -> bool:
        return review.connection != CONNECTED or all(entry.kind for entry in review.pending if entry.answer.key in ours)

    _wait(review, settled, seconds)
    left = [entry for entry in review.pending if entry.answer.key in ours]
    if not left and review.last_receipt is not before and review.last_receipt is not None:
        return review.last_receipt
    if left and left[0].kind:
        raise RuntimeError(left[0].problem)
    raise RuntimeError(_("The server doesn't answer. The answer is kept, and sent as soon as it does."))


def bring(review: Review, opened: OpenCase, seconds: float) -> None:
    """Make this the case on the screen.

    Raises:
        RuntimeError: if that's impossible now.
    """
    if review.case is opened:
        return
    review.open(opened.case.id)
    _wait(review, lambda: review.case is not None, seconds)
    if review.case is not opened:
        raise RuntimeError(_("The case {name} isn't open any more; ask for the next one.").format(name=opened.case.id))


def _wait(review: Review, done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        review.pump(PUMP_SECONDS)
        if not review.busy:
            time.sleep(PUMP_SECONDS)
