"""What a table says, in words that claim no more than it shows."""

import math
from collections.abc import Sequence

from imil.experiments.results import Outcome
from imil.experiments.tables.model import FOCUS, PRIMARY, Contrast, Difference, Measure, Row, Table
from imil.experiments.tables.phrases import (
    count,
    difference,
    direction,
    includes_zero,
    intervals,
    is_positive,
    joined,
    listed,
    p_value,
    short_difference,
    signed,
)

ALPHA = 0.05
FEW_SEEDS = 5
_METHOD = ("imil", "readers")
_BRACKETS = "; in brackets the 95 % intervals over seeds and over patients"
_WHAT_A_CONTROL_TESTS = {
    "random_images": "the choice of images",
    "random_cells": "the choice of cells",
    "wrong_cells": "the choice of cells",
    "cutout_same": "the place of what is blacked out",
    "repeated": "blacking anything out",
    "same_steps": "feeding these images back",
}
"""By the beginning of the control's name."""


def sentences(table: Table, outcome: Outcome) -> list[str]:
    """The table's outcome in sentences, what goes against the method included.

    A difference counts as shown if its corrected p-value over seeds is below 0.05 and its interval over patients
    excludes zero. Where all seeds differ by the very same amount the test has no spread to go by; then it isn't shown.
    """
    if not table.rows:
        return ["No arm has a result yet, so there is nothing to compare.", *_left_out(outcome)]
    return [
        *_design(table, outcome),
        _best(table.rows),
        *_baseline_differences(table, outcome),
        *_controls(table),
        *_against(table),
        *_notes(table, outcome),
    ]


def _design(table: Table, outcome: Outcome) -> list[str]:
    cases, patients = len(outcome.evaluation.case_ids), len(set(outcome.evaluation.patients))
    seeds = max(len(row.seeds) for row in table.rows)
    found = [
        f"{count(len(table.rows), 'arm')} with {count(seeds, 'seed')} each, measured on {cases} "
        f"{outcome.evaluation.split} images of {count(patients, 'patient')}, so that one image is {1 / cases:.3f} of "
        f"accuracy. Feedback came from {outcome.reader}.",
        "All seeds share one split of the patients. Intervals over seeds say how other seeds would end on these test "
        "patients, intervals over patients how these same trainings would do on other patients; what another split "
        "would have given is in neither.",
    ]
    if seeds == 1:
        found.append(
            "With a single seed nothing can be said about how another would end: there are no intervals over seeds and "
            "no tests, and no difference counts as shown."
        )
    elif seeds < FEW_SEEDS:
        found.append(
            f"There are fewer than {FEW_SEEDS} seeds: intervals over {seeds} are wide, and a test can easily miss a "
            "real difference."
        )
    return found


def _best(rows: list[Row]) -> str:
    key = PRIMARY.key
    top = max(row.measures[key].value for row in rows)
    best = [row for row in rows if math.isclose(row.measures[key].value, top, abs_tol=1e-9)]
    names = listed([f"{row.arm.title}{', a control' if row.arm.group == 'control' else ''}" for row in best])
    between = intervals(best[0].measures[key].over_seeds, best[0].measures[key].over_patients)
    text = f"The highest mean accuracy is {top:.3f}: {names}"
    text += f" ({between})." if len(best) == 1 and between else "."
    if len(rows) > 1:
        text += f" The highest of {len(rows)} means is likely to be flattered by chance."
    return text


def _baseline_differences(table: Table, outcome: Outcome) -> list[str]:
    compared = [row for row in table.rows if row.differences]
    if not compared:
        return ["No arm could be compared with a baseline."]
    tested = [row for row in compared if not math.isnan(row.differences[PRIMARY.key].p_holm)]
    told = [row for row in compared if row.arm.group == "imil" or row.differences[PRIMARY.key].p_holm < ALPHA]
    readers = [row for row in compared if row.arm.group == "readers" and row not in told]
    return [
        *_verdict(table.measures, tested),
        *(_difference(row, _title(row.arm.versus, outcome)) for row in told),
        *_readers(readers),
    ]


def _verdict(measures: Sequence[Measure], tested: list[Row]) -> list[str]:
    if not tested:
        return []
    correction = f"with Holm's correction for {count(len(tested), 'comparison')}"
    shown = [row.arm.title for row in tested if is_shown(row.differences[PRIMARY.key])]
    if shown:
        verdict = f"In accuracy, {correction}, shown to differ from the baseline: {listed(shown)}."
    else:
        verdict = (
            f"In accuracy, {correction}, no arm is shown to differ from its baseline. That isn't proof that they are "
            "equal."
        )
    others = [text for measure in measures if measure != PRIMARY and (text := _others(measure, tested))]
    return [verdict, *(others or ["In no other measure is any arm shown to differ from its baseline."])]


def _others(measure: Measure, tested: list[Row]) -> str:
    found = [(row.arm.title, row.differences.get(measure.key)) for row in tested]
    shown = [
        f"{title} {signed(one.value)} ({direction(one.value, measure)})"
        for title, one in found
        if one and is_shown(one)
    ]
    if not shown:
        return ""
    return f"Shown to differ from the baseline in {measure.words}, with the same correction: {listed(shown)}."


def _difference(row: Row, baseline: str) -> str:
    found = row.differences[PRIMARY.key]
    text = f"{row.arm.title} minus {baseline}: accuracy {difference(found)}"
    if math.isnan(found.p_holm):
        return f"{text}. One seed can't show a difference." if len(found.per_seed) == 1 else f"{text}."
    text += f"; {p_value(found.p_holm)} after correction"
    if is_shown(found):
        return f"{text}."
    if _no_spread(found):
        return f"{text}. All seeds differ by the same amount, which makes p 0 and shows little."
    if found.p_holm < ALPHA:
        return f"{text}. On these patients the seeds agree, but on others the difference could vanish."
    return f"{text}. That doesn't show a difference."


def _readers(rows: list[Row]) -> list[str]:
    if not rows:
        return []
    values = [row.differences[PRIMARY.key].value for row in rows]
    arms = f"{len(rows)} arms are" if len(rows) > 1 else f"the arm {rows[0].arm.title} is"
    means = f"from {signed(min(values))} to {signed(max(values))}" if len(rows) > 1 else signed(values[0])
    return [f"Of the readers, {arms} not shown to differ from the baseline; accuracy, arm minus baseline: {means}."]


def _controls(table: Table) -> list[str]:
    contrasts = [contrast for contrast in table.contrasts if contrast.differences]
    if not contrasts:
        return [
            "No control at equal budget stands beside the feedback here, so a difference can't be put down to what the "
            "reader chose: the same edit without her knowledge might do as well."
        ] * any(row.arm.group in _METHOD for row in table.rows)
    methods = list(dict.fromkeys(contrast.method.name for contrast in contrasts))
    return [
        sentence
        for name in methods
        for sentence in _controls_of_method(
            [contrast for contrast in contrasts if contrast.method.name == name], len(contrasts)
        )
    ]


def _controls_of_method(contrasts: list[Contrast], corrected_for: int) -> list[str]:
    method = contrasts[0].method.title
    as_well = [one for one in contrasts if not is_positive(one.differences[PRIMARY.key].value)]
    beaten = [one for one in contrasts if one not in as_well and is_shown(one.differences[PRIMARY.key])]
    unclear = [one for one in contrasts if one not in as_well and one not in beaten]
    found = []
    for some, start, end in (
        (as_well, f"Controls that did as well as {method} or better", "can't be credited"),
        (unclear, f"Controls that {method} isn't shown to beat", "can't be credited on this evidence"),
        (beaten, f"Controls that {method} is shown to beat, with Holm's correction for {corrected_for}", ""),
    ):
        if some:
            numbers = [f"{one.control.title} {short_difference(one.differences[PRIMARY.key])}" for one in some]
            text = f"{start} (accuracy, {method} minus control{_BRACKETS}): {listed(numbers)}."
            found.append(f"{text} So {_tested_by(some)} {end}." if end else text)
    return found


def _tested_by(contrasts: list[Contrast]) -> str:
    words = [
        next(
            (words for start, words in _WHAT_A_CONTROL_TESTS.items() if one.control.name.startswith(start)),
            f"what {one.method.title} has beyond {one.control.title}",
        )
        for one in contrasts
    ]
    return joined(list(dict.fromkeys(words)))


def _against(table: Table) -> list[str]:
    methods = [row for row in table.rows if row.arm.group in _METHOD]
    found = [*_worse(methods, table.measures), *_lost_seeds(methods), *_unfocused(methods, table), *_beaten(table)]
    if found or not any(row.differences for row in methods):
        return found
    return ["No mean in this table is worse with feedback than without it."]


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
    text = f"Against feedback: {len(worse)} of its {len(compared)} means are worse than the baseline's"
    named = [
        f"{row.arm.title}, {measure.words} {signed(found.value)} ({'shown' if is_shown(found) else 'not shown'})"
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
            lost.append(f"{row.arm.title} with {below} of {len(values)}")
    return [f"Against feedback: seeds with less accuracy than the baseline: {listed(lost)}."] if lost else []


def _unfocused(methods: list[Row], table: Table) -> list[str]:
    aside = [
        f"{row.arm.title}, {measure.words} {row.measures[measure.key].value:.3f}"
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
            f"{row.arm.title} ({row.measures[PRIMARY.key].value:.3f})"
            for row in table.rows
            if row.arm.group in _METHOD
            and row.arm.versus == versus
            and is_positive(top - row.measures[PRIMARY.key].value)
        ]
        if behind:
            found.append(
                f"Against feedback: {best.arm.title}, which needs no reader, had a mean accuracy of {top:.3f}, higher "
                f"than {listed(behind)}."
            )
    return found


def _notes(table: Table, outcome: Outcome) -> list[str]:
    found = _left_out(outcome)
    for row in table.rows:
        if row.arm.versus and not row.differences:
            other = _title(row.arm.versus, outcome)
            found.append(f"{row.arm.title} stands alone: {other} has no result with a seed that both have.")
        if missing := [str(seed) for seed in outcome.seeds if seed not in row.seeds]:
            found.append(f"{row.arm.title} has no result with seed {', '.join(missing)} and is averaged over the rest.")
        notes: dict[str, list[str]] = {}
        for result in outcome.results[row.arm.name]:
            if result.note:
                notes.setdefault(result.note, []).append(str(result.seed))
        found += [f"{row.arm.title}, seed {', '.join(seeds)}: {note}" for note, seeds in notes.items()]
    return found + _empty_maps(table, outcome)


def _empty_maps(table: Table, outcome: Outcome) -> list[str]:
    empty: dict[str, int] = {}
    total = 0
    for row in table.rows:
        shares = [float(share) for result in outcome.results[row.arm.name] for share in result.heatmap_inside]
        empty[row.arm.title] = sum(math.isnan(share) for share in shares)
        total += len(shares)
    if not any(empty.values()):
        return []
    most = max(empty, key=empty.__getitem__)
    return [
        f"{sum(empty.values())} of {count(total, 'heat map')} are zero everywhere, so that none of it can lie in the "
        f"lesion, and are left out; the most by one arm, {empty[most]}, by {most}."
    ]


def _left_out(outcome: Outcome) -> list[str]:
    return [f"{_title(name, outcome)} was left out: {why}" for name, why in outcome.left_out.items()]


def is_shown(found: Difference) -> bool:
    """Whether a difference counts as shown, see `sentences`; the page and the figures go by the same rule."""
    return found.p_holm < ALPHA and not includes_zero(found.over_patients) and not _no_spread(found)


def _no_spread(found: Difference) -> bool:
    return found.p == 0 and found.over_seeds[0] == found.over_seeds[1]


def _title(name: str, outcome: Outcome) -> str:
    return next((arm.title for arm in outcome.arms if arm.name == name), name)
