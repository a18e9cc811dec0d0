"""Draws the extension's icon: a chest film, a hot spot where the model looked, and the cells that matter.

    python slicer_module/make_icons.py      with the development environment; 3D Slicer doesn't need this file

Writes IMIL.png (for the extension catalogue) and IMIL/Resources/Icons/IMIL.png (for the module). The small icons of the
buttons are SVG files beside the latter, drawn by hand.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

SIZE = 128
FINE = 4
"""Everything is drawn this many times larger, and then made smaller: smooth edges."""
FILM, BODY, LUNG, LINE = (13, 22, 38), (112, 126, 146), (30, 41, 60), (205, 214, 226)
HOT, MATTERS = (255, 140, 32), (61, 224, 133)
FOLDER = Path(__file__).resolve().parent
TARGETS = (FOLDER / "IMIL.png", FOLDER / "IMIL" / "Resources" / "Icons" / "IMIL.png")


def scaled(*numbers: float) -> list[int]:
    """Positions on the fine canvas, of positions on one of 128 x 128."""
    return [round(number * FINE) for number in numbers]


def draw_icon() -> Image.Image:
    """The icon, 128 x 128 RGBA."""
    side = SIZE * FINE
    film = Image.new("RGB", (side, side), FILM)
    draw_chest(ImageDraw.Draw(film))
    film = film.filter(ImageFilter.GaussianBlur(1.5 * FINE))
    add_hot_spot(film)
    draw = ImageDraw.Draw(film)
    for position in (34, 64, 94):
        draw.line(scaled(position, 4, position, 124), fill=LINE, width=FINE)
        draw.line(scaled(4, position, 124, position), fill=LINE, width=FINE)
    for left, top in ((64, 34), (64, 64)):
        draw_cell(draw, left, top)
    outline = Image.new("L", (side, side), 0)
    ImageDraw.Draw(outline).rounded_rectangle(scaled(4, 4, 124, 124), radius=14 * FINE, fill=255)
    film.putalpha(outline)
    return film.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def draw_chest(draw: ImageDraw.ImageDraw) -> None:
    """Shoulders and chest, with two dark lungs."""
    draw.rounded_rectangle(scaled(12, 24, 116, 150), radius=34 * FINE, fill=BODY)
    draw.rectangle(scaled(52, 4, 76, 40), fill=BODY)
    draw.ellipse(scaled(22, 32, 58, 112), fill=LUNG)
    draw.ellipse(scaled(70, 32, 106, 112), fill=LUNG)


def add_hot_spot(film: Image.Image) -> None:
    """A soft spot at the border of the film, where nothing matters."""
    spot = Image.new("L", film.size, 0)
    ImageDraw.Draw(spot).ellipse(scaled(2, 88, 42, 128), fill=255)
    spot = spot.filter(ImageFilter.GaussianBlur(7 * FINE))
    film.paste(ImageChops.screen(film, Image.new("RGB", film.size, HOT)), mask=spot)


def draw_cell(draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
    """A cell of 30 x 30 that matters: solid outline and diagonal hatching, as in the module."""
    for offset in range(10, 60, 10):
        start, end = max(0, offset - 30), min(30, offset)
        draw.line(
            scaled(left + start, top + offset - start, left + end, top + offset - end), fill=MATTERS, width=2 * FINE
        )
    draw.rectangle(scaled(left, top, left + 30, top + 30), outline=MATTERS, width=3 * FINE)


if __name__ == "__main__":
    icon = draw_icon()
    for target in TARGETS:
        target.parent.mkdir(parents=True, exist_ok=True)
        icon.save(target, optimize=True)
        print(f"Written: {target.relative_to(FOLDER.parent)}")
