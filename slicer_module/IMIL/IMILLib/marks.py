"""Which cells a reader marked how, with undo and redo."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable

from .grid import MATTERS, MISLED
from .i18n import _

_MARKS = (0, MATTERS, MISLED)


class Marks:
    """The marks of ``num_cells`` cells: 0 for none, 1 (`MATTERS`) or 2 (`MISLED`) for each.

    Every change outside a stroke is one step for `undo`, and everything between `begin_stroke` and `end_stroke` is one.
    A change that changes nothing is no step.

    Raises:
        ValueError: (its methods) for a cell or a mark that doesn't exist.
    """

    def __init__(self, num_cells: int) -> None:
        self._values = (0,) * num_cells
        self._undo: list[tuple[int, ...]] = []
        self._redo: list[tuple[int, ...]] = []
        self._before_stroke: tuple[int, ...] | None = None
        self._observers: list[Callable[[], None]] = []

    @property
    def values(self) -> tuple[int, ...]:
        """The mark of each cell."""
        return self._values

    @property
    def cells(self) -> tuple[int, ...]:
        """The cells that matter, ascending."""
        return tuple(cell for cell, mark in enumerate(self._values) if mark == MATTERS)

    @property
    def misleading(self) -> tuple[int, ...]:
        """The cells that misled the model, ascending."""
        return tuple(cell for cell, mark in enumerate(self._values) if mark == MISLED)

    @property
    def can_undo(self) -> bool:
        return bool(self._undo) or self._stroke_changed

    @property
    def can_redo(self) -> bool:
        return bool(self._redo) and not self._stroke_changed

    def set_mark(self, cell: int, mark: int) -> None:
        """Give a cell a mark; 0 takes it off."""
        self._check(cell, mark)
        self._change((*self._values[:cell], mark, *self._values[cell + 1 :]))

    def toggle(self, cell: int, mark: int) -> None:
        """Take the mark off a cell that has it; give it to one that has none or the other."""
        self._check(cell, mark)
        self.set_mark(cell, 0 if self._values[cell] == mark else mark)

    def mark_all(self, mark: int) -> None:
        """Give every cell this mark."""
        self._check(0, mark)
        self._change((mark,) * len(self._values))

    def clear(self) -> None:
        """Take all marks off."""
        self.mark_all(0)

    def invert(self, mark: int) -> None:
        """Swap cells with this mark and cells without any; those with the other mark stay."""
        self._check(0, mark)
        swapped = {mark: 0, 0: mark}
        self._change(tuple(swapped.get(value, value) for value in self._values))

    def begin_stroke(self) -> None:
        """What follows, up to `end_stroke`, is one step for `undo`."""
        self.end_stroke()
        self._before_stroke = self._values

    @property
    def in_stroke(self) -> bool:
        return self._before_stroke is not None

    def end_stroke(self) -> None:
        """The stroke is over; nothing happens if there is none."""
        before, changed = self._before_stroke, self._stroke_changed
        self._before_stroke = None
        if changed:
            self._undo.append(before)
            self._redo.clear()

    def undo(self) -> None:
        """Take back the last step, or the stroke under way; nothing happens if there is none."""
        self.end_stroke()
        if self._undo:
            self._redo.append(self._values)
            self._set(self._undo.pop())

    def redo(self) -> None:
        """Do again what was last taken back, unless something else was done since."""
        self.end_stroke()
        if self._redo:
            self._undo.append(self._values)
            self._set(self._redo.pop())

    def replace(self, cells: Iterable[int], misleading: Iterable[int]) -> None:
        """Set all marks anew (an earlier answer, say) and forget the history."""
        values = [0] * len(self._values)
        for mark, marked in ((MATTERS, cells), (MISLED, misleading)):
            for cell in marked:
                self._check(cell, mark)
                values[cell] = mark
        self._undo.clear()
        self._redo.clear()
        self._before_stroke = None
        self._set(tuple(values))

    def observe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback()`` after every change; the function that is returned ends that."""
        self._observers.append(callback)

        def unobserve() -> None:
            if callback in self._observers:
                self._observers.remove(callback)

        return unobserve

    @property
    def _stroke_changed(self) -> bool:
        return self._before_stroke is not None and self._before_stroke != self._values

    def _change(self, values: tuple[int, ...]) -> None:
        if values == self._values:
            return
        if self._before_stroke is None:
            self._undo.append(self._values)
            self._redo.clear()
        self._set(values)

    def _set(self, values: tuple[int, ...]) -> None:
        self._values = values
        for observer in list(self._observers):
            observer()

    def _check(self, cell: int, mark: int) -> None:
        if not 0 <= cell < len(self._values):
            raise ValueError(
                _("Cell {cell} doesn't exist: there are the cells 0 to {last}.").format(
                    cell=cell, last=len(self._values) - 1
                )
            )
        if mark not in _MARKS:
            raise ValueError(
                _("{mark} isn't a mark: 0 is none, 1 matters, 2 misled the model.").format(mark=repr(mark))
            )
