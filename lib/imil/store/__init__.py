"""What a study remembers: runs, rounds, queues, leases, feedback events. Knows no torch."""

from imil.store.records import (
    IMIL,
    NEXT_STATES,
    WITHOUT_FEEDBACK,
    Action,
    Answer,
    EpochMetrics,
    Event,
    QueuedCase,
    QueueEntry,
    Receipt,
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
    "QueueEntry",
    "QueuedCase",
    "Receipt",
    "RoundInfo",
    "Run",
    "RunState",
    "Score",
    "Store",
]
