"""Makes the page of the benchmark's results from a folder that `imil experiment refocus` wrote.

python docs/make_results.py FOLDER           writes docs/results/refocus.md, refocus.json and two pictures
python docs/make_results.py FOLDER --out X   writes them to X
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imil.experiments.refocus.report.sentences import world_name
from imil.report.html import number

RESULTS = Path(__file__).resolve().parent / "results"
PICTURES = ("forest", "controls", "examples")
OVERVIEW = (
    "The share of the gap between baseline and clean model that each arm closes, mean over seeds; where there is no\n"
    "shortcut, the change of accuracy. A dash: not measured, or undefined."
)
MADE = "<!-- Made by docs/make_results.py from refocus.json. -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page; returns the exit status."""
    parser = argparse.ArgumentParser(description="Make the page of the benchmark's results.")
    parser.add_argument("folder", type=Path, help="what `imil experiment refocus` wrote")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the page goes")
    chosen = parser.parse_args(arguments)
    source = chosen.folder / "refocus.json"
    if not source.is_file():
        print(f"{chosen.folder} has no refocus.json; name a folder of `imil experiment refocus`.", file=sys.stderr)
        return 1
    chosen.out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, chosen.out / "refocus.json")
    found = []
    for name in PICTURES:
        picture = chosen.folder / "figures" / f"{name}.svg"
        if picture.is_file():
            shutil.copyfile(picture, chosen.out / f"refocus-{name}.svg")
            found.append(name)
    facts = json.loads(source.read_text("utf-8"))
    (chosen.out / "refocus.md").write_text(page(facts, found), encoding="utf-8")
    return 0


def page(facts: dict[str, Any], pictures: Sequence[str]) -> str:
    """The page's text, with the pictures that there are."""
    images = facts["images"]
    parts = [
        MADE,
        f"# {facts['title']}",
        f"{images['train']} training images, {facts['training']['num_outliers']} of them answered;\n"
        f"{images['test']} test images; seeds {', '.join(map(str, facts['seeds']))}.\n"
        "[How to read this](../how-to/refocus.md#reading-the-report),\n"
        "[what it can't show](../how-to/refocus.md#what-it-cant-show), [all numbers](refocus.json).",
        f"```console\n$ {facts['command']}\n```",
    ]
    if "forest" in pictures:
        parts.append("![Gap closed by each arm, by setting and strength](refocus-forest.svg)")
    parts += ["## At a glance", OVERVIEW, _overview(facts)]
    parts += ["## What it shows", "\n".join(f"- {sentence}" for sentence in facts["sentences"])]
    parts += [part for world in facts["settings"] for part in _world(facts, world)]
    if "controls" in pictures:
        parts += ["## Controls", "![Gap closed by the modes' controls, by setting and strength](refocus-controls.svg)"]
    if "examples" in pictures:
        parts += [
            "## The radiographs",
            "![Two patients of each setting, with the marker and without](refocus-examples.svg)",
        ]
    parts += ["## Versions", _versions(facts)]
    return "\n\n".join(parts) + "\n"


def _overview(facts: dict[str, Any]) -> str:
    """A table of all arms but the references: a row for each, a column for each setting with a strength."""
    worlds = [(world["setting"], world["shortcut"]) for world in facts["settings"]]
    values = {(row["arm"], row["setting"], row["shortcut"]): row for row in facts["rows"]}
    names = [world_name(world).replace(", shortcut", "") for world in facts["settings"]]
    lines = [f"| arm | {' | '.join(names)} |", f"|---{'|---' * len(worlds)}|"]
    for arm in facts["arms"]:
        if arm["group"] != "reference":
            cells = [_glance(values.get((arm["name"], *world))) for world in worlds]
            lines.append(f"| `{arm['name']}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _glance(row: dict[str, Any] | None) -> str:
    if row is None:
        return number(None)
    if row["shortcut"] is None:
        return number(row["change"], 3, sign=True)
    return number(row["gap_closed"], 2)


def _world(facts: dict[str, Any], world: dict[str, Any]) -> list[str]:
    """Heading and table of a setting with a strength."""
    key = (world["setting"], world["shortcut"])
    rows = [row for row in facts["rows"] if (row["setting"], row["shortcut"]) == key]
    if not rows:
        return []
    lines = ["| arm | accuracy | AUROC | gap closed | change | flipped |", "|---|---|---|---|---|---|"]
    lines += [
        f"| `{row['arm']}` | {number(row['accuracy'])} | {number(row['auroc'])} | {_interval(row, 'gap_closed', 2)} | "
        f"{_interval(row, 'change', 3, sign=True)} | {number(row['flipped'], 2)} |"
        for row in rows
    ]
    target = "" if world["target"] is None else f" The figure to reach is {world['target']:.2f}."
    return [f"## {world_name(world)}", world["description"] + target, "\n".join(lines)]


def _interval(row: dict[str, Any], name: str, digits: int, *, sign: bool = False) -> str:
    value = number(row[name], digits, sign=sign)
    if row[f"{name}_low"] is None:
        return value
    return f"{value} ({' to '.join(number(row[f'{name}_{end}'], digits, sign=sign) for end in ('low', 'high'))})"


def _versions(facts: dict[str, Any]) -> str:
    named = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    return f"{named}. Finished {facts['finished']}; {facts['seconds'] / 3600:.1f} hours of training by one process."


if __name__ == "__main__":
    raise SystemExit(main())
