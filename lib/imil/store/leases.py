# ruff: noqa: A002 - `round` is what a round's number is called in every record, table and request.
"""Leases: which cases of the open round are kept for which reader."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Integer, Row, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import aliased

from imil.errors import Conflict
from imil.store.database import Database
from imil.store.models import AnswerRow, EventRow, LeaseRow, QueuedRow
from imil.store.queue import (
    ANSWERS,
    ENTRIES,
    IN_ROUND,
    QUEUED,
    entry_record,
    locked_round,
    not_queued,
    refuse_unless_open,
)
from imil.store.records import Action, Event, QueueEntry, Reservation

# As in `imil.store.queue`: built once, because readers wait for them.
_LIVE_LEASES = (
    select(func.count())
    .where(LeaseRow.queued_case == QUEUED.id, LeaseRow.expires > bindparam("now"))
    .correlate(QueuedRow)
    .scalar_subquery()
)
_OWN_LEASES = (
    select(QUEUED.id)
    .join(LeaseRow, LeaseRow.queued_case == QUEUED.id)
    .where(*IN_ROUND, LeaseRow.reader == bindparam("who"), LeaseRow.expires > bindparam("now"))
    .order_by(QUEUED.position)
)
_OWN_ANSWER = select(AnswerRow.event).where(AnswerRow.queued_case == QUEUED.id, AnswerRow.reader == bindparam("who"))
_OWN_LEASE = select(LeaseRow.queued_case).where(
    LeaseRow.queued_case == QUEUED.id, LeaseRow.reader == bindparam("who"), LeaseRow.expires > bindparam("now")
)
_FREE = (
    select(QUEUED.id)
    .where(
        *IN_ROUND,
        bindparam("needed") > ANSWERS + _LIVE_LEASES,
        ~_OWN_ANSWER.correlate(QueuedRow).exists(),
    )
    .order_by(QUEUED.position)
)
"""Cases that need an answer which no lease promises, and which this reader hasn't answered."""
_FIRST_FREE = _FREE.limit(1)
_OTHER = aliased(QueuedRow)
_POSITION = select(_OTHER.position).where(_OTHER.id == bindparam("case")).scalar_subquery()
_FREE_BEHIND = _FREE.where(QUEUED.position > _POSITION, ~_OWN_LEASE.correlate(QueuedRow).exists()).limit(
    bindparam("count", type_=Integer)
)
_NAMED = select(QUEUED.id).where(*IN_ROUND, QUEUED.case_id == bindparam("name"))
_ANSWER = (
    select(*EventRow.__table__.c)
    .join(AnswerRow, AnswerRow.event == EventRow.id)
    .where(AnswerRow.queued_case == bindparam("case"), AnswerRow.reader == bindparam("who"))
)
READERS = select(AnswerRow.reader).where(AnswerRow.queued_case == bindparam("case"))
_OTHERS_LEASES = (
    select(LeaseRow.reader, LeaseRow.expires)
    .where(
        LeaseRow.queued_case == bindparam("case"),
        LeaseRow.reader != bindparam("who"),
        LeaseRow.expires > bindparam("now"),
    )
    .order_by(LeaseRow.expires)
)
_SOME_ENTRIES = ENTRIES.where(QUEUED.id.in_(bindparam("cases", expanding=True))).order_by(QUEUED.position)
_RENEW = (
    update(LeaseRow)
    .where(LeaseRow.queued_case.in_(bindparam("cases", expanding=True)), LeaseRow.reader == bindparam("who"))
    .values(expires=bindparam("until"))
)
_DROP_DEAD = delete(LeaseRow).where(
    LeaseRow.queued_case.in_(bindparam("cases", expanding=True)), LeaseRow.expires <= bindparam("now")
)
_ADD = insert(LeaseRow)
_RELEASE = delete(LeaseRow).where(
    LeaseRow.queued_case.in_(bindparam("cases", expanding=True)), LeaseRow.reader == bindparam("who")
)


class LeaseStore:
    """The part of `imil.store.Store` that is about reservations."""

    _database: Database

    def reserve(
        self, run_id: int, round: int, reader: str, seconds: float, *, case_id: str = "", ahead: int = 0
    ) -> Reservation | None:
        """Reserve a case for a reader, and the cases that she will be given after it; None if there is none for her.

        All her live leases of the round start anew. Without ``case_id`` the case is the first that she holds, else the
        first that is free: it needs an answer which no reader has reserved, and she hasn't answered it.

        Args:
            run_id: the run under review.
            round: its open round.
            reader: the reader's name.
            seconds: how long the leases last from now.
            case_id: the case she wants. One that she has answered comes with that answer, and without a lease.
            ahead: how many cases to reserve beyond it: first those that she holds already, then free ones further down
                the queue. Asking for the next case after an answer gives the first of them.

        Raises:
            NotFound: if there is no such run, or ``case_id`` isn't in the queue of the round.
            Conflict: if this round isn't the one under review, or other readers hold or have answered ``case_id``.
        """
        now = datetime.now(UTC)
        with self._database.write() as session:
            connection = session.connection()
            info = locked_round(connection, run_id, round)
            refuse_unless_open(info, run_id, round)
            values = {"run_id": run_id, "number": round, "who": reader, "now": now, "needed": info.needed}
            held = list(connection.scalars(_OWN_LEASES, values))
            case, answer = _first_case(connection, values, case_id, held)
            if case is None:
                return None
            following = _following(connection, values | {"case": case}, held, ahead) if ahead else []
            leased = following if answer else [case, *following]
            until = now + timedelta(seconds=seconds)
            _lease(connection, values, held, [each for each in leased if each not in held], until)
            rows = {row.id: row for row in connection.execute(_SOME_ENTRIES, {"cases": [case, *following]})}
            entry = entry_record(rows.pop(case), info, None if answer else (until, reader))
            return Reservation(entry, tuple(entry_record(row, info, (until, reader)) for row in rows.values()), answer)

    def lease_next(self, run_id: int, round: int, reader: str, seconds: float) -> QueueEntry | None:
        """`reserve` for a reader who wants nothing but the next case."""
        reserved = self.reserve(run_id, round, reader, seconds)
        return None if reserved is None else reserved.entry

    def release(self, run_id: int, round: int, reader: str) -> int:
        """Give back all cases of a round that are reserved for a reader; how many there were.

        A round that is closed, or was never opened, has none.
        """
        values = {"run_id": run_id, "number": round, "who": reader, "now": datetime.now(UTC)}
        with self._database.write() as session:
            connection = session.connection()
            locked_round(connection, run_id, round)
            held = list(connection.scalars(_OWN_LEASES, values))
            if held:
                connection.execute(_RELEASE, {"cases": held, "who": reader})
            return len(held)


def _first_case(
    connection: Connection, values: dict[str, Any], case_id: str, held: list[int]
) -> tuple[int | None, Event | None]:
    """The queued case to give, and the reader's answer to it if she has answered it."""
    if not case_id:
        return held[0] if held else connection.scalar(_FIRST_FREE, values), None
    case = connection.scalar(_NAMED, values | {"name": case_id})
    if case is None:
        raise not_queued(values["run_id"], values["number"], case_id)
    place = values | {"name": case_id, "case": case}
    row = connection.execute(_ANSWER, place).one_or_none()
    if row is not None:
        return case, event_record(row)
    if case not in held:
        refuse_if_taken(connection, place, set(connection.scalars(READERS, place)))
    return case, None


def _following(connection: Connection, values: dict[str, Any], held: list[int], count: int) -> list[int]:
    """Up to ``count`` cases beside ``case``: those the reader holds, then free ones behind it in the queue.

    None before it: the first that she holds must stay the first, or asking again would give another case.
    """
    following = [each for each in held if each != values["case"]][:count]
    if len(following) < count:
        following += connection.scalars(_FREE_BEHIND, values | {"count": count - len(following)})
    return following


def _lease(connection: Connection, values: dict[str, Any], held: list[int], cases: list[int], until: datetime) -> None:
    """Start the held leases anew, and lease further cases, which are free."""
    who, now = values["who"], values["now"]
    if held:
        connection.execute(_RENEW, {"cases": held, "who": who, "until": until})
    if cases:
        connection.execute(_DROP_DEAD, {"cases": cases, "now": now})
        connection.execute(_ADD, [{"queued_case": case, "reader": who, "expires": until} for case in cases])


def refuse_if_taken(connection: Connection, case: dict[str, Any], readers: set[str]) -> None:
    """Refuse a reader's first answer to a case whose places are taken by others' answers and live leases.

    Args:
        connection: of a transaction that has locked the round.
        case: ``case`` (number of the queued case), ``name`` of the image, ``needed`` answers, ``who``, ``now``.
        readers: who has answered it.

    Raises:
        Conflict: if so.
    """
    if len(readers) >= case["needed"]:
        who = ", ".join(repr(reader) for reader in sorted(readers))
        raise Conflict(f"The image {case['name']!r} has been answered by {who} already; ask for the next case.")
    leases = connection.execute(_OTHERS_LEASES, case).all()
    if len(readers) + len(leases) >= case["needed"]:
        reader, expires = leases[0]
        raise Conflict(
            f"The image {case['name']!r} is reserved for {reader!r} until {expires:%Y-%m-%d %H:%M:%S} UTC; ask for "
            "the next case."
        )


def event_record(row: EventRow | Row[*tuple[Any, ...]]) -> Event:
    """The plain record of a row of events."""
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
