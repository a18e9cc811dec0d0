"""Everything that the benchmark's report says, as JSON values: what ``refocus.json`` holds."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from imil.experiments.refocus.arms import BASELINE, CLEAN_ARM
from imil.experiments.refocus.plan import Plan
from imil.experiments.refocus.presets import CLEAN_AT_LEAST, CONFOUNDED_AT_MOST, training_settings
from imil.experiments.refocus.report.sentences import sentences
from imil.experiments.refocus.table import LEAST_GAP, World, build_contrasts, build_rows
from imil.report.data import versions

VERSION = 1
TITLE = "How much of a shortcut's harm feedback heals"


def facts_of(plan: Plan, worlds: Sequence[World], command: str) -> dict[str, Any]:
    """The report's facts; None stands for whatever is undefined.

    Args:
        plan: what was asked for.
        worlds: the results.
        command: what was typed.
    """
    training = training_settings(plan.seeds[0], plan.training)
    rows = [row for world in worlds for row in build_rows(world, plan.arms_of(world.setting), training.num_outliers)]
    facts: dict[str, Any] = {
        "version": VERSION,
        "experiment": "refocus",
        "title": TITLE,
        "command": command,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": _seconds(worlds),
        "versions": versions(),
        "seeds": list(plan.seeds),
        "shortcuts": list(plan.shortcuts),
        "images": asdict(plan.size) | {"drawn": plan.images is None},
        "training": training.model_dump(mode="json", exclude={"seed"}),
        "settings": [_setting(world, calibrated=plan.images is None) for world in worlds],
        "arms": [
            {name: getattr(arm, name) for name in ("name", "title", "group", "description", "mode", "control")}
            for arm in plan.arms
        ],
        "least_gap": LEAST_GAP,
        "rows": rows,
        "contrasts": [row for world in worlds for row in build_contrasts(world, plan.arms_of(world.setting))],
    }
    return facts | {"sentences": sentences(facts)}


def _setting(world: World, *, calibrated: bool) -> dict[str, Any]:
    """A setting with a strength, and whether it kept what it was calibrated for, if it was."""
    setting = world.setting
    accuracies = {
        name: [float(result.measures["accuracy"] or 0.0) for result in world.results.get(name, {}).values()]
        for name in (BASELINE, CLEAN_ARM)
    }
    lowest_clean, highest_baseline = min(accuracies[CLEAN_ARM], default=None), max(accuracies[BASELINE], default=None)
    kept = None
    if calibrated and setting.marked and lowest_clean is not None and highest_baseline is not None:
        kept = lowest_clean >= CLEAN_AT_LEAST and highest_baseline <= CONFOUNDED_AT_MOST
    return {
        "setting": setting.name,
        "title": setting.title,
        "description": setting.description,
        "shortcut": world.shortcut,
        "marked": setting.marked,
        "placed": setting.placed,
        "in_lung": setting.in_lung,
        "target": setting.target,
        "phantom": asdict(setting.drawn_with(world.shortcut)),
        "lowest_clean": lowest_clean,
        "highest_baseline": highest_baseline,
        "calibrated": kept,
    }


def _seconds(worlds: Sequence[World]) -> float:
    """What the arms' own trainings took, one after another; the shared parts aren't counted."""
    found = {
        (result.setting, result.arm, result.shortcut, result.seed): result.seconds
        for world in worlds
        for by_seed in world.results.values()
        for result in by_seed.values()
    }
    return round(sum(found.values()), 1)
