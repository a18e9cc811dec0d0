"""The table of an experiment: every arm with its measures, their intervals, and its difference to its baseline."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from imil.experiments.arms import Arm
from imil.experiments.results import Outcome
from imil.experiments.tables.estimates import corrected, differences_of, estimates_of
from imil.experiments.tables.model import FOCUS, MEASURES, Contrast, LevelContrast, Measure, Row, Table
from imil.metrics.draws import RESAMPLES


def build_table(outcome: Outcome, *, resamples: int = RESAMPLES) -> Table:
    """The table of an outcome.

    An arm without results has no row. Differences are on the seeds that an arm and the one it is compared with share.
    For each measure, p-values are corrected by Holm's method over all arms that have one; the method's contrasts with
    its controls are corrected among themselves, and so are those of its levels with each other.

    Args:
        outcome: what the trainings gave.
        resamples: draws of patients for the bootstrap.

    Raises:
        BadInput: results that don't belong to the evaluation, or a training that has diverged.
    """
    evaluation = outcome.evaluation
    area = evaluation.lesion_area
    measures = [measure for measure in MEASURES if len(area) or measure not in FOCUS]
    arms = [arm for arm in outcome.arms if outcome.results.get(arm.name)]
    rows = [_row(arm, outcome, measures, resamples) for arm in arms]
    differences = corrected([row.differences for row in rows])
    return Table(
        rows=[replace(row, differences=found) for row, found in zip(rows, differences, strict=True)],
        measures=measures,
        chance={measure.key: float(area.mean()) for measure in FOCUS} if len(area) else {},
        contrasts=_contrasts(arms, outcome, measures, resamples),
        level_contrasts=_level_contrasts(arms, outcome, measures, resamples),
    )


def _row(arm: Arm, outcome: Outcome, measures: list[Measure], resamples: int) -> Row:
    results, baseline = outcome.results[arm.name], outcome.results.get(arm.versus, [])
    return Row(
        arm=arm,
        seeds=[result.seed for result in results],
        images=_mean([result.images for result in results]),
        steps=_mean([result.steps for result in results]),
        measures=estimates_of(results, outcome.evaluation, measures, resamples),
        differences=differences_of(results, baseline, outcome.evaluation, measures, resamples),
    )


def _contrasts(arms: list[Arm], outcome: Outcome, measures: list[Measure], resamples: int) -> list[Contrast]:
    pairs = [(_method_of(arm, arms), arm) for arm in arms if arm.group == "control"]
    found = [
        Contrast(
            method,
            control,
            differences_of(
                outcome.results[method.name],
                outcome.results[control.name],
                outcome.evaluation,
                measures,
                resamples,
            ),
        )
        for method, control in pairs
        if method is not None
    ]
    differences = corrected([contrast.differences for contrast in found])
    return [replace(contrast, differences=one) for contrast, one in zip(found, differences, strict=True)]


def _method_of(control: Arm, arms: list[Arm]) -> Arm | None:
    """The arm that a control is the control of: the method that it's compared with, else the one with the same ending.

    The controls of ``imil_10`` are called ``random_cells_10`` and so on, and share its baseline.
    """
    methods = [arm for arm in arms if arm.group == "imil"]
    for method in methods:
        if method.name == control.versus:
            return method
    ending = {method.name: method.name.removeprefix("imil") for method in methods}
    fitting = [
        method for method in methods if method.versus == control.versus and control.name.endswith(ending[method.name])
    ]
    return max(fitting, key=lambda method: len(ending[method.name]), default=None)


def _level_contrasts(arms: list[Arm], outcome: Outcome, measures: list[Measure], resamples: int) -> list[LevelContrast]:
    levels = [arm for arm in arms if arm.group == "imil"]
    found = []
    for versus in dict.fromkeys(level.versus for level in levels):
        # Levels with other baselines, such as other networks, differ by more than what the feedback does.
        alike = [level for level in levels if level.versus == versus]
        reference = _reference(alike, outcome.settings)
        base = outcome.results[reference.name]
        found += [
            LevelContrast(
                level,
                reference,
                differences_of(outcome.results[level.name], base, outcome.evaluation, measures, resamples),
            )
            for level in alike
            if level is not reference
        ]
    differences = corrected([contrast.differences for contrast in found])
    return [replace(contrast, differences=one) for contrast, one in zip(found, differences, strict=True)]


def _reference(levels: list[Arm], settings: Mapping[str, Any]) -> Arm:
    """The level with the experiment's own settings, or the first."""
    for level in levels:
        if all(name in settings and _plain(settings[name]) == _plain(own) for name, own in level.settings.items()):
            return level
    return levels[0]


def _plain(value: Any) -> Any:
    """Settings of an outcome come from JSON, which has lists for tuples."""
    return list(value) if isinstance(value, tuple) else value


def _mean(values: list[int]) -> float:
    return sum(values) / len(values)
