"""What each feedback mode needs of a round's answers; checked before training goes on. Knows no torch."""

from collections.abc import Collection, Mapping, Sequence

from imil.casefeedback import CaseFeedback
from imil.findingwords import percent
from imil.settings import RunSettings, mode_names

CLASSWISE = frozenset({"counterfactual", "propagate", "randomise", "cutmix", "mixup"})
"""Modes that learn from answered images, or draw them more often; with one class alone they would teach that class."""
_SLACK = 1e-6
"""For shares that aren't exact in floating point."""


def shortcoming(
    cases: Collection[CaseFeedback], labels: Mapping[str, str], classes: Sequence[str], settings: RunSettings
) -> str | None:
    """What a round's answers lack for the mode of the settings, and what a reader could do; None if nothing.

    Args:
        cases: all feedback so far.
        labels: by case id, the labels that are trained with.
        classes: class names.
        settings: the run's, with its ``feedback``.
    """
    with_cells = [case for case in cases if case.action == "grid"]
    if not with_cells:
        return None  # nothing to learn, nothing to do: training goes on as it was
    names = mode_names(settings.feedback)
    answered = {labels[case.case_id] for case in with_cells}
    missing = [name for name in classes if name not in answered]
    classwise = next((name for name in names if name in CLASSWISE), None)
    if classwise is not None and missing:
        return (
            f"All {len(with_cells)} images with cells are of the class {', '.join(map(repr, sorted(answered)))}, none "
            f"of {missing[0]!r}; the feedback mode {classwise} needs images of each class. {_MORE}"
        )
    if "counterfactual" in names and (lack := without_misleading(with_cells)) is not None:
        return lack
    if "propagate" in names:
        return all_chosen(with_cells, settings.propagate_tolerance)
    return None


_MORE = (
    "Ask for more cases (more_cases, with selection=class_balanced), or go on with another feedback mode, such as "
    "feedback=blackout."
)


def without_misleading(cases: Collection[CaseFeedback]) -> str | None:
    """Why `counterfactual` can't be used if no cell is marked as misleading."""
    if any(case.misleading for case in cases):
        return None
    return (
        f"No cell of the {len(cases)} images with cells is marked as misleading, so there is nothing to look for. Take "
        "back answers and mark the cells that misled the model, in two or three images at least, even where disease "
        "lies in them too; ask for more cases (more_cases); or go on with another feedback mode, such as "
        "feedback=propagate."
    )


def never_chosen(cases: Collection[CaseFeedback], tolerance: float) -> list[int]:
    """The cells that were chosen in at most this share of the images, rising."""
    size = next(iter(cases)).grid_size
    counts = [0] * (size * size)
    for case in cases:
        for cell in case.cells:
            counts[cell] += 1
    return [cell for cell, count in enumerate(counts) if count / len(cases) <= tolerance + _SLACK]


def all_chosen(cases: Collection[CaseFeedback], tolerance: float) -> str | None:
    """Why `propagate` can't be used if each cell was chosen."""
    if never_chosen(cases, tolerance):
        return None
    size = next(iter(cases)).grid_size
    return (
        f"There is nothing to propagate: each of the {size * size} cells was chosen in more than "
        f"{percent(tolerance)} of the {len(cases)} images with cells. Take back answers and choose only the cells that "
        "matter, use a finer grid or a larger propagate_tolerance in the next run, or go on with another feedback "
        "mode, such as feedback=blackout."
    )
