"""How a run has gone so far, as JSON values for ``GET /info/``."""

import math
from typing import Any

from imil.store import Run, Store

MAX_EPOCHS = 500
"""Most epochs in a history. A client asks each second, and no plot shows more points."""


def train_stats(store: Store, run: Run | None) -> dict[str, Any]:
    """Where a run stands under the names that MONAI Label's clients show, with its history and scores."""
    if run is None:
        return {"run": None, "history": [], "scores": []}
    return {
        "epoch": run.epoch,
        "total_time": run.seconds,
        "state": str(run.state),
        "run": run.id,
        "history": epoch_history(store, run.id),
        "scores": scores(store, run.id),
    }


def epoch_history(store: Store, run_id: int) -> list[dict[str, Any]]:
    """For each epoch its number, and by split its metrics: None where one is undefined."""
    history: list[dict[str, Any]] = []
    for entry in store.history(run_id, MAX_EPOCHS):
        if not history or history[-1]["epoch"] != entry.epoch:
            history.append({"epoch": entry.epoch})
        history[-1][entry.split] = entry.values()
    return history


def scores(store: Store, run_id: int) -> list[dict[str, Any]]:
    """The stored scores: ``round``, ``epoch``, ``split``, ``metrics`` by name; None where one is undefined."""
    return [
        {
            "round": score.round,
            "epoch": score.epoch,
            "split": score.split,
            "metrics": {name: None if math.isnan(value) else value for name, value in score.metrics.items()},
        }
        for score in store.scores(run_id)
    ]
