"""Gathering what a report shows: from the store, and from the checkpoints' predictions on held-out cases."""

import math
import platform
from collections import Counter
from collections.abc import Sequence
from datetime import UTC
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from imil import __version__, runs
from imil.errors import NotFound
from imil.models import Model, load_model
from imil.report.cases import gather_cases
from imil.report.comparison import difference, score, summary_sentences
from imil.report.model import Evaluation, ModelName, ReportData, ScoredModel
from imil.report.taught import gather_taught
from imil.rounds import Rounds
from imil.store import Action, EpochMetrics, Run, RunState
from imil.study import Study

PACKAGES = ("torch", "monai", "monailabel", "timm")
SPLITS_BY_MERIT = ("test", "val", "train")


def gather(study: Study, run_id: int | None = None) -> ReportData:
    """The facts, predictions and pictures of one run.

    Args:
        study: the study.
        run_id: the run; None for the newest one with feedback.

    Raises:
        NotFound: if there is no such run.
    """
    run = _run(study, run_id)
    comparison = _comparison(study, run)
    settings = run.settings
    pixels = study.pixels(settings["image_size"])
    split, indices = _evaluation_cases(study)
    evaluation = _evaluation(study, run, split, indices)
    models = _models(study, run, comparison)
    for name, model in models.items():
        probabilities = model.predict(pixels[indices]).astype(np.float64)
        evaluation.models.append(ScoredModel(name, model.epoch, probabilities))
    rounds, pictures = gather_cases(study, run, models.get("after"), pixels)
    found = {index: gather_taught(study, run, entry["round"]) for index, entry in enumerate(rounds)}
    taught = {index: one for index, one in found.items() if one is not None}
    for index, entry in enumerate(rounds):
        entry["insight"] = taught[index].facts if index in taught else None
    curves: dict[ModelName, list[EpochMetrics]] = {"after": study.store.epochs(run.id)}
    if comparison is not None:
        curves["without_feedback"] = study.store.epochs(comparison.id)
    facts: dict[str, Any] = {
        "study": study.folder.resolve().name,
        "run": run.id,
        "state": str(run.state),
        "created": run.created.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "rounds": rounds,
        "metrics": {
            name: score(evaluation, evaluation.model(name)) for name in ("before", "after", "without_feedback")
        },
        "difference": difference(evaluation),
        "evaluation": {
            "split": split,
            "cases": len(indices),
            "patients": len(set(evaluation.patients)),
            "classes": run.classes,
        },
        "counts": _counts(rounds),
        "images_changed": len(Rounds(study).feedback(run.id)),
        "settings": settings,
        "versions": versions(),
        "seconds": round(run.seconds, 1),
    }
    facts["summary"] = summary_sentences(facts)
    return ReportData(plain_values(facts), evaluation, curves, pictures, taught)


def versions() -> dict[str, str | None]:
    """The versions of what made the run; None for what isn't installed."""
    found: dict[str, str | None] = {"imil": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def _run(study: Study, run_id: int | None) -> Run:
    if run_id is not None:
        return study.store.run(run_id)
    run = study.store.latest_run()
    if run is None:
        raise NotFound(f"The study {study.folder} has no run yet; start one with `imil train {study.folder}`.")
    return run


def _comparison(study: Study, run: Run) -> Run | None:
    """The newest completed run without feedback that branched from ``run``."""
    found = [
        other
        for other in study.store.runs()
        if other.kind == "without_feedback" and other.parent == run.id and other.state == RunState.COMPLETED
    ]
    return max(found, key=lambda other: other.id, default=None)


def _models(study: Study, run: Run, comparison: Run | None) -> dict[ModelName, Model]:
    """The checkpoints that exist: at the first IMIL epoch, at the end, and at the end without feedback."""
    paths: dict[ModelName, Path] = {}
    if run.round >= 1:
        paths["before"] = runs.round_checkpoint_path(study, run.id, 1)
    if run.state == RunState.COMPLETED:
        paths["after"] = runs.checkpoint_path(study, run.id)
    if comparison is not None:
        paths["without_feedback"] = runs.checkpoint_path(study, comparison.id)
    # Not the very GPU of the run, which this machine needn't have.
    device = "cpu" if run.settings["device"] == "cpu" else "auto"
    return {name: load_model(path, device) for name, path in paths.items()}


def _evaluation_cases(study: Study) -> tuple[str, list[int]]:
    for split in SPLITS_BY_MERIT:
        indices = [index for index, case in enumerate(study.cases) if case.split == split]
        if indices:
            return split, indices
    raise NotFound(f"The study {study.folder} has no case in any split; check its manifest.")


def _evaluation(study: Study, run: Run, split: str, indices: Sequence[int]) -> Evaluation:
    cases = [study.cases[index] for index in indices]
    labels = np.array([run.classes.index(case.label) for case in cases], np.int64)
    return Evaluation(split, run.classes, labels, [case.patient for case in cases])


def _counts(rounds: Sequence[dict[str, Any]]) -> dict[str, int]:
    answers = Counter(case["action"] for entry in rounds for case in entry["cases"])
    return {
        "queued": sum(entry["queued"] for entry in rounds),
        "reviewed": sum(entry["reviewed"] for entry in rounds),
        "grid": answers[Action.GRID],
        "relabelled": answers[Action.RELABEL],
        "excluded": answers[Action.EXCLUDE],
        "skipped": answers[Action.SKIP],
    }


def plain_values(value: Any) -> Any:
    """The same with JSON's types: tuples and arrays as lists, NaN and infinity as None."""
    if isinstance(value, dict):
        return {str(key): plain_values(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(entry) for entry in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain_values(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
