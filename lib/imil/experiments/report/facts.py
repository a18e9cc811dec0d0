"""The facts of an experiment as plain values: what ``results.json`` holds, and what page and table are made of."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imil.experiments.report.description import what_was_done
from imil.experiments.report.published import published
from imil.experiments.results import VERSION, ArmResult, Evaluation, Outcome
from imil.experiments.tables import Difference, Estimate, Row, Table, sentences
from imil.experiments.tables.shown import is_shown
from imil.report.data import plain_values

PAPER = "paper"
"""The preset beside whose results the paper's own stand."""


def facts_of(outcome: Outcome, table: Table) -> dict[str, Any]:
    """Everything but the arrays, with JSON's types; docs/reference/experiment-json.md says what each key means."""
    facts: dict[str, Any] = plain_values(
        {
            "version": VERSION,
            "experiment": outcome.experiment,
            "title": outcome.title,
            "study": outcome.study,
            "source": outcome.source,
            "preset": outcome.preset,
            "seeds": outcome.seeds,
            "reader": outcome.reader,
            "about_readers": outcome.about_readers,
            "recorded": outcome.recorded,
            "description": what_was_done(outcome),
            "sentences": sentences(table, outcome),
            "measures": [
                {"key": one.key, "title": one.title, "short": one.short, "better": one.better} for one in table.measures
            ],
            "chance": table.chance,
            "arms": [_arm(row, outcome.results[row.arm.name]) for row in table.rows],
            "contrasts": [
                {
                    "method": contrast.method.name,
                    "control": contrast.control.name,
                    "differences": _differences(contrast.differences),
                }
                for contrast in table.contrasts
            ],
            "level_contrasts": [
                {
                    "level": contrast.level.name,
                    "reference": contrast.reference.name,
                    "differences": _differences(contrast.differences),
                }
                for contrast in table.level_contrasts
            ],
            "left_out": outcome.left_out,
            "published": published(outcome) if outcome.preset == PAPER else None,
            "agreement": outcome.agreement,
            "evaluation": _evaluation(outcome.evaluation),
            "splits": outcome.splits,
            "settings": outcome.settings,
            "versions": outcome.versions,
            "seconds": round(outcome.seconds, 1),
        }
    )
    return facts


def _arm(row: Row, results: Sequence[ArmResult]) -> dict[str, Any]:
    arm = row.arm
    return {
        "name": arm.name,
        "title": arm.title,
        "group": arm.group,
        "versus": arm.versus,
        "description": arm.description,
        "settings": dict(arm.settings),
        "seeds": row.seeds,
        "images": row.images,
        "steps": row.steps,
        "seconds": round(float(np.mean([result.seconds for result in results])), 1),
        "notes": list(dict.fromkeys(result.note for result in results if result.note)),
        "weights_sha256": [result.weights_sha256 for result in results],
        "measures": {key: _estimate(estimate) for key, estimate in row.measures.items()},
        "differences": _differences(row.differences),
    }


def _estimate(found: Estimate) -> dict[str, Any]:
    return {
        "value": found.value,
        "sd": found.sd,
        "per_seed": found.per_seed,
        "over_seeds": _bounds(found.over_seeds),
        "over_patients": _bounds(found.over_patients),
    }


def _differences(found: Mapping[str, Difference]) -> dict[str, Any] | None:
    """None for an arm that is compared with nothing."""
    return {
        key: {
            "value": one.value,
            "per_seed": one.per_seed,
            "over_seeds": _bounds(one.over_seeds),
            "over_patients": _bounds(one.over_patients),
            "p": one.p,
            "p_holm": one.p_holm,
            "shown": is_shown(one),
        }
        for key, one in found.items()
    } or None


def _bounds(bounds: tuple[float, float]) -> list[float] | None:
    return list(bounds) if all(math.isfinite(bound) for bound in bounds) else None


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    counts = Counter(evaluation.labels.tolist())
    return {
        "split": evaluation.split,
        "classes": evaluation.classes,
        "cases": len(evaluation.case_ids),
        "cases_by_class": {name: counts[index] for index, name in enumerate(evaluation.classes)},
        "patients": len(set(evaluation.patients)),
        "lesion_cases": len(evaluation.lesion_cases),
        "lesion_patients": len(set(evaluation.lesion_patients)),
        "shown": evaluation.shown,
    }
