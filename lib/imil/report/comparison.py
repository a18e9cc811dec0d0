"""The three models in figures, and in sentences that claim no more than the figures show."""

import math
from typing import Any

from imil.metrics import Interval, intervals, paired_intervals
from imil.report.model import Evaluation, ScoredModel


def score(evaluation: Evaluation, model: ScoredModel | None) -> dict[str, Any] | None:
    """A model's ``accuracy, auroc, ece, brier``, their 95 % ``intervals`` over patients, and its ``epoch``."""
    if model is None:
        return None
    found = intervals(model.probabilities, evaluation.labels, evaluation.patients)
    values: dict[str, Any] = {name: interval.value for name, interval in found.items()}
    return values | {
        "epoch": model.epoch,
        "intervals": {name: _bounds(interval) for name, interval in found.items()},
    }


def difference(evaluation: Evaluation) -> dict[str, Any] | None:
    """With feedback minus without, by metric: ``value`` and paired 95 % ``interval``; None if one is missing."""
    after, without = evaluation.model("after"), evaluation.model("without_feedback")
    if after is None or without is None:
        return None
    found = paired_intervals(after.probabilities, without.probabilities, evaluation.labels, evaluation.patients)
    return {name: {"value": interval.value, "interval": _bounds(interval)} for name, interval in found.items()}


def summary_sentences(facts: dict[str, Any]) -> list[str]:
    """What the figures say, and what they don't, in words."""
    metrics, evaluation = facts["metrics"], facts["evaluation"]
    after = metrics["after"]
    if after is None:
        return [f"This run is not finished ({facts['state'].replace('_', ' ')}), so there is nothing to compare yet."]
    sentences = [
        _outcome(metrics, facts["images_changed"], evaluation),
        _comparison(facts["difference"], metrics["without_feedback"]),
    ]
    if evaluation["split"] == "train":
        sentences.append("The study has no test cases: these figures are on the images it was trained with.")
    return sentences


def _outcome(metrics: dict[str, Any], changed: int, evaluation: dict[str, Any]) -> str:
    before, after = metrics["before"], metrics["after"]
    where = f"On {evaluation['cases']} {evaluation['split']} images of {evaluation['patients']} patients"
    if before is None:
        return f"{where}, the accuracy at the end was {_with_interval(after)}. The run had no round of feedback."
    images = "1 training image" if changed == 1 else f"{changed} training images"
    return (
        f"{where}, the accuracy was {_with_interval(before)} when the first round was opened and "
        f"{_with_interval(after)} at the end, after feedback on {images}."
    )


def _comparison(found: dict[str, Any] | None, without: dict[str, Any] | None) -> str:
    if found is None or without is None:
        return (
            "There is no run without feedback to compare with, so a change can't be put down to the feedback: training "
            "went on as well."
        )
    value, bounds = found["accuracy"]["value"], found["accuracy"]["interval"]
    start = f"The same training without feedback ended at {without['accuracy']:.3f}; the difference is {_signed(value)}"
    ending = "It is one run with one seed, which says little about how others would end."
    if bounds is None:
        return f"{start}. {ending}"
    verdict = "includes zero, so it can't be told from chance" if bounds[0] <= 0 <= bounds[1] else "excludes zero"
    return f"{start}, and its 95 % interval, {_signed(bounds[0])} to {_signed(bounds[1])}, {verdict}. {ending}"


def _with_interval(model: dict[str, Any]) -> str:
    bounds = model["intervals"]["accuracy"]
    text = f"{model['accuracy']:.3f}"
    return text if bounds is None else f"{text} (95 % interval {bounds[0]:.3f} to {bounds[1]:.3f})"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _bounds(interval: Interval) -> list[float] | None:
    return [interval.low, interval.high] if math.isfinite(interval.low) and math.isfinite(interval.high) else None
