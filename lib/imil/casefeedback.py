"""What a round of feedback says about one training case, once its readers' answers have been combined."""

from dataclasses import dataclass
from typing import Literal

FeedbackAction = Literal["grid", "relabel", "exclude"]


@dataclass(frozen=True)
class CaseFeedback:
    """The change that training makes to one case. A skipped case has none.

    Attributes:
        case_id: the case's name in the manifest.
        action: ``grid`` changes the image by the cells, ``relabel`` changes the label, ``exclude`` leaves the case out.
        grid_size: cells along each side of the reader's grid; 0 where no grid was answered.
        cells: the cells that matter (row-major numbers from 0, as in `imil.grid`).
        misleading: the cells that misled the model.
        new_label: the label to train with from now on, for ``relabel``; otherwise empty.
    """

    case_id: str
    action: FeedbackAction
    grid_size: int = 0
    cells: tuple[int, ...] = ()
    misleading: tuple[int, ...] = ()
    new_label: str = ""


CorrectionAction = Literal["veto", "correct", "restore"]


@dataclass(frozen=True)
class Correction:
    """A reader's word on what was learnt from a round, see `imil.training.insight.Insight`.

    Attributes:
        action: ``veto``: nothing is to be done here; ``correct``: in this image the thing is in ``cells``; ``restore``:
            as it was found.
        case_id: the image it's about; empty for cells that are swapped in all images.
        cells: for ``correct``, and where no image is named: cells of the run's grid.
    """

    action: CorrectionAction
    case_id: str = ""
    cells: tuple[int, ...] = ()
