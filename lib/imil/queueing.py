"""Building a round's queue: predict the training set, pick the cases, compute their heat maps.

One forward pass over the training set and one forward and backward pass over the picks. With the selection or the fill
``out_of_fold``, models are first trained on the other folds, because a network that has memorised its training set
mispredicts nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput
from imil.explain import heat_maps
from imil.files import replacing
from imil.outliers import Pick, folds, select
from imil.settings import Selection
from imil.store.records import QueuedCase
from imil.training.engine import TrainingEngine
from imil.training.insight import Insight

FoldProgress = Callable[[int, int], None]
"""Called with the number of the fold that is being trained, from 1, and the number of folds."""


@dataclass(frozen=True)
class Queue:
    """The cases of a round, in the order that readers get them, and a sentence about how they were found."""

    cases: list[QueuedCase]
    message: str


def build_queue(
    engine: TrainingEngine,
    *,
    exclude: Collection[str] = (),
    out_of_fold: npt.NDArray[np.float32] | None = None,
    count: int | None = None,
    selection: Selection | None = None,
) -> Queue:
    """Pick the cases that are worth a reader's minute and compute their heat maps.

    Args:
        engine: a trained engine; its training data is searched, un-edited. It's left as it was.
        exclude: ids that aren't queued again.
        out_of_fold: float32 (N, classes), what models that didn't train on a case predict for it; needed for
            the selection and the fill ``out_of_fold``. Cases picked by it carry that prediction, and the engine's heat
            map for its class.
        count: how many cases at most; None for the setting ``num_outliers``.
        selection: instead of the settings' own, and without any fill.

    Returns:
        At most ``count`` cases.
    """
    settings, data = engine.settings, engine.train
    probabilities = engine.predict()
    selected = select(
        data.ids,
        data.labels,
        probabilities,
        num_outliers=settings.num_outliers if count is None else count,
        selection=selection or settings.selection,
        fill=settings.fill if selection is None else "none",
        exclude=exclude,
        out_of_fold=out_of_fold,
        seed=settings.seed + engine.epoch,  # so that random rounds differ from one another
    )
    shown = {
        pick.index: out_of_fold[pick.index]
        if pick.reason == "out_of_fold" and out_of_fold is not None
        else probabilities[pick.index]
        for pick in selected.picks
    }
    return Queue(queued_cases(engine, selected.picks, shown), selected.message)


def further_cases(
    engine: TrainingEngine,
    count: int,
    *,
    exclude: Collection[str],
    out_of_fold: npt.NDArray[np.float32] | None = None,
    selection: Selection | None = None,
) -> Queue:
    """``count`` more cases for an open round: by the selection, and where that has too few, the hardest of each class
    in equal numbers.

    The arguments are those of `build_queue`.
    """
    first = build_queue(engine, exclude=exclude, out_of_fold=out_of_fold, count=count, selection=selection)
    missing = count - len(first.cases)
    if not missing or (selection or engine.settings.selection) == "class_balanced":
        return Queue(first.cases, f"{_cases(len(first.cases))} added: {first.message}")
    known = {*exclude, *(case.case_id for case in first.cases)}
    rest = build_queue(engine, exclude=known, count=missing, selection="class_balanced")
    return Queue(
        [*first.cases, *rest.cases],
        f"{_cases(len(first.cases) + len(rest.cases))} added, {len(rest.cases)} of them as the hardest of their class.",
    )


def _cases(count: int) -> str:
    return "1 case was" if count == 1 else f"{count} cases were"


def queued_cases(
    engine: TrainingEngine, picks: Sequence[Pick], probabilities: Mapping[int, npt.NDArray[np.float32]]
) -> list[QueuedCase]:
    """Cases as readers see them, with the heat maps of their predicted classes.

    Args:
        engine: a trained engine, for the heat maps.
        picks: the cases by their index in its training data, in the order in which they're to be read.
        probabilities: by that index, float32 (classes,), what is shown as predicted.
    """
    if not picks:
        return []
    settings, data, classes = engine.settings, engine.train, engine.classes
    predicted = [int(probabilities[pick.index].argmax()) for pick in picks]
    maps = heat_maps(
        engine.network,
        engine.images([pick.index for pick in picks]),
        torch.tensor(predicted),
        method=settings.heatmap,
        layer=settings.target_layer,
    )
    return [
        QueuedCase(
            case_id=data.ids[pick.index],
            label=classes[int(data.labels[pick.index])],
            prediction=classes[predicted[position]],
            confidence=float(probabilities[pick.index].max()),
            probabilities=tuple(float(value) for value in probabilities[pick.index]),
            reason=pick.reason,
            heatmap=maps.maps[position],
            method=settings.heatmap,
            layer=maps.layer,
        )
        for position, pick in enumerate(picks)
    ]


def out_of_fold_probabilities(
    engine: TrainingEngine,
    patients: Mapping[str, str],
    folder: Path,
    *,
    feedback: Mapping[str, CaseFeedback],
    insight: Insight | None = None,
    progress: FoldProgress | None = None,
) -> npt.NDArray[np.float32]:
    """Predict each training case by a model that was trained, as long as ``engine``, on the other folds only.

    Args:
        engine: the engine whose settings, data and epoch are used; it isn't changed.
        patients: the patient of each case; a patient's cases share a fold.
        folder: finished folds are kept here, so that a killed run goes on with the next fold. Several processes may
            ask for the same at once: each file is there whole or not at all, and all of them would write the same.
        feedback: applied to the folds' training cases as to the engine's.
        insight: what was learnt from it, for a mode that learns.
        progress: told before each fold.

    Returns:
        float32 (N, classes), in the order of the engine's training data.

    Raises:
        BadInput: if there are fewer patients than folds in some class.
    """
    data, settings = engine.train, engine.settings
    fold_of = folds([patients[case] for case in data.ids], data.labels, settings.folds, settings.seed)
    probabilities = np.empty((len(data), len(engine.classes)), np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    for fold in range(settings.folds):
        held_out = np.flatnonzero(fold_of == fold)
        done = folder / f"fold-{fold}.npy"
        if not done.exists():
            if progress is not None:
                progress(fold + 1, settings.folds)
            part = TrainingEngine(settings, engine.classes, data.subset(np.flatnonzero(fold_of != fold)))
            inside = set(part.train.ids)
            learnt = None if insight is None else insight.of_cases(part.train.ids)
            part.set_feedback({case: said for case, said in feedback.items() if case in inside}, 0, learnt)
            part.fit(engine.epoch)
            predicted = part.predict(data.subset(held_out))
            with replacing(done) as file:
                np.save(file, predicted, allow_pickle=False)
        stored = np.load(done, allow_pickle=False)
        if stored.shape != (len(held_out), len(engine.classes)):
            raise BadInput(
                f"{done} holds predictions of shape {stored.shape}, but the fold has {len(held_out)} cases and "
                f"{len(engine.classes)} classes; delete the folder and train again."
            )
        probabilities[held_out] = stored
    return probabilities
