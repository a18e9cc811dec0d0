"""Means, differences and their intervals, from the results of arms."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from imil.errors import BadInput
from imil.experiments.results import ArmResult, Evaluation
from imil.experiments.tables.model import FOCUS, Difference, Estimate, Measure
from imil.metrics import Interval, mean_intervals, mean_paired_intervals, mean_value_intervals, summary
from imil.metrics.draws import mean_of_defined
from imil.metrics.seeds import holm, mean_interval, paired_difference

_FOCUS_KEYS = {measure.key for measure in FOCUS}


def estimates_of(
    results: Sequence[ArmResult], evaluation: Evaluation, measures: Sequence[Measure], resamples: int
) -> dict[str, Estimate]:
    """Each measure of an arm with at least one result, by key.

    Raises:
        BadInput: probabilities that aren't numbers, or results that don't belong to the evaluation.
    """
    _check(results, evaluation)
    patients = mean_intervals(
        [result.probabilities for result in results], evaluation.labels, evaluation.patients, resamples=resamples
    )
    found = {}
    for measure in measures:
        values = [_value(result, evaluation, measure) for result in results]
        if measure.key in _FOCUS_KEYS:
            over_patients = _case_interval(_cases(results, measure), evaluation, resamples)
        else:
            over_patients = patients[measure.key]
        seeds = mean_interval(values)
        found[measure.key] = Estimate(
            seeds.value, _sd(values), values, (seeds.low, seeds.high), (over_patients.low, over_patients.high)
        )
    return found


def differences_of(
    results: Sequence[ArmResult],
    baseline: Sequence[ArmResult],
    evaluation: Evaluation,
    measures: Sequence[Measure],
    resamples: int,
) -> dict[str, Difference]:
    """Each measure of `results` minus `baseline` on the seeds that both have, by key; empty if they share none.

    `p_holm` is NaN until `corrected` has seen all arms.

    Raises:
        BadInput: as for `estimates_of`.
    """
    others = {result.seed: result for result in baseline}
    mine = [result for result in results if result.seed in others]
    theirs = [others[result.seed] for result in mine]
    if not mine:
        return {}
    _check([*mine, *theirs], evaluation)
    patients = mean_paired_intervals(
        [result.probabilities for result in mine],
        [result.probabilities for result in theirs],
        evaluation.labels,
        evaluation.patients,
        resamples=resamples,
    )
    found = {}
    for measure in measures:
        if measure.key in _FOCUS_KEYS:
            cases = _cases(mine, measure) - _cases(theirs, measure)
            values = [float(mean_of_defined(row)) for row in cases]
            over_patients = _case_interval(cases, evaluation, resamples)
        else:
            pairs = zip(mine, theirs, strict=True)
            values = [_value(one, evaluation, measure) - _value(other, evaluation, measure) for one, other in pairs]
            over_patients = patients[measure.key]
        test = paired_difference(values, np.zeros(len(values)))
        found[measure.key] = Difference(
            test.value,
            values,
            (test.low, test.high),
            (over_patients.low, over_patients.high),
            test.p,
            float("nan"),
        )
    return found


def corrected(arms: Sequence[dict[str, Difference]]) -> list[dict[str, Difference]]:
    """The same differences with `p_holm`: for each measure, Holm's correction over all arms that have a p-value."""
    keys = {key for differences in arms for key in differences}
    adjusted = {
        key: iter(holm([differences[key].p for differences in arms if key in differences])) for key in sorted(keys)
    }
    return [
        {key: replace(difference, p_holm=next(adjusted[key])) for key, difference in differences.items()}
        for differences in arms
    ]


def _value(result: ArmResult, evaluation: Evaluation, measure: Measure) -> float:
    if measure.key in _FOCUS_KEYS:
        return float(mean_of_defined(_cases([result], measure)[0]))
    return summary(result.probabilities, evaluation.labels)[measure.key]


def _cases(results: Sequence[ArmResult], measure: Measure) -> npt.NDArray[np.float64]:
    """A measure of focus for each case, (seeds, M)."""
    return np.stack([np.asarray(getattr(result, measure.key), dtype=np.float64) for result in results])


def _case_interval(cases: npt.NDArray[np.float64], evaluation: Evaluation, resamples: int) -> Interval:
    return mean_value_intervals(cases, evaluation.lesion_patients, resamples=resamples)


def _sd(values: Sequence[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.std(defined, ddof=1)) if len(defined) > 1 else float("nan")


def _check(results: Sequence[ArmResult], evaluation: Evaluation) -> None:
    cases, focus = len(evaluation.case_ids), (len(evaluation.lesion_cases),)
    for result in results:
        who = f"The arm {result.arm!r} with seed {result.seed}"
        shape = (cases, len(evaluation.classes))
        if result.probabilities.shape != shape:
            raise BadInput(
                f"{who} has probabilities of shape {result.probabilities.shape}; this evaluation needs {shape}. "
                "Train it again on the same test cases."
            )
        if result.heatmap_inside.shape != focus or result.gradient_inside.shape != focus:
            raise BadInput(
                f"{who} has the focus of {len(result.heatmap_inside)} and {len(result.gradient_inside)} cases; this "
                f"evaluation has {focus[0]} with a lesion mask. Train it again on the same test cases."
            )
        if not np.isfinite(result.probabilities).all():
            raise BadInput(
                f"{who} has probabilities that aren't numbers: its training has diverged. Lower the learning rate, or "
                "leave the arm out."
            )
