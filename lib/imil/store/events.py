# ruff: noqa: A002 - `round` is what a round's number is called in every record, table and request.
"""Feedback: events that are only ever appended, and which of them are in effect."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select

from imil.errors import Conflict
from imil.store.database import Database
from imil.store.leases import READERS, event_record, refuse_if_taken
from imil.store.models import AnswerRow, EventRow, LeaseRow, QueuedRow, RoundRow
from imil.store.queue import ANSWERS, locked_round, not_queued, refuse_unless_open
from imil.store.records import Action, Answer, Event, Receipt

# As in `imil.store.queue`: built once, because readers wait for them.
_QUEUED_CASE = select(QueuedRow.id, QueuedRow.method).where(
    QueuedRow.run == bindparam("run_id"),
    QueuedRow.round == bindparam("number"),
    QueuedRow.case_id == bindparam("name"),
)
_BY_KEY = select(*EventRow.__table__.c).where(EventRow.key == bindparam("name"))
_OPEN = (
    select(func.count())
    .select_from(QueuedRow)
    .where(QueuedRow.run == bindparam("run_id"), QueuedRow.round == bindparam("number"), bindparam("needed") > ANSWERS)
)
_ADD_EVENT = insert(EventRow).returning(EventRow.id)
_ADD_ANSWER = insert(AnswerRow)
_DROP_ANSWER = delete(AnswerRow).where(AnswerRow.queued_case == bindparam("case"), AnswerRow.reader == bindparam("who"))
_DROP_LEASE = delete(LeaseRow).where(LeaseRow.queued_case == bindparam("case"), LeaseRow.reader == bindparam("who"))

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
            connection = session.connection()
            info = locked_round(connection, answer.run, answer.round)
            known = _known_receipt(connection, answer)
            if known is not None:
                return known
            refuse_unless_open(info, answer.run, answer.round)
            place = {"run_id": answer.run, "number": answer.round, "name": answer.case_id}
            queued = connection.execute(_QUEUED_CASE, place).one_or_none()
            if queued is None:
                raise not_queued(answer.run, answer.round, answer.case_id)
            return _record(connection, answer, info, queued, image_sha256)

    def receipt(self, answer: Answer) -> Receipt | None:
        """The receipt of an answer that was recorded before under the same key, or None.

        Raises:
            Conflict: if the key belongs to another answer.
        """
        with self._database.read() as session:
            return _known_receipt(session.connection(), answer)

    def events(self, run_id: int, round: int | None = None) -> list[Event]:
        """All events of a run, or of one of its rounds, in the order they came."""
        query = select(EventRow).where(EventRow.run == run_id).order_by(EventRow.id)
        if round is not None:
            query = query.where(EventRow.round == round)
        with self._database.read() as session:
            return [event_record(row) for row in session.scalars(query)]

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
            return [event_record(row) for row in session.scalars(query)]


def _known_receipt(connection: Connection, answer: Answer) -> Receipt | None:
    row = connection.execute(_BY_KEY, {"name": answer.key}).one_or_none()
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


def _record(
    connection: Connection,
    answer: Answer,
    info: Row[*tuple[Any, ...]],
    queued: Row[*tuple[Any, ...]],
    image_sha256: str,
) -> Receipt:
    case = {"case": queued.id, "who": answer.reader, "now": datetime.now(UTC)}
    readers = set(connection.scalars(READERS, case))
    answered = answer.reader in readers
    undo = answer.action == Action.UNDO
    if undo and not answered:
        raise Conflict(f"{answer.reader!r} has no answer to {answer.case_id!r} in round {answer.round} to undo.")
    if answered and not undo and not answer.replace:
        raise Conflict(
            f'{answer.reader!r} has already answered {answer.case_id!r} in round {answer.round}; send "replace": true '
            "to replace that answer."
        )
    if not answered:
        refuse_if_taken(connection, case | {"name": answer.case_id, "needed": info.needed}, readers)

    open_cases = connection.scalar(_OPEN, {"run_id": answer.run, "number": answer.round, "needed": info.needed}) or 0
    before, after = len(readers), len(readers - {answer.reader}) + (not undo)
    remaining = open_cases + (after < info.needed) - (before < info.needed)
    values = _event_values(answer, info, queued, image_sha256)
    event_id = connection.scalar(_ADD_EVENT, values | {"remaining": remaining, "total": info.queued}) or 0
    if answered:
        connection.execute(_DROP_ANSWER, case)
    if not undo:
        connection.execute(_ADD_ANSWER, {"queued_case": queued.id, "reader": answer.reader, "event": event_id})
        connection.execute(_DROP_LEASE, case)
    return Receipt(event_id=event_id, remaining=remaining, total=info.queued)


def _event_values(
    answer: Answer, info: Row[*tuple[Any, ...]], queued: Row[*tuple[Any, ...]], image_sha256: str
) -> dict[str, Any]:
    return {
        "key": answer.key,
        "run": answer.run,
        "round": answer.round,
        "queued_case": queued.id,
        "case_id": answer.case_id,
        "image_sha256": image_sha256,
        "model_sha256": info.model_sha256,
        "epoch": info.epoch,
        "reader": answer.reader,
        "action": str(answer.action),
        "grid_size": int(info.settings.get("grid_size", 0)),
        "cells": sorted(answer.cells),
        "misleading": sorted(answer.misleading),
        "new_label": answer.new_label,
        "rationale": answer.rationale,
        "seconds": float(answer.seconds),
        "heatmap_method": queued.method,
        "replace": answer.replace,
        "time": datetime.now(UTC),
    }
