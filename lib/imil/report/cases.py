"""The queued cases of a run: what was said about each, and its pictures before and after."""

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from imil import images
from imil.casefeedback import CaseFeedback
from imil.combination import Combination, combine_answers
from imil.grid import Grid
from imil.metrics.agreement import agreement
from imil.models import Model
from imil.report.model import CasePictures, FloatArray
from imil.report.pictures import fit, shown_size
from imil.settings import RunSettings
from imil.store import Action, Event, QueueEntry, RoundInfo, Run
from imil.study import Study
from imil.training.edits import IMAGE_EDITS, create_image_edit

Pictures = dict[tuple[int, int], CasePictures]
ANSWERED = (Action.GRID, Action.RELABEL, Action.EXCLUDE, Action.SKIP)


class Answered(Protocol):
    """The cells of an answer, see `imil.grid`."""

    @property
    def cells(self) -> tuple[int, ...]: ...
    @property
    def misleading(self) -> tuple[int, ...]: ...
    @property
    def grid_size(self) -> int: ...


def gather_cases(
    study: Study, run: Run, after: Model | None, pixels: npt.NDArray[np.uint8]
) -> tuple[list[dict[str, Any]], Pictures]:
    """The facts of each round, and pictures of its cases by (index of the round, index of the case in it).

    Args:
        study: the study.
        run: the run.
        after: the model at the end, if the run has one.
        pixels: uint8 (N, S, S) at the network's input size, rows in the order of ``study.cases``.

    Raises:
        NotFound: if a queued case has left the manifest.
    """
    rows = {case.id: index for index, case in enumerate(study.cases)}
    for case_id in study.store.queued_case_ids(run.id):
        study.case(case_id)  # raises NotFound for a case that has left the manifest
    answers = [event for event in study.store.effective(run.id) if event.action in ANSWERED]
    rounds: list[dict[str, Any]] = []
    pictures: Pictures = {}
    method = RunSettings(**run.settings).combine
    for index, info in enumerate(study.store.rounds(run.id)):
        queue = study.store.queue(run.id, info.round)
        later = _Afterwards(after, pixels[[rows[entry.case_id] for entry in queue]]) if queue and after else None
        of_round = [event for event in answers if event.round == info.round]
        combination = combine_answers(of_round, method)
        cases: list[dict[str, Any]] = []
        for position, entry in enumerate(queue):
            trained = combination.feedback.get(entry.case_id)
            events = [event for event in of_round if event.case_id == entry.case_id]
            said: list[Event | None] = [*events] or [None]
            for event in said:
                facts = _case_facts(entry, event)
                shown = _case_pictures(study, run, entry, event, trained, later.maps[position] if later else None)
                if later is not None:
                    facts["after"] = later.prediction(position)
                if event is not None and event.action == Action.GRID:
                    facts["heat_in_cells"] = _heat_in_cells(shown, event)
                pictures[index, len(cases)] = shown
                cases.append(facts)
        rounds.append(_round_facts(info, cases, of_round, combination))
    return rounds, pictures


def _round_facts(
    info: RoundInfo, cases: list[dict[str, Any]], answers: Sequence[Event], combination: Combination
) -> dict[str, Any]:
    several = len({event.reader for event in answers}) > 1
    return {
        "round": info.round,
        "epoch": info.epoch,
        "queued": info.queued,
        "reviewed": info.reviewed,
        "continued_early": info.early,
        "message": info.message,
        "changed_settings": {name: {"from": old, "to": new} for name, (old, new) in info.changed_settings.items()},
        "combine": combination.method,
        "note": combination.message,
        "agreement": agreement(answers) if several else None,
        "cases": cases,
    }


class _Afterwards:
    """What the final model makes of a round's cases: its predictions, and heat maps for them."""

    def __init__(self, model: Model, pixels: npt.NDArray[np.uint8]) -> None:
        self._classes = model.classes
        self._probabilities = model.predict(pixels)
        self.maps = model.heat_maps(pixels, self._probabilities.argmax(axis=1)).maps

    def prediction(self, position: int) -> dict[str, Any]:
        row = self._probabilities[position]
        return {"prediction": self._classes[int(row.argmax())], "confidence": float(row.max())}


def _case_facts(entry: QueueEntry, event: Event | None) -> dict[str, Any]:
    return {
        "id": entry.case_id,
        "label": entry.label,
        "prediction": entry.prediction,
        "confidence": entry.confidence,
        "probabilities": list(entry.probabilities),
        "reason": entry.reason,
        "action": None if event is None else str(event.action),
        "cells": [] if event is None else list(event.cells),
        "misleading": [] if event is None else list(event.misleading),
        "new_label": "" if event is None else event.new_label,
        "reader": None if event is None else event.reader,
        "seconds": None if event is None else event.seconds,
        "rationale": "" if event is None else event.rationale,
        "after": None,
        "heat_in_cells": None,
    }


def _case_pictures(
    study: Study,
    run: Run,
    entry: QueueEntry,
    event: Event | None,
    trained: CaseFeedback | None,
    after: FloatArray | None,
) -> CasePictures:
    """The pictures for one answer; ``trained`` is what all answers to the case come to."""
    image = images.read_image(study.image_path(entry.case_id))
    size = shown_size(*image.pixels.shape)
    grey = fit(image.as_uint8().astype(np.float32) / 255, size)
    before = study.store.heatmap(run.id, entry.round, entry.case_id)
    marked = event is not None and bool(event.cells or event.misleading)
    changed = None
    if trained is not None and trained.action == "grid":
        changed = changed_image(run.settings["feedback"], grey, trained)
    return CasePictures(
        image=grey,
        before=fit(before, size),
        changed=changed,
        after=None if after is None else fit(after, size),
        grid=Grid.square(event.grid_size, size) if event is not None and marked else None,
    )


def changed_image(feedback: str, image: FloatArray, answer: Answered) -> FloatArray | None:
    """The image (rows, cols) in [0, 1] as training sees it after this answer.

    None for modes that no one picture of this image can show: those that take parts of other images at each draw,
    change other images as well, or add to the loss.
    """
    if feedback not in IMAGE_EDITS:
        return None
    data: dict[Hashable, Any] = {
        "image": image[None],
        "cells": answer.cells,
        "misleading": answer.misleading,
        "grid_size": answer.grid_size,
        # One draw of an edit that is random; the same each time the report is written.
        "random": np.random.default_rng(0),
    }
    changed: FloatArray = create_image_edit(feedback)(data)["image"].numpy()[0]
    return changed


def _heat_in_cells(shown: CasePictures, event: Event) -> dict[str, float | None] | None:
    """The share of the heat map's sum that lies in the relevant cells, before and after."""
    if shown.grid is None:
        return None
    inside = shown.grid.mask(event.cells) == 1

    def share(heatmap: FloatArray | None) -> float | None:
        total = 0.0 if heatmap is None else float(heatmap.sum())
        return float(heatmap[inside].sum()) / total if heatmap is not None and total > 0 else None

    return {"before": share(shown.before), "after": share(shown.after)}
