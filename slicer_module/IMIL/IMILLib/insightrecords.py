"""What a round's answers taught, as the server tells it, and what a reader says to it: checked when it's read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from .fields import Fields, is_object, nonsense
from .i18n import _
from .records import is_key

VETO, CORRECT, RESTORE = "veto", "correct", "restore"
CORRECTIONS = (VETO, CORRECT, RESTORE)
MAX_INFLUENCE = 1e9
"""A change of log-odds beyond this is nonsense."""


@dataclass(frozen=True)
class CellFacts:
    """A cell of the grid: the share of answered images in which it was ``chosen`` as relevant, and in which it
    ``misled``; the mean share of the ``heat`` in it; the ``influence`` of swapping it, in log-odds. None: not known.
    """

    cell: int
    chosen: float
    misled: float
    heat: float | None
    influence: float | None

    @classmethod
    def parse(cls, value: object) -> CellFacts:
        """From JSON. Raises ServerError ``nonsense``."""
        read = Fields(value, _("a cell"))
        return cls(
            cell=read.whole("cell"),
            chosen=read.probability("chosen"),
            misled=read.probability("misled"),
            heat=read.number_or_none("heat", 0, 1.001),
            influence=read.number_or_none("influence", 0, MAX_INFLUENCE),
        )


@dataclass(frozen=True)
class Find:
    """A training image with what was found in it.

    Attributes:
        id: the image, and ``label`` the class it's trained as; ``queued``: readers have seen it.
        score: how sure the model is, 0 to 1; None where it found nothing.
        influence: change of the model's log-odds without it; None if not measured.
        cells: those that the find touches, or that a reader named.
        vetoed: nothing is done to it; ``corrected``: a reader said where it is.
    """

    id: str
    label: str
    queued: bool = False
    score: float | None = None
    influence: float | None = None
    cells: tuple[int, ...] = ()
    vetoed: bool = False
    corrected: bool = False

    @property
    def found(self) -> bool:
        """Whether there is something in it, by the model or a reader, vetoed or not."""
        return self.score is not None or self.corrected

    @classmethod
    def parse(cls, value: object, num_cells: int) -> Find:
        """From JSON; cells must be below ``num_cells``. Raises ServerError ``nonsense``."""
        read = Fields(value, _("an image with a find"))
        return cls(
            id=read.text("id"),
            label=read.text("label"),
            queued=read.flag("queued", False),
            score=None if read.number_or_none("score", -1, 2) is None else read.probability("score"),
            influence=read.number_or_none("influence", 0, MAX_INFLUENCE),
            cells=read.cells("cells", num_cells),
            vetoed=read.flag("vetoed", False),
            corrected=read.flag("corrected", False),
        )


@dataclass(frozen=True)
class Correction:
    """What a reader says to what was learnt; the fields are those of the REST reference.

    ``image`` is empty for cells that are swapped in all images. The server counts what arrives twice under one ``key``
    once.
    """

    run: int
    round: int
    reader: str
    action: str
    image: str
    cells: tuple[int, ...]
    key: str

    def params(self) -> dict[str, Any]:
        """The request's fields beside the reader's name."""
        sent = asdict(self)
        del sent["reader"]
        return {**sent, "cells": list(self.cells)}

    @classmethod
    def parse(cls, value: object) -> Correction:
        """From JSON as `dataclasses.asdict` gives it. Raises ServerError ``nonsense``."""
        what = _("the correction")
        read = Fields(value, what)
        correction = cls(
            run=read.whole("run"),
            round=read.whole("round"),
            reader=read.text("reader"),
            action=read.text("action"),
            image=read.text("image", ""),
            cells=read.cells("cells", 1 << 20),
            key=read.text("key"),
        )
        if correction.action not in CORRECTIONS:
            raise nonsense(what, "action", correction.action)
        if not is_key(correction.key):
            raise nonsense(what, "key", correction.key)
        return correction


@dataclass(frozen=True)
class Said:
    """A correction that the server has: who said it, and of what."""

    reader: str
    action: str
    image: str
    cells: tuple[int, ...]


@dataclass(frozen=True)
class Insight:
    """What a round's answers taught, as it stands; the fields are those of the REST reference.

    Attributes:
        number: another one after the round was learnt from anew.
        open: it takes corrections now.
        swapped: cells that are swapped between all images; ``vetoed`` those that aren't any more.
        looks: something was looked for in each image.
        finds: the images with finds or corrections, the surest first.
        said: all corrections, the first first.
    """

    run: int
    round: int
    number: int
    feedback: str
    open: bool
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    grid_size: int
    swapped: tuple[int, ...]
    vetoed: tuple[int, ...]
    cells: tuple[CellFacts, ...]
    looks: bool
    finds: tuple[Find, ...]
    said: tuple[Said, ...]

    @classmethod
    def parse(cls, value: object) -> Insight:
        """From JSON. Raises ServerError ``nonsense``."""
        what = _("what was learnt")
        read = Fields(value, what)
        size = read.whole("grid_size", 1)
        cells = read.parsed("cells", CellFacts.parse)
        if [each.cell for each in cells] != list(range(size * size)):
            raise nonsense(what, "cells", len(cells))
        return cls(
            run=read.whole("run"),
            round=read.whole("round"),
            number=read.whole("insight"),
            feedback=read.text("feedback", ""),
            open=read.flag("open"),
            sentences=read.texts("sentences", ()),
            notes=read.texts("notes", ()),
            grid_size=size,
            swapped=read.cells("grid_cells_swapped", size * size),
            vetoed=read.cells("grid_cells_vetoed", size * size),
            cells=cells,
            looks=read.flag("looks"),
            finds=tuple(Find.parse(each, size * size) for each in read.items("images", is_object)),
            said=tuple(_said(each, size * size) for each in read.items("corrections", is_object, ())),
        )

    def find(self, image: str) -> Find | None:
        """The entry of an image; None if nothing was found in it."""
        return next((each for each in self.finds if each.id == image), None)

    def last_word(self, image: str) -> Said | None:
        """The correction that counts for an image; None without one."""
        return next((each for each in reversed(self.said) if each.image == image), None)

    def with_corrections(self, corrections: Iterable[Correction], rows: Iterable[Find] = ()) -> Insight:
        """As it will stand once the server has these; ``rows`` describe images in which nothing was found."""
        now = self
        known = {each.id: each for each in (*rows, *self.finds)}
        for correction in corrections:
            said = Said(correction.reader, correction.action, correction.image, correction.cells)
            now = replace(now, said=(*now.said, said))
            now = now._with_image(correction, known) if correction.image else now._with_cells(correction)
        return now

    def _with_cells(self, correction: Correction) -> Insight:
        planned = {*self.swapped, *self.vetoed}
        named = set(correction.cells) & planned
        vetoed = {*self.vetoed, *named} if correction.action == VETO else set(self.vetoed) - named
        return replace(self, vetoed=tuple(sorted(vetoed)), swapped=tuple(sorted(planned - vetoed)))

    def _with_image(self, correction: Correction, known: dict[str, Find]) -> Insight:
        before = self.find(correction.image) or known.get(correction.image)
        if before is None:
            return self
        corrected = correction.action == CORRECT
        after = replace(
            before,
            vetoed=correction.action == VETO,
            corrected=corrected,
            cells=correction.cells if corrected else before.cells,
        )
        others = tuple(after if each.id == after.id else each for each in self.finds)
        if after.found and after not in others:
            others = (*others, after)
        return replace(self, finds=tuple(each for each in others if each.found))


def _said(value: object, num_cells: int) -> Said:
    read = Fields(value, _("a correction"))
    return Said(read.text("reader"), read.text("action"), read.text("image", ""), read.cells("cells", num_cells))
