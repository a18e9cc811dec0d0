"""The five pictures of a fed-back case: image, heat map, chosen cells, changed image, heat map afterwards."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from imil.grid import Grid
from imil.report.figures import RC
from imil.report.model import CasePictures, FloatArray

COLOUR_MAP = "inferno"
"""Perceptually even, and dark where the heat map is low."""
RELEVANT_COLOUR = "#35d07f"
MISLEADING_COLOUR = "#ff9f43"
SHOWN_SIDE = 300
"""Longer side of a picture in the page, in pixels."""
JPEG_QUALITY = 88


def grey_jpeg(image: FloatArray) -> bytes:
    """A ``(rows, cols)`` image in [0, 1] as JPEG."""
    return jpeg(Image.fromarray(_bytes(image), mode="L"))


def heat_jpeg(image: FloatArray, heatmap: FloatArray) -> bytes:
    """The image in grey under its heat map."""
    return jpeg(Image.fromarray(overlay(image, heatmap)))


def cells_jpeg(image: FloatArray, grid: Grid, cells: Sequence[int], misleading: Sequence[int]) -> bytes:
    """The image under the reader's grid: what matters in green stripes, what misled the model in orange crosses."""
    rows, cols = image.shape
    dpi = 100
    figure = Figure(figsize=(cols / dpi, rows / dpi), dpi=dpi)
    axes = figure.add_axes((0, 0, 1, 1))
    draw_cells(axes, image, grid, cells, misleading)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return jpeg(Image.open(buffer).convert("RGB"))


def colour_bar_png() -> bytes:
    """The colour map from 0 to 1, as a strip."""
    ramp = np.repeat(np.linspace(0, 1, 256)[None], 12, axis=0)
    buffer = io.BytesIO()
    Image.fromarray(_bytes(colormaps[COLOUR_MAP](ramp)[..., :3])).save(buffer, "PNG")
    return buffer.getvalue()


def overlay(image: FloatArray, heatmap: FloatArray) -> npt.NDArray[np.uint8]:
    """``(rows, cols, 3)`` uint8: heat map over image, more opaque where it is hotter, so that anatomy stays visible."""
    colours = colormaps[COLOUR_MAP](heatmap)[..., :3]
    opacity = (0.25 + 0.45 * heatmap)[..., None]
    return _bytes(opacity * colours + (1 - opacity) * image[..., None])


def draw_cells(axes: Axes, image: FloatArray, grid: Grid, cells: Sequence[int], misleading: Sequence[int]) -> None:
    """Draw the image, the grid's lines and the chosen cells into ``axes``."""
    rows, cols = image.shape
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, extent=(0, cols, rows, 0), interpolation="bilinear")
    for edge in grid.row_edges[1:-1]:
        axes.axhline(edge, color="white", alpha=0.55, linewidth=0.7)
    for edge in grid.col_edges[1:-1]:
        axes.axvline(edge, color="white", alpha=0.55, linewidth=0.7)
    marks = [(cell, RELEVANT_COLOUR, "///") for cell in cells] + [
        (cell, MISLEADING_COLOUR, "xx") for cell in misleading
    ]
    with rc_context({"hatch.linewidth": 0.8}):
        for cell, colour, hatch in marks:
            across, along = grid.cell_slices(cell)
            axes.add_patch(
                Rectangle(
                    (along.start + 1, across.start + 1),
                    along.stop - along.start - 2,
                    across.stop - across.start - 2,
                    facecolor="none",
                    edgecolor=colour,
                    hatch=hatch,
                    linewidth=1.6,
                )
            )
    axes.set(xlim=(0, cols), ylim=(rows, 0), aspect="equal")
    axes.axis("off")


def round_picture(
    pictures: CasePictures, cells: Sequence[int], misleading: Sequence[int], titles: Sequence[str]
) -> bytes:
    """The five pictures in one row as PNG, each under its title; for a README or a slide."""
    with rc_context(RC):
        figure = Figure(figsize=(13, 3.0), dpi=110, layout="constrained")
        panels = figure.subplots(1, 5)
        for axes, title in zip(panels, titles, strict=True):
            axes.set_title(title, loc="center")
            axes.axis("off")
        image, grey = pictures.image, {"cmap": "gray", "vmin": 0, "vmax": 1}
        panels[0].imshow(image, **grey)
        if pictures.before is not None:
            panels[1].imshow(overlay(image, pictures.before))
        if pictures.grid is not None:
            draw_cells(panels[2], image, pictures.grid, cells, misleading)
        if pictures.changed is not None:
            panels[3].imshow(pictures.changed, **grey)
        if pictures.after is not None:
            panels[4].imshow(overlay(image, pictures.after))
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()


def shown_size(rows: int, cols: int, side: int = SHOWN_SIDE) -> tuple[int, int]:
    """(rows, cols) of the picture in the page: the longer one is ``side``, the shape stays."""
    scale = side / max(rows, cols)
    return max(1, round(rows * scale)), max(1, round(cols * scale))


def fit(pixels: FloatArray, size: tuple[int, int]) -> FloatArray:
    """``pixels`` resized to (rows, cols), antialiased."""
    resized = Image.fromarray(pixels.astype(np.float32), mode="F").resize(size[::-1], Image.Resampling.BILINEAR)
    return np.array(resized, np.float32)


def _bytes(values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def jpeg(image: Image.Image) -> bytes:
    """The image as JPEG, at the quality of the reports."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return buffer.getvalue()
