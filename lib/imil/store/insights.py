# ruff: noqa: A002 - `round` is what a round's number is called in every record, table and request.
"""What a round's answers taught, and what readers say to it before training goes on.

A round whose answers are learnt from stays open until the run trains on: ``awaiting_review``, ``training`` (which
learns), ``awaiting_approval``, ``training`` with the round closed. From everywhere in between, the round can be opened
for answers again.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from imil.casefeedback import CorrectionAction
from imil.errors import Conflict
from imil.store.database import Database
from imil.store.models import CorrectionRow, InsightRow, RoundRow, RunRow
from imil.store.queue import answered_round, leave_review, shut
from imil.store.records import InsightCorrection, InsightRecord, RecordedCorrection, Run, RunState
from imil.store.runs import locked_run, move, run_record

_CONTENT = ("run", "round", "reader", "action", "case_id")


class InsightStore:
    """The part of `imil.store.Store` that is about what rounds taught."""

    _database: Database

    def start_learning(self, run_id: int, round: int, early: bool, settings: Mapping[str, Any] | None = None) -> Run:
        """End the review of a round, which stays open, and move the run to training, in one transaction.

        The arguments and errors are those of `imil.store.queue.QueueStore.close_round`.
        """
        with self._database.write() as session:
            leave_review(session, answered_round(session, run_id, round, early=early), settings or {})
            return run_record(locked_run(session, run_id))

    def save_insight(
        self,
        run_id: int,
        round: int,
        *,
        feedback: str,
        file_sha256: str,
        summary: Mapping[str, Any],
        seconds: float,
        wait: bool,
    ) -> InsightRecord:
        """Keep what was learnt from a round's answers.

        Args:
            run_id: a run in state training.
            round: its present round, still open.
            feedback: the setting ``feedback`` that it was made for.
            file_sha256: of the file with all of it, which is written by now.
            summary: JSON values.
            seconds: what finding it out took.
            wait: the run waits for a reader's approval; otherwise the round is closed and training goes on.

        Raises:
            Conflict: if the run isn't training, or the round isn't its present one or is closed.
        """
        with self._database.write() as session:
            run, info = _locked(session, run_id, round)
            if run.state != RunState.TRAINING:
                raise Conflict(f"Run {run_id} is {run.state}; a round is only learnt from while it is training.")
            _discard(session, run_id, round)
            row = InsightRow(
                run=run_id,
                round=round,
                feedback=feedback,
                file_sha256=file_sha256,
                summary=dict(summary),
                seconds=float(seconds),
                time=datetime.now(UTC),
            )
            session.add(row)
            if wait:
                move(run, RunState.AWAITING_APPROVAL)
            else:
                shut(session, info)
            session.flush()
            return _record(row)

    def close_learnt_round(self, run_id: int, round: int, expect: RunState) -> Run:
        """Close a round whose answers have been learnt from; the run is in state training then.

        Args:
            run_id: a run that is training or awaits approval.
            round: its present round.
            expect: the state the caller believes the run to be in.

        Raises:
            Conflict: if the run is in another state, or the round isn't its present one or is closed.
        """
        with self._database.write() as session:
            run, info = _locked(session, run_id, round)
            _expect(run, expect)
            shut(session, info)
            run.message = ""
            move(run, RunState.TRAINING)
            return run_record(run)

    def reopen_round(self, run_id: int, round: int, expect: RunState, message: str | None = None) -> Run:
        """Take answers to a round again that was being learnt from; what it taught is thrown away.

        Args:
            run_id: the run.
            round: its present round, not closed yet.
            expect: the state the caller believes the run to be in.
            message: for the reader; None for what was said when the round was opened.

        Raises:
            Conflict: if the run is in another state, or the round isn't its present one or is closed.
        """
        with self._database.write() as session:
            run, info = _locked(session, run_id, round)
            _expect(run, expect)
            move(run, RunState.AWAITING_REVIEW)
            _discard(session, run_id, round)
            run.message = info.message if message is None else message
            return run_record(run)

    def insight(self, run_id: int, round: int | None = None) -> InsightRecord | None:
        """What a round of a run taught; by default the newest of its rounds that taught something. None if none did."""
        query = select(InsightRow).where(InsightRow.run == run_id, InsightRow.discarded.is_(None))
        if round is not None:
            query = query.where(InsightRow.round == round)
        with self._database.read() as session:
            row = session.scalar(query.order_by(InsightRow.round.desc()).limit(1))
            return None if row is None else _record(row)

    def insights(self, run_id: int) -> list[InsightRecord]:
        """All that a run's rounds taught, the oldest first, with what was thrown away."""
        with self._database.read() as session:
            rows = session.scalars(select(InsightRow).where(InsightRow.run == run_id).order_by(InsightRow.id))
            return [_record(row) for row in rows]

    def renew_insight_file(self, insight_id: int, file_sha256: str) -> None:
        """Note that the file was written anew, because it had got lost."""
        with self._database.write() as session:
            session.get_one(InsightRow, insight_id).file_sha256 = file_sha256

    def correct(self, sent: InsightCorrection, insight_id: int) -> RecordedCorrection:
        """Record a reader's correction of an insight. The same key again writes nothing.

        Raises:
            NotFound: if there is no such run.
            Conflict: if the run doesn't await approval of this round, the insight was thrown away meanwhile, or the key
                belongs to another correction. Nothing is written then.
        """
        with self._database.write() as session:
            run = locked_run(session, sent.run)
            known = _known(session, sent)
            if known is not None:
                return known
            refuse_unless_awaiting(run_record(run), sent.round)
            insight = session.get(InsightRow, insight_id)
            if insight is None or insight.discarded is not None or (insight.run, insight.round) != (run.id, sent.round):
                raise Conflict(f"What round {sent.round} of run {run.id} taught was found out anew; look at it again.")
            row = CorrectionRow(
                key=sent.key,
                run=sent.run,
                round=sent.round,
                insight=insight_id,
                reader=sent.reader,
                action=sent.action,
                case_id=sent.case_id,
                cells=list(sent.cells),
                time=datetime.now(UTC),
            )
            session.add(row)
            session.flush()
            return _correction(row)

    def known_correction(self, sent: InsightCorrection) -> RecordedCorrection | None:
        """The correction that was recorded before under the same key, or None.

        Raises:
            Conflict: if the key belongs to another correction.
        """
        with self._database.read() as session:
            return _known(session, sent)

    def corrections(self, insight_id: int) -> list[RecordedCorrection]:
        """All corrections of an insight, in the order they came."""
        query = select(CorrectionRow).where(CorrectionRow.insight == insight_id).order_by(CorrectionRow.id)
        with self._database.read() as session:
            return [_correction(row) for row in session.scalars(query)]


def refuse_unless_awaiting(run: Run, round: int) -> None:
    """Raise Conflict if the run doesn't wait for a reader's approval of what this round taught."""
    if run.round != round or run.state is not RunState.AWAITING_APPROVAL:
        raise Conflict(
            f"What round {round} of run {run.id} taught can't be corrected now: the run is at round {run.round}, "
            f"{run.state}."
        )


def _locked(session: Session, run_id: int, round: int) -> tuple[RunRow, RoundRow]:
    run = locked_run(session, run_id)
    info = session.get(RoundRow, (run_id, round))
    if info is None or run.round != round or info.closed:
        raise Conflict(f"Round {round} of run {run_id} isn't open: the run is at round {run.round}, {run.state}.")
    return run, info


def _expect(run: RunRow, state: RunState) -> None:
    if run.state != state:
        raise Conflict(f"Run {run.id} is {run.state}, not {state}; look at its state before you go on.")


def _discard(session: Session, run_id: int, round: int) -> None:
    found = (InsightRow.run == run_id, InsightRow.round == round, InsightRow.discarded.is_(None))
    session.execute(update(InsightRow).where(*found).values(discarded=datetime.now(UTC)))


def _known(session: Session, sent: InsightCorrection) -> RecordedCorrection | None:
    row = session.scalar(select(CorrectionRow).where(CorrectionRow.key == sent.key))
    if row is None:
        return None
    known = _correction(row)
    different = [name for name in _CONTENT if getattr(known, name) != getattr(sent, name)]
    if sorted(known.cells) != sorted(sent.cells):
        different.append("cells")
    if different:
        name = different[0]
        raise Conflict(
            f"The key {sent.key!r} belongs to another correction ({name} was {getattr(known, name)!r} there and is "
            f"{getattr(sent, name)!r} here); each correction needs a new UUID."
        )
    return known


def _record(row: InsightRow) -> InsightRecord:
    return InsightRecord(
        id=row.id,
        run=row.run,
        round=row.round,
        feedback=row.feedback,
        file_sha256=row.file_sha256,
        summary=dict(row.summary),
        seconds=row.seconds,
        time=row.time,
        discarded=row.discarded,
    )


def _correction(row: CorrectionRow) -> RecordedCorrection:
    return RecordedCorrection(
        action=cast(CorrectionAction, row.action),
        case_id=row.case_id,
        cells=tuple(row.cells),
        run=row.run,
        round=row.round,
        reader=row.reader,
        key=row.key,
        id=row.id,
        insight=row.insight,
        time=row.time,
    )
