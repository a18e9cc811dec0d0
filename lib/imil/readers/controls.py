"""One piece of feedback turned into a control with the same case: what is the choice of cells worth?"""

from dataclasses import replace

from imil.casefeedback import CaseFeedback
from imil.readers.draws import case_generator, random_marks, wrong_marks


def shuffled_cells(feedback: CaseFeedback, seed: int) -> CaseFeedback:
    """As many cells of the same grid, drawn at random from the seed and the case's id; as many others are misleading.

    The draw is that of `imil.readers.RandomCellsReader` with this seed and these counts. Feedback without a grid (a
    case that is relabelled or excluded) comes back as it is.

    Args:
        feedback: one case's.
        seed: any whole number from 0.
    """
    if feedback.action != "grid":
        return feedback
    generator = case_generator(seed, feedback.case_id)
    cells, misleading = random_marks(generator, feedback.grid_size**2, len(feedback.cells), len(feedback.misleading))
    return replace(feedback, cells=cells, misleading=misleading)


def opposite_cells(feedback: CaseFeedback, seed: int = 0) -> CaseFeedback | None:
    """Wrong on purpose: exactly the cells that weren't chosen, and as misleading some that were.

    As many cells are misleading as were, drawn from the chosen ones by the seed and the case's id; those that were
    misleading are said to matter. None if every cell was chosen. Feedback without a grid (a case that is relabelled or
    excluded) comes back as it is.

    Args:
        feedback: one case's.
        seed: any whole number from 0.
    """
    if feedback.action != "grid":
        return feedback
    generator = case_generator(seed, feedback.case_id)
    cells, misleading = wrong_marks(generator, feedback.grid_size**2, (feedback.cells, feedback.misleading))
    return replace(feedback, cells=cells, misleading=misleading) if cells else None
