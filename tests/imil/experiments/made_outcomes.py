"""Outcomes without any training: real sample images, with predictions and heat maps drawn from a seed."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from imil.experiments.arms import Arm
from imil.experiments.catalogue import EXPERIMENTS
from imil.experiments.results import ArmResult, Evaluation, Outcome, QueuedSample
from imil.images import read_square
from imil.settings import RunSettings, resolve

SAMPLE_DATA = Path(__file__).parents[3] / "sample-data"
READERS = {"reader_1": "Resident 1", "reader_2": "Resident 2", "reader_3": "Resident 3"}
# How much better than the baseline an arm is, in units of the scores' noise.
SKILL = {"imil": 0.35, "mixup": 0.3, "cutmix": 0.2, "wrong_cells": -0.4, "cutout": -0.1, "reader_1": 0.3}


def made_outcome(
    experiment: str = "compare",
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    cases: int = 40,
    side: int = 64,
    shown: int = 4,
    classes: Sequence[str] = ("normal", "tb"),
    lesions: bool = True,
    left_out: Sequence[str] = (),
    readers: dict[str, str] | None = None,
    preset: str = "paper",
    source: str = "shenzhen",
) -> Outcome:
    """An outcome of any experiment in the catalogue, with all of its arms except those left out."""
    settings = resolve("paper", image_size=side)
    arms = EXPERIMENTS[experiment].arms(settings, READERS if readers is None else readers)
    labels = np.arange(cases) % len(classes)
    images = sample_images(max(shown, 8), side)
    evaluation = Evaluation(
        split="test",
        classes=list(classes),
        case_ids=[f"images/case-{index:03}.png" for index in range(cases)],
        labels=labels.astype(np.int64),
        patients=[f"p{index // 2}" for index in range(cases)],
        shown=[f"images/case-{index:03}.png" for index in range(shown)],
        shown_images=images[:shown],
        lesion_cases=[f"images/case-{index:03}.png" for index in range(1, cases, 2)] if lesions else [],
        lesion_patients=[f"p{index // 2}" for index in range(1, cases, 2)] if lesions else [],
        lesion_area=np.full(cases // 2 if lesions else 0, 0.08, np.float32),
        sample_images={f"images/train-{index:03}.png": images[index] for index in range(8)},
    )
    results = {
        arm.name: [arm_result(arm, seed, evaluation, settings) for seed in seeds]
        for arm in arms
        if arm.name not in left_out
    }
    return Outcome(
        experiment=experiment,
        title=EXPERIMENTS[experiment].title,
        study="sample study",
        source=source,
        preset=preset,
        settings=settings.model_dump(mode="json"),
        seeds=list(seeds),
        reader="an oracle that knows the lesion masks",
        arms=arms,
        results=results,
        left_out=dict.fromkeys(left_out, "The study has no second reader for it."),
        evaluation=evaluation,
        versions={"imil": "0.1.0", "torch": "2.15.0", "monailabel": None},
        seconds=5025.0,
        splits={"train": 530, "test": cases},
    )


def arm_result(arm: Arm, seed: int, evaluation: Evaluation, settings: RunSettings) -> ArmResult:
    """One training's results; the same arm and seed give the same ones."""
    rng = np.random.default_rng([seed, *arm.name.encode()])
    shared = np.random.default_rng(seed)
    count, classes, side = len(evaluation.labels), len(evaluation.classes), evaluation.shown_images.shape[1]
    logits = 0.8 * shared.normal(size=(count, classes)) + 0.5 * rng.normal(size=(count, classes))
    logits += np.eye(classes)[evaluation.labels] * (1.2 + SKILL.get(arm.name.split("_1")[0], 0.0))
    powers = np.exp(1.5 * logits)
    lesions = len(evaluation.lesion_cases)
    inside = np.clip(rng.normal(0.25 if arm.group in ("imil", "readers") else 0.15, 0.08, lesions), 0, 1)
    samples = _samples(arm, seed, settings) if arm.asks else ()
    return ArmResult(
        arm=arm.name,
        seed=seed,
        probabilities=(powers / powers.sum(axis=1, keepdims=True)).astype(np.float32),
        maps=np.stack([blob(rng, side) for _ in evaluation.shown]) if evaluation.shown else np.zeros((0, side, side)),
        heatmap_inside=inside.astype(np.float32),
        gradient_inside=np.clip(inside - 0.05, 0, 1).astype(np.float32),
        samples=samples,
        sample_maps=np.stack([blob(rng, side) for _ in samples]) if samples else np.zeros((0, side, side), np.float16),
        images=len(samples),
        steps=900 if not arm.repeats and "repeated" not in arm.name else 960,
        epochs=100,
        seconds=61.5,
        weights_sha256="0" * 64,
        note="",
    )


def _samples(arm: Arm, seed: int, settings: RunSettings) -> tuple[QueuedSample, ...]:
    cells = {0: (4, 5, 8, 9), 1: (6, 7, 10, 11), 2: (1, 2), 3: (5, 6)}
    rationale = (
        "The model was focused on the upper left of the image so I switched the focus towards the finding in {}."
    )
    places = ("the opacity in the middle left of the image", "the right hilum", "the lung apices")
    return tuple(
        QueuedSample(
            case_id=f"images/train-{index:03}.png",
            round=1,
            epoch=70,
            label=("tb", "normal")[index % 2],
            prediction=("normal", "tb")[index % 2],
            confidence=0.97 - 0.03 * index,
            reason="misprediction",
            action="relabel" if index == 0 and arm.name == "reader_2" else "grid",
            grid_size=4,
            cells=cells[index % 4],
            misleading=(0,) if index == 1 else (),
            reader=arm.name if arm.group == "readers" else "oracle",
            rationale=rationale.format(places[index % 3]),
        )
        for index in range(5)
    )


def sample_images(count: int, side: int) -> np.ndarray:
    """The first images of the sample data, uint8 (count, side, side), of both classes in turn."""
    with (SAMPLE_DATA / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    by_class = ([row["image"] for row in rows if row["label"] == name] for name in ("normal", "tb"))
    ordered = [image for pair in zip(*by_class, strict=False) for image in pair]
    pixels = [read_square(SAMPLE_DATA / image, side) for image in ordered[:count]]
    return np.stack(pixels)


def blob(rng: np.random.Generator, side: int) -> np.ndarray:
    """A heat map of two Gaussians, float16 (side, side), with a maximum of 1."""
    grid = np.linspace(0, 1, side)
    heat = np.zeros((side, side))
    for weight in (1.0, 0.6):
        row, column, width = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), rng.uniform(0.08, 0.2)
        heat += weight * np.exp(-((grid[:, None] - row) ** 2 + (grid - column) ** 2) / (2 * width**2))
    return (heat / heat.max()).astype(np.float16)


def with_titles(outcome: Outcome, ending: str) -> Outcome:
    """The same with longer titles."""
    return replace(outcome, arms=[replace(arm, title=arm.title + ending) for arm in outcome.arms])
