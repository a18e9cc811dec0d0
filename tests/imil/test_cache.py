"""The pixel cache, with real files and real processes."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imil import cache
from imil.cache import PixelCache
from imil.errors import BadInput
from imil.files import replacing, sha256_of
from imil.images import read_square

Items = list[tuple[str, Path]]


def make_images(folder: Path, count: int, start: int = 0) -> Items:
    rng = np.random.default_rng(start)
    items = []
    for number in range(start, start + count):
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (20, 30)).astype(np.uint8)).save(path)
        items.append((sha256_of(path), path))
    return items


def expected(items: Items, size: int) -> np.ndarray:
    return np.stack([read_square(path, size) for _, path in items])


def names(folder: Path) -> set[str]:
    return {path.suffix for path in folder.iterdir()} - {".lock"}


def test_rows_are_the_images_in_order_and_read_only(tmp_path: Path) -> None:
    items = make_images(tmp_path, 7)
    seen: list[tuple[int, int]] = []
    pixels = PixelCache.open(tmp_path / "cache", items, 16, lambda done, total: seen.append((done, total)))
    assert isinstance(pixels, np.memmap)
    np.testing.assert_array_equal(pixels, expected(items, 16))
    assert seen == [(done, 7) for done in range(1, 8)]
    with pytest.raises(ValueError, match="read-only"):
        pixels[0] = 0


def test_a_second_opening_reads_no_image(tmp_path: Path) -> None:
    items = make_images(tmp_path, 5)
    first = PixelCache.open(tmp_path / "cache", items, 16)
    for _, path in items:
        path.unlink()
    np.testing.assert_array_equal(PixelCache.open(tmp_path / "cache", items, 16), first)


def test_known_rows_are_copied_and_old_files_go(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    old = make_images(tmp_path, 5)
    want = expected(old, 16)
    before = PixelCache.open(folder, old, 16)
    PixelCache.open(folder, old, 8)
    for _, path in old:
        path.unlink()  # so that decoding one of them again would fail
    new = make_images(tmp_path, 2, start=5)
    items = [new[0], *old[::-1], new[1]]
    after = PixelCache.open(folder, items, 16)
    np.testing.assert_array_equal(after[1:6], want[::-1])
    np.testing.assert_array_equal(after[[0, 6]], expected(new, 16))
    assert len(list(folder.glob("pixels-16-*.u8"))) == 1
    assert len(list(folder.glob("pixels-8-*.u8"))) == 1
    np.testing.assert_array_equal(before, want)  # who has the old file mapped keeps it


def test_equal_images_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ((sha256, path), other) = make_images(tmp_path, 2)
    calls: list[Path] = []

    def counted(path: Path, size: int) -> np.ndarray:
        calls.append(path)
        return read_square(path, size)

    monkeypatch.setattr(cache, "read_square", counted)
    items = [(sha256, path), other, (sha256, path), (sha256, path)]
    np.testing.assert_array_equal(PixelCache.open(tmp_path / "cache", items, 16), expected(items, 16))
    assert len(calls) == 2


@pytest.mark.parametrize("damage", ["short data", "no data", "no index", "odd index", "old version"])
def test_damaged_caches_are_built_again(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "cache"
    items = make_images(tmp_path, 4)
    PixelCache.open(folder, items, 16)
    (data,), (index,) = folder.glob("*.u8"), folder.glob("*.json")
    if damage == "short data":
        data.write_bytes(data.read_bytes()[:-1])
    elif damage == "no data":
        data.unlink()
    elif damage == "no index":
        index.unlink()
    elif damage == "odd index":
        (folder / "pixels-16-0.json").write_text("[1,")
        (folder / "pixels-16-1.json").write_text('{"version": 1, "size": 16, "sha256": 3}')
        index.unlink()
    else:
        found = json.loads(index.read_text())
        index.with_name("pixels-16-2.json").write_text(json.dumps(found | {"version": 0}))
        index.unlink()
    np.testing.assert_array_equal(PixelCache.open(folder, items, 16), expected(items, 16))
    assert names(folder) == {".u8", ".json"}


def test_an_unreadable_image_is_named_and_nothing_stays(tmp_path: Path) -> None:
    items = make_images(tmp_path, 30)
    items[20][1].write_bytes(items[20][1].read_bytes()[:60])
    with pytest.raises(BadInput, match=r"20\.png"):
        PixelCache.open(tmp_path / "cache", items, 16)
    assert names(tmp_path / "cache") == set()
    with pytest.raises(BadInput, match="no images"):
        PixelCache.open(tmp_path / "cache", [], 16)


def test_a_full_disk_is_named_and_nothing_stays(tmp_path: Path) -> None:
    items = make_images(tmp_path, 30)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(BadInput, match=r"pixel cache .* can't be written"):
            PixelCache.open(tmp_path / "cache", items, 64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path / "cache") == set()
    assert PixelCache.open(tmp_path / "cache", items, 64).shape == (30, 64, 64)


BUILD = """
import sys
from pathlib import Path
from imil.cache import PixelCache
from imil.files import sha256_of
folder, size = Path(sys.argv[1]), int(sys.argv[2])
items = [(sha256_of(path), path) for path in sorted(folder.glob("*.png"))]
print("ready", flush=True)
built = []
pixels = PixelCache.open(folder / "cache", items, size, lambda done, total: built.append(done))
print(len(built), int(pixels.sum()), flush=True)
"""


def builder(folder: Path, size: int) -> "subprocess.Popen[str]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, str(folder), str(size)], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_of_many_processes_one_builds_and_all_see_the_same(tmp_path: Path) -> None:
    make_images(tmp_path, 40)
    processes = [builder(tmp_path, 128) for _ in range(4)]
    answers = [process.communicate(timeout=60)[0].split() for process in processes]
    assert sorted(int(answer[1]) for answer in answers) == [0, 0, 0, 40]
    assert len({answer[2] for answer in answers}) == 1


def test_a_killed_build_leaves_nothing_that_counts(tmp_path: Path) -> None:
    items = make_images(tmp_path, 400)
    items.sort(key=lambda item: str(item[1]))
    for delay in (0.002, 0.02, 0.06):
        process = builder(tmp_path, 256)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        for index in (tmp_path / "cache").glob("*.json"):
            assert index.with_suffix(".u8").stat().st_size == 400 * 256**2
    pixels = PixelCache.open(tmp_path / "cache", items, 256)
    np.testing.assert_array_equal(pixels[::50], expected(items[::50], 256))
    assert names(tmp_path / "cache") == {".u8", ".json"}


def test_replacing_keeps_the_old_file_on_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"half of the new")
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        fail()
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["a.txt"]
