"""Who answers in the benchmark: a reader who knows the truth, and readers who make mistakes."""

from collections.abc import Mapping, Sequence

import numpy as np

from imil.casefeedback import CaseFeedback
from imil.experiments.refocus.arms import Arm, Who
from imil.experiments.refocus.data import TrainingPart
from imil.grid import Grid
from imil.readers import OracleReader, Reader, ReaderCase, Reading
from imil.readers.controls import opposite_cells, shuffled_cells
from imil.readers.draws import case_generator
from imil.readers.simulated import SloppyReader
from imil.readers.sums import cell_sizes, cell_sums
from imil.store.records import QueuedCase

OVERLOOKED = 0.5
"""Share of images in which the careless reader overlooks what misled."""
FLIPPED, FALSE_MISLEADING = 0.05, 0.025
"""The sloppy reader: share of cells that are flipped, and of others that are wrongly called misleading."""
MISTAKEN = 0.3
"""Share of images in which a reader calls a cell misleading where nothing misleads in any image."""
_OUTSIDE_LUNGS = 0.25
"""Share of a cell that lungs may fill, at most, for it to lie outside of them."""


class MistakenReader:
    """Goes by another reader, and in some images calls a cell outside of the lungs misleading, drawn at random.

    Args:
        other: who it goes by.
        share: probability, 0 to 1, of doing so, for each image.
        seed: any whole number from 0.
    """

    name = "mistaken"

    def __init__(self, other: Reader, *, share: float = MISTAKEN, seed: int = 0) -> None:
        self._other, self._share, self._seed = other, share, seed

    def read(self, case: ReaderCase) -> Reading:
        """The other reader's answer, perhaps with one more misleading cell."""
        said = self._other.read(case)
        if said.action != "grid" or case.lung_mask is None:
            return said
        generator = case_generator(self._seed, f"{case.id} mistaken")
        lungs = cell_sums(case.grid, case.lung_mask != 0)
        outside = set(np.flatnonzero(lungs <= _OUTSIDE_LUNGS * cell_sizes(case.grid)).tolist())
        free = sorted(outside - set(said.cells) - set(said.misleading))
        if not free or generator.random() >= self._share:
            return said
        cell = int(generator.choice(free))
        return Reading("grid", said.cells, tuple(sorted((*said.misleading, cell))), said.rationale)


def reader_of(who: Who, *, marked: bool, seed: int) -> Reader:
    """The reader of that kind.

    Args:
        who: the arm's.
        marked: whether there are markers in the images; if not, some harmless cells are called misleading.
        seed: of the mistakes.
    """
    reader: Reader = OracleReader()
    if not marked:
        reader = MistakenReader(reader, seed=seed)
    if who == "careless":
        return SloppyReader(reader, miss=0, extra=0, overlook=OVERLOOKED, seed=seed, name=who)
    if who == "sloppy":
        return SloppyReader(reader, miss=FLIPPED, extra=FLIPPED, false_misleading=FALSE_MISLEADING, seed=seed, name=who)
    return reader


def answers(
    arm: Arm, queue: Sequence[QueuedCase], part: TrainingPart, *, grid_size: int, seed: int
) -> dict[str, CaseFeedback]:
    """What an arm's reader says about the queued cases, as the arm uses it.

    Args:
        arm: it has a reader.
        queue: the cases.
        part: the training images with their truth.
        grid_size: cells along each side.
        seed: of mistakes and of random cells.
    """
    reader = reader_of(arm.reader, marked=_has_markers(part), seed=seed)
    found: dict[str, CaseFeedback] = {}
    for case in queue:
        said = reader.read(_reader_case(case, part, grid_size))
        if said.action != "grid":
            continue
        feedback = CaseFeedback(case.case_id, "grid", grid_size, said.cells, said.misleading)
        changed = _controlled(arm, feedback, seed)
        if changed is not None:
            found[case.case_id] = changed
    return found


def labels_of(feedback: Mapping[str, CaseFeedback], part: TrainingPart) -> dict[str, str]:
    """The class of each case with feedback."""
    labels = dict(zip(part.data.ids, part.data.labels.tolist(), strict=True))
    return {case_id: part.classes[labels[case_id]] for case_id in feedback}


def _has_markers(part: TrainingPart) -> bool:
    return bool(part.marked.any())


def _controlled(arm: Arm, feedback: CaseFeedback, seed: int) -> CaseFeedback | None:
    if arm.cells == "chosen":
        return feedback
    return shuffled_cells(feedback, seed) if arm.cells == "random" else opposite_cells(feedback, seed)


def _reader_case(case: QueuedCase, part: TrainingPart, grid_size: int) -> ReaderCase:
    index = part.data.ids.index(case.case_id)
    image = part.data.pixels[part.data.rows[index]]
    return ReaderCase(
        id=case.case_id,
        image=image.astype(np.float32) / 255,
        heatmap=case.heatmap,
        grid=Grid.square(grid_size, (image.shape[0], image.shape[1])),
        label=case.label,
        prediction=case.prediction,
        confidence=case.confidence,
        probabilities=case.probabilities,
        classes=part.classes,
        lesion_mask=part.lesion[index],
        lung_mask=part.lung[index],
        misleading_mask=part.marker[index],
    )
