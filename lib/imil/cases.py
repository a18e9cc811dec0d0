"""Cases: the ground truth in ``manifest.csv``, and which of them train and which test.

The manifest is a CSV file in UTF-8 with the columns
``image,label[,patient,split,lesion_mask,lung_mask,misleading_mask]``. Paths are relative to the study folder and use
``/``. An image's path is its case's id everywhere.
"""

import csv
import hashlib
import io
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from imil.errors import BadInput
from imil.files import write_text

REQUIRED = ("image", "label")
MASKS = ("lesion_mask", "lung_mask", "misleading_mask")
COLUMNS = (*REQUIRED, "patient", "split", *MASKS)
SPLITS = ("train", "val", "test")
MANIFEST = "manifest.csv"
"""The manifest's name in a study folder."""
STATE_FOLDER = ".imil"
"""The folder inside a study that holds everything IMIL writes, apart from the manifest."""
MAX_MANIFEST_BYTES = 512 * 2**20
_TRIES = 64


@dataclass(frozen=True)
class Case:
    """One image with its ground truth."""

    id: str
    """The image's POSIX path relative to the study folder, with extension; unique in the study."""
    label: str
    patient: str
    """The image's own id where the manifest names no patient."""
    split: str = ""
    """``train``, ``val`` or ``test``; empty only until `assign_splits` has filled it in."""
    lesion_mask: str = ""
    """Relative path, or empty."""
    lung_mask: str = ""
    """Relative path, or empty."""
    misleading_mask: str = ""
    """Of pixels known to mislead a model; relative path, or empty."""

    @property
    def masks(self) -> tuple[str, ...]:
        """Paths of the masks, in the order of `MASKS`; empty where there is none."""
        return tuple(getattr(self, name) for name in MASKS)


def class_names(cases: Iterable[Case]) -> list[str]:
    """The labels, sorted; a label's index in this list is its class index everywhere."""
    return sorted({case.label for case in cases})


def relative_path(value: str, what: str) -> str:
    """A path inside the study folder in its one canonical spelling (``a//./b.png`` becomes ``a/b.png``).

    Links inside the folder may point anywhere: whoever owns the folder made them.

    Raises:
        BadInput: if it's absolute, climbs out with ``..``, lies in IMIL's own folder, or isn't plain text.
    """
    path = PurePosixPath(value)
    if path.is_absolute() or PureWindowsPath(value).drive or ".." in path.parts:
        raise BadInput(f"{what}: {value!r} leads out of the study folder; use a path relative to it, without '..'.")
    if not path.parts:
        raise BadInput(f"{what}: {value!r} names no file.")
    if path.parts[0] == STATE_FOLDER:
        raise BadInput(f"{what}: {value!r} lies in {STATE_FOLDER}, which is IMIL's own; keep images elsewhere.")
    check_text(value, what)
    return str(path)


def check_text(value: str, what: str) -> None:
    """Refuse what a manifest, a log or a header can't carry: control characters and names that aren't Unicode.

    Raises:
        BadInput: naming the value.
    """
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise BadInput(f"{what}: {value!r} holds a character that isn't text; rename it.")


def read_manifest(path: Path, root: Path | None = None) -> list[Case]:
    """The cases of a manifest, in its order; ``split`` is empty where the manifest gives none.

    Args:
        path: The CSV file, UTF-8 with or without a byte order mark.
        root: The folder that the paths in it are relative to; the manifest's own folder unless given.

    Raises:
        BadInput: naming the line, for anything that can't be used: a missing or unreadable file, an unknown, repeated
            or missing column, an empty label, an image that is listed twice, isn't there or lies outside the folder, an
            unknown split, no rows, or a single class.
    """
    root = path.parent if root is None else root
    cases: list[Case] = []
    lines: dict[str, int] = {}
    for line, row in _rows(path):
        case = _case(row, f"{path.name}, line {line}", root)
        if case.id in lines:
            raise BadInput(
                f"{path.name}, line {line}: image {case.id!r} is listed twice (also in line {lines[case.id]}); "
                "keep one."
            )
        lines[case.id] = line
        cases.append(case)
    if not cases:
        raise BadInput(f"{path.name} lists no images; it needs one line for each image under the header.")
    check_classes(cases, path.name)
    return cases


def write_manifest(path: Path, cases: Sequence[Case]) -> None:
    """Write the cases as a manifest, all or nothing; mask columns only where a case has a mask."""
    masks = [name for name in MASKS if any(getattr(case, name) for case in cases)]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "label", "patient", "split", *masks])
    for case in cases:
        patient = "" if case.patient == case.id else case.patient
        writer.writerow([case.id, case.label, patient, case.split, *(getattr(case, name) for name in masks)])
    write_text(path, text.getvalue())


def check_classes(cases: Sequence[Case], source: str) -> None:
    """Refuse cases that are all of one class.

    Raises:
        BadInput: naming the class and the source.
    """
    classes = class_names(cases)
    if len(classes) < 2:
        raise BadInput(
            f"{source} has the single class {classes[0]!r} ({len(cases)} images); a classifier needs at least two."
        )


def assign_splits(cases: Sequence[Case], *, test_share: float = 0.2, seed: int = 0) -> list[Case]:
    """The cases with ``split`` filled in: stratified by class, by whole patients.

    Cases that all have a split keep it. Otherwise patients go to the test set in an order that depends on nothing but
    the seed and their names, as long as that brings the classes closer to ``test_share``; so each class's number of
    test images is within one patient of its share, where patients have one label each.

    Raises:
        BadInput: if only some cases have a split, if a patient is in several, if a class is missing in ``train``, if a
            class has a single patient, if ``test_share`` isn't between 0 and 1, or if no way was found to have every
            class in both.
    """
    given = [case for case in cases if case.split]
    if len(given) == len(cases):
        _check_given(cases)
        return list(cases)
    if given:
        first = next(case for case in cases if not case.split)
        raise BadInput(
            f"{len(cases) - len(given)} of {len(cases)} images have no split, {first.id!r} first; give all of them one "
            f"({', '.join(SPLITS)}) or none."
        )
    if not 0 < test_share < 1:
        raise BadInput(f"test_share is {test_share}; it must lie between 0 and 1, for instance 0.2.")
    patients = _patients(cases)
    _check_patients(patients)
    for attempt in range(_TRIES):
        order = sorted(patients, key=lambda patient: _draw(patient, f"{seed}:{attempt}" if attempt else str(seed)))
        test = _choose(patients, order, test_share)
        if _every_class(patients, test) and _every_class(patients, patients.keys() - test):
            return [replace(case, split="test" if case.patient in test else "train") for case in cases]
    raise BadInput(
        "No split by whole patients was found that has every class in both train and test; too few patients carry "
        "several labels at once: give the splits in the manifest."
    )


def _rows(path: Path) -> Iterable[tuple[int, dict[str, str]]]:
    """Line number and row, of a manifest whose header is in order."""
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise BadInput(f"{path.name} is larger than {MAX_MANIFEST_BYTES // 2**20} MB; is it really a manifest?")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name} isn't UTF-8 text (byte {error.start}); save it as 'CSV UTF-8'.") from error
    except OSError as error:
        raise BadInput(f"The manifest {path} can't be read: {error.strerror}.") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header, path.name)
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if len(values) != len(header):
                raise BadInput(
                    f"{path.name}, line {reader.line_num}: {len(values)} values for {len(header)} columns; a value "
                    "with a comma in it needs double quotes."
                )
            yield reader.line_num, dict(zip(header, values, strict=True))
    except csv.Error as error:
        raise BadInput(f"{path.name}, line {reader.line_num} isn't valid CSV: {error}.") from error


def _check_header(header: Sequence[str], source: str) -> None:
    for name in header:
        if name not in COLUMNS:
            raise BadInput(f"{source}: unknown column {name!r}; allowed are {', '.join(COLUMNS)}.")
        if header.count(name) > 1:
            raise BadInput(f"{source}: the column {name!r} is there {header.count(name)} times; keep one.")
    for name in REQUIRED:
        if name not in header:
            raise BadInput(f"{source}: the column {name!r} is missing; the first line must name image and label.")


def _case(row: Mapping[str, str], where: str, root: Path) -> Case:
    image = _existing(row["image"], f"{where}, image", root)
    label, split = row["label"].strip(), row.get("split", "").strip()
    if not label:
        raise BadInput(f"{where}: the label of {image!r} is empty; every image needs one.")
    check_text(label, f"{where}, label")
    if split and split not in SPLITS:
        raise BadInput(f"{where}: unknown split {split!r}; allowed are {', '.join(SPLITS)}, or none in any line.")
    masks = {name: _existing(row[name], f"{where}, {name}", root) for name in MASKS if row.get(name)}
    return Case(image, label, row.get("patient", "").strip() or image, split, **masks)


def _existing(value: str, what: str, root: Path) -> str:
    relative = relative_path(value, what)
    if not _is_file(root / relative):
        hint = "use / between folders" if "\\" in value else "check its spelling, and upper and lower case"
        raise BadInput(f"{what}: there is no file {value!r} in {root}; {hint}.")
    return relative


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the file system allows
        return False


def _patients(cases: Iterable[Case]) -> dict[str, Counter[str]]:
    """For each patient, the number of images by label."""
    patients: dict[str, Counter[str]] = defaultdict(Counter)
    for case in cases:
        patients[case.patient][case.label] += 1
    return dict(patients)


def _check_given(cases: Sequence[Case]) -> None:
    splits: dict[str, str] = {}
    for case in cases:
        first = splits.setdefault(case.patient, case.split)
        if first != case.split:
            raise BadInput(
                f"Patient {case.patient!r} is in both {first} and {case.split}; the images of a patient must "
                "share one split."
            )
    trained = {case.label for case in cases if case.split == "train"}
    for name in class_names(cases):
        if name not in trained:
            raise BadInput(f"The class {name!r} has no image in the split 'train', so it can't be learned; add some.")


def _check_patients(patients: Mapping[str, Counter[str]]) -> None:
    by_class: dict[str, list[str]] = defaultdict(list)
    for patient, labels in patients.items():
        for label in labels:
            by_class[label].append(patient)
    for label in sorted(by_class):
        if len(by_class[label]) == 1:
            raise BadInput(
                f"The class {label!r} has the single patient {by_class[label][0]!r}, who can't be in both train and "
                "test; add patients, or give the splits in the manifest."
            )


def _draw(patient: str, seed: str) -> bytes:
    """A patient's place in the lottery: the same on every machine and Python, whoever else takes part."""
    return hashlib.sha256(f"{seed}\0{patient}".encode()).digest()


def _choose(patients: Mapping[str, Counter[str]], order: Sequence[str], share: float) -> set[str]:
    """The test patients: taken in order while that brings the classes closer to their share, then at least one each.

    Patients with several labels come first, so that those with one can even out what they leave.
    """
    totals = sum(patients.values(), Counter[str]())
    missing = {label: count * share for label, count in totals.items()}
    test: set[str] = set()
    for patient in sorted(order, key=lambda patient: len(patients[patient]) == 1):
        labels = patients[patient]
        gain = sum(
            (abs(missing[label]) - abs(missing[label] - count)) / totals[label] for label, count in labels.items()
        )
        if gain > 0:
            test.add(patient)
            for label, count in labels.items():
                missing[label] -= count
    _fill_in(patients, order, test, chosen=True)
    _fill_in(patients, order, test, chosen=False)
    return test


def _fill_in(patients: Mapping[str, Counter[str]], order: Sequence[str], test: set[str], *, chosen: bool) -> None:
    """Give every class that a side lacks its smallest patient from the other; where there are few, the share fails."""
    for label in sorted({label for labels in patients.values() for label in labels}):
        members = [patient for patient in order if label in patients[patient]]
        if any((patient in test) == chosen for patient in members):
            continue
        moved = min(members, key=lambda patient: patients[patient].total())
        if chosen:
            test.add(moved)
        else:
            test.discard(moved)


def _every_class(patients: Mapping[str, Counter[str]], chosen: Iterable[str]) -> bool:
    everyone = {label for labels in patients.values() for label in labels}
    return everyone == {label for patient in chosen for label in patients[patient]}
