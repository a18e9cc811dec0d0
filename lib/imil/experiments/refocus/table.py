"""The table of the benchmark: means and intervals over seeds, and how much of the gap each arm closes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imil.experiments.refocus.arms import BASELINE, CLEAN_ARM, Arm
from imil.experiments.refocus.measures import FINDER
from imil.experiments.refocus.presets import Setting
from imil.experiments.refocus.results import ArmResult
from imil.metrics.seeds import mean_interval, paired_difference

LEAST_GAP = 0.02
"""Where clean and baseline differ by less in accuracy, or the clean model is worse, there is no gap to be closed."""
MEASURES = (
    "accuracy",
    "auroc",
    "ece",
    "brier",
    "accuracy_with",
    "accuracy_without",
    "drop_added",
    "drop_removed",
    "flipped",
)
Row = dict[str, Any]
BySeed = Mapping[int, ArmResult]


@dataclass(frozen=True)
class World:
    """All results of one setting and strength: by arm's name, by seed."""

    setting: Setting
    shortcut: float | None
    results: Mapping[str, BySeed]

    def accuracy(self, arm: str, seed: int) -> float:
        """NaN where there is no result."""
        result = self.results.get(arm, {}).get(seed)
        return math.nan if result is None else float(result.measures["accuracy"] or 0.0)

    def gap(self, arm: str, seed: int) -> float:
        """Gap closed by an arm with a seed; NaN where it's undefined."""
        return gap_closed(*(self.accuracy(name, seed) for name in (arm, BASELINE, CLEAN_ARM)))


def gap_closed(arm: float, baseline: float, clean: float) -> float:
    """(arm - baseline) / (clean - baseline) of accuracies; NaN where clean isn't better by `LEAST_GAP` at least."""
    gap = clean - baseline
    return (arm - baseline) / gap if gap >= LEAST_GAP else math.nan


def build_rows(world: World, arms: Sequence[Arm], budget: int) -> list[Row]:
    """A row for each arm that has results; None stands for whatever is undefined.

    Args:
        world: the results.
        arms: in the order of the rows.
        budget: number of images that readers are asked about.
    """
    return [_row(world, arm, budget) for arm in arms if world.results.get(arm.name)]


def build_contrasts(world: World, arms: Sequence[Arm]) -> list[Row]:
    """Each mode minus each arm that it's to be ahead of: its own controls, and those that belong to no mode."""
    trained = [arm for arm in arms if world.results.get(arm.name)]
    return [
        _contrast(world, mode, control)
        for mode in trained
        if mode.group == "mode"
        for control in trained
        if control.group == "control" and control.mode in ("", mode.name)
    ]


def _row(world: World, arm: Arm, budget: int) -> Row:
    by_seed = world.results[arm.name]
    seeds = sorted(by_seed)
    results = [by_seed[seed] for seed in seeds]
    asked = bool(arm.reader)
    row: Row = {
        "arm": arm.name,
        "title": arm.title,
        "group": arm.group,
        "mode": arm.mode,
        "setting": world.setting.name,
        "shortcut": world.shortcut,
        "budget": budget if asked else 0,
        "control": arm.control,
        "seeds": seeds,
    }
    for name in MEASURES:
        row |= _mean(name, [result.measures[name] for result in results])
    row |= _mean("gap_closed", _gaps(world, arm.name, seeds))
    row |= _change(world, arm.name, seeds)
    for name in FINDER:
        row[f"finder_{name}"] = _plain_mean([result.finder.get(name) for result in results])
    for name in ("fed_back", "misleading", "steps", "seconds", "learning"):
        row[name] = _plain_mean([float(getattr(result, name)) for result in results])
    refused = [result for result in results if result.refused]
    row |= {
        "refused": len(refused),
        "note": refused[0].refused if refused else "",
        "per_seed": {
            "accuracy": [result.measures["accuracy"] for result in results],
            "gap_closed": [_number(value) for value in _gaps(world, arm.name, seeds)],
        },
    }
    return row


def _gaps(world: World, arm: str, seeds: Sequence[int]) -> list[float]:
    """By definition 0 for the baseline and 1 for the clean arm: neither is a finding, so neither has a value."""
    if arm in (BASELINE, CLEAN_ARM):
        return [math.nan] * len(seeds)
    return [world.gap(arm, seed) for seed in seeds]


def _change(world: World, arm: str, seeds: Sequence[int]) -> Row:
    """Accuracy minus the baseline's, paired by seed."""
    if arm == BASELINE:
        return {"change": None, "change_low": None, "change_high": None}
    return _difference("change", world, arm, BASELINE, seeds)


def _contrast(world: World, mode: Arm, control: Arm) -> Row:
    seeds = sorted(set(world.results[mode.name]) & set(world.results[control.name]))
    return {
        "mode": mode.name,
        "control": control.name,
        "setting": world.setting.name,
        "shortcut": world.shortcut,
        "seeds": seeds,
        **_difference("difference", world, mode.name, control.name, seeds),
    }


def _difference(name: str, world: World, one: str, other: str, seeds: Sequence[int]) -> Row:
    found = paired_difference(_accuracies(world, one, seeds), _accuracies(world, other, seeds))
    return {name: _number(found.value), f"{name}_low": _number(found.low), f"{name}_high": _number(found.high)}


def _accuracies(world: World, arm: str, seeds: Sequence[int]) -> list[float]:
    return [world.accuracy(arm, seed) for seed in seeds]


def _mean(name: str, values: Sequence[float | None]) -> Row:
    """Mean and 95 % t-interval over seeds of the values that are defined."""
    found = mean_interval([math.nan if value is None else value for value in values])
    return {name: _number(found.value), f"{name}_low": _number(found.low), f"{name}_high": _number(found.high)}


def _plain_mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def is_above(row: Row, name: str, bound: float = 0.0) -> bool:
    """Whether the whole interval of a value lies above a bound."""
    low = row[f"{name}_low"]
    return low is not None and low > bound


def is_below(row: Row, name: str, bound: float = 0.0) -> bool:
    """Whether the whole interval of a value lies below a bound."""
    high = row[f"{name}_high"]
    return high is not None and high < bound
