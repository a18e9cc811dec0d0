"""The tables. A change here needs a new migration (a test compares the two)."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy import DateTime as SqlDateTime
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, also where the database keeps no time zone (SQLite)."""

    impl = SqlDateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """What all tables share: names of constraints, and how Python types are stored."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        datetime: UtcDateTime,
        float: Double,
        str: Text,
        bytes: LargeBinary,
        dict[str, Any]: JSON,
        dict[str, float | None]: JSON,
        list[str]: JSON,
        list[float]: JSON,
        list[int]: JSON,
    }


class RunRow(Base):
    """See `imil.store.records.Run`."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(32))
    parent: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))
    settings: Mapped[dict[str, Any]]
    classes: Mapped[list[str]]
    epoch: Mapped[int]
    epochs: Mapped[int]
    round: Mapped[int]
    rounds: Mapped[int]
    message: Mapped[str]
    model_sha256: Mapped[str] = mapped_column(String(64))
    seconds: Mapped[float]
    created: Mapped[datetime]
    updated: Mapped[datetime]


class EpochRow(Base):
    """NaN is stored as NULL, because SQLite has no NaN."""

    __tablename__ = "epochs"

    run: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    split: Mapped[str] = mapped_column(String(32), primary_key=True)
    loss: Mapped[float | None]
    accuracy: Mapped[float | None]
    auroc: Mapped[float | None]
    ece: Mapped[float | None]
    brier: Mapped[float | None]
    seconds: Mapped[float]


class RoundRow(Base):
    """A round; ``needed`` answers are asked for each of its ``queued`` cases."""

    __tablename__ = "rounds"

    run: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int]
    model_sha256: Mapped[str] = mapped_column(String(64))
    queued: Mapped[int]
    needed: Mapped[int]
    closed: Mapped[bool]
    early: Mapped[bool]
    message: Mapped[str]
    opened: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    changed_settings: Mapped[dict[str, Any]]


class QueuedRow(Base):
    """See `imil.store.records.QueuedCase`."""

    __tablename__ = "queued_cases"
    __table_args__ = (
        ForeignKeyConstraint(["run", "round"], ["rounds.run", "rounds.round"]),
        UniqueConstraint("run", "round", "position"),
        UniqueConstraint("run", "round", "case_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[int]
    round: Mapped[int]
    position: Mapped[int]
    case_id: Mapped[str]
    label: Mapped[str]
    prediction: Mapped[str]
    confidence: Mapped[float]
    probabilities: Mapped[list[float]]
    reason: Mapped[str] = mapped_column(String(32))
    method: Mapped[str]
    layer: Mapped[str]


class HeatMapRow(Base):
    """In a table of its own, so that the queue is listed without reading pixels. See `imil.store.heatmaps`."""

    __tablename__ = "heat_maps"

    queued_case: Mapped[int] = mapped_column(ForeignKey("queued_cases.id"), primary_key=True)
    rows: Mapped[int]
    cols: Mapped[int]
    data: Mapped[bytes]


class LeaseRow(Base):
    """A case reserved for a reader until ``expires``; an expired lease means nothing."""

    __tablename__ = "leases"

    queued_case: Mapped[int] = mapped_column(ForeignKey("queued_cases.id"), primary_key=True)
    reader: Mapped[str] = mapped_column(primary_key=True)
    expires: Mapped[datetime]


class EventRow(Base):
    """Append-only: triggers refuse UPDATE and DELETE. ``remaining`` and ``total`` are the receipt that was given."""

    __tablename__ = "feedback_events"
    __table_args__ = (
        UniqueConstraint("key"),
        Index(None, "run", "round"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64))
    run: Mapped[int]
    round: Mapped[int]
    queued_case: Mapped[int] = mapped_column(ForeignKey("queued_cases.id"))
    case_id: Mapped[str]
    image_sha256: Mapped[str] = mapped_column(String(64))
    model_sha256: Mapped[str] = mapped_column(String(64))
    epoch: Mapped[int]
    reader: Mapped[str]
    action: Mapped[str] = mapped_column(String(32))
    grid_size: Mapped[int]
    cells: Mapped[list[int]]
    misleading: Mapped[list[int]]
    new_label: Mapped[str]
    rationale: Mapped[str]
    seconds: Mapped[float]
    heatmap_method: Mapped[str]
    replace: Mapped[bool]
    time: Mapped[datetime]
    remaining: Mapped[int]
    total: Mapped[int]


class AnswerRow(Base):
    """Which event is a reader's present answer to a case: derived from the events in the same transaction."""

    __tablename__ = "answers"

    queued_case: Mapped[int] = mapped_column(ForeignKey("queued_cases.id"), primary_key=True)
    reader: Mapped[str] = mapped_column(primary_key=True)
    event: Mapped[int] = mapped_column(ForeignKey("feedback_events.id"))


class InsightRow(Base):
    """See `imil.store.records.InsightRecord`. At most one row of a round isn't discarded."""

    __tablename__ = "insights"
    __table_args__ = (
        ForeignKeyConstraint(["run", "round"], ["rounds.run", "rounds.round"]),
        Index(None, "run", "round"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[int]
    round: Mapped[int]
    feedback: Mapped[str]
    file_sha256: Mapped[str] = mapped_column(String(64))
    summary: Mapped[dict[str, Any]]
    seconds: Mapped[float]
    time: Mapped[datetime]
    discarded: Mapped[datetime | None]


class CorrectionRow(Base):
    """Append-only: triggers refuse UPDATE and DELETE."""

    __tablename__ = "insight_corrections"
    __table_args__ = (UniqueConstraint("key"), Index(None, "insight"))

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64))
    run: Mapped[int]
    round: Mapped[int]
    insight: Mapped[int] = mapped_column(ForeignKey("insights.id"))
    reader: Mapped[str]
    action: Mapped[str] = mapped_column(String(32))
    case_id: Mapped[str]
    cells: Mapped[list[int]]
    time: Mapped[datetime]


class ScoreRow(Base):
    """See `imil.store.records.Score`."""

    __tablename__ = "scores"

    run: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    round: Mapped[int] = mapped_column(Integer, primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True)
    split: Mapped[str] = mapped_column(String(32), primary_key=True)
    metrics: Mapped[dict[str, float | None]]
    time: Mapped[datetime]
