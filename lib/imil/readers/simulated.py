"""Simulated readers for demonstrations, tests and controlled experiments."""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from imil.errors import BadInput
from imil.grid import Grid
from imil.readers.base import Reader, ReaderCase, Reading
from imil.readers.draws import case_generator, random_marks, wrong_marks
from imil.readers.sums import cell_sizes, cell_sums, mean_heat

_SHARE_OF_MARK = 0.1
"""Share of all that misleads from which the cell that holds it is misleading, however little of the cell it fills."""


class OracleReader:
    """Knows where the finding is, from the lesion mask, and chooses the cells that it touches.

    A cell is chosen if the lesion fills at least ``min_share`` of it, or if it holds at least ``min_share`` of the
    lesion; if no cell does, the one with the most of it. A case without a lesion (a normal one) is judged by its lungs:
    the cells of which they fill at least ``lung_share``. With neither mask the case is skipped, with a rationale that
    says so.

    A cell is misleading if the misleading mask fills at least ``misleading_share`` of it, or if it holds a tenth of
    that mask; if no cell does, the one with the most of it. Such a cell is never chosen, whatever else lies in it. If
    that leaves none, the others that the lesion touches at all are chosen, or else those of the lungs; if there are
    none of these either, the case is skipped.

    Args:
        name: the reader's name.
        min_share: 0 to 1, see above. With 0, every cell that the lesion touches is chosen.
        lung_share: 0 to 1, see above.
        misleading_share: 0 to 1, see above. With 0, every cell that the misleading mask touches is misleading.
    """

    def __init__(
        self,
        name: str = "oracle",
        *,
        min_share: float = 0.1,
        lung_share: float = 0.25,
        misleading_share: float = 0.02,
    ) -> None:
        shares = {"min_share": min_share, "lung_share": lung_share, "misleading_share": misleading_share}
        _check_shares("simulated", shares)
        self.name = name
        self.min_share = min_share
        self.lung_share = lung_share
        self.misleading_share = misleading_share

    def read(self, case: ReaderCase) -> Reading:
        """The cells of the finding, or of the lungs of a case without one, and those that mislead.

        Raises:
            BadInput: if a mask isn't of the image's size.
        """
        lesion = _areas(case.grid, case.lesion_mask, case.id)
        lungs = _areas(case.grid, case.lung_mask, case.id)
        if not lesion.any() and not lungs.any():
            return Reading("skip", rationale="There is neither a lesion mask nor a lung mask to go by.")
        wrong = self._misleading(case)
        for target, areas, enough in (
            ("the finding", lesion, _enough(case.grid, lesion, self.min_share, self.min_share)),
            ("the finding", lesion, lesion > 0),
            ("the lungs", lungs, _enough(case.grid, lungs, self.lung_share)),
            ("the lungs", lungs, lungs > 0),
        ):
            chosen = _or_fullest(enough, areas) & ~wrong
            if chosen.any():
                cells, misleading = _numbers(chosen), _numbers(wrong)
                where = f"{target} in {place(case.grid, cells)}"
                return Reading("grid", cells, misleading, _sentence(case, where, misleading))
        return Reading("skip", rationale="Whatever could be chosen lies in cells with something that misleads.")

    def _misleading(self, case: ReaderCase) -> npt.NDArray[np.bool_]:
        areas = _areas(case.grid, case.misleading_mask, case.id)
        return _or_fullest(_enough(case.grid, areas, self.misleading_share, _SHARE_OF_MARK), areas)


class RandomCellsReader:
    """Chooses cells at random: a control that shows what the choice of cells is worth.

    The choice depends on the seed and the case's id only, not on the order of the cases.

    Args:
        seed: any whole number from 0.
        count: number of cells, at least 1; all of them if the grid has fewer.
        misleading: number of other cells that are said to mislead; as many as are left if there are fewer.
        name: the reader's name.
    """

    def __init__(self, seed: int = 0, count: int = 4, *, misleading: int = 0, name: str = "random") -> None:
        if count < 1:
            raise BadInput(f"The count of random cells is {count}; it must be at least 1.")
        if misleading < 0:
            raise BadInput(f"The number of random misleading cells is {misleading}; it must be at least 0.")
        self.name = name
        self.seed = seed
        self.count = count
        self.misleading = misleading

    def read(self, case: ReaderCase) -> Reading:
        """The cells drawn for this case."""
        generator = case_generator(self.seed, case.id)
        cells, misleading = random_marks(generator, case.grid.num_cells, self.count, self.misleading)
        target = f"{place(case.grid, cells)}, picked at random"
        return Reading("grid", cells, misleading, _sentence(case, target, misleading))


class WrongCellsReader:
    """Chooses exactly the cells that an oracle doesn't: a control that should do harm.

    What the oracle calls misleading is among them; as many of its own cells, drawn at random by the seed and the case's
    id, are said to mislead. Skips what the oracle skips, and cases in which it chose every cell.

    Args:
        oracle: whose choice is turned round.
        seed: any whole number from 0.
        name: the reader's name.
    """

    def __init__(self, oracle: OracleReader | None = None, *, seed: int = 0, name: str = "wrong") -> None:
        self.name = name
        self.oracle = oracle or OracleReader()
        self.seed = seed

    def read(self, case: ReaderCase) -> Reading:
        """The complement of the oracle's cells."""
        right = self.oracle.read(case)
        if right.action != "grid":
            return Reading("skip", rationale=right.rationale)
        generator = case_generator(self.seed, case.id)
        cells, misleading = wrong_marks(generator, case.grid.num_cells, (right.cells, right.misleading))
        if not cells:
            return Reading("skip", rationale="No cell is wrong here.")
        target = f"{place(case.grid, cells)}, which is wrong on purpose"
        return Reading("grid", cells, misleading, _sentence(case, target, misleading))


class SloppyReader:
    """Goes by another reader, but overlooks cells and adds others: a reader of less skill.

    The errors depend on the seed and the case's id only. What the other reader doesn't answer with cells stays as it
    is, and an answer never becomes empty: if all cells were overlooked, the one with most of the finding (of the lungs,
    in a case without a finding) is kept.

    Args:
        oracle: who it goes by.
        miss: probability, 0 to 1, of leaving out each of the other reader's cells.
        extra: probability, 0 to 1, of adding each cell that the other reader didn't choose.
        overlook: probability, 0 to 1, for each case, of overlooking all that misleads in it.
        false_misleading: probability, 0 to 1, of wrongly calling a cell misleading, for each that isn't and that this
            reader doesn't choose.
        seed: any whole number from 0; readers with different seeds make different errors.
        name: the reader's name.
    """

    def __init__(
        self,
        oracle: Reader | None = None,
        *,
        miss: float,
        extra: float,
        overlook: float = 0,
        false_misleading: float = 0,
        seed: int = 0,
        name: str = "sloppy",
    ) -> None:
        shares = {"miss": miss, "extra": extra, "overlook": overlook, "false_misleading": false_misleading}
        _check_shares("sloppy", shares)
        self.name = name
        self.oracle = oracle or OracleReader()
        self.miss = miss
        self.extra = extra
        self.overlook = overlook
        self.false_misleading = false_misleading
        self.seed = seed

    def read(self, case: ReaderCase) -> Reading:
        """The other reader's answer with errors; its cells that misled the model are kept, where they aren't added."""
        right = self.oracle.read(case)
        if right.action != "grid":
            return right
        numbers = np.arange(case.grid.num_cells)
        chosen, misled = np.isin(numbers, right.cells), np.isin(numbers, right.misleading)
        generator = case_generator(self.seed, case.id)
        drawn = generator.random(case.grid.num_cells)
        kept = np.where(chosen, drawn >= self.miss, drawn < self.extra)
        if not kept.any():
            kept[max(right.cells, key=_finding(case).__getitem__)] = True
        overlooked, mistaken = generator.random() < self.overlook, generator.random(case.grid.num_cells)
        wrong = ~kept & np.where(misled, not overlooked, mistaken < self.false_misleading)
        cells, misleading = _numbers(kept), _numbers(wrong)
        return Reading("grid", cells, misleading, _sentence(case, place(case.grid, cells), misleading))


def simulated_residents(seed: int = 0) -> list[SloppyReader]:
    """Three readers of different skill, "reader 1" to "reader 3", who go by the lesion masks and err independently.

    They stand in for several readers where there are none. Their error rates (overlooked 5, 20 and 40 % of the right
    cells, added 2, 5 and 10 % of the others) are made up; they aren't those of the paper's residents.
    """
    skill = ((0.05, 0.02), (0.2, 0.05), (0.4, 0.1))
    return [
        SloppyReader(miss=miss, extra=extra, seed=3 * seed + index, name=f"reader {index + 1}")
        for index, (miss, extra) in enumerate(skill)
    ]


def place(grid: Grid, cells: Iterable[int]) -> str:
    """Where the cells lie in the image, in words, e.g. "the upper left of the image"."""
    rows, cols = np.divmod(np.fromiter(cells, np.int64), grid.cols)
    down = _third(float((rows.mean() + 0.5) / grid.rows), ("upper", "middle", "lower"))
    across = _third(float((cols.mean() + 0.5) / grid.cols), ("left", "centre", "right"))
    return f"the {'centre' if (down, across) == ('middle', 'centre') else f'{down} {across}'} of the image"


def hottest_cell(case: ReaderCase) -> int:
    """The cell in which the heat map is highest on average; the first of equals."""
    return int(mean_heat(case).argmax())


def _sentence(case: ReaderCase, target: str, misleading: tuple[int, ...] = ()) -> str:
    """The form in which the paper's readers gave their reasons (Rao et al., section 4.3)."""
    focus = place(case.grid, [hottest_cell(case)])
    away = f", away from what misled it in {place(case.grid, misleading)}" if misleading else ""
    return f"The model was focused on {focus} so I switched the focus towards {target}{away}."


def _third(position: float, names: tuple[str, str, str]) -> str:
    return names[min(int(position * 3), 2)]


def _finding(case: ReaderCase) -> npt.NDArray[np.float64]:
    """How much of the finding lies in each cell (num_cells,); of the lungs, where there is none."""
    lesion = _areas(case.grid, case.lesion_mask, case.id)
    return lesion if lesion.any() else _areas(case.grid, case.lung_mask, case.id)


def _areas(grid: Grid, mask: npt.NDArray[np.uint8] | None, case_id: str) -> npt.NDArray[np.float64]:
    """How many pixels of the mask lie in each cell (num_cells,); zeros where there is no mask."""
    if mask is None:
        return np.zeros(grid.num_cells)
    if mask.shape != (grid.height, grid.width):
        raise BadInput(
            f"The mask of {case_id!r} is {' x '.join(map(str, mask.shape))} pixels, but its image is {grid.height} x "
            f"{grid.width} (rows x columns)."
        )
    return cell_sums(grid, mask != 0)


def _enough(
    grid: Grid, areas: npt.NDArray[np.float64], of_cell: float, of_mask: float | None = None
) -> npt.NDArray[np.bool_]:
    """The cells of which the mask fills enough, or that hold enough of the mask, each as a share; never without any."""
    enough = areas >= of_cell * cell_sizes(grid)
    if of_mask is not None:
        enough |= areas >= of_mask * areas.sum()
    return enough & (areas > 0)


def _or_fullest(chosen: npt.NDArray[np.bool_], areas: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """The chosen cells; the one with the largest area if none was, and none without any area."""
    if not chosen.any() and areas.any():
        chosen = np.arange(len(areas)) == areas.argmax()
    return chosen


def _numbers(chosen: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(cell) for cell in np.flatnonzero(chosen))


def _check_shares(reader: str, shares: Mapping[str, float]) -> None:
    for option, value in shares.items():
        if not 0 <= value <= 1:
            raise BadInput(f"The {option} of a {reader} reader is {value}; it must lie from 0 to 1.")
