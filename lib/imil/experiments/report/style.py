"""How an experiment's figures look: one colour, dash pattern and marker for each arm, in all of them.

An arm of another level (``random_cells_10``) looks like the one it repeats (``random_cells``): they never share axes.
"""

import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from imil.experiments.arms import Arm, Group
from imil.experiments.report.sections import level_of
from imil.report.figures import RC

STYLE = RC | {
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 7.5,
    "hatch.linewidth": 0.8,
    "svg.fonttype": "none",
    # Names of classes and readers, and rationales, are somebody else's text: a dollar sign is a dollar sign.
    "text.parse_math": False,
}
PNG_DPI = 200
PAGE_WIDTH = 7.2
"""Inches: the text of a journal page with two columns."""
INK, SOFT, FAINT = "#22262b", "#5f6670", "#c9cdd2"


@dataclass(frozen=True)
class Look:
    """How an arm is drawn; ``dashes`` is matplotlib's line style, ``width`` in points."""

    color: str
    dashes: Any
    width: float
    marker: str


_BASELINE = Look("#4d535b", (0, (1, 1)), 1.6, "s")
_IMIL = Look("#0b5fa5", "solid", 2.2, "o")
# Dark tones of Okabe and Ito and of Tol, which colour-blind readers can tell apart, each with dashes of its own.
_OTHERS = (
    Look("#d55e00", (0, (5, 1.5)), 1.3, "D"),
    Look("#117733", (0, (7, 1.5, 1.5, 1.5)), 1.3, "^"),
    Look("#882255", (0, (2.5, 1.2)), 1.3, "v"),
    Look("#999933", (0, (4, 1, 1, 1, 1, 1)), 1.3, "p"),
    Look("#aa4499", (0, (9, 2)), 1.3, "h"),
    Look("#44aa99", "solid", 1.1, "<"),
    Look("#332288", (0, (3, 1, 1, 1)), 1.3, ">"),
)


def looks(arms: Sequence[Arm]) -> dict[str, Look]:
    """The look of each arm by its name. The arms are all those of an experiment, left-out ones too."""
    found: dict[str, Look] = {}
    kinds: dict[Group, list[str]] = {}
    for arm in arms:
        if arm.group == "baseline":
            found[arm.name] = _BASELINE
        elif arm.group == "imil":
            found[arm.name] = _IMIL
        else:
            kind, seen = arm.name.removesuffix(level_of(arm, arms)), kinds.setdefault(arm.group, [])
            if kind not in seen:
                seen.append(kind)
            found[arm.name] = _OTHERS[seen.index(kind) % len(_OTHERS)]
    return found


def plain_text(text: str) -> str:
    """Without what can't be printed (an SVG mustn't hold control characters), on one line."""
    return " ".join("".join(letter for letter in word if letter.isprintable()) for word in text.split())


class _Wrapper(textwrap.TextWrapper):
    """Also breaks after an underscore: names of networks are long."""

    wordsep_simple_re = re.compile(r"([\t\n ]+|(?<=_))")


def wrapped(text: str, width: int, lines: int | None = None) -> str:
    """The text in lines of at most ``width`` characters; what is over ``lines`` ends in an ellipsis."""
    return _Wrapper(width, max_lines=lines, placeholder=" …", break_on_hyphens=False).fill(plain_text(text))


class Page:
    """A figure whose parts are placed in inches from its upper left corner, so that nothing overlaps or is cut off."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width + 0.04, height
        self.figure = Figure(figsize=(self.width, self.height))

    def axes(self, left: float, top: float, side: float, height: float | None = None) -> Axes:
        """Axes without frame of ``side`` x ``side`` (or ``height``) inches."""
        tall = side if height is None else height
        place = (left / self.width, 1 - (top + tall) / self.height, side / self.width, tall / self.height)
        axes = self.figure.add_axes(place)
        axes.set_axis_off()
        return axes

    def text(self, left: float, top: float, text: str, **options: Any) -> None:
        """Text at that place; ``va`` is centre unless given."""
        chosen: dict[str, Any] = {"va": "center", "color": INK, "size": 8} | options
        self.figure.text(left / self.width, 1 - top / self.height, text, **chosen)


def saved(figure: Figure) -> tuple[bytes, bytes]:
    """The figure as PNG and as SVG, the same bytes every time; text stays text in the SVG."""
    png, svg = io.BytesIO(), io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(png, format="png", dpi=PNG_DPI)
        figure.savefig(svg, format="svg", dpi=PNG_DPI, metadata={"Date": None})
    return png.getvalue(), svg.getvalue()
