"""What a table says, in words that claim no more than it shows."""

import math
from collections.abc import Sequence

from imil.experiments.results import Outcome
from imil.experiments.tables.against import against_sentences
from imil.experiments.tables.controls import control_sentences, level_sentences
from imil.experiments.tables.model import PRIMARY, Measure, Row, Table
from imil.experiments.tables.phrases import (
    MOST,
    count,
    difference,
    direction,
    intervals,
    listed,
    p_value,
    signed,
    titled,
)
from imil.experiments.tables.shown import ALPHA, is_shown, no_spread

FEW_SEEDS = 5
FEW_PATIENTS = 30
"""Below it, percentile bootstrap intervals are clearly too narrow."""


def sentences(table: Table, outcome: Outcome) -> list[str]:
    """The table's outcome in sentences, what goes against the method included.

    What counts as shown is in `imil.experiments.tables.shown`.
    """
    if not table.rows:
        return ["No arm has a result yet, so there is nothing to compare.", *_left_out(outcome)]
    return [
        *_design(table, outcome),
        _best(table.rows),
        *_baseline_differences(table, outcome),
        *level_sentences(table.level_contrasts),
        *control_sentences(table),
        *against_sentences(table),
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
    return [*found, *_few_patients(patients, len(set(outcome.evaluation.lesion_patients)))]


def _few_patients(patients: int, with_lesion: int) -> list[str]:
    if patients == 1:
        return [
            "With a single test patient nothing can be said about others: there are no intervals over patients, and no "
            "difference counts as shown."
        ]
    too_narrow = "tend to be too narrow, and what is shown by them may not hold for others."
    lesions = f"{with_lesion} for the shares inside the lesion" if with_lesion > 1 else ""
    found = []
    if patients < FEW_PATIENTS:
        found.append(
            f"There are fewer than {FEW_PATIENTS} test patients: intervals over {patients}"
            f"{f' ({lesions})' if lesions else ''} {too_narrow}"
        )
    elif 1 < with_lesion < FEW_PATIENTS:
        found.append(
            f"Fewer than {FEW_PATIENTS} test patients have a lesion mask: intervals over {with_lesion}, for the shares "
            f"inside the lesion, {too_narrow}"
        )
    if with_lesion == 1:
        found.append("One patient with a lesion mask says nothing about others, so these shares have no intervals.")
    return found


def _best(rows: list[Row]) -> str:
    key = PRIMARY.key
    top = max(row.measures[key].value for row in rows)
    best = [row for row in rows if math.isclose(row.measures[key].value, top, abs_tol=1e-9)]
    names = listed([f"{titled(row.arm.title)}{', a control' if row.arm.group == 'control' else ''}" for row in best])
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
    apart = [row for row in compared if row.differences[PRIMARY.key].p_holm < ALPHA and row.arm.group != "imil"]
    alike = [row for row in apart if no_spread(row.differences[PRIMARY.key])]
    others = [row for row in apart if row not in alike][:MOST]
    told = [row for row in compared if row.arm.group == "imil" or row in others]
    readers = [row for row in compared if row.arm.group == "readers" and row not in apart]
    return [
        *_verdict(table.measures, tested),
        *(_difference(row, _title(row.arm.versus, outcome)) for row in told),
        *_alike(alike),
        *_readers(readers),
    ]


def _verdict(measures: Sequence[Measure], tested: list[Row]) -> list[str]:
    if not tested:
        return []
    correction = f"with Holm's correction for {count(len(tested), 'comparison')}"
    shown = [titled(row.arm.title) for row in tested if is_shown(row.differences[PRIMARY.key])]
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
    found = [(titled(row.arm.title), row.differences.get(measure.key)) for row in tested]
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
    text = f"{titled(row.arm.title)} minus {baseline}: accuracy {difference(found)}"
    if math.isnan(found.p_holm):
        return f"{text}. One seed can't show a difference." if len(found.per_seed) == 1 else f"{text}."
    text += f"; {p_value(found.p_holm)} after correction"
    if is_shown(found):
        return f"{text}."
    if no_spread(found):
        return f"{text}. All seeds differ by the same amount, which makes p 0 and shows little."
    if found.p_holm < ALPHA and math.isnan(found.over_patients[0]):
        return f"{text}. One patient can't show a difference."
    if found.p_holm < ALPHA:
        return f"{text}. On these patients the seeds agree, but on others the difference could vanish."
    return f"{text}. That doesn't show a difference."


def _alike(rows: list[Row]) -> list[str]:
    if not rows:
        return []
    values = [f"{titled(row.arm.title)} {signed(row.differences[PRIMARY.key].value)}" for row in rows]
    return [
        f"In accuracy, all seeds differ from the baseline by the same amount, which makes p 0 and shows little: "
        f"{listed(values)}."
    ]


def _readers(rows: list[Row]) -> list[str]:
    if not rows:
        return []
    values = [row.differences[PRIMARY.key].value for row in rows]
    arms = f"{len(rows)} arms are" if len(rows) > 1 else f"the arm {titled(rows[0].arm.title)} is"
    means = f"from {signed(min(values))} to {signed(max(values))}" if len(rows) > 1 else signed(values[0])
    return [f"Of the readers, {arms} not shown to differ from the baseline; accuracy, arm minus baseline: {means}."]


def _notes(table: Table, outcome: Outcome) -> list[str]:
    found = _left_out(outcome)
    told: dict[str, list[str]] = {}
    for row in table.rows:
        if row.arm.versus and not row.differences:
            other = _title(row.arm.versus, outcome)
            found.append(f"{titled(row.arm.title)} stands alone: {other} has no result with a seed that both have.")
        if missing := [str(seed) for seed in outcome.seeds if seed not in row.seeds]:
            found.append(
                f"{titled(row.arm.title)} has no result with seed {', '.join(missing)} and is averaged over the rest."
            )
        notes: dict[str, list[str]] = {}
        for result in outcome.results[row.arm.name]:
            if result.note:
                notes.setdefault(result.note, []).append(str(result.seed))
        for note, seeds in notes.items():
            told.setdefault(note, []).append(f"{titled(row.arm.title)}, seed {', '.join(seeds)}")
    found += [f"{listed(arms, '')}: {note}" for note, arms in told.items()]
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
        f"lesion, and are left out; the most by one arm, {empty[most]}, by {titled(most)}."
    ]


def _left_out(outcome: Outcome) -> list[str]:
    return [f"{_title(name, outcome)} was left out: {why}" for name, why in outcome.left_out.items()]


def _title(name: str, outcome: Outcome) -> str:
    return titled(next((arm.title for arm in outcome.arms if arm.name == name), name))
