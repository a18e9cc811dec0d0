"""Writing the report of an experiment: page, JSON, table and figures, each file all or nothing."""

import json
from pathlib import Path

from imil.experiments.report.facts import facts_of
from imil.experiments.report.gallery import NAMES, draw_all
from imil.experiments.report.page import render
from imil.experiments.report.tabular import csv_text
from imil.experiments.results import Outcome
from imil.experiments.tables import Table
from imil.files import write_bytes, write_text

FIGURES = "figures"


def write_outcome(outcome: Outcome, table: Table, out: Path) -> list[Path]:
    """Write ``report.html``, ``results.json``, ``table.csv`` and ``figures/*.png`` and ``*.svg``.

    Figures of an earlier report that this outcome has nothing for are removed.

    Args:
        outcome: what the trainings gave.
        table: made from it, see `imil.experiments.tables.build_table`.
        out: folder; made if it isn't there. Its other files stay.

    Returns:
        The files written, the page first.
    """
    folder = out / FIGURES
    folder.mkdir(parents=True, exist_ok=True)
    facts, drawn = facts_of(outcome, table), draw_all(outcome, table)
    contents: dict[Path, bytes] = {}
    for figure in drawn:
        contents[folder / f"{figure.name}.png"] = figure.png
        contents[folder / f"{figure.name}.svg"] = figure.svg
    for name in NAMES:
        for path in (folder / f"{name}.png", folder / f"{name}.svg"):
            if path not in contents:
                path.unlink(missing_ok=True)
    for path, content in contents.items():
        write_bytes(path, content)
    page, results, rows = out / "report.html", out / "results.json", out / "table.csv"
    write_text(results, json.dumps(facts, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
    write_text(rows, csv_text(facts))
    write_text(page, render(facts, outcome, drawn))
    return [page, results, rows, *contents]
