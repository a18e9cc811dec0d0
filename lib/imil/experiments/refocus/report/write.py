"""Writing the report of the benchmark: page, JSON, table and figures, each file all or nothing."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imil.experiments.refocus.plan import Plan
from imil.experiments.refocus.report.facts import facts_of
from imil.experiments.refocus.report.figures import example_figure, forest_figure
from imil.experiments.refocus.report.page import Drawn, render
from imil.experiments.refocus.table import World
from imil.experiments.report.style import saved
from imil.files import write_bytes, write_text

FIGURES = "figures"
DIGITS = 6
_FOREST = {
    False: "How much of the gap between baseline and clean model each mode closes, beside what all are compared with: ",
    True: "The same for each mode's own controls (squares) and readers who make mistakes (triangles): ",
}
_READ = (
    "mean over seeds with its 95 % t-interval. Hollow where the answers couldn't be used with some seed, and training "
    "went on without feedback. Grey lines: 0 is the baseline, 1 the clean model; dashed: the figure to reach. An arrow "
    "head: the interval goes on."
)


def write_report(plan: Plan, worlds: Sequence[World], out: Path, command: str) -> list[Path]:
    """Write ``report.html``, ``refocus.json``, ``table.csv`` and ``figures/*.png`` and ``*.svg``.

    Args:
        plan: what was asked for.
        worlds: the results.
        out: folder; made if it isn't there. Its other files stay.
        command: what was typed.

    Returns:
        The files written, the page first.
    """
    facts = facts_of(plan, worlds, command)
    drawn = draw_all(facts, plan)
    folder = out / FIGURES
    folder.mkdir(parents=True, exist_ok=True)
    contents = {folder / f"{one.name}.png": one.png for one in drawn}
    contents |= {folder / f"{one.name}.svg": one.svg for one in drawn}
    for path, content in contents.items():
        write_bytes(path, content)
    page, numbers, table = out / "report.html", out / "refocus.json", out / "table.csv"
    write_text(numbers, json_text(facts))
    write_text(table, csv_text(facts))
    write_text(page, render(facts, drawn))
    return [page, numbers, table, *contents]


def draw_all(facts: dict[str, Any], plan: Plan) -> list[Drawn]:
    """The figures that there is something to draw for."""
    found = []
    for name, heading, of_modes in (("forest", "Gap closed", False), ("controls", "Gap closed by controls", True)):
        forest = forest_figure(facts, of_modes=of_modes)
        if forest is not None:
            found.append(Drawn(name, heading, _FOREST[of_modes] + _READ, *saved(forest)))
    if plan.images is not None:
        return found
    caption = "Two diseased patients of each setting, above with the marker, below without."
    found.append(Drawn("examples", "The radiographs", caption, *saved(example_figure(plan))))
    return found


def json_text(facts: dict[str, Any]) -> str:
    """The facts, each row of a list on a line of its own, numbers with `DIGITS` decimals."""
    parts = []
    for name, value in _rounded(facts).items():
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        if isinstance(value, list) and value and isinstance(value[0], dict | str):
            lines = ",\n".join(f"    {json.dumps(one, allow_nan=False, ensure_ascii=False)}" for one in value)
            text = f"[\n{lines}\n  ]"
        parts.append(f"  {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


def csv_text(facts: dict[str, Any]) -> str:
    """The rows without what has no place in a table; what is undefined is an empty field."""
    file = io.StringIO()
    if facts["rows"]:
        names = [name for name in facts["rows"][0] if name != "per_seed"]
        writer = csv.DictWriter(file, names, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for row in facts["rows"]:
            writer.writerow(row | {"seeds": " ".join(map(str, row["seeds"]))})
    return file.getvalue()
