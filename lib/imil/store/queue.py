# ruff: noqa: A002 - `round` is what a round's number is called in every record, table and request.
"""Rounds and their queues of cases with heat maps. Who has reserved which case is in `imil.store.leases`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, func, select
from sqlalchemy.orm import Session

from imil.errors import BadInput, Conflict, NotFound
from imil.store import heatmaps
from imil.store.database import Database
from imil.store.models import AnswerRow, EventRow, HeatMapRow, LeaseRow, QueuedRow, RoundRow, RunRow
from imil.store.records import Action, ListedCase, QueuedCase, QueueEntry, RoundInfo, RunState
from imil.store.runs import locked_run, move, no_run

# The statements of the calls that readers wait for are built once: building one takes longer than running it.
QUEUED = QueuedRow.__table__.c
IN_ROUND = (QUEUED.run == bindparam("run_id"), QUEUED.round == bindparam("number"))
ANSWERS = select(func.count()).where(AnswerRow.queued_case == QUEUED.id).correlate(QueuedRow).scalar_subquery()
"""How many readers have answered a queued case."""
_LOCKED_ROUND = (
    select(RunRow.state, RunRow.round, RoundRow.epoch, RoundRow.model_sha256, RoundRow.queued, RoundRow.needed)
    .add_columns(RoundRow.closed, RunRow.settings)
    .outerjoin(RoundRow, (RoundRow.run == RunRow.id) & (RoundRow.round == bindparam("number")))
    .where(RunRow.id == bindparam("run_id"))
    .with_for_update(of=RunRow)
)
_ROUND = select(RoundRow.epoch, RoundRow.queued, RoundRow.needed).where(
    RoundRow.run == bindparam("run_id"), RoundRow.round == bindparam("number")
)
_ANSWERERS = (
    select(EventRow.case_id, EventRow.reader, EventRow.action)
    .join(AnswerRow, AnswerRow.event == EventRow.id)
    .where(EventRow.run == bindparam("run_id"), EventRow.round == bindparam("number"))
    .order_by(EventRow.id)
)
ENTRIES = select(*QUEUED, ANSWERS.label("answers"))


class QueueStore:
    """The part of `imil.store.Store` that is about rounds and their queues."""

    _database: Database

    def open_round(
        self, run_id: int, epoch: int, model_sha256: str, queue: Sequence[QueuedCase], message: str = ""
    ) -> int:
        """Open the run's next round: queue, heat maps and the move to awaiting_review, all in one transaction.

        With an empty queue there is nothing to wait for: the round is closed at once and the run stays training.

        Args:
            run_id: a run in state training.
            epoch: the epoch after which training stopped.
            model_sha256: of the weights that the queue was made with.
            queue: in the order in which readers shall see the cases.
            message: for the reader, e.g. that there were fewer mispredictions than asked for.

        Returns:
            the number of the round, from 1.

        Raises:
            BadInput: if a case is there twice or a heat map isn't one.
            Conflict: if the run isn't training.
        """
        ids = [case.case_id for case in queue]
        if len(set(ids)) != len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise BadInput(f"The case {twice!r} is in the queue twice; each may be there once.")
        packed = [heatmaps.pack(case.heatmap) for case in queue]
        now = datetime.now(UTC)
        with self._database.write() as session:
            run = locked_run(session, run_id)
            if run.state != RunState.TRAINING:
                raise Conflict(f"Run {run_id} is {run.state}; a round can only be opened while it is training.")
            if queue:
                move(run, RunState.AWAITING_REVIEW)
            run.round += 1
            run.model_sha256 = model_sha256
            run.message = message
            info = RoundRow(
                run=run_id,
                round=run.round,
                epoch=epoch,
                model_sha256=model_sha256,
                queued=len(queue),
                needed=int(run.settings.get("readers_per_case", 1)),
                closed=not queue,
                early=False,
                message=message,
                opened=now,
                closed_at=None if queue else now,
                changed_settings={},
            )
            session.add(info)
            _add_cases(session, info, queue, packed, first=1)
            return run.round

    def extend_round(self, run_id: int, round: int, queue: Sequence[QueuedCase], message: str) -> None:
        """Put further cases behind those of the round under review.

        Args:
            run_id: a run in state awaiting_review.
            round: its present round.
            queue: cases that aren't in it yet, in the order in which readers shall see them.
            message: for the reader; it takes the place of the round's own.

        Raises:
            BadInput: if a heat map isn't one.
            Conflict: if this round isn't the one under review, or has one of the cases already.
        """
        packed = [heatmaps.pack(case.heatmap) for case in queue]
        with self._database.write() as session:
            refuse_unless_open(locked_round(session.connection(), run_id, round), run_id, round)
            info = session.get_one(RoundRow, (run_id, round))
            known = set(session.scalars(select(QueuedRow.case_id).where(*_members(run_id, round))))
            twice = next((case.case_id for case in queue if case.case_id in known), None)
            if twice is not None:
                raise Conflict(f"The image {twice!r} is in the queue of round {round} already.")
            _add_cases(session, info, queue, packed, first=info.queued + 1)
            info.queued += len(queue)
            info.message = locked_run(session, run_id).message = message

    def close_round(self, run_id: int, round: int, early: bool, settings: Mapping[str, Any] | None = None) -> None:
        """Close the round under review and move the run to training, in one transaction.

        Args:
            run_id: a run in state awaiting_review.
            round: its present round.
            early: the round may be closed although some cases lack answers.
            settings: settings of the run that are other ones from now on, by name.

        Raises:
            NotFound: if there is no such run.
            Conflict: if this round isn't the one under review, or has open cases and ``early`` is False.
        """
        with self._database.write() as session:
            info = answered_round(session, run_id, round, early=early)
            shut(session, info)
            leave_review(session, info, settings or {})

    def rounds(self, run_id: int) -> list[RoundInfo]:
        """All rounds of a run, the first first."""
        with self._database.read() as session:
            reviewed = _reviewed(session, run_id)
            rows = session.scalars(select(RoundRow).where(RoundRow.run == run_id).order_by(RoundRow.round))
            return [
                RoundInfo(
                    round=row.round,
                    epoch=row.epoch,
                    model_sha256=row.model_sha256,
                    queued=row.queued,
                    reviewed=reviewed.get(row.round, 0),
                    closed=row.closed,
                    early=row.early,
                    message=row.message,
                    opened=row.opened,
                    closed_at=row.closed_at,
                    changed_settings=dict(row.changed_settings),
                )
                for row in rows
            ]

    def queue(self, run_id: int, round: int) -> list[QueueEntry]:
        """The queue of a round in its order, without heat maps. Raises NotFound if there is no such round."""
        with self._database.read() as session:
            return _entries(session, run_id, round)

    def queue_entry(self, run_id: int, round: int, case_id: str) -> QueueEntry:
        """One case of a queue. Raises NotFound if the round or the case in it doesn't exist."""
        with self._database.read() as session:
            found = _entries(session, run_id, round, QUEUED.case_id == case_id)
            if not found:
                raise not_queued(run_id, round, case_id)
            return found[0]

    def listing(self, run_id: int, round: int) -> list[ListedCase]:
        """The queue of a round in its order, with who has answered how. Raises NotFound if there is no such round."""
        with self._database.read() as session:
            entries = _entries(session, run_id, round)
            answers: dict[str, dict[str, Action]] = {entry.case_id: {} for entry in entries}
            rows = session.connection().execute(_ANSWERERS, {"run_id": run_id, "number": round})
            for case_id, reader, action in rows:
                answers[case_id][reader] = Action(action)
            return [ListedCase(entry, answers[entry.case_id]) for entry in entries]

    def queued_case_ids(self, run_id: int) -> set[str]:
        """The cases that were queued in any round of the run."""
        with self._database.read() as session:
            return set(session.scalars(select(QueuedRow.case_id).where(QueuedRow.run == run_id).distinct()))

    def heatmap(self, run_id: int, round: int, case_id: str) -> npt.NDArray[np.float32]:
        """The heat map of a queued case, float32 (rows, cols) in [0, 1], exactly as it was stored.

        Raises:
            NotFound: if the case isn't in the queue of that round.
        """
        query = (
            select(HeatMapRow)
            .join(QueuedRow, QueuedRow.id == HeatMapRow.queued_case)
            .where(QueuedRow.run == run_id, QueuedRow.round == round, QueuedRow.case_id == case_id)
        )
        with self._database.read() as session:
            row = session.scalar(query)
            if row is None:
                raise not_queued(run_id, round, case_id)
            return heatmaps.unpack(row.data, row.rows, row.cols)


def locked_round(connection: Connection, run_id: int, round: int) -> Row[*tuple[Any, ...]]:
    """State and round of a run, and what is known of round ``round`` (NULL if there is none); the run is locked."""
    known = 0 < run_id < 2**31 and 0 <= round < 2**31
    row = connection.execute(_LOCKED_ROUND, {"run_id": run_id, "number": round}).one_or_none() if known else None
    if row is None:
        raise no_run(run_id)
    return row


def refuse_unless_open(info: Row[*tuple[Any, ...]], run_id: int, round: int) -> None:
    """Raise Conflict if the run isn't waiting for answers to this round."""
    if info.round != round:
        raise Conflict(
            f"Round {round} of run {run_id} isn't under review: the run is at round {info.round}, {info.state}."
        )
    if info.closed is not False or info.state != RunState.AWAITING_REVIEW:
        raise Conflict(f"Round {round} of run {run_id} is closed: the run is {info.state} and takes no answers to it.")


def answered_round(session: Session, run_id: int, round: int, *, early: bool) -> RoundRow:
    """The round under review, locked, with all its answers, or ``early``; raises Conflict if it isn't."""
    refuse_unless_open(locked_round(session.connection(), run_id, round), run_id, round)
    info = session.get_one(RoundRow, (run_id, round))
    reviewed = _reviewed(session, run_id).get(round, 0)
    if reviewed < info.queued and not early:
        raise Conflict(
            f"{reviewed} of {info.queued} cases of round {round} of run {run_id} are reviewed; answer the "
            'others, or send "continue_early": true to go on with what is there.'
        )
    return info


def leave_review(session: Session, info: RoundRow, settings: Mapping[str, Any]) -> None:
    """Move the run of a round under review to training, with some of its settings changed."""
    run = locked_run(session, info.run)
    # A round may be continued more than once, with a look at what it taught in between: the first value counts.
    first = {name: info.changed_settings.get(name, [run.settings.get(name)])[0] for name in settings}
    changed = {**info.changed_settings, **{name: [first[name], value] for name, value in settings.items()}}
    info.changed_settings = {name: [old, new] for name, (old, new) in changed.items() if old != new}
    run.settings = {**run.settings, **settings}
    run.message = ""
    move(run, RunState.TRAINING)


def shut(session: Session, info: RoundRow) -> None:
    """Close a round: it takes no more answers, and nobody holds a case of it."""
    info.closed = True
    info.early = _reviewed(session, info.run).get(info.round, 0) < info.queued
    info.closed_at = datetime.now(UTC)
    members = select(QueuedRow.id).where(*_members(info.run, info.round))
    session.execute(delete(LeaseRow).where(LeaseRow.queued_case.in_(members)))


def not_queued(run_id: int, round: int, case_id: str) -> NotFound:
    """The error for a case that isn't in a round's queue."""
    return NotFound(f"The image {case_id!r} isn't in the queue of round {round} of run {run_id}.")


def _members(run_id: int, round: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return QueuedRow.run == run_id, QueuedRow.round == round


def _add_cases(
    session: Session, info: RoundRow, queue: Sequence[QueuedCase], packed: Sequence[bytes], *, first: int
) -> None:
    """Queue cases in a round from position ``first`` on, with their packed heat maps."""
    session.flush()
    rows = [_queued_row(case, info.run, info.round, number) for number, case in enumerate(queue, start=first)]
    session.add_all(rows)
    session.flush()
    for row, case, data in zip(rows, queue, packed, strict=True):
        height, width = case.heatmap.shape
        session.add(HeatMapRow(queued_case=row.id, rows=height, cols=width, data=data))


def _queued_row(case: QueuedCase, run_id: int, round: int, position: int) -> QueuedRow:
    return QueuedRow(
        run=run_id,
        round=round,
        position=position,
        case_id=case.case_id,
        label=case.label,
        prediction=case.prediction,
        confidence=float(case.confidence),
        probabilities=[float(value) for value in case.probabilities],
        reason=case.reason,
        method=case.method,
        layer=case.layer,
    )


def _reviewed(session: Session, run_id: int) -> dict[int, int]:
    """How many cases of each round have all their answers."""
    done = (
        select(QueuedRow.round)
        .join(RoundRow, (RoundRow.run == QueuedRow.run) & (RoundRow.round == QueuedRow.round))
        .join(AnswerRow, AnswerRow.queued_case == QueuedRow.id)
        .where(QueuedRow.run == run_id)
        .group_by(QueuedRow.id, QueuedRow.round, RoundRow.needed)
        .having(func.count() >= RoundRow.needed)
        .subquery()
    )
    rows = session.execute(select(done.c.round, func.count()).group_by(done.c.round))
    return {int(number): int(count) for number, count in rows}


def _entries(session: Session, run_id: int, round: int, *where: ColumnElement[bool]) -> list[QueueEntry]:
    connection = session.connection()
    info = connection.execute(_ROUND, {"run_id": run_id, "number": round}).one_or_none()
    if info is None:
        raise NotFound(f"There is no round {round} of run {run_id}.")
    members = (QUEUED.run == run_id, QUEUED.round == round, *where)
    leases = (
        select(LeaseRow.queued_case, LeaseRow.expires, LeaseRow.reader)
        .join(QueuedRow, QUEUED.id == LeaseRow.queued_case)
        .where(*members, LeaseRow.expires > datetime.now(UTC))
        .order_by(LeaseRow.expires)
    )
    holders = {case: (expires, holder) for case, expires, holder in connection.execute(leases)}
    rows = connection.execute(ENTRIES.where(*members).order_by(QUEUED.position))
    return [entry_record(row, info, holders.get(row.id)) for row in rows]


def entry_record(
    row: Row[*tuple[Any, ...]], info: Row[*tuple[Any, ...]], lease: tuple[datetime, str] | None
) -> QueueEntry:
    """The plain record of a row of `ENTRIES`; ``info`` has the round's ``epoch``, ``queued`` and ``needed``."""
    return QueueEntry(
        run=row.run,
        round=row.round,
        epoch=info.epoch,
        position=row.position,
        total=info.queued,
        case_id=row.case_id,
        label=row.label,
        prediction=row.prediction,
        confidence=row.confidence,
        probabilities=tuple(row.probabilities),
        reason=row.reason,
        method=row.method,
        layer=row.layer,
        answers=row.answers,
        needed=info.needed,
        reader=lease[1] if lease else None,
        lease_expires=lease[0] if lease else None,
    )
