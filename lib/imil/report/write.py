"""Writing a report's files, each all or nothing."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imil.errors import BadInput, NotFound
from imil.files import replacing, write_text
from imil.report.data import gather
from imil.report.html import render, render_taught
from imil.report.model import ReportData
from imil.report.pictures import round_picture
from imil.store import RunState
from imil.study import Study

PICTURE_TITLES = ("Image", "Where the model looked", "What the reader chose", "Trained with", "Where it looks now")


@dataclass(frozen=True)
class WrittenReport:
    """A written report: its files, and the facts that the JSON holds."""

    files: list[Path]
    facts: dict[str, Any]


def write_report(study: Study, out: Path, *, run_id: int | None = None, picture: Path | None = None) -> WrittenReport:
    """Write the page, the JSON beside it and, if asked for, a picture of the first fed-back case.

    While the run awaits approval, what its last round's answers taught is also written as a page of its own, whose name
    ends in ``-insight.html``.

    Args:
        study: the study.
        out: the page; its name must not end in ``.json``.
        run_id: the run; None for the newest one with feedback.
        picture: a PNG file.

    Raises:
        BadInput: for an ``out`` that would be overwritten by the JSON.
        NotFound: if there is no such run, or no fed-back case for the picture.
    """
    if out.suffix == ".json":
        raise BadInput(f"{out} would hold the JSON; name the page, for instance {out.with_suffix('.html')}.")
    data = gather(study, run_id)
    out.parent.mkdir(parents=True, exist_ok=True)
    facts = out.with_suffix(".json")
    write_text(facts, json.dumps(data.facts, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
    write_text(out, render(data))
    written = [out, facts]
    last = len(data.facts["rounds"]) - 1
    if data.facts["state"] == RunState.AWAITING_APPROVAL and last in data.taught:
        written.append(out.with_name(f"{out.stem}-insight.html"))
        write_text(written[-1], render_taught(data.facts["study"], data.facts["run"], data.taught[last]))
    if picture is not None:
        content = _first_picture(data)
        picture.parent.mkdir(parents=True, exist_ok=True)
        with replacing(picture) as file:
            file.write(content)
        written.append(picture)
    return WrittenReport(written, data.facts)


def _first_picture(data: ReportData) -> bytes:
    for index, entry in enumerate(data.facts["rounds"]):
        for position, case in enumerate(entry["cases"]):
            if case["action"] == "grid":
                return round_picture(data.pictures[index, position], case["cells"], case["misleading"], PICTURE_TITLES)
    raise NotFound(f"Run {data.facts['run']} has no case with chosen cells yet, so there is no picture to draw.")
