"""Answers of a real or earlier run, to be replayed: from the study's store, or from a table of ``imil export``."""

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from imil.errors import BadInput, NotFound
from imil.experiments.panels import PanelReply, RecordedPanel, Seen
from imil.export import COLUMNS
from imil.grid import Grid
from imil.settings import describe
from imil.store import Action, Event
from imil.study import Study

MAX_TABLE_BYTES = 64_000_000
MAX_GRID: int = describe()["grid_size"]["maximum"]
"""Most cells along a grid's side."""
TABLE = "feedback.csv"
_NEEDED = ("effective", "image", "reader", "action", "cells", "misleading", "grid_size", "new_label", "image_sha256")


def newest_recorded_run(study: Study) -> int | None:
    """The newest run of the study whose rounds are all answered, by anybody; None if there is none."""
    for run in reversed(study.store.runs()):
        answered = any(event.action is not Action.SKIP for event in study.store.effective(run.id))
        if answered and not _unanswered(study, run.id):
            return run.id
    return None


def _unanswered(study: Study, run_id: int) -> int:
    """Cases of the run's open round that lack answers."""
    return sum(one.queued - one.reviewed for one in study.store.rounds(run_id) if not one.closed)


def load_recording(study: Study, source: str) -> RecordedPanel:
    """The recorded answers that ``source`` names.

    Args:
        study: the study that they are replayed on.
        source: the number of a run of this study, or a ``feedback.csv`` or the folder that holds it.

    Raises:
        NotFound: if there is no such run or file.
        BadInput: if there is no answer in it, it isn't such a table, or it was recorded on other images.
    """
    if source.isdecimal():
        return _from_run(study, int(source))
    path = Path(source)
    try:
        path = path / TABLE if path.is_dir() else path
        if not path.is_file():
            raise NotFound(f"There is no file {path}; name a run by its number, or a {TABLE} that `imil export` wrote.")
        return _from_table(study, path)
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror or error}.") from error


def _from_run(study: Study, run_id: int) -> RecordedPanel:
    study.store.run(run_id)  # refuses a number that doesn't exist
    events = _last_answers(study.store.effective(run_id))
    _check_images(study, {event.case_id: event.image_sha256 for event in events}, f"run {run_id}")
    _check_labels(study, events, f"run {run_id}")
    seen: dict[str, Seen] = {}
    for event in events:
        entry = study.store.queue_entry(run_id, event.round, event.case_id)
        heatmap = study.store.heatmap(run_id, event.round, event.case_id).astype(np.float16)
        seen[event.case_id] = Seen(entry.prediction, entry.confidence, heatmap)
    panel = _panel([_reply(event) for event in events], f"run {run_id}", seen)
    return replace(panel, unanswered=_unanswered(study, run_id))


def _from_table(study: Study, path: Path) -> RecordedPanel:
    rows = [row for row in _rows(path) if row["effective"] == "1"]
    latest: dict[tuple[str, str], Mapping[str, str]] = {}
    for row in rows:  # the oldest first; of several rounds, a reader's last answer counts
        latest.pop((row["image"], row["reader"]), None)
        latest[row["image"], row["reader"]] = row
    _check_images(study, {row["image"]: row["image_sha256"] for row in latest.values()}, str(path))
    replies = [_row_reply(study, row, path) for row in latest.values()]
    _check_labels(study, replies, str(path))
    return _panel(replies, path.name if path.parent == Path() else f"{path.parent.name}/{path.name}", {})


def _panel(replies: list[PanelReply], source: str, seen: Mapping[str, Seen]) -> RecordedPanel:
    if not any(reply.action != "skip" for reply in replies):
        raise BadInput(f"There is no answer in {source} to replay; have its round reviewed first.")
    grids: dict[str, set[int]] = defaultdict(set)
    for reply in replies:
        if reply.cells or reply.misleading:
            grids[reply.case_id].add(reply.grid_size)
    for case, sizes in grids.items():
        if len(sizes) > 1:
            raise BadInput(
                f"The readers of {case!r} in {source} had different grids ({', '.join(map(str, sorted(sizes)))} cells "
                "along each side), so their cells can't be combined; replay one run at a time."
            )
    digest = hashlib.sha256(json.dumps([asdict(reply) for reply in replies]).encode()).hexdigest()
    readers = len({reply.reader for reply in replies})
    cases = len({reply.case_id for reply in replies})
    who = "one recorded reader" if readers == 1 else f"{readers} recorded readers"
    return RecordedPanel(f"{who} ({source}, {cases} {'case' if cases == 1 else 'cases'})", digest, tuple(replies), seen)


def _last_answers(events: Iterable[Event]) -> list[Event]:
    """Of several rounds, each reader's last answer to a case."""
    latest: dict[tuple[str, str], Event] = {}
    for event in events:
        latest.pop((event.case_id, event.reader), None)
        latest[event.case_id, event.reader] = event
    return list(latest.values())


def _reply(event: Event) -> PanelReply:
    return PanelReply(
        event.case_id,
        event.reader,
        str(event.action),
        event.grid_size,
        event.cells,
        event.misleading,
        event.new_label,
        event.rationale,
    )


def _rows(path: Path) -> list[dict[str, str]]:
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise BadInput(f"{path} is larger than {MAX_TABLE_BYTES // 1_000_000} MB; is it a table of `imil export`?")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise BadInput(
                    f"{path} has no column {missing[0]!r}; needed is a table of `imil export`, with the columns "
                    f"{', '.join(COLUMNS)}."
                )
            return [{name: row[name] or "" for name in (*_NEEDED, "rationale") if name in row} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} can't be read as a table: {error}.") from error


def _row_reply(study: Study, row: Mapping[str, str], path: Path) -> PanelReply:
    case = row["image"]
    if row["action"] not in ("grid", "skip", "relabel", "exclude"):
        raise BadInput(
            f"{path}: the action of {case!r} is {row['action']!r}; allowed are grid, skip, relabel, exclude."
        )
    if bool(row["new_label"]) != (row["action"] == "relabel"):
        raise BadInput(
            f"{path}: the new_label of {case!r} is {row['new_label']!r} and its action {row['action']}; the action "
            "relabel needs a new label, and the others take none."
        )
    try:
        grid_size = int(row["grid_size"] or 0)
        if not 0 <= grid_size <= MAX_GRID:
            raise ValueError(f"its grid_size is {grid_size}; allowed is 1 to {MAX_GRID}")
        cells, misleading = (tuple(int(cell) for cell in row[name].split()) for name in ("cells", "misleading"))
        if cells or misleading:
            grid = Grid.square(grid_size, (grid_size, grid_size))
            cells, misleading = grid.check_cells(cells), grid.check_cells(misleading)
            grid.mask(cells, misleading)  # refuses a cell that is marked both ways
        if row["action"] == "grid" and not cells:
            raise ValueError("the action grid needs at least one cell that matters")
    except (ValueError, BadInput) as error:
        raise BadInput(f"{path}: the cells of {case!r} can't be used ({str(error).rstrip('.')}).") from error
    return PanelReply(
        case, row["reader"], row["action"], grid_size, cells, misleading, row["new_label"], row.get("rationale", "")
    )


def _check_images(study: Study, recorded: Mapping[str, str], source: str) -> None:
    """Refuse answers to images that this study doesn't train on."""
    known = {case.id: case.split for case in study.cases}
    strangers = [case for case in recorded if case not in known]
    changed = [case for case, sha256 in recorded.items() if case in known and study.sha256(case) != sha256]
    for cases, problem in ((strangers, "aren't in it"), (changed, "have another content there")):
        if cases:
            raise BadInput(
                f"The feedback of {source} was recorded on another study than {study.folder.name}: {len(cases)} of "
                f"{len(recorded)} images {problem}, {cases[0]!r} first."
            )
    held_out = [case for case in recorded if known[case] != "train"]
    if held_out:
        raise BadInput(
            f"The feedback of {source} is on {len(held_out)} images that aren't in the split 'train' of "
            f"{study.folder.name} now, {held_out[0]!r} first; it can't be used without training on test images."
        )


def _check_labels(study: Study, replies: Iterable[PanelReply | Event], source: str) -> None:
    for reply in replies:
        if reply.new_label and reply.new_label not in study.classes:
            raise BadInput(
                f"The feedback of {source} gives {reply.case_id!r} the label {reply.new_label!r}, which isn't a class "
                f"of {study.folder.name}; there are {', '.join(study.classes)}."
            )
