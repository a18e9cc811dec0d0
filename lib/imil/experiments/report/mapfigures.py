"""The figures with images: heat maps of the arms on the same test images (the paper's Figure 4), and what was fed back
(Figure 5).

Everything is placed in inches, so that images stay square and text never overlaps them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from imil.experiments.arms import Arm
from imil.experiments.report.sections import SIDE_BY_SIDE, main_arm, present, sections, side_by_side
from imil.experiments.report.style import PAGE_WIDTH, SOFT, STYLE, Page, wrapped
from imil.experiments.results import ArmResult, Outcome, QueuedSample
from imil.grid import Grid
from imil.report.cases import changed_image
from imil.report.html import number
from imil.report.pictures import COLOUR_MAP, MISLEADING_COLOUR, RELEVANT_COLOUR, draw_cells, overlay

SAMPLES = 3
"""Fed-back cases that are shown, as in the paper's Figure 5."""
MAPS_IN_ROW = 6
"""Heat maps beside an image; further arms go into a further block."""
ROWS_OF_MORE, ARMS_OF_MORE = 4, 14
"""Images shown with the arms that aren't in the main figure of heat maps; half of them where there are more arms."""
_GREY: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 1}


@dataclass(frozen=True)
class _Block:
    """Arms in one row of heat maps, with the titles of their columns."""

    arms: Sequence[Arm]
    titles: Sequence[str]
    heading: str = ""


def heatmaps_figure(outcome: Outcome) -> Figure | None:
    """Test images (rows) under the heat maps of baseline, augmentations and IMIL (columns); None without images."""
    arms = side_by_side(outcome)
    return _maps(outcome, _blocks(arms, [arm.title for arm in arms]), range(len(outcome.evaluation.shown)))


def more_heatmaps_figure(outcome: Outcome) -> Figure | None:
    """The same for all other arms, on up to `ROWS_OF_MORE` of the images; None if there are none."""
    blocks: list[_Block] = []
    others: list[Arm] = []
    for section in sections(present(outcome)):
        arms = [arm for arm in section.arms if arm.group not in SIDE_BY_SIDE]
        if section.level:
            blocks += _blocks(arms, [section.short(arm) for arm in arms], section.title)
        else:
            others += arms
    blocks += _blocks(others, [arm.title for arm in others])
    count = len(outcome.evaluation.shown)
    wanted = ROWS_OF_MORE if sum(len(block.arms) for block in blocks) <= ARMS_OF_MORE else ROWS_OF_MORE // 2
    # Evenly spread, so that each class keeps its share.
    rows = np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int)) if count else []
    return _maps(outcome, blocks, [int(row) for row in rows])


def _blocks(arms: Sequence[Arm], titles: Sequence[str], heading: str = "") -> list[_Block]:
    return [
        _Block(arms[start : start + MAPS_IN_ROW], titles[start : start + MAPS_IN_ROW], heading)
        for start in range(0, len(arms), MAPS_IN_ROW)
    ]


def _maps(outcome: Outcome, blocks: Sequence[_Block], rows: Sequence[int]) -> Figure | None:
    if not blocks or not rows:
        return None
    columns = 1 + max(len(block.arms) for block in blocks)
    left, gap, footer = 0.22, 0.05, 0.3
    side = min(1.25, (PAGE_WIDTH - left) / columns - gap)
    titles = [[wrapped(title, int(side * 16), 5) for title in ("Image", *block.titles)] for block in blocks]
    headers = [
        0.2 + 0.125 * (1 + max(title.count("\n") for title in line)) + (0.2 if block.heading else 0)
        for block, line in zip(blocks, titles, strict=True)
    ]
    body = len(rows) * (side + gap)
    with rc_context(STYLE):
        page = Page(max(left + columns * (side + gap), 3.2), sum(headers) + len(blocks) * body + footer)
        top = 0.0
        for block, line, header in zip(blocks, titles, headers, strict=True):
            if block.heading:
                page.text(left, top + 0.12, wrapped(block.heading, 90, 1), weight="bold")
            top += header
            for column, title in enumerate(line):
                middle = left + column * (side + gap) + side / 2
                page.text(middle, top - 0.05, title, ha="center", va="bottom", size=7.5)
            _draw_block(page, outcome, block, rows, (left, top, side, gap))
            top += body
        _scale(page, left, top + 0.08)
    return page.figure


def _draw_block(
    page: Page, outcome: Outcome, block: _Block, rows: Sequence[int], place: tuple[float, float, float, float]
) -> None:
    left, top, side, gap = place
    for row in rows:
        page.text(left - 0.05, top + side / 2, _class_of(outcome, row), ha="right", rotation=90)
        image = outcome.evaluation.shown_images[row].astype(np.float32) / 255
        _show(page.axes(left, top, side), image)
        for column, arm in enumerate(block.arms, 1):
            heat = outcome.results[arm.name][0].maps[row].astype(np.float32)
            _show(page.axes(left + column * (side + gap), top, side), overlay(image, heat))
        top += side + gap


def _class_of(outcome: Outcome, row: int) -> str:
    evaluation = outcome.evaluation
    index = evaluation.case_ids.index(evaluation.shown[row])
    return wrapped(evaluation.classes[int(evaluation.labels[index])], 18, 1)


@dataclass(frozen=True)
class Chosen:
    """A fed-back case to show, with its arm, its heat map when it was queued, and the image."""

    arm: Arm
    sample: QueuedSample
    heatmap: npt.NDArray[np.float32]
    image: npt.NDArray[np.float32]


def samples_figure(outcome: Outcome) -> Figure | None:
    """Up to three fed-back cases: image, heat map, chosen cells, changed image, rationale; None if there is none."""
    chosen = chosen_samples(outcome)
    if not chosen:
        return None
    left, gap, caption, between = 1.3, 0.08, 0.22, 0.14
    side = (PAGE_WIDTH - left - 3 * gap) / 4
    texts = [wrapped(one.sample.rationale, 90, 4) for one in chosen]
    heights = [caption + side + 0.08 + 0.15 * (text.count("\n") + 1 if text else 0) + between for text in texts]
    with rc_context(STYLE):
        page = Page(PAGE_WIDTH, sum(heights) + 0.25)
        for index, (one, text) in enumerate(zip(chosen, texts, strict=True)):
            top = sum(heights[:index]) + caption
            _draw_sample(page, one, outcome, (left, top, side, gap))
            page.text(left, top + side + 0.08, text, va="top", style="italic")
        _scale(page, left, sum(heights) + 0.05)
        _key(page, left + 2.9, sum(heights) + 0.05, misleading=any(one.sample.misleading for one in chosen))
    return page.figure


def chosen_samples(outcome: Outcome) -> list[Chosen]:
    """Of the first seed: one of each single reader if there are such arms, then further ones of the IMIL arm."""
    arms = present(outcome)
    single = [arm for arm in arms if arm.group == "readers" and arm.asks == arm.name]
    main = main_arm(arms)
    chosen: list[Chosen] = []
    for arm in [*single, *([main] * SAMPLES if main is not None else [])]:
        if len(chosen) == SAMPLES:
            break
        found = _sample_of(arm, outcome.results[arm.name][0], outcome, {one.sample.case_id for one in chosen})
        if found is not None:
            chosen.append(found)
    return chosen


def _sample_of(arm: Arm, result: ArmResult, outcome: Outcome, taken: set[str]) -> Chosen | None:
    """The first one with cells whose case isn't shown yet."""
    images = outcome.evaluation.sample_images
    for sample, heatmap in zip(result.samples, result.sample_maps, strict=True):
        if sample.action == "grid" and sample.cells and sample.case_id in images and sample.case_id not in taken:
            image = images[sample.case_id].astype(np.float32) / 255
            return Chosen(arm, sample, heatmap.astype(np.float32), image)
    return None


def _draw_sample(page: Page, one: Chosen, outcome: Outcome, place: tuple[float, float, float, float]) -> None:
    left, top, side, gap = place
    sample, image = one.sample, one.image
    grid = Grid.square(sample.grid_size, (image.shape[0], image.shape[1]))
    feedback = str(one.arm.settings.get("feedback", outcome.settings.get("feedback", "blackout")))
    panels = ("Image", "Heat map when queued", "Chosen cells", "Trained with")
    axes = [page.axes(left + column * (side + gap), top, side) for column in range(4)]
    _show(axes[0], image)
    _show(axes[1], overlay(image, one.heatmap))
    draw_cells(axes[2], image, grid, sample.cells, sample.misleading)
    changed = changed_image(feedback, image, sample)
    if changed is not None:
        _show(axes[3], changed)
    else:
        page.text(left + 3 * (side + gap), top + 0.1, wrapped(f"No one picture shows {feedback}.", 16, 3), va="top")
    for column, title in enumerate(panels):
        page.text(left + column * (side + gap), top - 0.05, title, va="bottom", color=SOFT)
    confidence = f" ({number(sample.confidence, 2)})" if math.isfinite(sample.confidence) else ""
    facts = (
        ("Arm", one.arm.title),
        ("Predicted", f"{sample.prediction}{confidence}"),
        ("True label", sample.label),
        ("Case", sample.case_id.rsplit("/", 1)[-1]),
    )
    height = top + 0.02
    for name, value in facts:
        page.text(0, height, name, va="top", color=SOFT)
        text = wrapped(value, 19, 3)
        page.text(0, height + 0.15, text, va="top", weight="bold" if name != "Case" else "normal")
        height += 0.35 + 0.135 * text.count("\n")


def _show(axes: Axes, image: npt.NDArray[Any]) -> None:
    rows, columns = image.shape[:2]
    axes.imshow(image, extent=(0, columns, rows, 0), interpolation="bilinear", **(_GREY if image.ndim == 2 else {}))


def _scale(page: Page, left: float, top: float) -> None:
    """The heat maps' colours from 0 to 1."""
    axes = page.axes(left + 0.9, top, 1.4, 0.1)
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=colormaps[COLOUR_MAP], aspect="auto")
    page.text(left, top + 0.05, "Heat map: low")
    page.text(left + 2.36, top + 0.05, "high")


def _key(page: Page, left: float, top: float, *, misleading: bool) -> None:
    """What the marks in the chosen cells mean."""
    marks = [("matters", RELEVANT_COLOUR, "////")]
    marks += [("misled the model", MISLEADING_COLOUR, "xxxx")] if misleading else []
    for name, colour, hatch in marks:
        axes = page.axes(left, top - 0.01, 0.22, 0.12)
        axes.add_patch(Rectangle((0, 0), 1, 1, facecolor="#3a3f45", edgecolor=colour, hatch=hatch, linewidth=1.4))
        page.text(left + 0.29, top + 0.05, name)
        left += 0.95
