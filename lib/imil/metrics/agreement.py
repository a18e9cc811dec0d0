"""How far several readers agree about cells, beyond what chance would give.

Every cell of a case is one judgement: it matters or it doesn't. The cells of an image aren't independent of one
another, so these numbers describe; they are no ground for a test.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imil.combination import Reply
from imil.errors import BadInput


def cohen_kappa(first: ArrayLike, second: ArrayLike) -> float:
    """Cohen's kappa of two readers (Cohen 1960, equation 1): 1 is full agreement, 0 what chance gives, below 0 is less.

    Args:
        first: bool (N,), whether one reader chose each cell.
        second: the same of the other reader.

    Returns:
        NaN where it's undefined: no cells, or both readers chose all of them or both none.

    Raises:
        BadInput: if the arrays aren't one-dimensional and of equal length.
    """
    a, b = np.asarray(first, dtype=np.bool_), np.asarray(second, dtype=np.bool_)
    if a.ndim != 1 or a.shape != b.shape:
        raise BadInput(f"The readers' choices have shapes {a.shape} and {b.shape}; both must be (cells,).")
    n, in_a, in_b = len(a), int(a.sum()), int(b.sum())
    # In whole numbers, so that no variation is exactly no variation: all terms are n² times Cohen's.
    observed = n * int((a == b).sum())
    expected = in_a * in_b + (n - in_a) * (n - in_b)
    return (observed - expected) / (n * n - expected) if expected < n * n else math.nan


def fleiss_kappa(chosen: ArrayLike) -> float:
    """Fleiss' kappa of several readers (Fleiss 1971), for the two categories chosen and not chosen.

    Args:
        chosen: bool (readers, N), whether each reader chose each cell; at least two readers.

    Returns:
        NaN where it's undefined: no cells, or all readers chose all of them or all none.

    Raises:
        BadInput: if the array isn't two-dimensional, or has fewer than two readers.
    """
    said = np.asarray(chosen, dtype=np.bool_)
    if said.ndim != 2 or len(said) < 2:
        raise BadInput(f"The readers' choices have shape {said.shape}; it must be (at least 2 readers, cells).")
    readers, cells = said.shape
    votes = said.sum(axis=0, dtype=np.int64)
    total = int(votes.sum())
    if total in (0, readers * cells):
        return math.nan
    pairs = votes * (votes - 1) + (readers - votes) * (readers - votes - 1)
    observed = float(pairs.mean()) / (readers * (readers - 1))
    share = total / (readers * cells)
    expected = share**2 + (1 - share) ** 2
    return (observed - expected) / (1 - expected)


def agreement(replies: Sequence[Reply]) -> dict[str, Any]:
    """The agreement of the readers of one round, or of several readers of the same cases, as JSON values.

    Args:
        replies: those in effect, one for each case and reader. Only answers with cells (the action ``grid``) count.

    Returns:
        ``readers``: names, sorted; ``cases``: how many all of them answered with cells; ``cells``: how many cells these
        have; ``pairs``: for each pair of readers ``a, b, kappa, cases``, Cohen's kappa over the cases that both
        answered with cells; ``fleiss``: Fleiss' kappa over the cases that all did. A kappa is None where it's
        undefined: no common case, no variation, or for ``fleiss`` a single reader.

    Raises:
        BadInput: for a cell outside of the grid, or readers of one case with different grids.
    """
    by_reader: dict[str, dict[str, NDArray[np.bool_]]] = defaultdict(dict)
    for reply in replies:
        if reply.action == "grid":
            by_reader[reply.reader][reply.case_id] = _chosen(reply)
    readers = sorted(by_reader)
    shared = _shared(by_reader, readers)
    pairs = []
    for a, b in combinations(readers, 2):
        both = _shared(by_reader, (a, b))
        first, second = _joined(by_reader, (a, b), both)
        pairs.append({"a": a, "b": b, "kappa": _or_none(cohen_kappa(first, second)), "cases": len(both)})
    chosen = _joined(by_reader, readers, shared)
    fleiss = fleiss_kappa(chosen) if len(readers) > 1 else math.nan
    return {
        "readers": readers,
        "cases": len(shared),
        "cells": chosen.shape[1],
        "pairs": pairs,
        "fleiss": _or_none(fleiss),
    }


def _chosen(reply: Reply) -> NDArray[np.bool_]:
    cells = np.zeros(reply.grid_size**2, np.bool_)
    for cell in reply.cells:
        if not 0 <= cell < len(cells):
            raise BadInput(
                f"{reply.reader!r} chose cell {cell} of {reply.case_id!r}, whose grid is {reply.grid_size} x "
                f"{reply.grid_size}; its cells are 0 to {len(cells) - 1}."
            )
        cells[cell] = True
    return cells


def _shared(by_reader: dict[str, dict[str, NDArray[np.bool_]]], readers: Sequence[str]) -> list[str]:
    """The cases that all of these readers answered, sorted."""
    return sorted(set.intersection(*(set(by_reader[reader]) for reader in readers))) if readers else []


def _joined(
    by_reader: dict[str, dict[str, NDArray[np.bool_]]], readers: Sequence[str], cases: Sequence[str]
) -> NDArray[np.bool_]:
    """What the readers chose of the cells of all these cases, bool (readers, cells)."""
    if not cases:
        return np.zeros((len(readers), 0), np.bool_)
    for case in cases:
        sizes = {len(by_reader[reader][case]) for reader in readers}
        if len(sizes) > 1:
            raise BadInput(f"The readers of {case!r} had grids of {min(sizes)} and {max(sizes)} cells; use one grid.")
    return np.stack([np.concatenate([by_reader[reader][case] for case in cases]) for reader in readers])


def _or_none(kappa: float) -> float | None:
    return None if math.isnan(kappa) else kappa
