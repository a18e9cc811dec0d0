"""A case on the reader's desk: what the server sent, and what the reader has done with it so far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .client import Client
from .grid import CellGrid
from .i18n import _
from .images import Picture, read_heat_map, read_picture
from .marks import Marks
from .records import Answer, Case
from .stopwatch import Stopwatch

if TYPE_CHECKING:
    import numpy as np

    from .drafts import Draft


@dataclass(frozen=True)
class LoadedCase:
    """A case with its image and heat map, decoded; made in a worker thread.

    Attributes:
        case: the facts; ``picture`` the image; ``heat_map`` float32 (rows, cols) in [0, 1], of the image's size.
    """

    case: Case
    picture: Picture
    heat_map: np.ndarray


def load(client: Client, case: Case) -> LoadedCase:
    """Fetch and decode image and heat map.

    Raises:
        ServerError: if a request fails.
        ValueError: if a file can't be read, or the image isn't as large as the grid that came with the case.
    """
    picture = read_picture(client.image(case.id), case.id)
    if picture.pixels.shape != case.shape:
        rows, cols = picture.pixels.shape
        raise ValueError(
            f"The image {case.id!r} has {rows} x {cols} pixels, but the server's grid is for "
            f"{case.shape[0]} x {case.shape[1]}; the image on the server may have been exchanged."
        )
    return LoadedCase(case, picture, read_heat_map(client.heat_map(case), case.shape))


class OpenCase:
    """What a reader works on.

    Attributes:
        loaded: see `LoadedCase`; ``case``, ``picture`` and ``heat_map`` are its parts.
        grid: the cells; ``marks`` which of them are marked.
        stopwatch: her time on the case.
        rationale: the sentence as it stands.
        answered: her answer is on its way or with the server; another one replaces it.
    """

    paintable = True

    def __init__(self, loaded: LoadedCase, stopwatch: Stopwatch, draft: Draft | None = None) -> None:
        self.loaded = loaded
        self.grid = CellGrid(loaded.case.row_edges, loaded.case.col_edges)
        self.marks = Marks(self.grid.num_cells)
        self.stopwatch = stopwatch
        self.rationale = ""
        self.answered = loaded.case.answer is not None
        self._seconds_before = 0.0
        previous = loaded.case.answer
        if previous is not None:
            self.marks.replace(previous.cells, previous.misleading)
            self.rationale = previous.rationale
        if draft is not None:
            self.marks.replace(draft.cells, draft.misleading)
            self.rationale = draft.rationale
            self._seconds_before = draft.seconds

    @property
    def case(self) -> Case:
        return self.loaded.case

    @property
    def picture(self) -> Picture:
        return self.loaded.picture

    @property
    def heat_map(self) -> np.ndarray:
        return self.loaded.heat_map

    @property
    def overlay(self) -> np.ndarray:
        """What is shown over the image."""
        return self.heat_map

    @property
    def title(self) -> str:
        return self.case.id

    @property
    def overlay_title(self) -> str:
        """What the node of the overlay is called."""
        return _("IMIL heat map of {title}").format(title=self.title)

    @property
    def seconds(self) -> float:
        """Time on this case so far, pauses left out; includes that of a draft it was restored from."""
        return self._seconds_before + self.stopwatch.seconds

    def renew(self, case: Case) -> None:
        """Take newer facts (the reservation, an answer that arrived) without touching what the reader has done."""
        self.loaded = replace(self.loaded, case=case)
        self.answered = self.answered or case.answer is not None

    def answer(self, action: str, reader: str, key: str, *, new_label: str, rationale: str) -> Answer:
        """The answer as it would be sent now.

        Raises:
            ValueError: if the action needs something that isn't there, in a sentence.
        """
        return Answer(
            case_id=self.case.id,
            run=self.case.run,
            round=self.case.round,
            reader=reader,
            action=action,
            cells=tuple(self.marks.cells),
            misleading=tuple(self.marks.misleading),
            new_label=new_label,
            rationale=rationale,
            seconds=round(self.seconds, 2),
            key=key,
            replace=self.answered,
        )
