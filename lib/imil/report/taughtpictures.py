"""Pictures of what a round's answers taught: cells as small grids, and images with what was found in them outlined."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from imil.report.figures import RC, save_svg
from imil.report.model import FloatArray
from imil.report.pictures import COLOUR_MAP, MISLEADING_COLOUR, jpeg

SWAPPED_COLOUR = "#4fb3ff"
VETOED_COLOUR = "#d9dde2"
OUTLINE = 2
"""Width of the outline of a find, in pixels."""

_PANELS = (
    ("heat", "Where heat maps pointed"),
    ("chosen", "Where readers chose"),
    ("misled", "What they called misleading"),
    ("influence", "What the output depends on"),
)


def grids_svg(facts: dict[str, Any], mean: FloatArray | None) -> bytes:
    """Cells side by side: heat, chosen, misleading, influence where there is any, and those that are swapped (SVG).

    Args:
        facts: see `imil.findings.described`.
        mean: the mean training image, (S, S) in [0, 1], shown behind the cells that are swapped.
    """
    panels = [(name, title) for name, title in _PANELS if any(entry[name] for entry in facts["cells"])]
    swaps = bool(facts["grid_cells_swapped"] or facts["grid_cells_vetoed"])
    with rc_context(RC | {"axes.titlesize": 9.5}):
        count = len(panels) + swaps
        figure = Figure(figsize=(2.35 * count, 2.55), layout="constrained")
        all_axes: Sequence[Axes] = np.atleast_1d(figure.subplots(1, max(count, 1)))
        for axes, (name, title) in zip(all_axes, panels, strict=False):
            _draw_values(axes, [entry[name] or 0.0 for entry in facts["cells"]], facts["grid_size"], name)
            axes.set_title(title)
        if swaps:
            _draw_swapped(all_axes[len(panels)], facts, mean)
        for axes in all_axes:
            axes.set(xticks=[], yticks=[], aspect="equal")
            axes.spines[:].set_visible(False)
        return save_svg(figure)


def _draw_values(axes: Axes, values: Sequence[float], size: int, name: str) -> None:
    """Each cell in the colour of its value, with the number on it where there's room."""
    table = np.array(values).reshape(size, size)
    highest = float(table.max()) or 1.0
    axes.imshow(table, cmap=COLOUR_MAP, vmin=0, vmax=highest)
    if size > 8:
        return
    for (row, col), value in np.ndenumerate(table):
        text = f"{value:.1f}" if name == "influence" else f"{value:.0%}"
        colour = "black" if value > 0.6 * highest else "white"
        axes.text(col, row, text, ha="center", va="center", color=colour, fontsize=9 if size <= 5 else 6)


def _draw_swapped(axes: Axes, facts: dict[str, Any], mean: FloatArray | None) -> None:
    size = facts["grid_size"]
    background = np.zeros((size, size)) if mean is None else mean
    axes.imshow(background, cmap="gray", vmin=0, vmax=1, extent=(-0.5, size - 0.5, size - 0.5, -0.5))
    marks = [(cell, SWAPPED_COLOUR, "///") for cell in facts["grid_cells_swapped"]]
    marks += [(cell, VETOED_COLOUR, "") for cell in facts["grid_cells_vetoed"]]
    with rc_context({"hatch.linewidth": 0.9}):
        for cell, colour, hatch in marks:
            row, col = divmod(cell, size)
            place = (col - 0.46, row - 0.46)
            axes.add_patch(Rectangle(place, 0.92, 0.92, fill=False, edgecolor=colour, hatch=hatch, linewidth=1.3))
    axes.set_title("Swapped (grey: vetoed)" if facts["grid_cells_vetoed"] else "Swapped between all")


def find_jpeg(image: FloatArray, place: npt.NDArray[np.bool_], *, vetoed: bool) -> bytes:
    """The image in grey with an outline around what was found; a thin grey one if it was vetoed."""
    shown = np.repeat(np.clip(image, 0, 1)[..., None], 3, axis=2)
    edge = _grown(place, 1 if vetoed else OUTLINE) & ~place
    shown[edge] = to_rgb(VETOED_COLOUR if vetoed else MISLEADING_COLOUR)
    return jpeg(Image.fromarray(np.rint(shown * 255).astype(np.uint8)))


def _grown(place: npt.NDArray[np.bool_], width: int) -> npt.NDArray[np.bool_]:
    """The places no further than ``width`` from a place, along rows and columns."""
    padded = np.pad(place, width)
    grown = np.zeros_like(place)
    rows, cols = place.shape
    for down in range(2 * width + 1):
        for across in range(2 * width + 1):
            grown |= padded[down : down + rows, across : across + cols]
    return grown
