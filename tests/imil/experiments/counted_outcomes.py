"""Outcomes by the number of wrong cases of each arm and seed, so that every measure can be worked out by hand."""

import numpy as np

from imil.experiments.arms import Arm
from imil.experiments.results import ArmResult, Evaluation, Outcome
from imil.experiments.tables import build_table, sentences

NAN = float("nan")
BASELINE = Arm("baseline", "Baseline", "baseline", "Training goes on.", versus="")
IMIL = Arm("imil", "IMIL", "imil", "Feedback.")
MIXUP = Arm("mixup", "MixUp", "augmentation", "Blends.")
RANDOM_CELLS = Arm("random_cells", "Random cells", "control", "Random cells.")
READER = Arm("reader_1", "IMIL + Reader 1", "readers", "One reader.")


def result(arm, seed, wrong, *, cases=10, focus=(), images=0, note=""):
    """Cases are 0, 1, 0, 1 ...; the `wrong` first positive ones are mispredicted. All confidences are 0.9."""
    labels = np.arange(cases) % 2
    right = np.ones(cases, dtype=bool)
    right[np.flatnonzero(labels == 1)[:wrong]] = False
    probabilities = np.full((cases, 2), 0.1, np.float32)
    probabilities[np.arange(cases), np.where(right, labels, 1 - labels)] = 0.9
    share = np.asarray(focus, dtype=np.float32)
    nothing = np.zeros((0, 4, 4), np.float16)
    return ArmResult(
        arm, seed, probabilities, nothing, share, share / 2, (), nothing, images, 100 + seed, 3, 1.0, "ab", note
    )


def outcome(wrong, *, cases=10, seeds=(0, 1, 2), area=(), results=None, left_out=None, patients=None):
    """An outcome of arms with their wrong cases by seed."""
    labels = np.arange(cases) % 2
    ids = [f"case-{index}.png" for index in range(cases)]
    evaluation = Evaluation(
        split="test",
        classes=["healthy", "ill"],
        case_ids=ids,
        labels=labels.astype(np.int64),
        patients=patients or ids,
        shown=[],
        shown_images=np.zeros((0, 4, 4), np.uint8),
        lesion_cases=ids[: len(area)],
        lesion_patients=ids[: len(area)],
        lesion_area=np.asarray(area, dtype=np.float32),
        sample_images={},
    )
    made = {
        arm.name: [result(arm.name, seed, count, cases=cases) for seed, count in zip(seeds, counts, strict=False)]
        for arm, counts in wrong
    }
    return Outcome(
        experiment="compare",
        title="Comparison",
        study="study",
        source="made",
        preset="paper",
        settings={},
        seeds=list(seeds),
        reader="an oracle",
        arms=[arm for arm, _ in wrong],
        results=made | (results or {}),
        left_out=left_out or {},
        evaluation=evaluation,
        versions={},
        seconds=1.0,
    )


# Accuracies: baseline 0.8, 0.7, 0.8; IMIL 0.9, 0.9, 0.8; MixUp 0.8, 0.9, 0.9; random cells 0.9, 0.8, 0.9.
WRONG = [(BASELINE, [2, 3, 2]), (IMIL, [1, 1, 2]), (MIXUP, [2, 1, 1]), (RANDOM_CELLS, [1, 2, 1])]
T2 = 4.302653  # Student's t, 2 degrees of freedom, 97.5 %
TABLE = {"resamples": 50}


def said_of(made):
    return sentences(build_table(made, resamples=200), made)


# 40 cases, six seeds: the baseline has 12 wrong, some arms 2 or 3, which is far outside of any chance.
CLEAR, SAME = [2, 3, 3, 3, 2, 3], [12, 11, 12, 11, 12, 12]


def clear(**others):
    return outcome([(BASELINE, [12] * 6), *others.pop("arms")], cases=40, seeds=range(6), **others)
