"""What a reader gets to see and what comes back."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from imil.errors import ImilError
from imil.grid import Grid

ReadingAction = Literal["grid", "skip", "relabel", "exclude"]


class ReaderLeft(ImilError):
    """The reader ended the session before the queue was empty. Earlier answers stand."""


@dataclass(frozen=True)
class ReaderCase:
    """A queued case as a reader sees it (Rao et al., section 3.1, user interpretation).

    Attributes:
        id: the case's name.
        image: float32 (rows, cols) in [0, 1].
        heatmap: float32 in [0, 1], where the model looked; of the image's field of view, in any number of pixels.
        grid: the grid over the image.
        label: the true class.
        prediction: the class the model predicts.
        confidence: its probability, 0 to 1.
        probabilities: of all ``classes``, in their order.
        classes: class names.
        lesion_mask: uint8 (rows, cols), not 0 where the finding is; None if unknown. For simulated readers.
        lung_mask: uint8 (rows, cols), not 0 where the lungs are; None if unknown.
        misleading_mask: uint8 (rows, cols), not 0 where something is that is known to mislead a model; None if unknown.
    """

    id: str
    image: npt.NDArray[np.float32]
    heatmap: npt.NDArray[np.float32]
    grid: Grid
    label: str
    prediction: str
    confidence: float
    probabilities: tuple[float, ...]
    classes: tuple[str, ...]
    lesion_mask: npt.NDArray[np.uint8] | None = None
    lung_mask: npt.NDArray[np.uint8] | None = None
    misleading_mask: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Reading:
    """A reader's answer.

    Attributes:
        action: ``grid`` (these cells matter), ``skip``, ``relabel`` or ``exclude``.
        cells: the cells that matter, for ``grid``.
        misleading: the cells that misled the model.
        rationale: why, in a sentence; may be empty.
        new_label: the right class, for ``relabel``.
    """

    action: ReadingAction
    cells: tuple[int, ...] = ()
    misleading: tuple[int, ...] = ()
    rationale: str = ""
    new_label: str = ""


class Reader(Protocol):
    """Somebody or something that reads cases."""

    @property
    def name(self) -> str:
        """Who answers; kept with each answer."""
        ...

    def read(self, case: ReaderCase) -> Reading:
        """The answer to one case.

        Raises:
            ReaderLeft: if the reader stops here.
        """
        ...
