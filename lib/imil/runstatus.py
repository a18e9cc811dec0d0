"""Where a study's runs stand, as readers and clients are shown it. Cheap: a millisecond or two, no pixels, no torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from imil.store import IMIL, WITHOUT_FEEDBACK, Run, RunState, Store
from imil.trainlock import is_held

NO_RUN = "none"
"""The state that `Status` shows before the first run."""


@dataclass(frozen=True)
class Status:
    """Where the study stands, in JSON values.

    Attributes:
        state: a `RunState`, or ``"none"`` before the first run.
        epoch: last finished epoch of ``epochs``; ``round`` is the last opened one of ``rounds``, 0 for none.
        seconds_left: estimated time to the next stop while training, else None.
        reviewed: cases of the round with all their answers, of ``queued``.
        training: a process is training on the study now.
        message: what a person should know, in a sentence or two.
        metrics: by split, those of the last finished epoch; None where one is undefined.
    """

    state: str = NO_RUN
    run: int | None = None
    kind: str = ""
    round: int = 0
    rounds: int = 0
    epoch: int = 0
    epochs: int = 0
    seconds_left: float | None = None
    reviewed: int = 0
    queued: int = 0
    classes: list[str] = field(default_factory=list)
    grid_size: int = 0
    training: bool = False
    message: str = ""
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)


def status_of(state_dir: Path, classes: Sequence[str], store: Store, run_id: int | None = None) -> Status:
    """Where a run stands; by default the newest, or its comparison while that trains and once the run is completed.

    Raises:
        NotFound: if there is no such run.
    """
    held = is_held(state_dir)
    run = shown_run(store, held) if run_id is None else store.run(run_id)
    if run is None:
        message = "Training is about to start." if held else "There is no run yet; start training."
        return Status(classes=list(classes), training=held, message=message)
    info = store.rounds(run.id)[run.round - 1] if run.round else None
    status = Status(
        state=str(run.state),
        run=run.id,
        kind=run.kind,
        round=run.round,
        rounds=run.rounds,
        epoch=run.epoch,
        epochs=run.epochs,
        seconds_left=_seconds_left(store, run) if held and run.state is RunState.TRAINING else None,
        reviewed=info.reviewed if info else 0,
        queued=info.queued if info else 0,
        classes=run.classes,
        grid_size=int(run.settings["grid_size"]),
        training=held,
        metrics={entry.split: entry.values() for entry in store.epochs(run.id, epoch=run.epoch)},
    )
    return replace(status, message=_message(status, run, round_is_open=info is not None and not info.closed))


def shown_run(store: Store, held: bool) -> Run | None:
    """The run that status is about; ``held``: a process is training on the study now."""
    run = store.latest_run(IMIL)
    other = store.latest_run(WITHOUT_FEEDBACK)
    if run is None or other is None or other.id < run.id:
        return run
    trains = held and other.state is RunState.TRAINING
    return other if trains or run.state is RunState.COMPLETED else run


def _seconds_left(store: Store, run: Run) -> float | None:
    """To the run's next stop, by the mean of its epochs so far; of its parent's, where it has none yet."""
    seconds = store.epoch_seconds(run.id)
    if seconds is None and run.parent is not None:
        seconds = store.epoch_seconds(run.parent)
    stops = [*run.settings["imil_epochs"][run.round : run.rounds], run.epochs]
    return None if seconds is None else round(seconds * max(0, stops[0] - run.epoch), 1)


def _message(status: Status, run: Run, *, round_is_open: bool) -> str:
    if run.state is RunState.TRAINING and not status.training:
        return f"Training stopped at epoch {run.epoch} of {run.epochs}; start it again to resume."
    if run.state is RunState.TRAINING and round_is_open:
        return f"Finding out what the answers to round {run.round} teach about all images."
    if run.state is RunState.AWAITING_REVIEW:
        count = f"{status.reviewed} of {status.queued} cases of round {run.round} are reviewed"
        count += "; start training to continue." if status.reviewed == status.queued else "."
        return f"{run.message} {count}".strip()
    if run.state is RunState.AWAITING_APPROVAL:
        return (
            f"See what the answers to round {run.round} taught, and veto what you don't want; then start training to "
            "continue."
        )
    return run.message
