"""One piece of feedback turned into a control with the same case: what is the choice of cells worth?"""

from dataclasses import replace

from imil.casefeedback import CaseFeedback
from imil.readers.draws import case_generator, random_cells


def shuffled_cells(feedback: CaseFeedback, seed: int) -> CaseFeedback:
    """As many cells of the same grid, drawn at random from the seed and the case's id; none is misleading.

    The draw is that of `imil.readers.RandomCellsReader` with this seed and count. Feedback without a grid (a case that
    is relabelled or excluded) comes back as it is.

    Args:
        feedback: one case's.
        seed: any whole number from 0.
    """
    if feedback.action != "grid":
        return feedback
    cells = random_cells(case_generator(seed, feedback.case_id), feedback.grid_size**2, len(feedback.cells))
    return replace(feedback, cells=cells, misleading=())


def opposite_cells(feedback: CaseFeedback) -> CaseFeedback | None:
    """Exactly the cells that weren't chosen; none is misleading. None if every cell was chosen.

    Feedback without a grid (a case that is relabelled or excluded) comes back as it is.
    """
    if feedback.action != "grid":
        return feedback
    others = tuple(sorted(set(range(feedback.grid_size**2)) - set(feedback.cells)))
    return replace(feedback, cells=others, misleading=()) if others else None
