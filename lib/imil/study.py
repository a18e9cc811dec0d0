"""A study: a folder of images with its ground truth and everything that IMIL keeps about it in ``.imil``.

    manifest.csv           the ground truth (see `imil.cases`)
    .imil/study.json       what the study is and how it came to be
    .imil/hashes.json      SHA-256 and pixel size of each image file, by its length and time of change
    .imil/cache/           decoded images (see `imil.cache`)
    .imil/runs/            one folder for each run
    .imil/imil.db          the store, unless study.json or IMIL_DATABASE names another database

The images themselves are never altered.
"""

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from imil.cache import PixelCache, Progress
from imil.cases import MANIFEST, STATE_FOLDER, Case, assign_splits, class_names, read_manifest, write_manifest
from imil.errors import BadInput, Conflict, NotFound
from imil.files import write_bytes, write_text
from imil.hashes import Hashes, in_threads
from imil.images import check_image, read_mask, read_size
from imil.sources import Source, find_cases

if TYPE_CHECKING:
    from imil.store import Store

VERSION = 1
"""The version of a study's folder that this program writes, and the newest it reads."""
ORIGINAL = "manifest.original.csv"
"""The manifest as it came, where the split had to be added."""
DATABASE_VARIABLE = "IMIL_DATABASE"


class StudyInfo(BaseModel):
    """The contents of ``study.json``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = VERSION
    created: str
    """Time of creation, ISO 8601 in UTC."""
    source: str
    """``csv``, ``folders`` or ``shenzhen``."""
    seed: int = 0
    """Seed of the split, where IMIL made it."""
    split: str = ""
    """How the split came to be, in words."""
    database: str = ""
    """URL of the store; empty for SQLite inside the study."""


class Study:
    """An opened study. The cases stay as they were read until `refresh`."""

    def __init__(self, folder: Path, info: StudyInfo) -> None:
        self.folder = folder
        self.info = info
        self._hashes = Hashes(self.state_dir / "hashes.json")
        self._manifest_stat = _stat(self.manifest_path)
        self._load()

    @classmethod
    def open(cls, folder: Path) -> "Study":
        """Open the study in ``folder``.

        Raises:
            BadInput: if there is none, it's damaged or made by a newer version, or its manifest can't be used.
        """
        folder = Path(folder).absolute()
        return cls(folder, _read_info(folder))

    @property
    def manifest_path(self) -> Path:
        return self.folder / MANIFEST

    @property
    def state_dir(self) -> Path:
        """The folder ``.imil``."""
        return self.folder / STATE_FOLDER

    @property
    def runs_dir(self) -> Path:
        return self.state_dir / "runs"

    def run_dir(self, run_id: int) -> Path:
        """The folder of one run; it needn't be there yet."""
        return self.runs_dir / str(run_id)

    def refresh(self) -> bool:
        """Read the manifest again if it has changed since; True if it was.

        Raises:
            BadInput: if it can't be used any more; the cases stay as they were.
        """
        stat = _stat(self.manifest_path)
        if stat == self._manifest_stat:
            return False
        self._load()
        self._manifest_stat = stat
        return True

    def case(self, case_id: str) -> Case:
        """The case with this id.

        Raises:
            NotFound: if the study has none.
        """
        try:
            return self._by_id[case_id]
        except KeyError:
            raise NotFound(
                f"There is no image {case_id!r} in the study {self.folder.name}; ids are the paths in {MANIFEST}."
            ) from None

    def image_path(self, case_id: str) -> Path:
        """The image's file.

        Raises:
            NotFound: as `case`.
        """
        return self.folder / self.case(case_id).id

    def sha256(self, case_id: str) -> str:
        """SHA-256 of the image's file, computed again only if the file's size or time has changed.

        Raises:
            NotFound: as `case`.
            BadInput: if the file can't be read.
        """
        return self._hashes.of([(case_id, self.image_path(case_id))])[0]

    def training_sizes(self) -> dict[str, tuple[int, int]]:
        """(rows, cols) of each training image by its id, found again only if the file has changed.

        Raises:
            BadInput: if a file can't be read.
        """
        ids = [case.id for case in self.cases if case.split == "train"]
        return dict(zip(ids, self._hashes.sizes([(name, self.folder / name) for name in ids]), strict=True))

    def pixels(self, size: int, progress: Progress | None = None) -> npt.NDArray[np.uint8]:
        """All images as shown, uint8 (N, size, size), in the order of ``cases``; read-only, memory-mapped and cached.

        Raises:
            BadInput: if an image can't be read, or the cache not written.
        """
        paths = [self.folder / case.id for case in self.cases]
        hashes = self._hashes.of([(case.id, path) for case, path in zip(self.cases, paths, strict=True)])
        return PixelCache.open(self.state_dir / "cache", list(zip(hashes, paths, strict=True)), size, progress)

    def lesion_mask(self, case_id: str) -> npt.NDArray[np.uint8] | None:
        """The lesion mask, uint8 (rows, cols) of 0 and 1; None if the manifest names none.

        Raises:
            NotFound: as `case`.
            BadInput: if it can't be read or doesn't fit the image.
        """
        return self._mask(case_id, self.case(case_id).lesion_mask)

    def lung_mask(self, case_id: str) -> npt.NDArray[np.uint8] | None:
        """The lung mask; see `lesion_mask`."""
        return self._mask(case_id, self.case(case_id).lung_mask)

    def misleading_mask(self, case_id: str) -> npt.NDArray[np.uint8] | None:
        """The mask of pixels known to mislead a model; see `lesion_mask`."""
        return self._mask(case_id, self.case(case_id).misleading_mask)

    @property
    def database_url(self) -> str:
        """URL of the store, from the environment or study.json; empty for SQLite inside the study."""
        return os.environ.get(DATABASE_VARIABLE, "") or self.info.database

    @cached_property
    def store(self) -> "Store":
        """The study's store, opened at the first use."""
        from imil.store import Store

        return Store.for_study(self.state_dir, self.database_url)

    def _load(self) -> None:
        cases = read_manifest(self.manifest_path)
        for case in cases:
            if not case.split:
                raise BadInput(f"{MANIFEST}: image {case.id!r} has no split; write train, val or test in its line.")
        self.cases = cases
        self.classes = class_names(cases)
        self._by_id = {case.id: case for case in cases}

    def _mask(self, case_id: str, relative: str) -> npt.NDArray[np.uint8] | None:
        if not relative:
            return None
        shape = read_size(self.image_path(case_id), case_id)
        return (read_mask(self.folder / relative, shape, name=relative) > 0).astype(np.uint8)


def create_study(
    folder: Path,
    source: Source,
    *,
    csv: Path | None = None,
    test_share: float = 0.2,
    seed: int = 0,
    progress: Progress | None = None,
) -> Study:
    """Make a study in place: the folder holds the images already, and gets ``manifest.csv`` and ``.imil/study.json``.

    Every image and mask is read once, so that what can't be used is known now and not in the middle of training. On an
    error nothing is written. An existing study is returned as it is if it would come out the same.

    Args:
        folder: The folder with the images.
        source: Where labels come from: ``csv`` (a manifest), ``folders`` (one for each class, images in it or deeper)
            or ``shenzhen`` (that data set's file names, ``CHNCXR_0001_0.png``: the last digit is 0 for normal, 1 tb).
        csv: The manifest for ``csv``, with paths relative to ``folder``; ``folder/manifest.csv`` unless given. If the
            folder's own manifest gives no splits, it's kept as ``manifest.original.csv``.
        test_share: Share of test images, where the manifest gives no splits.
        seed: Seed of that split.
        progress: Called with the number of images checked and their number in all.

    Raises:
        BadInput: if the folder, the manifest or an image can't be used.
        Conflict: if the folder holds another study or manifest.
    """
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise BadInput(f"{folder} isn't a folder; name the one that holds the images.")
    if csv is not None and source != "csv":
        raise BadInput(f"A manifest ({csv}) only goes with the source 'csv', not with {source!r}.")
    found = find_cases(folder, source, csv)
    cases = assign_splits(found, test_share=test_share, seed=seed)
    if (folder / STATE_FOLDER / "study.json").exists():
        return _same_study(folder, cases)
    _check_manifest_free(folder, source, csv, cases)
    hashes = dict(in_threads(lambda case: (case.id, _checked(folder, case)), cases, progress))
    split = "given by the manifest" if found == cases else f"by patient, stratified by class, test share {test_share:g}"
    created = datetime.now(UTC).isoformat(timespec="seconds")
    info = StudyInfo(created=created, source=source, seed=seed, split=split)
    try:
        _write(folder, cases, info, hashes)
    except OSError as error:
        raise BadInput(f"The study can't be written to {folder}: {error.strerror}.") from error
    return Study.open(folder)


def _read_info(folder: Path) -> StudyInfo:
    path = folder / STATE_FOLDER / "study.json"
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(
            f"{folder} isn't a study yet; make it one with `imil study create {folder} --from csv` (or folders, or "
            "shenzhen)."
        ) from None
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}.") from error
    except ValueError as error:
        raise BadInput(f"{path} is damaged: it isn't valid JSON; restore it from a backup.") from error
    version = found.get("version") if isinstance(found, dict) else None
    if not isinstance(version, int):
        raise BadInput(f"{path} is damaged: it has no version number; restore it from a backup.")
    if version > VERSION:
        raise BadInput(
            f"The study {folder} was made by a newer version of IMIL (study version {version}, this program knows "
            f"up to {VERSION}); update IMIL."
        )
    try:
        return StudyInfo.model_validate(found)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BadInput(f"{path} is damaged: {field}: {error.errors()[0]['msg']}; restore it from a backup.") from error


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _same_study(folder: Path, cases: Sequence[Case]) -> Study:
    study = Study.open(folder)
    if study.cases != list(cases):
        raise Conflict(
            f"{folder} is a study already, of {len(study.cases)} images, and would come out different now; open it as "
            f"it is, or move its {STATE_FOLDER} and {MANIFEST} away first."
        )
    return study


def _check_manifest_free(folder: Path, source: str, csv: Path | None, cases: Sequence[Case]) -> None:
    """Refuse to overwrite somebody's manifest."""
    path, original = folder / MANIFEST, folder / ORIGINAL
    if not path.exists():
        return
    if source == "csv" and (csv is None or Path(csv).samefile(path)):
        if original.exists() and original.read_bytes() != path.read_bytes() and read_manifest(path) != list(cases):
            raise Conflict(f"{original} is there already and differs from {MANIFEST}; move it away first.")
        return
    if read_manifest(path) != list(cases):
        raise Conflict(f"{path} is there already; use the source 'csv' to take it, or move it away first.")


def _checked(folder: Path, case: Case) -> list[Any]:
    """Read a case's files; the entry of its image in the hash file."""
    path = folder / case.id
    shape = check_image(path, case.id)
    for mask in filter(None, case.masks):
        read_mask(folder / mask, shape, name=mask)
    return Hashes.entry(path)


def _write(folder: Path, cases: Sequence[Case], info: StudyInfo, hashes: dict[str, list[Any]]) -> None:
    """Write the study's files, study.json last; undo what was written if one can't be."""
    manifest, original, state = folder / MANIFEST, folder / ORIGINAL, folder / STATE_FOLDER
    with ExitStack() as undo:
        if not state.exists():
            state.mkdir()
            undo.callback(state.rmdir)
        if not manifest.exists():
            undo.callback(manifest.unlink, missing_ok=True)
            write_manifest(manifest, cases)
        elif read_manifest(manifest) != list(cases):
            backup = folder / f".{ORIGINAL}" if original.exists() else original
            write_bytes(backup, manifest.read_bytes())
            undo.callback(backup.replace, manifest)  # a rename works on a full disk, too
            write_manifest(manifest, cases)
        undo.callback((state / "hashes.json").unlink, missing_ok=True)
        Hashes.write(state / "hashes.json", hashes)
        write_text(state / "study.json", info.model_dump_json(indent=2) + "\n")
        undo.pop_all()
    (folder / f".{ORIGINAL}").unlink(missing_ok=True)
