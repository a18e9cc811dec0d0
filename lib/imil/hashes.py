"""SHA-256 and size of a study's images, found once for each version of a file, and work spread over threads."""

import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from imil.errors import BadInput
from imil.files import sha256_of, write_text
from imil.images import read_size

_FIELDS = 5  # of an entry in the file
T = TypeVar("T")
R = TypeVar("R")


class Hashes:
    """SHA-256 and pixel size of image files, remembered in a JSON file by their length and time of change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, list[Any]] | None = None

    def of(self, items: list[tuple[str, Path]]) -> list[str]:
        """The hashes of the files, each given by a name and its path; new ones are remembered.

        Raises:
            BadInput: if a file can't be read.
        """
        return [str(entry[2]) for entry in self._entries(items)]

    def sizes(self, items: list[tuple[str, Path]]) -> list[tuple[int, int]]:
        """(rows, cols) of the files, as `of`."""
        return [(int(entry[3]), int(entry[4])) for entry in self._entries(items)]

    def _entries(self, items: list[tuple[str, Path]]) -> list[list[Any]]:
        if self._known is None:
            self._known = _read_json_object(self._path)
        # One is what each submitted answer asks for: starting threads would take longer than the look-up.
        entries = [self._entry(items[0])] if len(items) == 1 else in_threads(self._entry, items)
        changed = {
            name: entry for (name, _), entry in zip(items, entries, strict=True) if entry != self._known.get(name)
        }
        if changed:
            self._known = _read_json_object(self._path) | changed
            self.write(self._path, self._known)
        return entries

    @staticmethod
    def entry(path: Path) -> list[Any]:
        """Length in bytes, time of change in ns, SHA-256, and rows and columns in pixels."""
        before = path.stat()
        return [before.st_size, before.st_mtime_ns, sha256_of(path), *read_size(path)]

    @staticmethod
    def write(path: Path, entries: dict[str, list[Any]]) -> None:
        write_text(path, json.dumps(entries))

    def _entry(self, item: tuple[str, Path]) -> list[Any]:
        name, path = item
        known = (self._known or {}).get(name)
        try:
            stat = path.stat()
            if known is not None and known[:2] == [stat.st_size, stat.st_mtime_ns]:
                return known
            return self.entry(path)
        except OSError as error:
            raise BadInput(f"The image {name} can't be read: {error.strerror}.") from error


def in_threads(
    work: Callable[[T], R], items: Iterable[T], progress: Callable[[int, int], None] | None = None
) -> list[R]:
    """``[work(item) for item in items]`` in as many threads as there are processors; the first error ends it."""
    items = list(items)
    results: list[R] = []
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        for result in pool.map(work, items):
            results.append(result)
            if progress is not None:
                progress(len(results), len(items))
    finally:
        pool.shutdown(cancel_futures=True)
    return results


def _read_json_object(path: Path) -> dict[str, list[Any]]:
    """The entries of a hash file; none if it isn't there or is damaged, since they can be computed again."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: entry for name, entry in found.items() if isinstance(entry, list) and len(entry) == _FIELDS}
