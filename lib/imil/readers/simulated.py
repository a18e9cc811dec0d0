"""Simulated readers for demonstrations, tests and controlled experiments."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from imil.errors import BadInput
from imil.grid import Grid
from imil.readers.base import Reader, ReaderCase, Reading
from imil.readers.draws import case_generator, random_cells
from imil.readers.sums import cell_sizes, cell_sums, mean_heat


class OracleReader:
    """Knows where the finding is, from the lesion mask, and chooses the cells that it touches.

    A cell is chosen if the lesion fills at least ``min_share`` of it, or if it holds at least ``min_share`` of the
    lesion; if no cell does, the one with the most of it. A case without a lesion (a normal one) is judged by its lungs:
    the cells of which they fill at least ``lung_share``. With neither mask the case is skipped, with a rationale that
    says so.

    Args:
        name: the reader's name.
        min_share: 0 to 1, see above. With 0, every cell that the lesion touches is chosen.
        lung_share: 0 to 1, see above.
    """

    def __init__(self, name: str = "oracle", *, min_share: float = 0.1, lung_share: float = 0.25) -> None:
        for option, value in (("min_share", min_share), ("lung_share", lung_share)):
            if not 0 <= value <= 1:
                raise BadInput(f"The {option} of a simulated reader is {value}; it must lie from 0 to 1.")
        self.name = name
        self.min_share = min_share
        self.lung_share = lung_share

    def read(self, case: ReaderCase) -> Reading:
        """The cells of the finding, or of the lungs of a case without one.

        Raises:
            BadInput: if a mask isn't of the image's size.
        """
        lesion = _areas(case.grid, case.lesion_mask, case.id)
        lungs = _areas(case.grid, case.lung_mask, case.id)
        if lesion.any():
            chosen = (lesion > 0) & (
                (lesion >= self.min_share * cell_sizes(case.grid)) | (lesion >= self.min_share * lesion.sum())
            )
            target, cells = "the finding", _numbers(chosen, lesion)
        elif lungs.any():
            chosen = (lungs > 0) & (lungs >= self.lung_share * cell_sizes(case.grid))
            target, cells = "the lungs", _numbers(chosen, lungs)
        else:
            return Reading("skip", rationale="There is neither a lesion mask nor a lung mask to go by.")
        return Reading("grid", cells, rationale=_sentence(case, f"{target} in {place(case.grid, cells)}"))


class RandomCellsReader:
    """Chooses cells at random: a control that shows what the choice of cells is worth.

    The choice depends on the seed and the case's id only, not on the order of the cases.

    Args:
        seed: any whole number from 0.
        count: number of cells, at least 1; all of them if the grid has fewer.
        name: the reader's name.
    """

    def __init__(self, seed: int = 0, count: int = 4, *, name: str = "random") -> None:
        if count < 1:
            raise BadInput(f"The count of random cells is {count}; it must be at least 1.")
        self.name = name
        self.seed = seed
        self.count = count

    def read(self, case: ReaderCase) -> Reading:
        """The cells drawn for this case."""
        cells = random_cells(case_generator(self.seed, case.id), case.grid.num_cells, self.count)
        return Reading("grid", cells, rationale=_sentence(case, f"{place(case.grid, cells)}, picked at random"))


class WrongCellsReader:
    """Chooses exactly the cells that an oracle doesn't: a control that should do harm.

    Skips what the oracle skips, and cases in which it chose every cell.

    Args:
        oracle: whose choice is turned round.
        name: the reader's name.
    """

    def __init__(self, oracle: OracleReader | None = None, *, name: str = "wrong") -> None:
        self.name = name
        self.oracle = oracle or OracleReader()

    def read(self, case: ReaderCase) -> Reading:
        """The complement of the oracle's cells."""
        right = self.oracle.read(case)
        cells = tuple(cell for cell in range(case.grid.num_cells) if cell not in right.cells)
        if right.action != "grid" or not cells:
            return Reading("skip", rationale=right.rationale if right.action != "grid" else "No cell is wrong here.")
        return Reading(
            "grid", cells, rationale=_sentence(case, f"{place(case.grid, cells)}, which is wrong on purpose")
        )


class SloppyReader:
    """Goes by another reader, but overlooks cells and adds others: a reader of less skill.

    The errors depend on the seed and the case's id only. What the other reader doesn't answer with cells stays as it
    is, and an answer never becomes empty: if all cells were overlooked, the one with most of the finding (of the lungs,
    in a case without a finding) is kept.

    Args:
        oracle: who it goes by.
        miss: probability, 0 to 1, of leaving out each of the other reader's cells.
        extra: probability, 0 to 1, of adding each cell that the other reader didn't choose.
        seed: any whole number from 0; readers with different seeds make different errors.
        name: the reader's name.
    """

    def __init__(
        self, oracle: Reader | None = None, *, miss: float, extra: float, seed: int = 0, name: str = "sloppy"
    ) -> None:
        for option, value in (("miss", miss), ("extra", extra)):
            if not 0 <= value <= 1:
                raise BadInput(f"The {option} of a sloppy reader is {value}; it must lie from 0 to 1.")
        self.name = name
        self.oracle = oracle or OracleReader()
        self.miss = miss
        self.extra = extra
        self.seed = seed

    def read(self, case: ReaderCase) -> Reading:
        """The other reader's answer with errors; its cells that misled the model are kept, where they aren't added."""
        right = self.oracle.read(case)
        if right.action != "grid":
            return right
        chosen = np.isin(np.arange(case.grid.num_cells), right.cells)
        drawn = case_generator(self.seed, case.id).random(case.grid.num_cells)
        kept = np.where(chosen, drawn >= self.miss, drawn < self.extra)
        if not kept.any():
            kept[max(right.cells, key=_finding(case).__getitem__)] = True
        cells = tuple(int(cell) for cell in np.flatnonzero(kept))
        misleading = tuple(cell for cell in right.misleading if cell not in cells)
        return Reading("grid", cells, misleading, _sentence(case, place(case.grid, cells)))


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


def _sentence(case: ReaderCase, target: str) -> str:
    """The form in which the paper's readers gave their reasons (Rao et al., section 4.3)."""
    focus = place(case.grid, [hottest_cell(case)])
    return f"The model was focused on {focus} so I switched the focus towards {target}."


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


def _numbers(chosen: npt.NDArray[np.bool_], areas: npt.NDArray[np.float64]) -> tuple[int, ...]:
    """The chosen cells; the one with the largest area if none was."""
    cells = np.flatnonzero(chosen) if chosen.any() else [areas.argmax()]
    return tuple(int(cell) for cell in cells)
