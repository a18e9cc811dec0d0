"""Phantoms as a folder of files that is ready to be a study."""

import secrets
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from imil.cases import Case, write_manifest
from imil.errors import BadInput
from imil.phantom.formats import SUFFIXES, Kind, load_libraries, write_bits, write_picture
from imil.phantom.series import Phantoms, generate, label_of
from imil.phantom.settings import CLASSES, MarkerKind, PhantomSettings, Place, check_whole

Formats = Literal["png", "mixed"]
_PERIOD = 41
"""Of so many pictures, a mixed set has one of each rarer kind. It's odd, so that every kind meets both classes."""
_RARE: dict[int, Kind] = {5: "dicom", 18: "nifti", 31: "png16"}
_PIXELS_AT_ONCE = 2**23
_MARKERS: dict[MarkerKind, str] = {
    "letter": "A lead letter",
    "ring": "A ring",
    "tube": "A tube-like line",
    "patch": "A faint patch",
    "exposure": "A film that is a little too bright",
}
_PLACES: dict[Place, str] = {
    "corner": "in an upper corner",
    "outside": "anywhere outside the lungs",
    "lung": "at one place in the right lung",
    "lung_random": "anywhere in a lung",
}


def write_phantoms(
    folder: Path,
    count: int,
    *,
    test_share: float = 0.25,
    seed: int = 0,
    settings: PhantomSettings | None = None,
    formats: Formats = "png",
) -> list[Case]:
    """Writes ``count`` phantoms with masks, ``manifest.csv`` and a README that says how they were made.

    The last ``test_share`` of the pictures are the test set; their markers follow ``settings.test_shortcut``. Masks
    are 1-bit PNG, white inside: one of the lungs for every picture, one of the lesions for each of class "tb", and one
    of the marker for each picture where one shows.
    ``formats`` "mixed" has, of 41 pictures each, one as DICOM (CR, MONOCHROME1, 12 bits, VOI window), one as NIfTI and
    one as 16-bit PNG; all else is 8-bit PNG. The folder appears as a whole or not at all.

    Raises:
        BadInput: if the folder isn't empty or can't be written, a value is out of range, or a class would be missing
            in training or test.
    """
    settings = settings or PhantomSettings()
    _check_options(folder, test_share, formats)
    check_whole("count", count, 1, 1_000_000)
    check_whole("seed", seed, 0, 2**63 - 1)
    first_test = count - round(count * test_share)
    _check_classes([label_of(index, seed, settings.prevalence) for index in range(count)], first_test)
    load_libraries({_kind(index, formats) for index in range(count)})
    with _appearing(folder) as unfinished:
        for name in _folders(settings):
            (unfinished / name).mkdir(parents=True)
        cases: list[Case] = []
        for split, first, end in (("train", 0, first_test), ("test", first_test, count)):
            with_marker = settings
            if split == "test" and settings.shortcut is not None:
                with_marker = replace(settings, shortcut=settings.test_shortcut)
            cases += _write_split(unfinished, split, range(first, end), seed, with_marker, formats)
        write_manifest(unfinished / "manifest.csv", cases)
        command = _command(folder, count, test_share, seed, settings, formats)
        (unfinished / "README.md").write_text(_readme(command, cases, settings), encoding="utf-8")
    return cases


def _folders(settings: PhantomSettings) -> list[str]:
    return ["images", "masks/lung", "masks/lesion", *(["masks/misleading"] if _has_things(settings) else [])]


def _has_things(settings: PhantomSettings) -> bool:
    """Whether the marker is something on the film."""
    return settings.shortcut is not None and settings.marker != "exposure"


def _check_options(folder: Path, test_share: float, formats: str) -> None:
    if formats not in get_args(Formats):
        raise BadInput(f"formats {formats!r} is unknown; choose one of {', '.join(get_args(Formats))}.")
    if isinstance(test_share, bool) or not isinstance(test_share, int | float) or not 0 <= test_share < 1:
        raise BadInput(f"test_share {test_share!r} is out of range; choose a number from 0 to below 1.")
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is a file; choose a folder that is new or empty.")
    if folder.exists() and any(folder.iterdir()):
        raise BadInput(f"{folder} isn't empty; choose a folder that is new or empty.")


def _check_classes(labels: list[str], first_test: int) -> None:
    for split, part in (("training", labels[:first_test]), ("test", labels[first_test:])):
        missing = sorted(set(CLASSES) - set(part))
        if missing and (part or split == "training"):
            raise BadInput(
                f"{len(labels)} pictures leave the {split} set of {len(part)} without class {missing[0]!r}; "
                "choose a larger count, or another test_share or prevalence."
            )


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``folder`` when the block ends without an error, and else is gone."""
    folder = folder.absolute()
    unfinished = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        unfinished.replace(folder)
    except OSError as error:
        raise BadInput(f"{folder} can't be written: {error.strerror or error}; choose another folder.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write_split(
    folder: Path, split: str, indices: range, seed: int, settings: PhantomSettings, formats: Formats
) -> list[Case]:
    """A bounded number of pictures is in memory at a time."""
    cases: list[Case] = []
    step = max(2, min(64, _PIXELS_AT_ONCE // settings.size**2))
    for first in range(indices.start, indices.stop, step):
        part = range(first, min(first + step, indices.stop))
        phantoms = generate(len(part), seed, settings, start=first)
        with ThreadPoolExecutor(2) as pool:
            jobs = [
                pool.submit(_write_case, folder, split, phantoms, row, index, seed, _kind(index, formats))
                for row, index in enumerate(part)
            ]
            cases += [job.result() for job in jobs]
    return cases


def _kind(index: int, formats: Formats) -> Kind:
    return _RARE.get(index % _PERIOD, "png") if formats == "mixed" else "png"


def _write_case(folder: Path, split: str, phantoms: Phantoms, row: int, index: int, seed: int, kind: Kind) -> Case:
    name = f"phantom-{index + 1:05d}"
    image = f"images/{name}{SUFFIXES[kind]}"
    write_picture(folder / image, phantoms.pixels[row], kind, seed=seed, index=index)
    lung = _write_mask(folder, f"masks/lung/{name}.png", phantoms.lung[row])
    diseased = phantoms.labels[row] == CLASSES[1]
    lesion = _write_mask(folder, f"masks/lesion/{name}.png", phantoms.lesion[row]) if diseased else ""
    marker = phantoms.marker_mask[row]
    misleading = _write_mask(folder, f"masks/misleading/{name}.png", marker) if marker.any() else ""
    patient = f"patient-{index + 1:05d}"
    return Case(image, phantoms.labels[row], patient, split, lesion, lung, misleading)


def _write_mask(folder: Path, path: str, mask: npt.NDArray[np.uint8]) -> str:
    write_bits(folder / path, mask)
    return path


def _command(
    folder: Path, count: int, test_share: float, seed: int, settings: PhantomSettings, formats: Formats
) -> str:
    """The command line that makes this set; of the settings, what isn't the default."""
    words = [f"imil phantom {folder.absolute().name} --count {count} --size {settings.size} --seed {seed}"]
    words.append(f"--test-share {test_share:g} --formats {formats}")
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name != "size" and value != field.default:
            option = "--" + field.name.replace("_", "-")
            words.append(option if value is True else f"{option} {_word(value)}")
    return " ".join(words)


def _word(value: str | float | None) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else f"{value:g}"


def _readme(command: str, cases: list[Case], settings: PhantomSettings) -> str:
    counts = Counter((case.split, case.label) for case in cases)
    numbers = "\n".join(
        f"| {split} | {counts[split, CLASSES[0]]} | {counts[split, CLASSES[1]]} |" for split in ("train", "test")
    )
    masks = ", ".join(f"`{name}/`" for name in _folders(settings)[1:])
    return f"""# Phantom chest radiographs

Made by a program; they show no person. The same command makes the same pictures again:

    {command}

- `images/`: {len(cases)} frontal chest radiographs, {settings.size} x {settings.size} pixels. Class `tb` has soft
  opacities, mostly in the upper lungs, some with a cavity; class `normal` has none.
- {masks}: 1-bit PNG masks, white inside.
- `manifest.csv`: each picture's label, patient, split and masks.

| split | {CLASSES[0]} | {CLASSES[1]} |
|---|---|---|
{numbers}

{_about_markers(settings)}
"""


def _about_markers(settings: PhantomSettings) -> str:
    if settings.shortcut is None:
        return "There are no markers."
    marker = _MARKERS[settings.marker]
    if _has_things(settings):
        marker += f" {_PLACES[settings.place]}"
    text = (
        f"{marker} is a shortcut:\nin "
        f"training it is there with probability {settings.shortcut:g} in `tb` and {1 - settings.shortcut:g} in `normal`"
    )
    if settings.test_shortcut is None:
        return f"{text}; in the test set there is none."
    return f"{text},\nin the test set with {settings.test_shortcut:g} and {1 - settings.test_shortcut:g}."
