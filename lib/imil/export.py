"""The feedback of a run as files: a table of all events, and a mask for each answer that has cells."""

import csv
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imil import images
from imil.errors import BadInput, NotFound
from imil.grid import Grid
from imil.store import Event, Run
from imil.study import Study

COLUMNS = {
    "event": "number of the event, rising with time",
    "time": "when it was recorded (UTC, ISO 8601)",
    "effective": "1 for a reader's present answer to the case, 0 for one that was replaced or taken back, and for undo",
    "image": "the image's path inside the study, as in manifest.csv",
    "label": "the image's label in manifest.csv; empty, and no mask, if it isn't there any more",
    "reader": "who answered",
    "action": "grid, skip, relabel, exclude or undo",
    "cells": "cells that matter, separated by blanks; numbered row by row from 0, top left first",
    "misleading": "cells that misled the model, in the same way",
    "grid_size": "cells along each side of the grid",
    "mask": "mask file: 1 = matters, 2 = misled the model; same pixels as the image; empty where there is none",
    "new_label": "the label that the reader gave, for relabel",
    "rationale": "the reader's own words",
    "seconds": "the reader's time on the case",
    "run": "number of the training run",
    "round": "round of that run, from 1",
    "epoch": "epochs the model was trained for when the reader saw it",
    "image_sha256": "SHA-256 of the image file",
    "model_sha256": "SHA-256 of the model's weights",
    "heatmap_method": "method of the heat map that the reader saw",
    "key": "the client's own identifier of the answer",
}
"""The columns of ``feedback.csv`` and what they hold."""
CORRECTION_COLUMNS = {
    "correction": "number of the correction, rising with time",
    "time": "when it was recorded (UTC, ISO 8601)",
    "effective": "1 unless the round was opened again afterwards, and so learnt from anew",
    "reader": "who said it",
    "action": "veto, correct or restore",
    "image": "the image it's about; empty for cells that are swapped in all images",
    "cells": "the cells it's about, separated by blanks",
    "run": "number of the training run",
    "round": "round of that run, from 1",
    "insight": "number of what was learnt from the round",
    "key": "the client's own identifier of the correction",
}
"""The columns of ``corrections.csv``, which is there if readers corrected what a round taught."""


@dataclass(frozen=True)
class Written:
    """How much an export wrote."""

    events: int
    masks: int


def export_feedback(study: Study, out_folder: Path, run_id: int | None = None) -> Written:
    """Write ``feedback.csv``, ``masks/`` and a ``README.txt`` that explains the columns; all of it or nothing.

    Args:
        study: the study.
        out_folder: a folder that doesn't exist yet or is empty.
        run_id: the run; None for all runs.

    Raises:
        BadInput: if the folder holds something.
        NotFound: if there is no such run, or no run at all.
    """
    if out_folder.exists() and (not out_folder.is_dir() or any(out_folder.iterdir())):
        raise BadInput(f"{out_folder} isn't an empty folder; name a new one, so that nothing is overwritten.")
    store = study.store
    runs = store.runs() if run_id is None else [store.run(run_id)]
    if not runs:
        raise NotFound(f"The study {study.folder} has no run yet, so there is no feedback to export.")
    out_folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{out_folder.name}-", dir=out_folder.parent))
    try:
        written = _write(study, runs, unfinished)
        unfinished.chmod(0o755)
        unfinished.rename(out_folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return written


def _write(study: Study, runs: Iterable[Run], folder: Path) -> Written:
    masks = folder / "masks"
    masks.mkdir()
    runs = list(runs)
    rows = [row for run in runs for row in _rows(study, run.id, masks)]
    _write_table(folder / "feedback.csv", COLUMNS, rows)
    corrections = [row for run in runs for row in _corrections(study, run.id)]
    if corrections:
        _write_table(folder / "corrections.csv", CORRECTION_COLUMNS, corrections)
    (folder / "README.txt").write_text(_readme(study, with_corrections=bool(corrections)), encoding="utf-8")
    return Written(events=len(rows), masks=sum(bool(row["mask"]) for row in rows))


def _write_table(path: Path, columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)


def _corrections(study: Study, run_id: int) -> list[dict[str, Any]]:
    return [
        {
            "correction": entry.id,
            "time": entry.time.isoformat(timespec="seconds"),
            "effective": int(insight.discarded is None),
            "reader": entry.reader,
            "action": entry.action,
            "image": entry.case_id,
            "cells": _numbers(entry.cells),
            "run": entry.run,
            "round": entry.round,
            "insight": entry.insight,
            "key": entry.key,
        }
        for insight in study.store.insights(run_id)
        for entry in study.store.corrections(insight.id)
    ]


def _rows(study: Study, run_id: int, masks: Path) -> list[dict[str, Any]]:
    effective = {event.id for event in study.store.effective(run_id)}
    return [_row(study, event, event.id in effective, masks) for event in study.store.events(run_id)]


def _row(study: Study, event: Event, effective: bool, masks: Path) -> dict[str, Any]:
    label = _label(study, event.case_id)
    mask = ""
    if label and effective and (event.cells or event.misleading):
        mask = f"masks/{event.id:06d}.png"
        image = study.image_path(event.case_id)
        grid = Grid.square(event.grid_size, images.read_size(image))
        images.write_mask(masks / Path(mask).name, grid.mask(event.cells, event.misleading), image)
    return {
        "event": event.id,
        "time": event.time.isoformat(timespec="seconds"),
        "effective": int(effective),
        "image": event.case_id,
        "label": label,
        "reader": event.reader,
        "action": str(event.action),
        "cells": _numbers(event.cells),
        "misleading": _numbers(event.misleading),
        "grid_size": event.grid_size,
        "mask": mask,
        "new_label": event.new_label,
        "rationale": event.rationale,
        "seconds": round(event.seconds, 3),
        "run": event.run,
        "round": event.round,
        "epoch": event.epoch,
        "image_sha256": event.image_sha256,
        "model_sha256": event.model_sha256,
        "heatmap_method": event.heatmap_method,
        "key": event.key,
    }


def _label(study: Study, case_id: str) -> str:
    """The case's label, which is never empty; empty if the case has left the manifest, which takes no answer away."""
    try:
        return study.case(case_id).label
    except NotFound:
        return ""


def _numbers(cells: Iterable[int]) -> str:
    return " ".join(str(cell) for cell in cells)


def _readme(study: Study, *, with_corrections: bool) -> str:
    text = (
        f"Feedback from the study {study.folder.resolve().name}, exported by IMIL.\n\n"
        "feedback.csv has one row for each event, oldest first. Events are never altered: a changed mind is a new\n"
        "event, so use the rows with effective = 1 unless you study how readers change their minds.\n\n"
        f"Columns:\n{_explained(COLUMNS)}\n"
    )
    if not with_corrections:
        return text
    return (
        f"{text}\ncorrections.csv has what readers said to what was learnt from a round, oldest first; of several\n"
        f"about the same image or cell, the last one counts.\n\nColumns:\n{_explained(CORRECTION_COLUMNS)}\n"
    )


def _explained(columns: Mapping[str, str]) -> str:
    width = max(map(len, columns))
    return "\n".join(f"  {name:<{width}}  {text}" for name, text in columns.items())
