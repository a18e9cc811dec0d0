"""The figures of the benchmark: a forest plot of the gap closed, and what the radiographs look like."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from imil.experiments.refocus.plan import Plan
from imil.experiments.refocus.presets import Setting
from imil.experiments.refocus.report.sentences import world_name
from imil.experiments.refocus.table import Row
from imil.experiments.report.style import FAINT, INK, PAGE_WIDTH, SOFT, STYLE
from imil.phantom import generate

COLUMNS = 3
SHOWN = 2
"""Patients of each setting that are shown, each with the marker and without."""
_COLOURS = {"mode": "#0b5fa5", "control": "#4d535b", "reader": "#117733"}
_MARKS = {"mode": "o", "control": "s", "reader": "^"}
_LEFT, _RIGHT = -1.05, 1.35
"""Ends of the axis of the gap; what lies beyond ends in an arrow head."""


def forest_figure(facts: dict[str, Any], *, of_modes: bool = False) -> Figure | None:
    """Gap closed by each arm, in a panel for each setting and strength; None if no gap is defined.

    Args:
        facts: see `imil.experiments.refocus.report.facts.facts_of`.
        of_modes: what belongs to single modes (controls, readers who make mistakes), instead of the modes themselves.
    """
    defined = [row for row in facts["rows"] if row["gap_closed"] is not None]
    chosen = [row for row in defined if of_modes == (row["mode"] not in ("", row["arm"]))]
    panels = [(world, rows) for world in facts["settings"] if (rows := [row for row in chosen if _belongs(row, world)])]
    if not panels:
        return None
    names = [
        arm["name"] for arm in facts["arms"] if any(row["arm"] == arm["name"] for _, rows in panels for row in rows)
    ]
    columns = min(COLUMNS, len(panels))
    lines = math.ceil(len(panels) / columns)
    with rc_context(STYLE):
        height = lines * (0.8 + 0.17 * len(names))
        figure = Figure(figsize=(PAGE_WIDTH * (0.5 + 0.5 * columns / COLUMNS), height), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False, sharey=True, sharex=True)
        for place, axes in enumerate(grid.flat):
            if place >= len(panels):
                axes.axis("off")
                continue
            world, rows = panels[place]
            _draw_panel(axes, world, {row["arm"]: row for row in rows}, names)
            axes.tick_params(labelbottom=place + columns >= len(panels))
            axes.set_xlabel("Gap closed" if place + columns >= len(panels) else "")
    return figure


def _draw_panel(axes: Axes, world: dict[str, Any], rows: dict[str, Row], names: Sequence[str]) -> None:
    axes.axvline(0, color=SOFT, linewidth=0.9)
    axes.axvline(1, color=FAINT, linewidth=0.9)
    if world["target"] is not None:
        axes.axvline(world["target"], color="#b35900", linewidth=0.8, linestyle=(0, (2, 2)))
    for position, name in enumerate(names):
        if name in rows:
            _draw_row(axes, rows[name], position)
        else:
            axes.text(0.5, position, "–", ha="center", va="center", fontsize=7, color=SOFT)
    axes.set(xlim=(_LEFT, _RIGHT), ylim=(len(names) - 0.4, -0.6))
    axes.set_yticks(range(len(names)), names)
    axes.set_title(world_name(world).replace(", ", "\n"), fontsize=8.5)
    axes.grid(axis="x", color="#e8ebee", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0, labelsize=7)
    axes.spines["left"].set_visible(False)


def _draw_row(axes: Axes, row: Row, position: int) -> None:
    colour, mark = _COLOURS[row["group"]], _MARKS[row["group"]]
    low, high = row["gap_closed_low"], row["gap_closed_high"]
    if low is not None and high is not None:
        axes.plot([max(low, _LEFT), min(high, _RIGHT)], [position] * 2, color=colour, linewidth=1.2)
        for beyond, end, head in ((low < _LEFT, _LEFT, "<"), (high > _RIGHT, _RIGHT, ">")):
            if beyond:
                axes.plot(end, position, head, color=colour, markersize=3.5, clip_on=False)
    value = min(max(row["gap_closed"], _LEFT), _RIGHT)
    axes.plot(
        value, position, mark, color=colour, markersize=4, markerfacecolor=colour if row["refused"] == 0 else "white"
    )


def example_figure(plan: Plan) -> Figure:
    """A few training images of each setting, with the marker above and without it below."""
    settings = plan.settings
    with rc_context(STYLE):
        figure = Figure(figsize=(PAGE_WIDTH, 0.3 + 2.0 * math.ceil(len(settings) / 4)), layout="constrained")
        rows = math.ceil(len(settings) / 4)
        grid = figure.subplots(rows, min(4, len(settings)), squeeze=False)
        for place, axes in enumerate(grid.flat):
            axes.axis("off")
            if place < len(settings):
                axes.imshow(_examples(settings[place], plan.seeds[0]), cmap="gray", vmin=0, vmax=1)
                axes.set_title(settings[place].name, color=INK, fontsize=8.5, loc="center")
    return figure


def _examples(setting: Setting, seed: int) -> npt.NDArray[np.float32]:
    """Diseased patients side by side; above with the marker, below without. Without markers one row."""
    found = []
    for shortcut in (1.0, 0.0) if setting.marked else (None,):
        drawn = generate(2 * SHOWN, seed, setting.drawn_with(shortcut))
        diseased = [index for index, label in enumerate(drawn.labels) if label == "tb"][:SHOWN]
        found.append(np.hstack([drawn.pixels[index] for index in diseased]))
    return np.vstack(found)


def _belongs(row: Row, world: dict[str, Any]) -> bool:
    return bool(row["setting"] == world["setting"] and row["shortcut"] == world["shortcut"])
