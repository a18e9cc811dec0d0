"""The report of an experiment as one self-contained HTML page."""

from collections.abc import Sequence
from typing import Any

from imil.experiments.report.gallery import Drawn
from imil.experiments.report.sections import present, sections
from imil.experiments.results import Outcome
from imil.experiments.tables.phrases import p_value, signed
from imil.report.html import data_uri, environment, number


def render(facts: dict[str, Any], outcome: Outcome, figures: Sequence[Drawn]) -> str:
    """The page as text; every figure is a data URI, and nothing is loaded from elsewhere."""
    pages = environment("imil.experiments.report")
    pages.filters |= {"signed": _signed, "p_value": p_value, "duration": _duration}
    return pages.get_template("template.html.j2").render(
        facts=facts,
        sections=_sections(facts, outcome),
        best=best_arms(facts),
        titles={arm.name: arm.title for arm in outcome.arms},
        figures=[{"heading": one.heading, "caption": one.caption, "uri": data_uri(*one.for_page())} for one in figures],
    )


def best_arms(facts: dict[str, Any]) -> dict[str, str]:
    """By measure, the arm with the best mean; none where there is one arm only, or where two share the place."""
    found = {}
    for measure in facts["measures"]:
        key, sign = measure["key"], 1 if measure["better"] == "higher" else -1
        values = {arm["name"]: arm["measures"][key]["value"] for arm in facts["arms"]}
        ranked = sorted((sign * value, name) for name, value in values.items() if value is not None)
        if len(ranked) > 1 and round(ranked[-1][0], 3) > round(ranked[-2][0], 3):
            found[key] = ranked[-1][1]
    return found


def _sections(facts: dict[str, Any], outcome: Outcome) -> list[dict[str, Any]]:
    """Headings with their arms' facts, in the order of the tables."""
    by_name = {arm["name"]: arm for arm in facts["arms"]}
    return [
        {
            "title": section.title,
            "arms": [by_name[arm.name] | {"short": section.short(arm)} for arm in section.arms],
        }
        for section in sections(present(outcome))
    ]


def _signed(value: float | None) -> str:
    return number(None) if value is None else signed(value)


def _duration(seconds: float) -> str:
    """Hours and minutes, or seconds where it took less than two minutes."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
