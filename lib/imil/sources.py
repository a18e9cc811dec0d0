"""Where a study's labels come from: a manifest, one folder for each class, or a data set's file names."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from imil.cases import MANIFEST, Case, check_classes, read_manifest, relative_path
from imil.errors import BadInput
from imil.images import IMAGE_SUFFIXES, is_image_file

Source = Literal["csv", "folders", "shenzhen"]
_SHENZHEN = re.compile(r"CHNCXR_(\d+)_([01])\.png")
_SHENZHEN_LABELS = {"0": "normal", "1": "tb"}


def find_cases(folder: Path, source: str, csv: Path | None = None) -> list[Case]:
    """The cases of the images in ``folder``, without a split where the source names none; see `create_study`.

    Raises:
        BadInput: if there are none, they're all of one class, or the manifest can't be used.
    """
    if source == "csv":
        path = Path(csv) if csv is not None else folder / MANIFEST
        if not path.is_file():
            raise BadInput(
                f"There is no manifest {path}; name one with --csv, or take the labels from folders or file names with "
                "--from."
            )
        return read_manifest(path, folder)
    if source == "folders":
        return _from_folders(folder)
    if source == "shenzhen":
        return _from_shenzhen(folder)
    raise BadInput(f"Unknown source {source!r}; allowed are csv, folders and shenzhen.")


def _from_folders(folder: Path) -> list[Case]:
    cases: list[Case] = []
    others: list[Path] = []
    for path in _files(folder):
        relative = path.relative_to(folder)
        if len(relative.parts) < 2 or not is_image_file(path):
            others.append(relative)
            continue
        image = relative_path(relative.as_posix(), "File name")
        cases.append(Case(image, relative.parts[0].strip(), image))
    if not cases:
        raise BadInput(
            f"{folder} has no class folders with images in them ({_what_is_there(others)}); the source 'folders' needs "
            f"one folder for each class, with files that end in {', '.join(IMAGE_SUFFIXES)}."
        )
    check_classes(cases, str(folder))
    return cases


def _from_shenzhen(folder: Path) -> list[Case]:
    cases: dict[str, Case] = {}
    others: list[Path] = []
    for path in _files(folder):
        relative = path.relative_to(folder)
        match = _SHENZHEN.fullmatch(path.name)
        if match is None:
            others.append(relative)
            continue
        if path.name in cases:
            raise BadInput(f"{path.name} is there twice: {cases[path.name].id} and {relative}; keep one.")
        image = relative_path(relative.as_posix(), "File name")
        cases[path.name] = Case(image, _SHENZHEN_LABELS[match[2]], match[1])
    if not cases:
        raise BadInput(
            f"{folder} has no files named like CHNCXR_0001_0.png ({_what_is_there(others)}); use the source 'folders' "
            "or 'csv' for other data."
        )
    found = list(cases.values())
    check_classes(found, str(folder))
    return found


def _files(folder: Path) -> list[Path]:
    """All files in the folder, by path, apart from hidden ones; links are followed."""
    return sorted(_walk(folder, frozenset()))


def _walk(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:  # a link to a folder that it lies in
        return
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise BadInput(f"The folder {folder} can't be read: {error.strerror}.") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry, above | {real})
        elif entry.is_file():
            yield entry
        elif entry.is_symlink():
            raise BadInput(f"The link {entry} leads nowhere; mend it or remove it.")


def _what_is_there(others: Sequence[Path]) -> str:
    if not others:
        return "it's empty"
    suffixes = sorted({path.suffix.lower() or "no suffix" for path in others})
    shown = ", ".join(suffixes[:8]) + (", ..." if len(suffixes) > 8 else "")
    return f"there are {len(others)} other files, {others[0]} for one, with the suffixes {shown}"
