"""Makes the reference pages that come from the code: configuration, command line and store.

    python docs/make_reference.py            writes the pages, and the README's picture if the demo has made one
    python docs/make_reference.py --check    writes nothing; ends with status 1 if a page is out of date

The pages depend on the code alone, so that a test can tell whether they are up to date.
"""

import argparse
import inspect
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import Column, Table
from typer.main import get_command

from imil.cli import app
from imil.experiments.catalogue import EXPERIMENTS
from imil.settings import PRESETS, describe
from imil.store.models import Base

DOCS = Path(__file__).resolve().parent
PICTURE, PICTURE_SOURCE = DOCS / "images" / "story.png", DOCS.parent / "build" / "demo" / "story.png"
PICTURE_WIDTH = 800
HELP_WIDTH = 100
MADE = "<!-- Made by docs/make_reference.py from the code; change the code, then run `make docs`. -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the pages; returns the exit status."""
    parser = argparse.ArgumentParser(description="Make the reference pages that come from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is out of date")
    check = parser.parse_args(arguments).check
    stale = []
    for name, text in pages().items():
        path = DOCS / "reference" / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.write_text(text, encoding="utf-8")
    if check and stale:
        print(f"Out of date: {', '.join(stale)}; run `make docs`.", file=sys.stderr)
        return 1
    if not check and PICTURE_SOURCE.is_file():
        copy_picture(PICTURE_SOURCE, PICTURE)
    return 0


def copy_picture(source: Path, target: Path) -> None:
    """Copy the demo's picture at the width that a page shows it in, which keeps the repository small."""
    target.parent.mkdir(exist_ok=True)
    with Image.open(source) as picture:
        size = (PICTURE_WIDTH, round(picture.height * PICTURE_WIDTH / picture.width))
        small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        small.quantize(256).save(target, optimize=True)


def pages() -> dict[str, str]:
    """The text of each page by its name in docs/reference."""
    return {"configuration.md": configuration(), "cli.md": command_line(), "store.md": store()}


# -- configuration -----------------------------------------------------------------------------------------------------

CONFIGURATION_INTRODUCTION = """\
# Configuration

Every setting of a run has one definition, in `imil.settings.RunSettings`. It has the same name, default and limits

- at the command line: `imil train STUDY --num-outliers 10`,
- over REST: `POST /train/classifier` with `{"num_outliers": 10}`,
- in Python: `imil.resolve("quick", num_outliers=10)`.

A run keeps the settings that it began with. They are stored with it and printed in its report. To change one, start a
new run. Only what becomes of the answers may be said anew when training is continued after a round: `feedback`,
`feedback_repeat`, `randomise_with`, `penalty`, `propagate_by`, `propagate_tolerance`, `decoys`, `rewind` and `insight`.
"""

CONFIGURATION_REST = """\
## Environment variables

| Variable | Meaning |
| --- | --- |
| `IMIL_DATABASE` | URL of the database; comes before the one in `study.json`. Empty: SQLite in the study |
| `IMIL_TRACEBACK` | set to 1 to see where an unexpected error came from |

## Server settings

MONAI Label reads its own settings from variables that start with `MONAI_LABEL_`; see
[run a server](../how-to/run-a-server.md). IMIL adds one option to MONAI Label's `--conf`:

| Name | Default | Meaning |
| --- | --- | --- |
| `max_upload_mb` | 64 | largest upload in megabytes |
"""


def configuration() -> str:
    """The page about settings."""
    rows = []
    for name, entry in describe().items():
        presets = [_value(fields[name]) if name in fields else "" for fields in PRESETS.values()]
        rows.append([f"`{name}`", _value(entry["default"]), *presets[1:], _allowed(entry), entry["help"]])
    others = list(PRESETS)[1:]
    table = _table(["Setting", "Default", *(f"Preset `{name}`" for name in others), "Allowed", "Meaning"], rows)
    presets = (
        "## Settings\n\nThe defaults are the preset `imil`. Other presets change only what their column shows.\n\n"
        f"{table}\n"
    )
    return _page(CONFIGURATION_INTRODUCTION, presets, CONFIGURATION_REST)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return f"`{','.join(str(part) for part in value)}`"
    return "empty" if value == "" else f"`{value}`"


def _allowed(entry: dict[str, Any]) -> str:
    if "choices" in entry:
        return ", ".join(f"`{choice}`" for choice in entry["choices"])
    if "minimum" in entry and "maximum" in entry:
        return f"{entry['minimum']} to {entry['maximum']}"
    return {"boolean": "yes, no", "array": "rising epochs, each before the last"}.get(entry["type"], "text")


# -- command line ------------------------------------------------------------------------------------------------------

CLI_INTRODUCTION = """\
# Command line

Each command answers `--help` at once. Mistakes end with one sentence on the error output and status 2, failures with
status 1, an interrupt with status 130.
"""


FIRST_EXPERIMENT = "imil experiment compare"


def command_line() -> str:
    """The page about `imil`."""
    return _page(CLI_INTRODUCTION, *_help_pages(get_command(app), "imil", None))


def _help_pages(command: Any, name: str, parent: Any) -> Iterable[str]:
    context = command.context_class(
        command,
        info_name=name.rsplit(" ", 1)[-1],
        parent=parent,
        terminal_width=HELP_WIDTH,
        help_option_names=["-h", "--help"],
    )
    text = command.get_help(context).rstrip()
    if name.removeprefix("imil experiment ") in EXPERIMENTS and name != FIRST_EXPERIMENT:
        # The experiments on a study have the same options; a page that repeats them six times isn't read.
        text = f"{text.partition('Options:')[0].rstrip()}\n\nOptions: those of `{FIRST_EXPERIMENT}`."
    yield f"## `{name}`\n\n```text\n{text}\n```\n"
    for child in getattr(command, "commands", {}).values():
        yield from _help_pages(child, f"{name} {child.name}", context)


# -- store -------------------------------------------------------------------------------------------------------------

STORE_INTRODUCTION = """\
# The store

The tables of a study's database: SQLite at `STUDY/.imil/imil.db`, or any database that SQLAlchemy speaks, by URL.
Migrations bring an older database up to date when it's opened; a newer one is refused.

Times are in UTC. Rows of `feedback_events` and `insight_corrections` are only ever added: triggers refuse UPDATE and
DELETE.
You are welcome to read the tables. To write, use `imil.store.Store`, which keeps them consistent.
"""

TABLES = {
    "runs": "One training run.",
    "epochs": "Metrics of one epoch over one split. NULL where a metric is undefined.",
    "rounds": "One round of feedback.",
    "queued_cases": "A case in the queue of a round, with what the model made of it.",
    "heat_maps": "The heat map that the reader of a queued case sees.",
    "leases": "A case reserved for a reader. An expired lease means nothing.",
    "feedback_events": "What readers said. Append-only.",
    "insights": "What a round's answers taught; what was found in each image is in `round-N-insight.pt` of the run.",
    "insight_corrections": "What readers said to an insight. Append-only.",
    "answers": "Which event is a reader's present answer to a case; derived from the events.",
    "scores": "Metrics that were asked for with `POST /scoring/metrics`.",
}

COLUMNS = {
    "accuracy": "share of right predictions",
    "action": "`grid`, `skip`, `relabel`, `exclude` or `undo`; of a correction `veto`, `correct` or `restore`",
    "auroc": "area under the ROC curve",
    "brier": "Brier score",
    "case_id": "the image's path inside the study, as in `manifest.csv`; of a correction empty for cells of all images",
    "cells": "cells that matter, or that a correction is about, numbered row by row from 0",
    "changed_settings": "old and new value of each setting that was given anew when the round was continued",
    "classes": "class names; the position is the class index",
    "closed": "the round takes no more answers",
    "closed_at": "when it was closed",
    "cols": "columns of the heat map",
    "confidence": "probability of the predicted class",
    "created": "when the run was started",
    "data": "the heat map's values, see `imil.store.heatmaps`",
    "discarded": "when it was thrown away, because the round was opened again; NULL while it holds",
    "early": "closed although cases were left to review",
    "ece": "expected calibration error, 15 bins",
    "epoch": "number of finished epochs",
    "epochs": "epochs in all",
    "event": "the event",
    "expires": "when the lease ends",
    "feedback": "the setting `feedback` that it was made for",
    "file_sha256": "SHA-256 of the file",
    "grid_size": "cells along each side of the grid",
    "heatmap_method": "method of the heat map that the reader saw",
    "id": "number of the row",
    "image_sha256": "SHA-256 of the image file",
    "insight": "what it's a correction of",
    "key": "the client's own UUID for the answer or correction",
    "kind": "`imil`, or `without_feedback` for the comparison",
    "label": "the true label when it was queued",
    "layer": "layer of the heat map",
    "loss": "mean loss",
    "message": "a sentence for people",
    "method": "method of the heat map",
    "metrics": "`accuracy`, `auroc`, `ece`, `brier`",
    "misleading": "cells that misled the model",
    "model_sha256": "SHA-256 of the model's weights",
    "needed": "answers that each case needs",
    "new_label": "the reader's label, for `relabel`",
    "opened": "when the queue was written",
    "parent": "the run that this one branched from",
    "position": "place in the queue, from 1",
    "prediction": "the class that the model predicted",
    "probabilities": "one for each class",
    "queued": "number of cases",
    "queued_case": "the queued case",
    "rationale": "the reader's own words",
    "reader": "who",
    "reason": "`misprediction`, `least_confident`, `class_balanced`, `out_of_fold` or `random`",
    "remaining": "cases left when the answer was recorded: the reply that was given",
    "replace": "the reader meant to replace an earlier answer",
    "round": "number of the round, from 1; in `runs` the last one opened",
    "rounds": "rounds that are planned",
    "rows": "rows of the heat map",
    "run": "the run",
    "seconds": "time taken: by the epochs, by the reader, or by finding it out",
    "settings": "every setting of the run, as it is now",
    "split": "`train`, `val` or `test`",
    "state": "`training`, `awaiting_review`, `awaiting_approval`, `completed` or `failed`",
    "summary": "what `POST /activelearning/imil_insight` tells, before any correction",
    "time": "when",
    "total": "cases in the queue: the reply that was given",
    "updated": "when the run last changed",
}


def store() -> str:
    """The page about the tables."""
    sections = [_store_table(table) for table in Base.metadata.tables.values()]
    return _page(STORE_INTRODUCTION, *sections)


def _store_table(table: Table) -> str:
    rows = [
        [
            f"`{column.name}`",
            str(column.type.compile()).lower(),
            _keys(column),
            "yes" if column.nullable else "no",
            COLUMNS[column.name],
        ]
        for column in table.columns
    ]
    unique = [
        f"Unique together: {', '.join(f'`{column.name}`' for column in constraint.columns)}.\n"
        for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name))
        if type(constraint).__name__ == "UniqueConstraint" and len(constraint.columns) > 1
    ]
    columns = _table(["Column", "Type", "Key", "May be NULL", "Meaning"], rows)
    return "\n".join([f"## `{table.name}`\n", f"{TABLES[table.name]}\n", f"{columns}\n", *unique])


def _keys(column: Column[Any]) -> str:
    keys = ["primary"] if column.primary_key else []
    keys += sorted(f"`{key.column.table.name}.{key.column.name}`" for key in column.foreign_keys)
    return ", ".join(keys)


# -- text --------------------------------------------------------------------------------------------------------------


def _page(*parts: str) -> str:
    return f"{MADE}\n\n" + "\n".join(inspect.cleandoc(part) + "\n" for part in parts)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
