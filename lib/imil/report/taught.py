"""What a round's answers taught, gathered for the report: its facts, and the pictures behind them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from imil import images, insights
from imil.errors import ImilError
from imil.grid import Grid
from imil.report.model import FloatArray
from imil.report.pictures import fit, shown_size
from imil.rounds import Rounds
from imil.runs import split_data
from imil.settings import RunSettings
from imil.store import InsightRecord, Run
from imil.study import Study
from imil.training.batches import TrainingData
from imil.training.draws import Draws
from imil.training.feedback import AppliedFeedback
from imil.training.insight import Insight

MOST_FINDS = 24
MOST_EXAMPLES = 6
FIND_SIDE = 180
"""Longer side of a picture of the contact sheet, in pixels."""
MEAN_OF = 200
"""At most so many images go into the mean image."""


@dataclass(frozen=True)
class Find:
    """An image (rows, cols) in [0, 1] with what was found in it, bool (rows, cols), and what is known of it."""

    image: FloatArray
    place: npt.NDArray[np.bool_]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Example:
    """An image before and after one draw of the feedback mode's edit, each (S, S) in [0, 1]."""

    id: str
    label: str
    what: str
    before: FloatArray
    after: FloatArray


@dataclass(frozen=True)
class Taught:
    """What is shown of one round.

    Attributes:
        facts: see `imil.findings.described`.
        mean: the mean training image, (S, S) in [0, 1].
        finds: the surest first.
        note: why there are no pictures; empty if there are.
    """

    facts: dict[str, Any]
    mean: FloatArray | None = None
    finds: list[Find] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    note: str = ""


def gather_taught(study: Study, run: Run, number: int) -> Taught | None:
    """What round ``number`` of a run taught; None if nothing was learnt from it."""
    facts = Rounds(study).insight(run.id, number)
    record = study.store.insight(run.id, number)
    if record is None:
        return None
    data = split_data(study, int(run.settings["image_size"]), "train")
    try:
        found = insights.read(study, record)
        insight = insights.corrected(study, record, found)
        examples = _examples(study, run, record, insight, data)
    except ImilError as error:
        return Taught(facts, _mean(data), note=f"There are no pictures of it: {error}")
    return Taught(facts, _mean(data), _finds(study, facts, found), examples)


def _mean(data: TrainingData) -> FloatArray:
    rows = data.rows[:: max(1, len(data) // MEAN_OF)]
    mean: FloatArray = (data.pixels[rows].mean(axis=0) / 255).astype(np.float32)
    return mean


def _finds(study: Study, facts: dict[str, Any], insight: Insight) -> list[Find]:
    """The contact sheet: what was found, also where it was vetoed; where it was corrected, the reader's cells."""
    positions = {case_id: index for index, case_id in enumerate(insight.case_ids)}
    shown = []
    for entry in facts["images"][:MOST_FINDS]:
        image = images.read_image(study.image_path(entry["id"]))
        size = shown_size(image.pixels.shape[0], image.pixels.shape[1], FIND_SIDE)
        if entry["corrected"]:
            place = Grid.square(facts["grid_size"], size).mask(entry["cells"]) == 1
        else:
            place = fit(insight.finds[positions[entry["id"]]].astype(np.float32), size) > 0.5
        shown.append(Find(fit(image.as_uint8().astype(np.float32) / 255, size), place, entry))
    return shown


def _examples(study: Study, run: Run, record: InsightRecord, insight: Insight, data: TrainingData) -> list[Example]:
    """A few images as they are, and as one draw of training has them."""
    settings = RunSettings(**run.settings).model_copy(update={"feedback": record.feedback})
    feedback = Rounds(study).feedback(run.id, record.round, with_open=True)
    applied = AppliedFeedback(feedback, data, run.classes, settings)
    applied.use(insight)
    if applied.mode is None:
        return []
    chosen = _chosen(applied, insight)
    index = np.array([position for position, _ in chosen], np.int64)
    before = applied.view.images(index)
    draws = Draws(index, before.clone(), torch.from_numpy(applied.labels[index]))
    after = applied.mode.edit(draws, np.random.default_rng(record.round)).images
    return [
        Example(
            data.ids[position],
            run.classes[int(applied.labels[position])],
            what,
            before[place, 0].numpy(),
            after[place, 0].numpy(),
        )
        for place, (position, what) in enumerate(chosen)
    ]


def _chosen(applied: AppliedFeedback, insight: Insight) -> list[tuple[int, str]]:
    """Images of each class in turn: first those with a find, the surest first, then those without."""
    order = np.argsort(-insight.scores, kind="stable") if len(insight.scores) else np.arange(len(insight.case_ids))
    kept = [int(index) for index in order if applied.kept[index]]
    with_find = _by_turns([index for index in kept if insight.found[index]], applied.labels)
    without = _by_turns([index for index in kept[::-1] if not insight.found[index]], applied.labels)
    if not insight.looks:
        return [(index, "") for index in without[:MOST_EXAMPLES]]
    half = MOST_EXAMPLES // 2
    return [(index, "with a find") for index in with_find[:half]] + [
        (index, "without a find") for index in without[: MOST_EXAMPLES - min(half, len(with_find))]
    ]


def _by_turns(indices: Sequence[int], labels: npt.NDArray[np.int64]) -> list[int]:
    """The indices, one of each class in turn."""
    turn: dict[int, int] = {}
    seen: dict[int, int] = {}
    for index in indices:
        label = int(labels[index])
        turn[index] = seen.get(label, 0)
        seen[label] = turn[index] + 1
    return sorted(indices, key=turn.__getitem__)
