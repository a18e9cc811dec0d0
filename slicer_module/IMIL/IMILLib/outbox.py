"""What readers say, on disk until the server has confirmed it: a file each, so a closed Slicer loses nothing."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from .errors import ServerError
from .fields import Fields
from .grid import CellGrid
from .i18n import _
from .records import Answer, is_key

FORMAT = 1
MAX_BYTES = 4 << 20
"""A larger file isn't one of ours."""
_ASIDE = "unreadable"
_STALE_SECONDS = 60.0
_TRIES, _PAUSE = 5, 0.02

E = TypeVar("E")
"""A kind of entry: a frozen dataclass with ``key``, ``reader``, ``url``, ``created`` and ``parse``, as `Pending`."""


class OutboxError(OSError):
    """The folder can't be used. ``str()`` is a sentence for a person, ``strerror`` the system's reason."""

    def __init__(self, sentence: str, cause: OSError) -> None:
        super().__init__(cause.errno, cause.strerror or type(cause).__name__)
        self._sentence = sentence

    def __str__(self) -> str:
        return self._sentence


@dataclass(frozen=True)
class Pending:
    """An answer that the server hasn't confirmed.

    Attributes:
        answer: what the reader said, and ``url`` the server it's for.
        row_edges: of the cells, as ``col_edges``; the mask follows from them.
        geometry: of the image, for `images.write_mask`.
        created: when she said it, ISO 8601 in UTC.
        problem: why the server refused it, in a sentence.
        kind: empty while it waits to be sent; else what kind of refusal needs her decision.
    """

    answer: Answer
    url: str
    row_edges: tuple[int, ...]
    col_edges: tuple[int, ...]
    geometry: dict[str, Any]
    created: str
    problem: str = ""
    kind: str = ""

    @property
    def key(self) -> str:
        return self.answer.key

    @property
    def reader(self) -> str:
        return self.answer.reader

    def mask(self) -> np.ndarray:
        """The mask uint8 (rows, cols) in pixels of the image: 1 matters, 2 misled the model, 0 neither."""
        return CellGrid(self.row_edges, self.col_edges).mask(self.answer.cells, self.answer.misleading)

    @classmethod
    def parse(cls, value: object) -> Pending:
        """From JSON. Raises ServerError ``nonsense``."""
        read = Fields(value, _("the kept answer"))
        row_edges, col_edges = read.edges("row_edges"), read.edges("col_edges")
        return cls(
            answer=Answer.parse(read.objects("answer"), (len(row_edges) - 1) * (len(col_edges) - 1)),
            url=read.text("url"),
            row_edges=row_edges,
            col_edges=col_edges,
            geometry=read.objects("geometry"),
            created=read.text("created"),
            problem=read.text("problem", ""),
            kind=read.text("kind", ""),
        )


class Outbox(Generic[E]):
    """A folder of waiting answers. Several Slicers may share it: files have names of their own, each is written whole
    or not at all, and the server counts an answer that two of them send once.

    Args:
        folder: made when the first answer is put into it.
        kind: of what is kept there.
    """

    def __init__(self, folder: Path, kind: type[E] = Pending) -> None:
        self._folder = Path(folder)
        self._kind = kind

    def put(self, entry: E) -> None:
        """Keep an answer, in place of an earlier one of the same key. It's on the disk when this returns.

        Raises:
            OutboxError: if it can't be written; what was there before is still there.
        """
        content = json.dumps({"format": FORMAT, **asdict(entry)}, ensure_ascii=False).encode()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(self._path(entry.key), content)
        except OSError as error:
            raise OutboxError(
                _("The answer can't be kept in {folder} ({reason}); make room there, or make it writable.").format(
                    folder=self._folder, reason=error.strerror or type(error).__name__
                ),
                error,
            ) from None

    def entries(self, url: str = "", reader: str = "") -> list[E]:
        """The answers that wait, the oldest first; of one server and one reader, where those are given.

        Files that can't be read as answers are moved into the folder ``unreadable``; see `set_aside`.

        Raises:
            OutboxError: if the folder can't be read.
        """
        self._take_up_leftovers()
        # The files' names rise with the time they were made, and so settle what was said within one second.
        found = [entry for path in self._files(".json") for entry in self._read(path)]
        wanted = [entry for entry in found if url in ("", entry.url) and reader in ("", entry.reader)]
        return sorted(wanted, key=lambda entry: entry.created)

    def set_aside(self) -> list[Path]:
        """Files that were found in the folder and can't be read as answers. Nothing deletes them."""
        aside = self._folder / _ASIDE
        return sorted(aside.iterdir()) if aside.is_dir() else []

    def remove(self, key: str) -> None:
        """Forget an answer, if it's there.

        Raises:
            OutboxError: if its file can't be removed.
        """
        path = self._path(key)
        try:
            _patiently(path.unlink)
        except FileNotFoundError:
            return
        except OSError as error:
            raise OutboxError(
                _("The file {path} can't be removed ({reason}).").format(path=path, reason=error.strerror), error
            ) from None
        _sync_folder(self._folder)

    def mark(self, key: str, problem: str, kind: str) -> E:
        """Note why an answer was refused, and return it as it's now.

        Raises:
            KeyError: if it isn't there any more.
            OutboxError: if it can't be written.
        """
        entry = next(iter(self._read(self._path(key))), None)
        if entry is None:
            raise KeyError(key)
        marked = replace(entry, problem=problem, kind=kind)
        self.put(marked)
        return marked

    def _path(self, key: str) -> Path:
        """The file of an answer, or the one to make for it."""
        if not is_key(key):
            raise ValueError(f"{key!r} is no key of an answer; it must be a UUID.")
        there = [path for path in self._files(".json") if path.stem.endswith(key)]
        return there[0] if there else self._folder / f"{time.time_ns():020}-{key}.json"

    def _files(self, suffix: str) -> list[Path]:
        try:
            with os.scandir(self._folder) as found:
                return sorted(Path(item.path) for item in found if item.name.endswith(suffix) and item.is_file())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OutboxError(
                _("The folder {folder} can't be read ({reason}).").format(folder=self._folder, reason=error.strerror),
                error,
            ) from None

    def _read(self, path: Path) -> list[E]:
        """The answer in a file, or none: it's gone, from a newer version of this module, or unreadable."""
        try:
            if path.stat().st_size > MAX_BYTES:
                raise ValueError(path)
            value = json.loads(path.read_bytes())
            if isinstance(value, dict) and isinstance(value.get("format"), int) and value["format"] > FORMAT:
                return []
            entry = self._kind.parse(value)
        except FileNotFoundError:
            return []  # another Slicer has sent it meanwhile
        except (ValueError, RecursionError, ServerError, OSError):
            self._move_aside(path)
            return []
        return [entry]

    def _move_aside(self, path: Path) -> None:
        """Out of the way, so that it's looked at once. Where that fails it stays: another Slicer was faster, or the
        folder can't be written.
        """
        aside = self._folder / _ASIDE
        with contextlib.suppress(OSError):
            aside.mkdir(exist_ok=True)
            path.replace(aside / f"{path.name}.{secrets.token_hex(4)}")

    def _take_up_leftovers(self) -> None:
        """Files that a Slicer which was killed had written, but not yet given their names."""
        for path in self._files(".tmp"):
            try:
                if time.time() - path.stat().st_mtime < _STALE_SECONDS:
                    continue  # perhaps it's being written now
                entry = self._kind.parse(json.loads(path.read_bytes()))
                place = self._path(entry.key)
                if place.exists():
                    path.unlink()
                else:
                    path.replace(place)
            except FileNotFoundError:
                continue
            except (ValueError, RecursionError, ServerError, OSError):
                self._move_aside(path)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and on the disk when it returns."""
    temporary = path.with_name(f"{path.stem}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _patiently(lambda: temporary.replace(path))
    finally:
        if temporary.exists():
            temporary.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have a changed name on the disk, too; Windows does that by itself, and can't open folders."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _patiently(action: Any) -> None:
    """On Windows a file can't be replaced or removed while another process, a virus scanner say, has it open."""
    for _attempt in range(_TRIES - 1):
        with contextlib.suppress(PermissionError):
            action()
            return
        time.sleep(_PAUSE)
    action()
