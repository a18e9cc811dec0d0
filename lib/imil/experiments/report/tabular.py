"""``table.csv``: one row for each arm and measure, as pandas likes it."""

import csv
import io
from collections.abc import Iterator
from typing import Any

COLUMNS = (
    "arm",
    "title",
    "group",
    "versus",
    "measure",
    "seeds",
    "value",
    "sd",
    "seeds_low",
    "seeds_high",
    "patients_low",
    "patients_high",
    "difference",
    "difference_seeds_low",
    "difference_seeds_high",
    "difference_patients_low",
    "difference_patients_high",
    "p",
    "p_holm",
    "images",
    "steps",
    "source",
    "note",
)


def csv_text(facts: dict[str, Any]) -> str:
    """The rows of `imil.experiments.report.facts.facts_of`; what is undefined is an empty field.

    ``source`` is ``measured`` or, for the paper's own values, ``published``.
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in [*_measured(facts), *_published(facts["published"])]:
        writer.writerow({key: _field(value) for key, value in row.items()})
    return file.getvalue()


def _measured(facts: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for arm in facts["arms"]:
        for measure in facts["measures"]:
            estimate = arm["measures"][measure["key"]]
            difference = (arm["differences"] or {}).get(measure["key"])
            row = {name: arm[name] for name in ("title", "group", "versus", "images", "steps")} | {
                "arm": arm["name"],
                "measure": measure["key"],
                "seeds": len(arm["seeds"]),
                "value": estimate["value"],
                "sd": estimate["sd"],
                "source": "measured",
                "note": " ".join(arm["notes"]),
            }
            row |= _bounds("", estimate)
            if difference is not None:
                row |= {"difference": difference["value"], "p": difference["p"], "p_holm": difference["p_holm"]}
                row |= _bounds("difference_", difference)
            yield row


def _bounds(prefix: str, found: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{prefix}{name}_{end}": bound
        for name in ("seeds", "patients")
        for end, bound in zip(("low", "high"), found[f"over_{name}"] or (), strict=False)
    }


def _published(published: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    for row in published["rows"] if published else ():
        common = {name: row[name] for name in ("title", "group", "images")} | {"seeds": 1, "source": "published"}
        versus = "published_baseline" if row["differences"] else ""
        for key, value in row["measures"].items():
            yield common | {
                "arm": row["name"],
                "versus": versus,
                "measure": key,
                "value": value,
                "difference": None if row["differences"] is None else row["differences"][key],
                "note": "Rao et al. 2024, Table 1",
            }
        if row["ece_in_text"] is not None:
            yield common | {
                "arm": f"{row['name']}_in_text",
                "versus": versus,
                "measure": "ece",
                "value": row["ece_in_text"],
                "note": "Rao et al. 2024, section 4.2, which disagrees with Table 1",
            }


def _field(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula begins with a quote."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
