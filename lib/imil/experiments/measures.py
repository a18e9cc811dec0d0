"""What is measured of a trained network: its predictions of the test cases, and where it looks."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from imil.errors import BadInput
from imil.experiments.results import Evaluation
from imil.explain import heat_maps
from imil.explain.gradients import input_gradients
from imil.images import resize
from imil.metrics.attribution import share_inside
from imil.runs import split_data
from imil.study import Study
from imil.training.batches import TrainingData
from imil.training.engine import TrainingEngine

SPLIT = "test"
SHOWN = 4
"""Test images whose heat maps are shown; the paper's Figure 4 has four."""
FOCUS_CASES = 500
"""Most test cases that the focus is measured on."""


@dataclass(frozen=True)
class EvaluationPlan:
    """Which test cases are looked at closely; the same for every arm.

    Attributes:
        shown: ids of the cases whose heat maps are kept.
        lesions: ids of the cases whose lesion masks the focus is measured with.
    """

    shown: tuple[str, ...]
    lesions: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """See `imil.experiments.results.ArmResult` for the fields."""

    probabilities: npt.NDArray[np.float32]
    maps: npt.NDArray[np.float16]
    heatmap_inside: npt.NDArray[np.float32]
    gradient_inside: npt.NDArray[np.float32]


def plan_evaluation(study: Study) -> EvaluationPlan:
    """Draw the shown cases, as many of each class as possible, by their ids alone, and list those with lesion masks.

    Raises:
        BadInput: if the study has no test case, or a class has none.
    """
    by_class: dict[str, list[str]] = defaultdict(list)
    for case in study.cases:
        if case.split == SPLIT:
            by_class[case.label].append(case.id)
    if not by_class:
        found = ", ".join(sorted({case.split for case in study.cases}))
        raise BadInput(
            f"The study {study.folder} has no test images (its splits: {found}), so nothing can be compared; mark some "
            "as test in its manifest.csv."
        )
    for name in study.classes:
        if name not in by_class:
            raise BadInput(
                f"The class {name!r} has no image in the split 'test' of {study.folder}, so it can't be measured; mark "
                "some as test in its manifest.csv."
            )
    queues = [sorted(by_class[name], key=_draw) for name in study.classes]
    turns = [queue[turn] for turn in range(SHOWN) for queue in queues if turn < len(queue)]
    chosen = set(turns[:SHOWN])
    shown = [case for queue in queues for case in queue if case in chosen]
    lesions = sorted((case.id for case in study.cases if case.split == SPLIT and case.lesion_mask), key=_draw)
    return EvaluationPlan(tuple(shown), tuple(sorted(lesions[:FOCUS_CASES])))


def measure(engine: TrainingEngine, study: Study, plan: EvaluationPlan) -> Measured:
    """Predict all test cases, and measure where the network looks in those of the plan, for their true class."""
    data = split_data(study, engine.settings.image_size, SPLIT)
    size = engine.settings.image_size
    shown = _subset(data, plan.shown)
    maps = _maps(engine, data, shown)
    lesions = _subset(data, plan.lesions)
    if not lesions:
        nothing = np.zeros(0, np.float32)
        return Measured(engine.predict(data), maps.astype(np.float16), nothing, nothing)
    masks = lesion_masks(study, plan.lesions, size)
    gradients = input_gradients(
        engine.network, engine.images(lesions, data), torch.from_numpy(data.labels[np.array(lesions)])
    )
    return Measured(
        engine.predict(data),
        maps.astype(np.float16),
        share_inside(_maps(engine, data, lesions), masks).astype(np.float32),
        share_inside(gradients, masks).astype(np.float32),
    )


def lesion_masks(study: Study, ids: Sequence[str], size: int) -> npt.NDArray[np.float32]:
    """The lesion masks of the cases as the network would see them, float32 (len(ids), size, size) in [0, 1].

    A pixel's value is the share of it that the lesion covers.
    """
    masks = []
    for case in ids:
        mask = study.lesion_mask(case)
        if mask is None:
            raise BadInput(f"The case {case!r} has no lesion mask.")
        masks.append(np.clip(resize(mask.astype(np.float32), size), 0, 1))
    return np.stack(masks) if masks else np.zeros((0, size, size), np.float32)


def evaluation_of(study: Study, plan: EvaluationPlan, size: int, samples: Sequence[str]) -> Evaluation:
    """The test cases as a report needs them; ``samples`` are ids of fed-back training cases to be shown."""
    data = split_data(study, size, SPLIT)
    patients = {case.id: case.patient for case in study.cases}
    masks = lesion_masks(study, plan.lesions, size)
    rows = {case.id: row for row, case in enumerate(study.cases)}
    pixels = study.pixels(size)
    return Evaluation(
        split=SPLIT,
        classes=list(study.classes),
        case_ids=list(data.ids),
        labels=data.labels,
        patients=[patients[case] for case in data.ids],
        shown=list(plan.shown),
        shown_images=np.stack([pixels[rows[case]] for case in plan.shown]),
        lesion_cases=list(plan.lesions),
        lesion_patients=[patients[case] for case in plan.lesions],
        lesion_area=masks.mean(axis=(1, 2)).astype(np.float32),
        sample_images={case: np.array(pixels[rows[case]]) for case in samples},
    )


def _maps(engine: TrainingEngine, data: TrainingData, indices: list[int]) -> npt.NDArray[np.float32]:
    settings = engine.settings
    return heat_maps(
        engine.network,
        engine.images(indices, data),
        torch.from_numpy(data.labels[np.array(indices)]),
        method=settings.heatmap,
        layer=settings.target_layer,
    ).maps


def _subset(data: TrainingData, ids: Sequence[str]) -> list[int]:
    rows = {case: row for row, case in enumerate(data.ids)}
    return [rows[case] for case in ids]


def _draw(case: str) -> bytes:
    """A case's place in the lottery: the same on every machine."""
    return hashlib.sha256(case.encode()).digest()
