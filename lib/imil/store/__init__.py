"""What a study remembers: runs, rounds, queues, leases, feedback events. Knows no torch."""

from imil.store.records import (
    IMIL,
    NEXT_STATES,
    WITHOUT_FEEDBACK,
    Action,
    Answer,
    EpochMetrics,
    Event,
    ListedCase,
    QueuedCase,
    QueueEntry,
    Receipt,
    Reservation,
    RoundInfo,
    Run,
    RunState,
    Score,
)
from imil.store.store import Store

__all__ = [
    "IMIL",
    "NEXT_STATES",
    "WITHOUT_FEEDBACK",
    "Action",
    "Answer",
    "EpochMetrics",
    "Event",
    "ListedCase",
    "QueueEntry",
    "QueuedCase",
    "Receipt",
    "Reservation",
    "RoundInfo",
    "Run",
    "RunState",
    "Score",
    "Store",
]
