"""Which training cases are worth a reader's minute, and the folds for out-of-fold predictions."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imil import settings
from imil.errors import BadInput
from imil.metrics.checks import checked, checked_probabilities

Reason = Literal["misprediction", "least_confident", "class_balanced", "out_of_fold", "random", "recorded"]
"""Why a case was picked; `recorded` is for one that an earlier run's readers answered."""

BoolArray = NDArray[np.bool_]


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
        selection: ``highest_confidence``: the model's mispredictions, the surest first. ``out_of_fold``: those of
            models that were trained without the case, the surest first. ``least_confident``: all cases, right or wrong,
            by rising confidence. ``class_balanced``: equally many of each class, those with the lowest probability of
            their true class; where a class runs out, the others fill up. ``random``: a control.
        fill: what follows when there are too few mispredictions, for the first two selections. ``none``: nothing.
            ``least_confident``: other cases, by rising confidence. ``out_of_fold``, for ``highest_confidence``: cases
            that models trained without them mispredict, the surest first.
        exclude: ids that aren't to be picked, because they were queued before.
        out_of_fold: probabilities (N, C), each row by a model that wasn't trained on that case; needed for that
            selection and that fill.
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
        return Selection(picks, count, _message_all(len(picks), num_outliers, "picked at random"))
    if selection == "least_confident":
        picks = _picks(order, open_, confidence, "least_confident")[:num_outliers]
        return Selection(picks, count, _message_all(len(picks), num_outliers, "that the model is least sure of"))
    if selection == "class_balanced":
        picks = _class_balanced(order, open_, truth, matrix)[:num_outliers]
        taken = np.bincount(truth[[pick.index for pick in picks]], minlength=matrix.shape[1])
        return Selection(picks, count, _message_balanced(taken, num_outliers))
    if selection == "out_of_fold":
        picks = _out_of_fold(order, open_, truth, out_of_fold, matrix.shape)
        found, who = len(picks), "models trained on the other folds mispredict"
    else:
        picks = _picks(order, wrong, -confidence, "misprediction")
        found, who = count, "the model mispredicts"
    picks = picks[:num_outliers]
    rest = open_.copy()
    rest[[pick.index for pick in picks]] = False
    if fill == "least_confident":
        picks += _picks(order, rest, confidence, "least_confident")
    elif fill == "out_of_fold":
        picks += _out_of_fold(order, rest, truth, out_of_fold, matrix.shape)
    picks = picks[:num_outliers]
    message = _message(len(picks), found, num_outliers, who, selection, fill, excluded=bool((~open_).any()))
    return Selection(picks, count, message)


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
    if selection == fill == "out_of_fold":
        raise BadInput("With selection=out_of_fold there is nothing for fill=out_of_fold to add; use another fill.")


def _by_id(ids: Sequence[str]) -> NDArray[np.int64]:
    return np.array(sorted(range(len(ids)), key=lambda index: ids[index]), dtype=np.int64)


def _picks(order: NDArray[np.int64], among: BoolArray, rank: NDArray[np.float64], reason: Reason) -> list[Pick]:
    """The cases of `among` by rising rank, equals in the order given."""
    candidates = order[among[order]]
    return [Pick(int(index), reason) for index in candidates[np.argsort(rank[candidates], kind="stable")]]


def _class_balanced(
    order: NDArray[np.int64], open_: BoolArray, truth: NDArray[np.int64], matrix: NDArray[np.float64]
) -> list[Pick]:
    """All open cases: first the hardest of each class, then the second of each, and so on; in each turn by hardness."""
    of_truth = matrix[np.arange(len(truth)), truth]
    by_hardness = [pick.index for pick in _picks(order, open_, of_truth, "class_balanced")]
    turn: dict[int, int] = {}
    seen = [0] * matrix.shape[1]
    for index in by_hardness:
        turn[index] = seen[truth[index]]
        seen[truth[index]] += 1
    return [Pick(index, "class_balanced") for index in sorted(by_hardness, key=turn.__getitem__)]


def _out_of_fold(
    order: NDArray[np.int64],
    among: BoolArray,
    truth: NDArray[np.int64],
    out_of_fold: ArrayLike | None,
    shape: tuple[int, ...],
) -> list[Pick]:
    if out_of_fold is None:
        raise BadInput("Selection or fill out_of_fold needs out-of-fold probabilities; pass them, or use another one.")
    matrix = checked_probabilities(out_of_fold)
    if matrix.shape != shape:
        raise BadInput(f"The out-of-fold probabilities have shape {matrix.shape}; they must be {shape} as the model's.")
    return _picks(order, among & (matrix.argmax(axis=1) != truth), -matrix.max(axis=1), "out_of_fold")


def _message(picked: int, found: int, asked: int, who: str, selection: str, fill: str, *, excluded: bool) -> str:
    """What the selection by mispredictions found: ``found`` of them, by ``who``, of ``asked``."""
    left = " that weren't queued before" if excluded else ""
    if found >= asked:
        return f"{asked} of the {found} training images{left} that {who}, the most confident first."
    images = "image" if found == 1 else "images"
    what = f"{who} only {found} training {images}{left}" if found else f"{who} none of the training images{left}"
    start = f"{picked} of the {asked} asked for: {what}"
    if fill == "none":
        others = "least_confident or out_of_fold" if selection == "highest_confidence" else "least_confident"
        return f"{start}; fill={others} would add cases."
    whom = "it is" if selection == "highest_confidence" else "the run's own model is"
    filled = {
        "least_confident": f"{picked - found} of those {whom} least sure of were added",
        "out_of_fold": f"{picked - found} that models trained on the other folds mispredict were added",
    }[fill]
    return f"{start}; {filled}{' (there are no more)' if picked < asked else ''}."


def _message_all(picked: int, asked: int, how: str) -> str:
    """For a selection from all cases."""
    if picked == asked:
        return f"{picked} training images {how}."
    return f"{picked} of the {asked} asked for, {how}: there are no more training images."


def _message_balanced(taken: NDArray[np.int64], asked: int) -> str:
    """``taken``: how many of each class."""
    picked, low, high = int(taken.sum()), int(taken.min()), int(taken.max())
    each = f"{low} of each class" if low == high else f"{low} to {high} of each class"
    start = f"{picked} training images" if picked == asked else f"{picked} of the {asked} asked for"
    sentence = f"{start}, {each}, those with the lowest probability of their true class first"
    if picked < asked:
        return f"{sentence}: there are no more training images."
    if high - low > 1:
        return f"{sentence}: some classes have too few, so the others filled up."
    return f"{sentence}."
