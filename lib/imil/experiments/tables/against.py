"""What a table has against the method, in sentences."""

import math
from collections.abc import Sequence

from imil.experiments.tables.model import FOCUS, PRIMARY, Measure, Row, Table
from imil.experiments.tables.phrases import direction, is_positive, listed, signed, titled
from imil.experiments.tables.shown import is_shown

_METHOD = ("imil", "readers")


def against_sentences(table: Table) -> list[str]:
    """Worse means, seeds that lost, heat maps beside the lesions, better augmentations; or that no mean is worse.

    Differences go by the three decimals that are shown: one that rounds to zero isn't called worse.
    """
    methods = [row for row in table.rows if row.arm.group in _METHOD]
    found = [*_worse(methods, table.measures), *_lost_seeds(methods), *_unfocused(methods, table), *_beaten(table)]
    if found or not any(row.differences for row in methods):
        return found
    return ["No mean in this table is worse with feedback than without it, to three decimals."]


def _worse(methods: list[Row], measures: Sequence[Measure]) -> list[str]:
    compared = [
        (row, measure, found)
        for row in methods
        for measure in measures
        if (found := row.differences.get(measure.key)) and not math.isnan(found.value)
    ]
    worse = [one for one in compared if direction(one[2].value, one[1]) == "worse"]
    if not worse:
        return []
    are = "is" if len(worse) == 1 else "are"
    text = f"Against feedback: {len(worse)} of its {len(compared)} means {are} worse than the baseline's"
    named = [
        f"{titled(row.arm.title)}, {measure.words} {signed(found.value)} "
        f"({'shown' if is_shown(found) else 'not shown'})"
        for row, measure, found in worse
        if row.arm.group == "imil" or is_shown(found)
    ]
    hidden = len(worse) - len(named)
    rest = f"; the other {hidden} aren't shown" if named and hidden else "" if named else ", none of them shown"
    return [f"{text}{': ' if named else ''}{listed(named) if named else ''}{rest}."]


def _lost_seeds(methods: list[Row]) -> list[str]:
    lost = []
    for row in methods:
        values = row.differences[PRIMARY.key].per_seed if row.differences else []
        if below := sum(is_positive(-value) for value in values):
            lost.append(f"{titled(row.arm.title)} with {below} of {len(values)}")
    return [f"Against feedback: seeds with less accuracy than the baseline: {listed(lost, '')}."] if lost else []


def _unfocused(methods: list[Row], table: Table) -> list[str]:
    aside = [
        f"{titled(row.arm.title)}, {measure.words} {row.measures[measure.key].value:.3f}"
        for row in methods
        for measure in FOCUS
        if measure.key in table.chance and row.measures[measure.key].value <= table.chance[measure.key]
    ]
    if not aside:
        return []
    chance = table.chance[FOCUS[0].key]
    return [f"Against feedback: no more on lesions than a map without focus ({chance:.3f}): {listed(aside)}."]


def _beaten(table: Table) -> list[str]:
    found = []
    for versus in dict.fromkeys(row.arm.versus for row in table.rows if row.arm.group == "augmentation"):
        rivals = [row for row in table.rows if row.arm.group == "augmentation" and row.arm.versus == versus]
        best = max(rivals, key=lambda row: row.measures[PRIMARY.key].value)
        top = best.measures[PRIMARY.key].value
        behind = [
            f"{titled(row.arm.title)} ({row.measures[PRIMARY.key].value:.3f})"
            for row in table.rows
            if row.arm.group in _METHOD
            and row.arm.versus == versus
            and is_positive(top - row.measures[PRIMARY.key].value)
        ]
        if behind:
            found.append(
                f"Against feedback: {titled(best.arm.title)}, which needs no reader, had a mean accuracy of {top:.3f}, "
                f"higher than {listed(behind)}."
            )
    return found
