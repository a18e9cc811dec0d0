"""Random choices that depend on a seed and a case's id only, not on the order of the cases."""

import hashlib
from collections.abc import Collection

import numpy as np

Marks = tuple[tuple[int, ...], tuple[int, ...]]
"""Cells that matter and cells that misled, each rising; no cell is both."""


def case_generator(seed: int, case_id: str) -> np.random.Generator:
    """A generator for one case; ``seed`` is any whole number from 0."""
    digest = hashlib.sha256(case_id.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])


def random_cells(generator: np.random.Generator, num_cells: int, count: int) -> tuple[int, ...]:
    """``count`` different cells of ``num_cells``, rising; all of them if there are fewer."""
    drawn = generator.choice(num_cells, min(count, num_cells), replace=False)
    return tuple(sorted(int(cell) for cell in drawn))


def random_marks(generator: np.random.Generator, num_cells: int, count: int, misleading: int) -> Marks:
    """``count`` cells that matter, as `random_cells` draws them, and ``misleading`` others, as far as there are any."""
    cells = random_cells(generator, num_cells, count)
    return cells, _some(generator, set(range(num_cells)) - set(cells), misleading)


def wrong_marks(generator: np.random.Generator, num_cells: int, right: Marks) -> Marks:
    """Whatever is right turned round: what doesn't matter or misled is said to matter, what matters to have misled.

    As many cells are called misleading as rightly are, drawn from those that matter. A cell that did mislead counts as
    one that matters: left unmarked, it would be treated as nobody's, which some modes take for misleading.
    """
    cells, misleading = right
    others = tuple(sorted(set(range(num_cells)) - set(cells)))
    return others, _some(generator, cells, len(misleading))


def _some(generator: np.random.Generator, cells: Collection[int], count: int) -> tuple[int, ...]:
    drawn = generator.choice(sorted(cells), min(count, len(cells)), replace=False) if cells and count else ()
    return tuple(sorted(int(cell) for cell in drawn))
