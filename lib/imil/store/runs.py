# ruff: noqa: A002 - `round` is what a round's number is called in every record, table and request.
"""Runs, their epochs and scores."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, select
from sqlalchemy.orm import Session

from imil.errors import BadInput, Conflict, NotFound
from imil.store.database import Database
from imil.store.models import EpochRow, RunRow, ScoreRow
from imil.store.records import IMIL, NEXT_STATES, EpochMetrics, Run, RunState, Score

_METRICS = ("loss", "accuracy", "auroc", "ece", "brier")

_OF_A_ROUND = frozenset({RunState.AWAITING_REVIEW, RunState.AWAITING_APPROVAL})
"""States of a run with an open round: what leads into and out of them changes the round, too."""

# Built once, because readers wait for them.
_RUN = select(*RunRow.__table__.c).where(RunRow.id == bindparam("run_id"))
_NEWEST = select(*RunRow.__table__.c).where(RunRow.kind == bindparam("which")).order_by(RunRow.id.desc()).limit(1)


_LAST_EPOCH = select(func.max(EpochRow.epoch)).where(EpochRow.run == bindparam("run_id"))
_HISTORY = (
    select(*EpochRow.__table__.c)
    .where(EpochRow.run == bindparam("run_id"), (bindparam("last") - EpochRow.epoch) % bindparam("step") == 0)
    .order_by(EpochRow.epoch, EpochRow.split)
)


class RunStore:
    """The part of `imil.store.Store` that is about runs."""

    _database: Database

    def create_run(
        self,
        settings: Mapping[str, Any],
        classes: Sequence[str],
        *,
        kind: str = IMIL,
        parent: int | None = None,
        epoch: int = 0,
        newest: int | None = None,
    ) -> Run:
        """A new run in state training.

        Args:
            settings: JSON values with at least ``epochs`` and ``imil_epochs``.
            classes: class names in the order of the class indices.
            kind: `IMIL`, or `WITHOUT_FEEDBACK`, which has no rounds.
            parent: run whose checkpoint it branches from, at ``epoch``.
            epoch: last finished epoch of the branch; 0 for a new training.
            newest: id of the newest run of this kind that the caller knows (0: there is none).

        Raises:
            NotFound: if the parent doesn't exist.
            Conflict: if there is a newer run than ``newest``.
        """
        now = datetime.now(UTC)
        with self._database.write() as session:
            if parent is not None:
                locked_run(session, parent)
            found = session.scalar(select(func.max(RunRow.id)).where(RunRow.kind == kind)) or 0
            if newest is not None and found != newest:
                raise Conflict(f"Run {found} was started in the meantime; look at its state before starting another.")
            row = RunRow(
                kind=kind,
                state=RunState.TRAINING,
                parent=parent,
                settings=dict(settings),
                classes=list(classes),
                epoch=epoch,
                epochs=int(settings["epochs"]),
                round=0,
                rounds=len(settings["imil_epochs"]) if kind == IMIL else 0,
                message="",
                model_sha256="",
                seconds=0.0,
                created=now,
                updated=now,
            )
            session.add(row)
            session.flush()
            return run_record(row)

    def run(self, run_id: int) -> Run:
        """Raises NotFound if there is no such run."""
        with self._database.read() as session:
            row = session.connection().execute(_RUN, {"run_id": run_id}).one_or_none() if _fits(run_id) else None
            if row is None:
                raise no_run(run_id)
            return run_record(row)

    def runs(self) -> list[Run]:
        """All runs, the oldest first."""
        with self._database.read() as session:
            return [run_record(row) for row in session.scalars(select(RunRow).order_by(RunRow.id))]

    def latest_run(self, kind: str = IMIL) -> Run | None:
        """The newest run of a kind, or None."""
        with self._database.read() as session:
            row = session.connection().execute(_NEWEST, {"which": kind}).one_or_none()
            return None if row is None else run_record(row)

    def set_state(
        self,
        run_id: int,
        state: RunState,
        *,
        message: str = "",
        expect: RunState | None = None,
        model_sha256: str = "",
    ) -> Run:
        """Move a run to another state. What opens, learns from or closes a round has methods of its own.

        Args:
            run_id: the run.
            state: where it goes.
            message: replaces the run's message.
            expect: the state the caller believes the run to be in.
            model_sha256: of the run's present weights; empty leaves what is known.

        Raises:
            NotFound: if there is no such run.
            Conflict: if the run is in another state than ``expect``, or can't go to ``state`` from where it is.
        """
        with self._database.write() as session:
            row = locked_run(session, run_id)
            if expect is not None and row.state != expect:
                raise Conflict(f"Run {run_id} is {row.state}, not {expect}; look at its state before you go on.")
            if _OF_A_ROUND & {row.state, state}:
                raise Conflict(
                    f"Run {run_id} is {row.state} and can't become {state} without a round opened or closed."
                )
            move(row, state)
            row.message = message
            row.model_sha256 = model_sha256 or row.model_sha256
            return run_record(row)

    def record_epoch(self, run_id: int, epoch: int, metrics: Sequence[EpochMetrics]) -> None:
        """Note that an epoch is finished, with its metrics for each split. Done again, it replaces what was noted.

        Raises:
            BadInput: if the metrics are of another run or epoch.
            NotFound: if there is no such run.
            Conflict: if the run isn't training.
        """
        for entry in metrics:
            if (entry.run, entry.epoch) != (run_id, epoch):
                raise BadInput(
                    f"Metrics of run {entry.run}, epoch {entry.epoch} given for run {run_id}, epoch {epoch}."
                )
        with self._database.write() as session:
            row = locked_run(session, run_id)
            if row.state != RunState.TRAINING:
                raise Conflict(f"Run {run_id} is {row.state}; epochs are only recorded while it is training.")
            for entry in metrics:
                values = {name: _null_if_nan(getattr(entry, name)) for name in _METRICS}
                session.merge(EpochRow(run=run_id, epoch=epoch, split=entry.split, seconds=entry.seconds, **values))
            session.flush()
            total = select(func.sum(EpochRow.seconds)).where(EpochRow.run == run_id)
            row.seconds = float(session.scalar(total) or 0.0)
            row.epoch = epoch
            row.updated = datetime.now(UTC)

    def epochs(self, run_id: int, *, epoch: int | None = None) -> list[EpochMetrics]:
        """The metrics of all epochs, or of one, ordered by epoch and split."""
        query = select(EpochRow).where(EpochRow.run == run_id).order_by(EpochRow.epoch, EpochRow.split)
        if epoch is not None:
            query = query.where(EpochRow.epoch == epoch)
        with self._database.read() as session:
            return [_epoch_record(row) for row in session.scalars(query)]

    def history(self, run_id: int, most: int) -> list[EpochMetrics]:
        """The metrics of all epochs, ordered by epoch and split; of more than ``most`` epochs, so many evenly spaced
        ones that end with the last.
        """
        with self._database.read() as session:
            connection = session.connection()
            last = connection.scalar(_LAST_EPOCH, {"run_id": run_id}) or 0
            values = {"run_id": run_id, "last": last, "step": max(1, math.ceil(last / most))}
            return [_epoch_record(row) for row in connection.execute(_HISTORY, values)]

    def epoch_seconds(self, run_id: int) -> float | None:
        """Mean seconds of a recorded epoch, all its splits together; None before the first."""
        query = select(func.sum(EpochRow.seconds), func.count(func.distinct(EpochRow.epoch))).where(
            EpochRow.run == run_id
        )
        with self._database.read() as session:
            seconds, count = session.execute(query).one()
        return float(seconds) / int(count) if count else None

    def save_score(self, run_id: int, round: int, epoch: int, split: str, metrics: Mapping[str, float]) -> None:
        """Store metrics over a split, replacing those of the same run, round, epoch and split."""
        with self._database.write() as session:
            locked_run(session, run_id)
            values = {name: _null_if_nan(value) for name, value in metrics.items()}
            now = datetime.now(UTC)
            session.merge(ScoreRow(run=run_id, round=round, epoch=epoch, split=split, metrics=values, time=now))

    def scores(self, run_id: int) -> list[Score]:
        """All stored scores of a run, ordered by round, epoch and split."""
        query = select(ScoreRow).where(ScoreRow.run == run_id).order_by(ScoreRow.round, ScoreRow.epoch, ScoreRow.split)
        with self._database.read() as session:
            return [
                Score(
                    run=row.run,
                    round=row.round,
                    epoch=row.epoch,
                    split=row.split,
                    metrics={name: _nan_if_null(value) for name, value in row.metrics.items()},
                    time=row.time,
                )
                for row in session.scalars(query)
            ]


def locked_run(session: Session, run_id: int) -> RunRow:
    """The row of a run, locked: every change to a run, its queue and its feedback takes this lock first."""
    row = session.get(RunRow, run_id, with_for_update=True) if _fits(run_id) else None
    if row is None:
        raise no_run(run_id)
    return row


def move(row: RunRow, state: RunState) -> None:
    """Change the state of a locked run, if `NEXT_STATES` allows it; raises Conflict if not."""
    present = RunState(row.state)
    if state not in NEXT_STATES[present]:
        allowed = ", ".join(sorted(NEXT_STATES[present])) or "nothing: start a new run"
        raise Conflict(f"Run {row.id} is {present} and can't become {state}; what may follow is {allowed}.")
    row.state = state
    row.updated = datetime.now(UTC)


def run_record(row: RunRow | Row[*tuple[Any, ...]]) -> Run:
    """The plain record of a row."""
    return Run(
        id=row.id,
        state=RunState(row.state),
        settings=dict(row.settings),
        classes=list(row.classes),
        epoch=row.epoch,
        epochs=row.epochs,
        round=row.round,
        rounds=row.rounds,
        kind=row.kind,
        parent=row.parent,
        message=row.message,
        created=row.created,
        updated=row.updated,
        model_sha256=row.model_sha256,
        seconds=row.seconds,
    )


def _epoch_record(row: EpochRow | Row[*tuple[Any, ...]]) -> EpochMetrics:
    return EpochMetrics(
        run=row.run,
        epoch=row.epoch,
        split=row.split,
        seconds=row.seconds,
        **{name: _nan_if_null(getattr(row, name)) for name in _METRICS},
    )


def no_run(run_id: int) -> NotFound:
    """The error for a run that doesn't exist."""
    return NotFound(f"There is no run {run_id} in this study.")


def _fits(run_id: int) -> bool:
    """Numbers come from clients; a database refuses those that don't fit its column."""
    return 0 < run_id < 2**31


def _null_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _nan_if_null(value: float | None) -> float:
    return math.nan if value is None else value
