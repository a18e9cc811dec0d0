"""What a round's answers taught, in sentences that a radiologist reads before training goes on."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def sentences(facts: Mapping[str, Any]) -> list[str]:
    """The insight in sentences; ``facts`` as `imil.findings.described` has them."""
    told = [*_finds(facts), *_cells(facts), _heat(facts["heat_in"]), _corrections(facts)]
    return [sentence for sentence in told if sentence]


def cells_in_words(cells: Iterable[int], size: int) -> str:
    """Where cells of a grid of ``size`` x ``size`` are, e.g. ``all of rows 1 and 4; columns 1 and 4 of row 2``."""
    in_row: dict[int, list[int]] = defaultdict(list)
    for cell in sorted(cells):
        in_row[cell // size].append(cell % size)
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row, columns in in_row.items():
        alike[tuple(columns)].append(row)
    parts = []
    for cols, of_rows in alike.items():
        where = _numbered("row", of_rows)
        parts.append(f"all of {where}" if len(cols) == size else f"{_numbered('column', cols)} of {where}")
    return "; ".join(parts)


def percent(share: float) -> str:
    """A share as whole per cent, but neither 0 nor 100 unless it's exact."""
    if 0 < share < 0.005:
        return "under 1 %"
    if 0.995 <= share < 1:
        return "over 99 %"
    return f"{math.floor(share * 100 + 0.5)} %"


def joined(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([*([", ".join(words[:-1])] if words[:-1] else []), *words[-1:]])


def _numbered(word: str, numbers: Sequence[int]) -> str:
    """``rows 1 to 3 and 5`` of numbers that count from 0 and rise."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [f"{run[0] + 1} to {run[-1] + 1}" if len(run) > 2 else joined([str(n + 1) for n in run]) for run in runs]
    return f"{word if len(numbers) == 1 else f'{word}s'} {joined(parts)}"


def _heat(heat_in: Mapping[str, Mapping[str, Any]]) -> str:
    what = "of the model's heat lay in"
    parts = []
    for name, entry in heat_in.items():
        if entry["share"] is not None:
            over = f"(mean over {_counted(entry['images'], 'image')})"
            parts.append(f"{percent(entry['share'])} {what} cells that readers called {name} {over}")
            what = "in"
    return f"{joined(parts)}." if parts else ""


def _cells(facts: Mapping[str, Any]) -> list[str]:
    swapped, size = facts["grid_cells_swapped"], facts["grid_size"]
    if not swapped and not facts["grid_cells_vetoed"]:
        return []
    if not swapped:
        return ["No cell is swapped between images any more: readers vetoed all of them."]
    told = [
        "Swapped between all training images, so that they say nothing about the class: "
        f"{cells_in_words(swapped, size)} (of {size} rows from the top and {size} columns from the left)."
    ]
    measured = {entry["cell"]: entry["influence"] for entry in facts["cells"] if entry["influence"] is not None}
    if measured:
        most = max(measured, key=lambda cell: (measured[cell], -cell))
        mean = sum(measured.values()) / len(measured)
        told.append(
            f"The model's output depends most on {cells_in_words([most], size)}: with that of another image its "
            f"log-odds change by {measured[most]:.2f}, {_as_much_as(measured[most])}; the mean over all cells is "
            f"{mean:.2f}."
        )
    return told


def _finds(facts: Mapping[str, Any]) -> list[str]:
    if not facts["looks"]:
        return []
    shares = sorted((entry for entry in facts["classes"] if entry["images"]), key=lambda entry: -entry["share"])
    if not any(entry["found"] for entry in shares):
        return ["Nothing that was found is left: readers vetoed all of it."]
    first, *others = shares
    parts = [f"{percent(first['share'])} of class {first['name']!r} carry something like this"]
    parts += [f"{percent(entry['share'])} of {entry['name']!r}" for entry in others]
    told = [f"{', '.join(parts)}."]
    measured = [
        image["influence"] for image in facts["images"] if image["influence"] is not None and not image["vetoed"]
    ]
    if measured:
        mean = sum(measured) / len(measured)
        told.append(
            f"Without it the model's log-odds change by {mean:.2f} on average, {_as_much_as(mean)}, over the "
            f"{_counted(len(measured), 'image')} in which it was found."
        )
    return told


def _as_much_as(change: float) -> str:
    """A change of log-odds as one of probability, from one half."""
    return f"as much as from 50 % to {percent(1 / (1 + math.exp(-change)))}"


def _corrections(facts: Mapping[str, Any]) -> str:
    vetoed = sum(image["vetoed"] for image in facts["images"])
    corrected = sum(image["corrected"] for image in facts["images"])
    parts = []
    if facts["grid_cells_vetoed"]:
        parts.append(f"vetoed {_counted(len(facts['grid_cells_vetoed']), 'cell')}")
    if vetoed:
        parts.append(f"vetoed what was found in {_counted(vetoed, 'image')}")
    if corrected:
        parts.append(f"corrected it in {_counted(corrected, 'image')}")
    return f"Readers {joined(parts)}." if parts else ""


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
