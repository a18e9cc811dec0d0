"""What a reader looks at: the image beside itself under the heat map and the numbered grid, as a picture or as text."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from imil.grid import Grid
from imil.readers.base import ReaderCase
from imil.readers.sums import mean_heat

_ANCHORS = np.array([[20, 20, 120], [0, 130, 220], [60, 200, 120], [250, 210, 40], [220, 30, 20]], np.float64)
"""Colours of heat 0, 1/4, 1/2, 3/4 and 1: blue, light blue, green, yellow, red."""

_HEAT_OPACITY = 0.45
_GAP = 8
_RESET = "\x1b[0m"


def side_by_side(case: ReaderCase, min_side: int = 512) -> Image.Image:
    """An RGB picture: the image at the left, at the right the same with heat map, grid lines and cell numbers.

    Args:
        case: what to show.
        min_side: small images are enlarged until their shorter side has this many pixels.
    """
    height, width = case.image.shape
    scale = max(1.0, min_side / min(height, width))
    size = (round(width * scale), round(height * scale))
    grey, heated = _layers(case, size)
    picture = Image.new("RGB", (2 * size[0] + _GAP, size[1]))
    picture.paste(Image.fromarray(grey), (0, 0))
    right = Image.fromarray(heated)
    _draw_grid(right, Grid(case.grid.rows, case.grid.cols, size[1], size[0]))
    picture.paste(right, (size[0] + _GAP, 0))
    return picture


def terminal_lines(case: ReaderCase, columns: int) -> list[str]:
    """The same picture for a terminal that shows 24-bit colour; each character is two pixels, one above the other.

    Args:
        case: what to show.
        columns: width of the terminal in characters.
    """
    height, width = case.image.shape
    across = max(8, min((columns - 2) // 2, 64))
    size = (across, max(2, 2 * round(across * height / width / 2)))
    grey, heated = _layers(case, size)
    fits = case.grid.rows <= size[1] and case.grid.cols <= size[0]
    numbers = _numbers_by_character(Grid(case.grid.rows, case.grid.cols, size[1], size[0])) if fits else {}
    lines = []
    for row in range(0, size[1], 2):
        left = "".join(_half_block(grey[row, col], grey[row + 1, col]) for col in range(across))
        right = "".join(
            _half_block(upper, lower, numbers.get((row // 2, col), ""))
            for col, (upper, lower) in enumerate(zip(heated[row], heated[row + 1], strict=True))
        )
        lines.append(f"{left}{_RESET}  {right}{_RESET}")
    return lines


def heat_table(case: ReaderCase) -> list[str]:
    """For any terminal: each cell's number and the mean heat in it, in percent, laid out as the grid."""
    rows, cols = case.grid.rows, case.grid.cols
    digits = len(str(rows * cols - 1))
    texts = [f"{cell:>{digits}}: {mean:>4.0%}" for cell, mean in enumerate(mean_heat(case))]
    return ["   ".join(texts[row * cols : (row + 1) * cols]) for row in range(rows)]


def _layers(case: ReaderCase, size: tuple[int, int]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Two RGB pictures, uint8 (height, width, 3), of ``size`` (width, height): the image, and the image under heat."""
    grey = np.repeat(_resized(case.image, size)[:, :, np.newaxis], 3, axis=2) * 255
    heat = _resized(case.heatmap, size)
    positions = np.linspace(0, 1, len(_ANCHORS))
    colours = np.stack([np.interp(heat, positions, _ANCHORS[:, channel]) for channel in range(3)], axis=2)
    mixed = (1 - _HEAT_OPACITY) * grey + _HEAT_OPACITY * colours
    return grey.round().astype(np.uint8), mixed.round().astype(np.uint8)


def _resized(values: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Values in [0, 1] at ``size`` (width, height), bilinear and antialiased."""
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR), np.float32).clip(0, 1)


def _draw_grid(picture: Image.Image, grid: Grid) -> None:
    draw = ImageDraw.Draw(picture)
    for row in grid.row_edges[1:-1]:
        draw.line([(0, row), (grid.width, row)], fill="white")
    for col in grid.col_edges[1:-1]:
        draw.line([(col, 0), (col, grid.height)], fill="white")
    smallest = min(grid.height // grid.rows, grid.width // grid.cols)
    font = ImageFont.load_default(max(8, min(28, smallest // 3)))
    for cell in range(grid.num_cells):
        rows, cols = grid.cell_slices(cell)
        middle = ((cols.start + cols.stop) / 2, (rows.start + rows.stop) / 2)
        draw.text(middle, str(cell), fill="white", font=font, anchor="mm", stroke_width=2, stroke_fill="black")


def _numbers_by_character(grid: Grid) -> dict[tuple[int, int], str]:
    """The digits of the cell numbers by (line, column) of the terminal picture, in the middle of each cell."""
    digits = {}
    for cell in range(grid.num_cells):
        rows, cols = grid.cell_slices(cell)
        text = str(cell)
        start = (cols.start + cols.stop - len(text)) // 2
        for offset, digit in enumerate(text):
            digits[(rows.start + rows.stop) // 4, start + offset] = digit
    return digits


def _half_block(upper: npt.NDArray[np.uint8], lower: npt.NDArray[np.uint8], text: str = "") -> str:
    top, bottom = (";".join(str(int(value)) for value in pixel) for pixel in (upper, lower))
    if text:
        return f"\x1b[38;2;255;255;255m\x1b[48;2;{bottom}m{text}"
    return f"\x1b[38;2;{top}m\x1b[48;2;{bottom}m\N{UPPER HALF BLOCK}"
