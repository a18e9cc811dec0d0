"""The folder of an experiment: what it is, and the results that are there already.

    experiment.json        what is compared on what; written first
    results/<arm>/seed-<seed>.npz
    work/                  checkpoints of trainings that aren't finished, and the weights that arms share
    report.html, ...       see `imil.experiments.report.write`

A folder takes more seeds and arms later, but nothing that was made under other conditions.
"""

import json
import zipfile
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from imil import __version__
from imil.errors import BadInput, Conflict
from imil.experiments.results import NOBODY, VERSION, ArmResult, QueuedSample
from imil.files import replacing, write_text

MAX_DESCRIPTION_BYTES = 10_000_000
ORACLE = "oracle"
_ARRAYS = ("probabilities", "maps", "heatmap_inside", "gradient_inside", "sample_maps")


@dataclass(frozen=True)
class Conditions:
    """What all results of a folder have in common.

    Attributes:
        experiment: its name.
        study: a hash of the study's images, labels and splits.
        settings: those of the experiment, without the seed.
        reader: who answers, and a hash of the recorded answers; `NOBODY` if no arm asks anybody.
    """

    experiment: str
    study: str
    settings: dict[str, Any]
    reader: str


class ExperimentFolder:
    """Reads and writes an experiment's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def description(self) -> Path:
        return self.path / "experiment.json"

    @property
    def work(self) -> Path:
        return self.path / "work"

    def result(self, arm: str, seed: int) -> Path:
        """Where the result of an arm and seed is, or will be."""
        return self.path / "results" / arm / f"seed-{seed}.npz"

    def claim(self, conditions: Conditions) -> None:
        """Make the folder this experiment's, or see that it is.

        Raises:
            BadInput: if it holds something else, or can't be written to.
            Conflict: if its results are of another version of this program, or were made under other conditions.
        """
        here = json.loads(json.dumps(asdict(conditions)))
        found = self._description()
        if found is None:
            if self.path.is_dir() and any(self.path.iterdir()):
                raise BadInput(f"{self.path} isn't empty and isn't an experiment's folder; name another with --out.")
            self._write(here)
            return
        if found.get("version") != VERSION:
            raise Conflict(
                f"{self.path} holds results of another version of IMIL (format {found.get('version')!r}, made by IMIL "
                f"{found.get('imil', 'unknown')}; this one writes format {VERSION}); name another folder with --out, "
                "or remove it."
            )
        difference = _difference(found["conditions"], here)
        if difference:
            raise Conflict(
                f"{self.path} holds results that were made under other conditions: {difference}. Name another folder "
                "with --out, or remove it."
            )
        if found["conditions"].get("reader") == NOBODY != conditions.reader:
            self._write(here)

    def _description(self) -> dict[str, Any] | None:
        try:
            if self.description.stat().st_size > MAX_DESCRIPTION_BYTES:
                raise ValueError("it's too large")
            found = json.loads(self.description.read_text("utf-8"))
            if not isinstance(found, dict):
                raise ValueError("it isn't a JSON object")
            if found.get("version") == VERSION and not isinstance(found["conditions"]["settings"], dict):
                raise TypeError("it has no settings")
        except FileNotFoundError:
            return None
        except NotADirectoryError as error:
            raise BadInput(f"{self.path} isn't a folder; name another with --out.") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"{self.description} can't be used ({error}); name another folder with --out, or remove it."
            ) from error
        return found

    def _write(self, conditions: dict[str, Any]) -> None:
        content = {"version": VERSION, "imil": __version__, "conditions": conditions}
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_text(self.description, json.dumps(content, indent=2) + "\n")
        except OSError as error:
            raise BadInput(f"The folder {self.path} can't be written to: {error.strerror or error}.") from error


def write_result(path: Path, result: ArmResult) -> None:
    """Write one result, all or nothing."""
    facts = {field.name: getattr(result, field.name) for field in fields(result) if field.name not in _ARRAYS}
    facts["samples"] = [asdict(sample) for sample in result.samples]
    arrays = {name: getattr(result, name) for name in _ARRAYS}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez_compressed(file, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)


def read_result(path: Path) -> ArmResult:
    """Read one result.

    Raises:
        BadInput: if the file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # numpy reads on before it compares checksums
        if damaged is not None:
            raise zipfile.BadZipFile(f"wrong checksum in {damaged}")
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(stored["facts"].tobytes())
            arrays = {name: stored[name] for name in _ARRAYS}
        samples = tuple(
            QueuedSample(**entry | {"cells": tuple(entry["cells"]), "misleading": tuple(entry["misleading"])})
            for entry in facts.pop("samples")
        )
        return ArmResult(**facts, **arrays, samples=samples)
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        EOFError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise BadInput(f"The result {path} is damaged ({error}); remove it and run the experiment again.") from error


def _readers_differ(before: str, now: str) -> str:
    if ORACLE in (before, now):
        was, is_ = ("an oracle", "recorded answers") if before == ORACLE else ("recorded answers", "an oracle")
        return f"feedback came from {was} and comes from {is_} now"
    return "the recorded answers were others: of another run, or some were given or changed since"


def _difference(found: dict[str, Any], here: dict[str, Any]) -> str:
    """The first condition that differs, in words; empty if none does."""
    if found.get("experiment") != here["experiment"]:
        return f"the experiment was {found.get('experiment')!r} and is {here['experiment']!r} now"
    # What is trained without a reader is the same whoever reads before or after.
    if found.get("reader") != here["reader"] and NOBODY not in (found.get("reader"), here["reader"]):
        return _readers_differ(str(found.get("reader")), here["reader"])
    if found.get("study") != here["study"]:
        return "the study's images, labels or splits have changed, or it's another study"
    before = found["settings"]
    for name, value in here["settings"].items():
        if before.get(name) != value:
            return f"the setting {name} was {before.get(name)!r} and is {value!r} now"
    return ""
