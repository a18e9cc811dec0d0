"""Which training cases are worth a reader's minute, and the folds for out-of-fold predictions."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imil import settings
from imil.errors import BadInput
from imil.metrics.checks import checked, checked_probabilities

Reason = Literal["misprediction", "least_confident", "out_of_fold", "random"]


@dataclass(frozen=True)
class Pick:
    """A case to be queued: its index in the arrays given to `select`, and why it was picked."""

    index: int
    reason: Reason


@dataclass(frozen=True)
class Selection:
    """The cases to be queued.

    Attributes:
        picks: in the order in which they're to be read.
        mispredicted: number of training cases that the model mispredicts, among those that weren't excluded.
        message: what was picked, and if it's fewer than asked for, why and what would add more.
    """

    picks: list[Pick]
    mispredicted: int
    message: str


def select(
    ids: Sequence[str],
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    num_outliers: int,
    selection: settings.Selection = "highest_confidence",
    fill: settings.Fill = "none",
    exclude: Collection[str] = (),
    out_of_fold: ArrayLike | None = None,
    seed: int = 0,
) -> Selection:
    """Pick the cases a reader should see: the mispredictions the model is most sure of (IMIL paper, section 3.1).

    The order of the cases in the arrays has no influence: equals are ordered by case id.

    Args:
        ids: case ids (N,), all different.
        labels: true classes (N,).
        probabilities: the model's (N, C).
        num_outliers: how many to pick at most.
        selection: ``highest_confidence``, or ``random`` as a control.
        fill: what follows when there are too few mispredictions. ``none``: nothing. ``least_confident``: right
            predictions with the lowest confidence. ``out_of_fold``: cases that models trained without them mispredict,
            the surest first.
        exclude: ids that aren't to be picked, because they were queued before.
        out_of_fold: probabilities (N, C), each row by a model that wasn't trained on that case; needed for that fill.
        seed: seed of the random selection.

    Raises:
        BadInput: arrays that don't agree, a repeated id, an unknown selection or fill, out-of-fold predictions missing.
    """
    matrix, truth = checked(probabilities, labels)
    _check(ids, len(truth), num_outliers, selection, fill)
    order = _by_id(ids)
    open_ = np.array([case not in exclude for case in ids])
    predicted, confidence = matrix.argmax(axis=1), matrix.max(axis=1)
    wrong = (predicted != truth) & open_
    count = int(wrong.sum())
    if selection == "random":
        shuffled = np.random.default_rng(seed).permutation(order)
        picks = [Pick(int(index), "random") for index in shuffled if open_[index]][:num_outliers]
        return Selection(picks, count, _message_random(len(picks), num_outliers))
    picks = _picks(order, wrong, -confidence, "misprediction")[:num_outliers]
    if fill == "least_confident":
        picks += _picks(order, open_ & ~wrong, confidence, "least_confident")
    elif fill == "out_of_fold":
        picks += _out_of_fold(order, open_ & ~wrong, truth, out_of_fold, matrix.shape)
    picks = picks[:num_outliers]
    return Selection(picks, count, _message(picks, count, num_outliers, fill, excluded=bool((~open_).any())))


def folds(patients: Sequence[str], labels: ArrayLike, k: int, seed: int = 0) -> NDArray[np.int64]:
    """A fold 0..k-1 for each case (N,): all cases of a patient in one fold, classes spread evenly.

    Greedy: the patients with most cases first (equals in random order), each to the fold that has the smallest share of
    the patient's classes, then the fewest cases. The order of the cases in the arrays has no influence.

    Raises:
        BadInput: k below 2 or above the number of patients, arrays of different lengths.
    """
    truth = np.asarray(labels)
    if truth.ndim != 1 or len(truth) != len(patients):
        raise BadInput(
            f"There are {len(patients)} patients for labels of shape {truth.shape}; pass one for each label."
        )
    names, group = np.unique(np.asarray(patients), return_inverse=True)
    if not 2 <= k <= len(names):
        raise BadInput(
            f"{len(names)} patients can't be split into {k} folds; the number of folds is 2 to {len(names)}."
        )
    classes, column = np.unique(truth, return_inverse=True)
    cases = np.zeros((len(names), len(classes)), dtype=np.int64)
    np.add.at(cases, (group, column), 1)
    random = np.random.default_rng(seed).permutation(len(names))
    order = random[np.argsort(-cases[random].sum(axis=1), kind="stable")]
    share = cases / cases.sum(axis=0)
    filled = np.zeros((k, len(classes)))
    sizes = np.zeros(k)
    fold_of = np.zeros(len(names), dtype=np.int64)
    for patient in order:
        theirs = share[patient] > 0
        load = filled[:, theirs].sum(axis=1)
        fold = int(np.lexsort((sizes, load))[0])
        fold_of[patient] = fold
        filled[fold] += share[patient]
        sizes[fold] += cases[patient].sum()
    return fold_of[group]


def _check(ids: Sequence[str], cases: int, num_outliers: int, selection: str, fill: str) -> None:
    if len(ids) != cases:
        raise BadInput(f"There are {len(ids)} ids for {cases} rows of probabilities; pass one for each row.")
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        repeated = next(case for case in ids if case in seen or seen.add(case))  # type: ignore[func-returns-value]
        raise BadInput(f"The case id {repeated!r} occurs more than once; every case needs its own.")
    if num_outliers < 1:
        raise BadInput(f"The number of outliers is {num_outliers}; it must be at least 1.")
    if selection not in get_args(settings.Selection):
        raise BadInput(f"There is no selection {selection!r}; allowed are {', '.join(get_args(settings.Selection))}.")
    if fill not in get_args(settings.Fill):
        raise BadInput(f"There is no fill {fill!r}; allowed are {', '.join(get_args(settings.Fill))}.")


def _by_id(ids: Sequence[str]) -> NDArray[np.int64]:
    return np.array(sorted(range(len(ids)), key=lambda index: ids[index]), dtype=np.int64)


def _picks(order: NDArray[np.int64], among: NDArray[np.bool_], rank: NDArray[np.float64], reason: Reason) -> list[Pick]:
    """The cases of `among` by rising rank, equals in the order given."""
    candidates = order[among[order]]
    return [Pick(int(index), reason) for index in candidates[np.argsort(rank[candidates], kind="stable")]]


def _out_of_fold(
    order: NDArray[np.int64],
    among: NDArray[np.bool_],
    truth: NDArray[np.int64],
    out_of_fold: ArrayLike | None,
    shape: tuple[int, ...],
) -> list[Pick]:
    if out_of_fold is None:
        raise BadInput("fill=out_of_fold needs out-of-fold probabilities; pass them, or use another fill.")
    matrix = checked_probabilities(out_of_fold)
    if matrix.shape != shape:
        raise BadInput(f"The out-of-fold probabilities have shape {matrix.shape}; they must be {shape} as the model's.")
    return _picks(order, among & (matrix.argmax(axis=1) != truth), -matrix.max(axis=1), "out_of_fold")


def _message(picks: list[Pick], mispredicted: int, asked: int, fill: str, *, excluded: bool) -> str:
    left = " that weren't queued before" if excluded else ""
    if mispredicted >= asked:
        return (
            f"{asked} of the {mispredicted} training images{left} that the model mispredicts, the most confident first."
        )
    images = "image" if mispredicted == 1 else "images"
    what = f"the model mispredicts only {mispredicted} training {images}{left}"
    if not mispredicted:
        what = f"the model mispredicts none of the training images{left}"
    if fill == "none":
        return f"{len(picks)} of the {asked} asked for: {what}; fill=least_confident or out_of_fold would add cases."
    added = len(picks) - mispredicted
    filled = {
        "least_confident": f"{added} of those it is least sure of were added",
        "out_of_fold": f"{added} that models trained on the other folds mispredict were added",
    }[fill]
    short = " (there are no more)" if len(picks) < asked else ""
    return f"{len(picks)} of the {asked} asked for: {what}; {filled}{short}."


def _message_random(picked: int, asked: int) -> str:
    if picked == asked:
        return f"{picked} training images picked at random."
    return f"{picked} of the {asked} asked for, picked at random: there are no more training images."
