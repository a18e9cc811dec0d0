"""The report of the benchmark as one self-contained HTML page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imil.experiments.refocus.report.sentences import world_name
from imil.experiments.tables.phrases import signed
from imil.report.html import data_uri, environment, number


@dataclass(frozen=True)
class Drawn:
    """A figure of the page; ``name`` is that of its files."""

    name: str
    heading: str
    caption: str
    png: bytes
    svg: bytes


def render(facts: dict[str, Any], figures: Sequence[Drawn]) -> str:
    """The page as text; every figure is a data URI, and nothing is loaded from elsewhere."""
    pages = environment("imil.experiments.refocus.report")
    pages.filters |= {"signed": _signed, "duration": _duration}
    return pages.get_template("template.html.j2").render(
        facts=facts,
        worlds=[world | {"name": world_name(world), "rows": _rows(facts, world)} for world in facts["settings"]],
        contrasts=[_contrast(row) for row in facts["contrasts"]],
        figures=[
            {"heading": one.heading, "caption": one.caption, "uri": data_uri(one.svg, "image/svg+xml")}
            for one in figures
        ],
    )


def _rows(facts: dict[str, Any], world: dict[str, Any]) -> list[dict[str, Any]]:
    key = (world["setting"], world["shortcut"])
    return [row for row in facts["rows"] if (row["setting"], row["shortcut"]) == key]


def _contrast(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"world": world_name(row)}


def _signed(value: float | None) -> str:
    return number(None) if value is None else signed(value)


def _duration(seconds: float) -> str:
    """Hours and minutes, or seconds where it took less than two minutes."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
