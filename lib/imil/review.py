"""A reader's way through the open round: take a case, read it, send the answer, until there is none left."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from imil import images
from imil.grid import Grid
from imil.readers import Reader, ReaderCase, Reading
from imil.rounds import Rounds
from imil.store import Action, Answer
from imil.study import Study

Mask = npt.NDArray[np.uint8]


class CaseMasks(NamedTuple):
    """What a simulated reader knows of a case: each mask is uint8 (rows, cols), or None if unknown."""

    lesion: Mask | None = None
    lung: Mask | None = None
    misleading: Mask | None = None


Masks = Callable[[str], CaseMasks]
"""Finds a case's masks by its id."""


@dataclass(frozen=True)
class OpenCase:
    """A case that this reader holds.

    Attributes:
        position: its place in the queue, 1 to ``total``.
        image_path: the image's file, which masks take their geometry from.
    """

    run: int
    round: int
    position: int
    total: int
    case: ReaderCase
    image_path: Path


@dataclass(frozen=True)
class Receipt:
    """What is left of the round after an answer."""

    remaining: int
    total: int


class ReviewSource(Protocol):
    """Where cases come from and answers go: a study folder (`LocalRounds`) or a server (`imil.remote`)."""

    def next_case(self) -> OpenCase | None: ...

    def submit(self, opened: OpenCase, reading: Reading, *, seconds: float, key: str) -> Receipt: ...


def review(source: ReviewSource, reader: Reader, on_answer: Callable[[OpenCase, Receipt], None] | None = None) -> int:
    """Let the reader answer every case that is open to them.

    Args:
        source: where the cases are.
        reader: who reads them.
        on_answer: told after each recorded answer.

    Returns:
        The number of answers.

    Raises:
        ReaderLeft: if the reader stops before the end; earlier answers stand.
    """
    answered = 0
    while (opened := source.next_case()) is not None:
        started = time.monotonic()
        reading = reader.read(opened.case)
        receipt = source.submit(opened, reading, seconds=time.monotonic() - started, key=str(uuid.uuid4()))
        answered += 1
        if on_answer is not None:
            on_answer(opened, receipt)
    return answered


class LocalRounds:
    """The open round of a study folder on this machine; no server needed.

    Args:
        study: the study.
        reader: the reader's name.
    """

    def __init__(self, study: Study, reader: str) -> None:
        self._study = study
        self._rounds = Rounds(study)
        self._reader = reader

    def next_case(self) -> OpenCase | None:
        """The next case for this reader; None when there is none."""
        entry = self._rounds.next_case(self._reader)
        if entry is None:
            return None
        study = self._study
        run = study.store.run(entry.run)
        return OpenCase(
            run=entry.run,
            round=entry.round,
            position=entry.position,
            total=entry.total,
            case=reader_case(
                study,
                entry,
                study.store.heatmap(entry.run, entry.round, entry.case_id),
                grid_size=run.settings["grid_size"],
                classes=run.classes,
            ),
            image_path=study.image_path(entry.case_id),
        )

    def submit(self, opened: OpenCase, reading: Reading, *, seconds: float, key: str) -> Receipt:
        """Record an answer."""
        answer = Answer(
            case_id=opened.case.id,
            run=opened.run,
            round=opened.round,
            reader=self._reader,
            action=Action(reading.action),
            cells=tuple(reading.cells),
            misleading=tuple(reading.misleading),
            new_label=reading.new_label,
            rationale=reading.rationale,
            seconds=seconds,
            key=key,
        )
        receipt = self._rounds.submit(answer, None)
        return Receipt(remaining=receipt.remaining, total=receipt.total)


class Queued(Protocol):
    """What is known of a queued case: `imil.store.QueueEntry` and `imil.store.records.QueuedCase` fit."""

    @property
    def case_id(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def prediction(self) -> str: ...
    @property
    def confidence(self) -> float: ...
    @property
    def probabilities(self) -> tuple[float, ...]: ...


def reader_case(
    study: Study, queued: Queued, heatmap: npt.NDArray[np.float32], *, grid_size: int, classes: Sequence[str]
) -> ReaderCase:
    """A queued case of a study as its readers see it; its image is read from the original file.

    Args:
        study: where the image and the masks are.
        queued: the case.
        heatmap: float32 in [0, 1], where the model looked.
        grid_size: cells along each side.
        classes: class names in the order of the probabilities.

    Raises:
        BadInput: if the image or a mask can't be read, or the image is too small for the grid.
    """
    image = images.read_image(study.image_path(queued.case_id))
    masks = study_masks(study)(queued.case_id)
    return ReaderCase(
        id=queued.case_id,
        image=grey_levels(image),
        heatmap=heatmap,
        grid=Grid.square(grid_size, (image.pixels.shape[0], image.pixels.shape[1])),
        label=queued.label,
        prediction=queued.prediction,
        confidence=queued.confidence,
        probabilities=queued.probabilities,
        classes=tuple(classes),
        lesion_mask=masks.lesion,
        lung_mask=masks.lung,
        misleading_mask=masks.misleading,
    )


def study_masks(study: Study) -> Masks:
    """The masks of a study's cases, for simulated readers."""
    return lambda case_id: CaseMasks(
        study.lesion_mask(case_id), study.lung_mask(case_id), study.misleading_mask(case_id)
    )


def grey_levels(image: images.Image2D) -> npt.NDArray[np.float32]:
    """The image as it is shown, float32 in [0, 1]."""
    return image.as_uint8().astype(np.float32) / 255
