"""The figures with curves and intervals: ROC (the paper's Figure 3), reliability, differences to the baseline."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from imil.experiments.arms import Arm
from imil.experiments.report.sections import GROUP_TITLES, Section, main_arm, present, sections, side_by_side
from imil.experiments.report.style import FAINT, INK, PAGE_WIDTH, SOFT, STYLE, Look, Page, looks, plain_text, wrapped
from imil.experiments.results import Outcome
from imil.experiments.tables import Row, Table
from imil.experiments.tables.shown import is_shown
from imil.metrics import mean_roc_band, reliability
from imil.report.html import number

LINES_IN_PANEL = 7
"""Lines beside the baseline's that one ROC panel takes."""
FOREST_MEASURES = ("accuracy", "auroc")


@dataclass(frozen=True)
class RocPanel:
    """One set of axes: arms for the class of index ``positive``; those in ``banded`` have their band."""

    title: str
    arms: Sequence[Arm]
    banded: frozenset[str]
    positive: int
    section: Section | None = None

    def label(self, arm: Arm) -> str:
        return arm.title if self.section is None else self.section.short(arm)


def roc_figure(outcome: Outcome, table: Table) -> Figure:
    """Mean ROC curves over seeds in small panels, with the 95 % band over patients of the baseline and of IMIL."""
    panels = roc_panels(outcome)
    look = looks(outcome.arms)
    auroc = {row.arm.name: row.measures["auroc"].value for row in table.rows}
    columns = min(len(panels), 2 if len(panels) <= 4 else 3)
    width = PAGE_WIDTH / max(columns, 2)
    side = min(width - 0.7, 2.6)
    letters, title_letters = int((width - 0.95) / 0.06), int((width - 0.5) / 0.082)
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    above = [0.15 + 0.15 * max(1 + wrapped(panel.title, title_letters).count("\n") for panel in row) for row in rows]
    below = [0.75 + 0.145 * max(_key_lines(panel, letters) for panel in row) for row in rows]
    with rc_context(STYLE):
        page = Page(width * columns, sum(above) + len(rows) * side + sum(below) - 0.2)
        top = 0.0
        for row, over, under in zip(rows, above, below, strict=True):
            for column, panel in enumerate(row):
                axes = page.axes(column * width + 0.55, top + over, side)
                axes.set_axis_on()
                _draw_roc(axes, panel, outcome, look, auroc, (letters, 0.44 / side))
                axes.set_title(wrapped(panel.title, title_letters))
            top += over + side + under
    return page.figure


def roc_panels(outcome: Outcome) -> list[RocPanel]:
    """A panel for each section of the arms, with the baseline in each; none has too many lines.

    More than two classes: a panel for each class against the rest, with the baseline and the main IMIL arm.
    """
    arms = present(outcome)
    main = main_arm(arms)
    classes = outcome.evaluation.classes
    if len(classes) > 2:
        shown = _with_baselines([] if main is None else [main], arms)
        banded = frozenset(arm.name for arm in shown)
        return [
            RocPanel(f"{plain_text(name)} against the rest", shown, banded, positive=index)
            for index, name in enumerate(classes)
        ]
    panels = []
    for section in sections(arms):
        if section.group == "baseline":
            continue
        first = [main] if section.group == "control" and main is not None else []
        for start in range(0, len(section.arms), LINES_IN_PANEL):
            lines = _with_baselines([*first, *section.arms[start : start + LINES_IN_PANEL]], arms)
            banded = frozenset(arm.name for arm in lines if arm.group in ("baseline", "imil"))
            panels.append(
                RocPanel(section.title, lines, banded if section.group == "imil" else frozenset(), 1, section)
            )
    if not panels:
        alone = _with_baselines([], arms)
        panels.append(RocPanel(GROUP_TITLES["baseline"], alone, frozenset(arm.name for arm in alone), 1))
    return panels


def _with_baselines(arms: Sequence[Arm], among: Sequence[Arm]) -> list[Arm]:
    """The arms after the baselines they are compared with; without one, after the first there is."""
    names = {arm.versus for arm in arms}
    baselines = [arm for arm in among if arm.group == "baseline"]
    return [*([arm for arm in baselines if arm.name in names] or baselines[:1]), *arms]


def _draw_roc(
    axes: Axes,
    panel: RocPanel,
    outcome: Outcome,
    look: dict[str, Look],
    auroc: dict[str, float],
    key: tuple[int, float],
) -> None:
    """The curves, and their key: its letters in a line, and how far below the axes it is, in their heights."""
    evaluation, (letters, below) = outcome.evaluation, key
    truth = evaluation.labels == panel.positive
    two = len(evaluation.classes) == 2
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
    for arm in panel.arms:
        style, banded = look[arm.name], arm.name in panel.banded
        scores = [result.probabilities[:, panel.positive].astype(np.float64) for result in outcome.results[arm.name]]
        band = mean_roc_band(scores, truth, evaluation.patients, resamples=1000 if banded else 1, points=201)
        if banded:
            axes.fill_between(band.fpr, band.low, band.high, color=style.color, alpha=0.15, linewidth=0)
        label = panel.label(arm) + (f", {number(auroc[arm.name])}" if two else "")
        axes.plot(
            np.append(0, band.fpr),
            np.append(0, band.tpr),
            color=style.color,
            linestyle=style.dashes,
            linewidth=style.width,
            label=wrapped(label, letters),
        )
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel="1 − specificity", ylabel="Sensitivity")
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(-0.02, -below),
        borderaxespad=0,
        handlelength=3.4,
        labelspacing=0.3,
        title="Mean over seeds" + (", AUROC" if two else ""),
        title_fontsize=7.5,
        alignment="left",
    )


def _key_lines(panel: RocPanel, letters: int) -> int:
    """Lines of text below the panel."""
    return 1 + sum(1 + wrapped(panel.label(arm) + ", 0.000", letters).count("\n") for arm in panel.arms)


def reliability_figure(outcome: Outcome, table: Table) -> Figure:
    """Accuracy against confidence in 15 bins for baseline, augmentations and IMIL, pooled over seeds."""
    arms = side_by_side(outcome)
    look = looks(outcome.arms)
    values = {row.arm.name: row.measures["ece"].value for row in table.rows}
    columns = min(3, len(arms))
    rows = math.ceil(len(arms) / columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(PAGE_WIDTH * columns / 3, 2.85 * rows), layout="constrained")
        highest = 0.0
        grid = figure.subplots(2 * rows, columns, squeeze=False, sharex=True, height_ratios=[3.6, 1] * rows)
        for index in range(rows * columns):
            upper, lower = (grid[2 * (index // columns) + part, index % columns] for part in (0, 1))
            if index >= len(arms):
                upper.axis("off")
                lower.axis("off")
                continue
            name = arms[index].name
            _draw_reliability(upper, lower, outcome, arms[index], look[name], values.get(name, math.nan))
            last = index + columns >= len(arms)
            lower.tick_params(labelbottom=last)
            lower.set_xlabel("Confidence" if last else "")
            upper.tick_params(labelbottom=False)
            upper.set_ylabel("Share correct" if index % columns == 0 else "")
            lower.set_ylabel("Cases (%)" if index % columns == 0 else "")
            highest = max(highest, lower.get_ylim()[1])
        for lower in grid[1::2].flat:
            lower.set_ylim(0, highest)
    return figure


def _draw_reliability(upper: Axes, lower: Axes, outcome: Outcome, arm: Arm, look: Look, ece: float) -> None:
    results = outcome.results[arm.name]
    pooled = np.concatenate([result.probabilities for result in results]).astype(np.float64)
    bins = reliability(pooled, np.tile(outcome.evaluation.labels, len(results)))
    filled = bins.count > 0
    width, centres = 0.92 * (bins.upper - bins.lower), (bins.lower + bins.upper) / 2
    upper.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
    upper.bar(centres[filled], bins.accuracy[filled], width[filled], color=look.color, alpha=0.28)
    upper.plot(
        bins.confidence[filled], bins.accuracy[filled], look.marker, color=look.color, markersize=3.6, clip_on=False
    )
    upper.set(ylim=(0, 1.03), title=wrapped(arm.title, 30))
    upper.text(0.04, 0.95, f"ECE {number(ece)}", transform=upper.transAxes, va="top", fontsize=8, color=INK)
    lower.bar(centres, 100 * bins.count / bins.count.sum(), width, color="#9aa1a9")
    lower.set(xlim=(0, 1))


def differences_figure(outcome: Outcome, table: Table) -> Figure | None:
    """Forest plot of each arm's paired difference to its baseline; None if no arm has one."""
    rows = {row.arm.name: row for row in table.rows if row.differences}
    found = sections([row.arm for row in rows.values()])
    if not found:
        return None
    look = looks(outcome.arms)
    lines = sum(1 + len(section.arms) for section in found)
    titles = {measure.key: measure.short for measure in table.measures}
    with rc_context(STYLE):
        figure = Figure(figsize=(PAGE_WIDTH, 0.75 + 0.215 * lines), layout="constrained")
        pair = figure.subplots(1, len(FOREST_MEASURES), sharey=True)
        for axes, key in zip(pair, FOREST_MEASURES, strict=True):
            limit = _limit(list(rows.values()), key)
            axes.axvline(0, color=SOFT, linewidth=0.9)
            position = 0
            for section in found:
                position += 1
                for arm in section.arms:
                    _draw_difference(axes, rows[arm.name], key, position, limit, look[arm.name])
                    position += 1
            axes.set(xlim=(-1.06 * limit, 1.06 * limit), ylim=(lines - 0.4, -0.6), xlabel="Arm − baseline")
            axes.set_title(titles[key], loc="center")
            axes.locator_params(axis="x", nbins=6, steps=[1, 2, 5, 10])
            axes.grid(axis="x", color="#e8ebee", linewidth=0.6)
            axes.set_axisbelow(True)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        _label_rows(pair[0], found, figure)
        figure.legend(handles=_forest_keys(), loc="outside lower center", ncols=3, handletextpad=0.4)
    return figure


def _draw_difference(axes: Axes, row: Row, key: str, position: int, limit: float, look: Look) -> None:
    """Point and interval; an interval that leaves the axes ends in an arrow head."""
    found = row.differences.get(key)
    if found is None or not math.isfinite(found.value):
        axes.text(0, position, "not defined", ha="center", va="center", fontsize=7.5, color=SOFT)
        return
    low, high = found.over_seeds
    if math.isfinite(low) and math.isfinite(high):
        axes.plot([max(low, -limit), min(high, limit)], [position] * 2, color=look.color, linewidth=1.3)
        for bound, end, marker in ((low, -limit, "<"), (high, limit, ">")):
            if abs(bound) > limit:
                axes.plot(end, position, marker, color=look.color, markersize=4)
    axes.plot(
        found.value,
        position,
        look.marker,
        color=look.color,
        markerfacecolor=look.color if is_shown(found) else "white",
        markersize=5,
        markeredgewidth=1.1,
    )


def _limit(rows: Sequence[Row], key: str) -> float:
    """Half the width of the axes: all points, and their intervals unless these are far wider (two seeds' are)."""
    found = [row.differences[key] for row in rows if key in row.differences]
    values = [abs(one.value) for one in found if math.isfinite(one.value)]
    bounds = [abs(bound) for one in found for bound in one.over_seeds if math.isfinite(bound)]
    furthest = max(values, default=0.0)
    return max(furthest * 1.15, min(max(bounds, default=0.0), 3 * furthest + 0.02), 0.01)


def _label_rows(axes: Axes, found: Sequence[Section], figure: Figure) -> None:
    """Titles of arms beside the axes; headings from the figure's left edge, over the axes if they are long."""
    labels: dict[int, str] = {}
    position = 0
    place = blended_transform_factory(figure.transFigure, axes.transData)
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    for section in found:
        heading = wrapped(section.title, 90, 1)
        text = axes.text(0.006, position, heading, transform=place, va="center", fontweight="bold", bbox=behind)
        text.set_in_layout(False)
        for offset, arm in enumerate(section.arms, 1):
            labels[position + offset] = wrapped(section.short(arm), 48, 1)
        position += 1 + len(section.arms)
    axes.set_yticks(list(labels), list(labels.values()), color=INK)


def _forest_keys() -> list[Line2D]:
    def point(label: str, inside: str) -> Line2D:
        return Line2D(
            [], [], linestyle="none", marker="o", color=INK, markersize=5, markerfacecolor=inside, label=label
        )

    return [
        Line2D([], [], color=INK, linewidth=1.3, label="95 % interval over seeds"),
        point("shown to differ", INK),
        point("not shown", "white"),
    ]
