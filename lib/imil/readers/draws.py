"""Random choices that depend on a seed and a case's id only, not on the order of the cases."""

import hashlib

import numpy as np


def case_generator(seed: int, case_id: str) -> np.random.Generator:
    """A generator for one case; ``seed`` is any whole number from 0."""
    digest = hashlib.sha256(case_id.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])


def random_cells(generator: np.random.Generator, num_cells: int, count: int) -> tuple[int, ...]:
    """``count`` different cells of ``num_cells``, rising; all of them if there are fewer."""
    drawn = generator.choice(num_cells, min(count, num_cells), replace=False)
    return tuple(sorted(int(cell) for cell in drawn))
