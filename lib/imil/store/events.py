# ruff: noqa: A002 - `round` is what a round's number is called in every record, table and request.
"""Feedback: events that are only ever appended, and which of them are in effect."""

from datetime import UTC, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from imil.errors import Conflict
from imil.store.database import Database
from imil.store.models import AnswerRow, EventRow, LeaseRow, QueuedRow, RoundRow, RunRow
from imil.store.queue import answer_count, not_queued, open_round_row
from imil.store.records import Action, Answer, Event, Receipt

_CONTENT = ("run", "round", "case_id", "reader", "action", "new_label", "rationale")


class EventStore:
    """The part of `imil.store.Store` that is about feedback."""

    _database: Database

    def append(self, answer: Answer, *, image_sha256: str = "") -> Receipt:
        """Record an answer, in one transaction with everything that follows from it.

        The same key with the same content gets the first receipt again, whatever has happened since.

        Raises:
            NotFound: if the run doesn't exist or the case isn't in the queue of the round.
            Conflict: if the round isn't under review; the reader has answered already (without ``replace``); other
                readers have answered or reserved the case; there is nothing to undo; or the key belongs to another
                answer. Nothing is written then.
        """
        with self._database.write() as session:
            known = _known_receipt(session, answer)
            if known is not None:
                return known
            info = open_round_row(session, answer.run, answer.round)
            # Again under the lock, for databases where the first look didn't wait for other writers.
            known = _known_receipt(session, answer)
            if known is not None:
                return known
            queued = session.scalar(
                select(QueuedRow).where(
                    QueuedRow.run == answer.run, QueuedRow.round == answer.round, QueuedRow.case_id == answer.case_id
                )
            )
            if queued is None:
                raise not_queued(answer.run, answer.round, answer.case_id)
            return _record(session, answer, info, queued, image_sha256)

    def receipt(self, answer: Answer) -> Receipt | None:
        """The receipt of an answer that was recorded before under the same key, or None.

        Raises:
            Conflict: if the key belongs to another answer.
        """
        with self._database.read() as session:
            return _known_receipt(session, answer)

    def events(self, run_id: int, round: int | None = None) -> list[Event]:
        """All events of a run, or of one of its rounds, in the order they came."""
        query = select(EventRow).where(EventRow.run == run_id).order_by(EventRow.id)
        if round is not None:
            query = query.where(EventRow.round == round)
        with self._database.read() as session:
            return [_event(row) for row in session.scalars(query)]

    def last_event_id(self, run_id: int) -> int:
        """The id of the run's newest event, 0 if there is none: the feedback cursor of a checkpoint."""
        with self._database.read() as session:
            return session.scalar(select(func.max(EventRow.id)).where(EventRow.run == run_id)) or 0

    def effective(self, run_id: int, up_to_round: int | None = None, *, closed_only: bool = False) -> list[Event]:
        """The answers in effect: for each case, round and reader the last one that wasn't undone, oldest first.

        Args:
            run_id: the run.
            up_to_round: only rounds up to this one, itself included.
            closed_only: leave out a round that is still under review.
        """
        query = (
            select(EventRow)
            .join(AnswerRow, AnswerRow.event == EventRow.id)
            .where(EventRow.run == run_id)
            .order_by(EventRow.id)
        )
        if up_to_round is not None:
            query = query.where(EventRow.round <= up_to_round)
        if closed_only:
            same = (RoundRow.run == EventRow.run) & (RoundRow.round == EventRow.round)
            query = query.join(RoundRow, same).where(RoundRow.closed)
        with self._database.read() as session:
            return [_event(row) for row in session.scalars(query)]


def _known_receipt(session: Session, answer: Answer) -> Receipt | None:
    row = session.scalar(select(EventRow).where(EventRow.key == answer.key))
    if row is None:
        return None
    for name in _CONTENT:
        if getattr(row, name) != getattr(answer, name):
            raise _key_taken(answer, name, getattr(row, name), getattr(answer, name))
    for name in ("cells", "misleading"):
        if sorted(getattr(row, name)) != sorted(getattr(answer, name)):
            raise _key_taken(answer, name, getattr(row, name), list(getattr(answer, name)))
    return Receipt(event_id=row.id, remaining=row.remaining, total=row.total, repeated=True)


def _key_taken(answer: Answer, name: str, first: object, second: object) -> Conflict:
    return Conflict(
        f"The key {answer.key!r} belongs to another answer ({name} was {first!r} there and is {second!r} here); "
        "each answer needs a new UUID."
    )


def _record(session: Session, answer: Answer, info: RoundRow, queued: QueuedRow, image_sha256: str) -> Receipt:
    holders = dict(session.execute(select(AnswerRow.reader, AnswerRow.event).filter_by(queued_case=queued.id)).all())
    own = holders.pop(answer.reader, None)
    undo = answer.action == Action.UNDO
    if undo and own is None:
        raise Conflict(f"{answer.reader!r} has no answer to {answer.case_id!r} in round {answer.round} to undo.")
    if own is not None and not undo and not answer.replace:
        raise Conflict(
            f'{answer.reader!r} has already answered {answer.case_id!r} in round {answer.round}; send "replace": true '
            "to replace that answer."
        )
    if own is None:
        _refuse_if_taken(session, answer, queued.id, list(holders), info.needed)

    before = len(holders) + (own is not None)
    after = len(holders) + (not undo)
    remaining = _open_cases(session, info) + (after < info.needed) - (before < info.needed)
    event = _event_row(answer, info, queued, image_sha256, remaining, session.get_one(RunRow, answer.run))
    session.add(event)
    session.flush()
    if undo:
        session.execute(delete(AnswerRow).filter_by(queued_case=queued.id, reader=answer.reader))
    else:
        session.merge(AnswerRow(queued_case=queued.id, reader=answer.reader, event=event.id))
    session.execute(delete(LeaseRow).filter_by(queued_case=queued.id, reader=answer.reader))
    return Receipt(event_id=event.id, remaining=remaining, total=info.queued)


def _refuse_if_taken(session: Session, answer: Answer, queued_case: int, answered: list[str], needed: int) -> None:
    """Refuse a first answer to a case whose places are all taken by other readers' answers and live leases."""
    if len(answered) >= needed:
        who = ", ".join(repr(reader) for reader in sorted(answered))
        raise Conflict(f"The image {answer.case_id!r} has been answered by {who} already; ask for the next case.")
    live = select(LeaseRow.reader, LeaseRow.expires).where(
        LeaseRow.queued_case == queued_case, LeaseRow.reader != answer.reader, LeaseRow.expires > datetime.now(UTC)
    )
    leases = session.execute(live.order_by(LeaseRow.expires)).all()
    if len(answered) + len(leases) >= needed:
        reader, expires = leases[0]
        raise Conflict(
            f"The image {answer.case_id!r} is reserved for {reader!r} until {expires:%Y-%m-%d %H:%M:%S} UTC; ask for "
            "the next case."
        )


def _open_cases(session: Session, info: RoundRow) -> int:
    query = (
        select(func.count())
        .select_from(QueuedRow)
        .where(QueuedRow.run == info.run, QueuedRow.round == info.round)
        .where(answer_count(QueuedRow.id.expression) < info.needed)
    )
    return session.scalar(query) or 0


def _event_row(
    answer: Answer, info: RoundRow, queued: QueuedRow, image_sha256: str, remaining: int, run: RunRow
) -> EventRow:
    return EventRow(
        key=answer.key,
        run=answer.run,
        round=answer.round,
        queued_case=queued.id,
        case_id=answer.case_id,
        image_sha256=image_sha256,
        model_sha256=info.model_sha256,
        epoch=info.epoch,
        reader=answer.reader,
        action=str(answer.action),
        grid_size=int(run.settings.get("grid_size", 0)),
        cells=sorted(answer.cells),
        misleading=sorted(answer.misleading),
        new_label=answer.new_label,
        rationale=answer.rationale,
        seconds=float(answer.seconds),
        heatmap_method=queued.method,
        replace=answer.replace,
        time=datetime.now(UTC),
        remaining=remaining,
        total=info.queued,
    )


def _event(row: EventRow) -> Event:
    return Event(
        id=row.id,
        case_id=row.case_id,
        run=row.run,
        round=row.round,
        reader=row.reader,
        action=Action(row.action),
        cells=tuple(row.cells),
        misleading=tuple(row.misleading),
        new_label=row.new_label,
        rationale=row.rationale,
        seconds=row.seconds,
        key=row.key,
        replace=row.replace,
        epoch=row.epoch,
        image_sha256=row.image_sha256,
        model_sha256=row.model_sha256,
        heatmap_method=row.heatmap_method,
        grid_size=row.grid_size,
        time=row.time,
    )
