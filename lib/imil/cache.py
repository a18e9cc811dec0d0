"""The pixel cache: every image of a study once decoded and shrunk, in one memory-mapped file that all processes share.

``pixels-<size>-<key>.u8`` holds the rows, uint8 (N, size, size) in C order; ``pixels-<size>-<key>.json`` names the
SHA-256 of each row's image file. The key is a hash of those names, so a file never changes once it's there.
"""

import errno
import hashlib
import json
import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from imil.errors import BadInput
from imil.files import replacing, write_text
from imil.images import read_square

VERSION = 1
"""To be raised whenever `imil.images.read_square` gives other pixels for the same file."""

Pixels = npt.NDArray[np.uint8]
Progress = Callable[[int, int], None]
"""Called with the number of images done and their number in all."""
Item = tuple[str, Path]
"""An image file's SHA-256 and its path."""


class PixelCache:
    """One cache file and its list of rows."""

    def __init__(self, folder: Path, hashes: Sequence[str], size: int) -> None:
        names = "\n".join([f"version {VERSION}", f"size {size}", *hashes])
        self.stem = f"pixels-{size}-{hashlib.sha256(names.encode()).hexdigest()[:20]}"
        self.folder, self.hashes, self.size = folder, list(hashes), size
        self.data, self.index = folder / f"{self.stem}.u8", folder / f"{self.stem}.json"

    @classmethod
    def open(cls, folder: Path, items: Sequence[Item], size: int, progress: Progress | None = None) -> Pixels:
        """The images of ``items`` as uint8 (N, size, size), read-only and memory-mapped, in their order.

        Rows that an older cache of the same size holds are copied, the others decoded by `imil.images.read_square` in
        as many threads as there are processors. One process builds while others wait for it. The older caches of this
        size go once the new one is in place.

        Args:
            folder: The cache folder; made if it isn't there.
            items: SHA-256 and path of each image file.
            size: Side of the square rows, in pixels.
            progress: Called as rows are made.

        Raises:
            BadInput: if an image can't be read, there are none, or the disk is full.
        """
        if not items:
            raise BadInput("There are no images to cache.")
        cache = cls(folder, [sha256 for sha256, _ in items], size)
        pixels = cache._mapped()
        if pixels is not None:
            return pixels
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f"pixels-{size}.lock"):
                pixels = cache._mapped()
                if pixels is None:
                    cache._build([path for _, path in items], progress)
                    pixels = cache._mapped()
                    cache._remove_others()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS):
                raise
            need = len(items) * size**2 / 2**20
            raise BadInput(
                f"The pixel cache ({need:.0f} MB) can't be written to {folder}: {error.strerror}."
            ) from error
        if pixels is None:
            raise BadInput(f"The pixel cache in {folder} was removed while it was opened; try again.")
        return pixels

    def _mapped(self) -> Pixels | None:
        """The rows, if the cache is there and whole."""
        shape = (len(self.hashes), self.size, self.size)
        try:
            if not self.index.is_file() or self.data.stat().st_size != np.prod(shape, dtype=np.int64):
                return None
            return np.memmap(self.data, np.uint8, "r", shape=shape)
        except FileNotFoundError:  # removed by a process that has made a newer one
            return None

    def _build(self, paths: Sequence[Path], progress: Progress | None) -> None:
        """Write all rows; the index last, since it says that the data is whole."""
        for left_over in self.folder.glob(f".pixels-{self.size}-*.tmp"):  # of a process that was killed
            left_over.unlink(missing_ok=True)
        known = self._known_rows()
        with replacing(self.data) as file, closing(self._rows(paths, known)) as rows:
            for done, row in enumerate(rows, 1):
                file.write(np.ascontiguousarray(row).data)
                if progress is not None:
                    progress(done, len(paths))
        index = {"version": VERSION, "size": self.size, "sha256": self.hashes}
        write_text(self.index, json.dumps(index))

    def _rows(self, paths: Sequence[Path], known: dict[str, Pixels]) -> Generator[Pixels, None, None]:
        """The rows in order, a bounded number of them decoded ahead."""
        threads = os.cpu_count() or 1
        ahead: deque[Future[Pixels]] = deque()
        first: dict[str, Future[Pixels]] = {}
        repeated = {sha256 for sha256, count in Counter(self.hashes).items() if count > 1}
        pool = ThreadPoolExecutor(threads)
        try:
            for sha256, path in zip(self.hashes, paths, strict=True):
                row = first.get(sha256)
                if row is None:
                    row = pool.submit(known.__getitem__, sha256) if sha256 in known else pool.submit(self._read, path)
                    if sha256 in repeated:
                        first[sha256] = row
                ahead.append(row)
                if len(ahead) > 4 * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _read(self, path: Path) -> Pixels:
        return read_square(path, self.size)

    def _known_rows(self) -> dict[str, Pixels]:
        """Rows of older caches by SHA-256, still memory-mapped."""
        known: dict[str, Pixels] = {}
        for index in self.folder.glob(f"pixels-{self.size}-*.json"):
            try:
                found = json.loads(index.read_text("utf-8"))
                if (found["version"], found["size"]) != (VERSION, self.size):
                    continue
                older = PixelCache(self.folder, found["sha256"], self.size)
            except (OSError, ValueError, KeyError, TypeError):
                continue  # a damaged index holds nothing to reuse; the rows are decoded again
            pixels = older._mapped() if older.index == index else None
            if pixels is not None:
                known.update(zip(older.hashes, np.asarray(pixels), strict=True))
        return known

    def _remove_others(self) -> None:
        """Remove the older caches of this size; who has one mapped keeps it until they let go."""
        for path in sorted(self.folder.glob(f"pixels-{self.size}-*"), key=lambda path: path.suffix != ".json"):
            if path.stem != self.stem:
                try:
                    path.unlink(missing_ok=True)
                except PermissionError:
                    continue  # Windows keeps what is in use; the next build tries again
