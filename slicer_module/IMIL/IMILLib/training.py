"""How training goes, in words and tables. No Qt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .i18n import _
from .records import RunStatus
from .wording import APPROVAL, AWAITING

METRICS = ("loss", "accuracy", "auroc", "ece", "brier")
"""In the order in which they are shown."""
_LOWER_IS_BETTER = frozenset({"loss", "ece", "brier"})


def metric_name(name: str) -> str:
    """A metric as people read it."""
    names = {
        "loss": _("Loss"),
        "accuracy": _("Accuracy"),
        "auroc": _("AUROC"),
        "ece": _("ECE"),
        "brier": _("Brier score"),
    }
    return names.get(name, name)


def split_name(name: str) -> str:
    """A part of the study as people read it."""
    return {"train": _("Training"), "val": _("Validation"), "test": _("Test")}.get(name, name)


def number(value: float | None, name: str = "") -> str:
    """A metric's value: accuracy in percent, others with three decimals, a dash where it's undefined."""
    if value is None:
        return "\u2013"
    return f"{100 * value:.1f} %" if name == "accuracy" else f"{value:.3f}"


def duration(seconds: float | None) -> str:
    """An estimate of time in words; empty if there is none."""
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    if minutes < 1:
        return _("less than a minute")
    if minutes < 60:
        return _("about {minutes} min").format(minutes=minutes)
    hours, rest = divmod(minutes, 60)
    if hours >= 10 or not rest:
        return _("about {hours} h").format(hours=round(minutes / 60))
    return _("about {hours} h {minutes} min").format(hours=hours, minutes=rest)


def progress(status: RunStatus) -> str:
    """Where a run stands, in one line."""
    parts = [_("Epoch {epoch} of {epochs}").format(epoch=status.epoch, epochs=status.epochs)]
    if status.round:
        parts.append(_("round {round} of {rounds}").format(round=status.round, rounds=status.rounds))
    left = duration(status.seconds_left) if status.training else ""
    if left and status.round < status.rounds:
        parts.append(_("{time} to the next round").format(time=left))
    elif left:
        parts.append(_("{time} to the end").format(time=left))
    return ", ".join(parts)


def metric_table(metrics: dict[str, dict[str, float | None]]) -> list[list[str]]:
    """Header and one row for each split; empty if nothing was measured."""
    splits = [name for name in ("train", "val", "test") if metrics.get(name)]
    names = [name for name in METRICS if any(name in metrics[split] for split in splits)]
    if not names:
        return []
    rows = [[split_name(split)] + [number(metrics[split].get(name), name) for name in names] for split in splits]
    return [[""] + [metric_name(name) for name in names], *rows]


@dataclass(frozen=True)
class Change:
    """A metric before and after feedback; ``verdict`` is ``better``, ``worse`` or ``same``."""

    name: str
    before: float
    after: float

    @property
    def verdict(self) -> str:
        if number(self.before, self.name) == number(self.after, self.name):
            return "same"
        return "better" if (self.after < self.before) == (self.name in _LOWER_IS_BETTER) else "worse"


@dataclass(frozen=True)
class Comparison:
    """A run before its last round of feedback (after epoch ``before``) and at its end (``after``), over ``split``."""

    before: int
    after: int
    split: str
    changes: tuple[Change, ...]

    def table(self) -> list[list[str]]:
        """Header and rows in words."""
        header = [
            split_name(self.split),
            _("Before, epoch {epoch}").format(epoch=self.before),
            _("After, epoch {epoch}").format(epoch=self.after),
            "",
        ]
        words = {"better": _("\u25b2 better"), "worse": _("\u25bc worse"), "same": _("= same")}
        return [header] + [
            [
                metric_name(change.name),
                number(change.before, change.name),
                number(change.after, change.name),
                words[change.verdict],
            ]
            for change in self.changes
        ]


def compare(history: Sequence[dict[str, Any]], scores: Sequence[dict[str, Any]], epoch: int) -> Comparison | None:
    """The run before and after feedback.

    Args:
        history: of each epoch ``{"epoch", "train": {...}, "test": {...}}``.
        scores: of each scoring ``{"round", "epoch", "split", "metrics"}``; used where the history doesn't reach.
        epoch: after which the last round was opened; 0 if unknown.

    Returns:
        None if there is nothing to compare.
    """
    measured = _by_epoch(history, scores)
    for split in ("test", "val", "train"):
        epochs = sorted(key for key, splits in measured.items() if splits.get(split))
        start = epoch if epoch in epochs else None
        if start is None and not history and epochs:
            start = epochs[0]
        if start is None or epochs[-1] <= start:
            continue
        before, after = measured[start][split], measured[epochs[-1]][split]
        changes = tuple(
            Change(name, before[name], after[name])
            for name in METRICS
            if before.get(name) is not None and after.get(name) is not None
        )
        if changes:
            return Comparison(start, epochs[-1], split, changes)
    return None


def _by_epoch(
    history: Iterable[dict[str, Any]], scores: Iterable[dict[str, Any]]
) -> dict[int, dict[str, dict[str, float | None]]]:
    measured: dict[int, dict[str, dict[str, float | None]]] = {}
    for score in scores:
        measured.setdefault(score["epoch"], {})[score["split"]] = score["metrics"]
    for entry in history:
        measured.setdefault(entry["epoch"], {}).update(
            {split: values for split, values in entry.items() if split != "epoch" and values}
        )
    return measured


@dataclass(frozen=True)
class Actions:
    """What can be asked of the server now; ``more``: to add cases to the round; ``reopen``: to take answers again."""

    start: bool
    resume: bool
    early: bool
    stop: bool
    more: bool
    reopen: bool


def actions(status: RunStatus | None, connected: bool, round_epoch: int = 0) -> Actions:
    """Which buttons make sense in this state; ``round_epoch``: after which the last round was opened, 0 if unknown.

    A run that was stopped in the epoch after its round may have closed it: then the server says so.
    """
    if status is None or not connected:
        return Actions(False, False, False, False, False, False)
    awaiting, interrupted = status.state == AWAITING, status.state in ("training", "failed")
    unanswered = awaiting and status.reviewed < status.queued
    goes_on = interrupted or status.state == APPROVAL or (awaiting and not unanswered)
    idle = not status.training
    return Actions(
        start=idle,
        resume=idle and goes_on,
        early=idle and unanswered,
        stop=status.training,
        more=idle and awaiting,
        reopen=idle and (status.state == APPROVAL or (interrupted and 0 < round_epoch == status.epoch)),
    )
