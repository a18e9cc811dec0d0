"""The demo's picture and page."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.figure import Figure

from imil.report.figures import RC
from imil.report.html import data_uri, environment
from imil.report.pictures import overlay


@dataclass(frozen=True)
class Example:
    """An image and where models looked.

    Attributes:
        image: float32 (S, S) in [0, 1].
        title: what it is.
        heat: of each model its title, its heat map, float32 (S, S) in [0, 1], and what it says.
    """

    image: npt.NDArray[np.float32]
    title: str
    heat: Sequence[tuple[str, npt.NDArray[np.float32], str]]


def draw(examples: Sequence[Example]) -> bytes:
    """A row for each example as PNG: the image, then each model's heat map over what it says."""
    columns = 1 + len(examples[0].heat)
    with rc_context(RC):
        figure = Figure(figsize=(2.7 * columns, 2.75 * len(examples)), dpi=100, layout="constrained")
        panels = figure.subplots(len(examples), columns, squeeze=False)
        for row, example in zip(panels, examples, strict=True):
            for axes in row:
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
            row[0].imshow(example.image, cmap="gray", vmin=0, vmax=1)
            row[0].set_xlabel(example.title)
            for axes, (title, heat, says) in zip(row[1:], example.heat, strict=True):
                axes.imshow(overlay(example.image, heat))
                axes.set_xlabel(says)
                if example is examples[0]:
                    axes.set_title(title, loc="center")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()


def render(facts: Mapping[str, Any], columns: Sequence[tuple[str, str]], picture: bytes) -> str:
    """The page as text; it needs no network."""
    page = environment("imil.demo").get_template("story.html.j2")
    return page.render(facts=facts, columns=columns, picture=data_uri(picture, "image/png"))
