"""Answers on disk: whole or not at all, whatever kills the process or fills the disk, and whoever else is there."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IMILLib.outbox import Outbox, OutboxError, Pending
from IMILLib.records import Answer

MODULE = Path(__file__).resolve().parents[2] / "slicer_module" / "IMIL"
PRELUDE = """
import sys, uuid
from pathlib import Path
from IMILLib.outbox import Outbox, Pending
from IMILLib.records import Answer
def entry(number, rationale="x"):
    answer = Answer("a b.png", 1, 1, "Ada", "grid", (number % 16,), (), "", rationale, 1.0, str(uuid.uuid4()), False)
    return Pending(answer, "http://h", (0, 9, 18, 27, 37), (0, 13, 26, 39, 53), {"shape": [37, 53]}, f"{number:09}")
box = Outbox(Path(sys.argv[1]))
"""


def pending(number: int = 0, **changes: Any) -> Pending:
    answer = Answer(
        case_id="tb/Bild #1 ä.png", run=1, round=1, reader="Ada", action="grid", cells=(1, 6), misleading=(3,),
        new_label="", rationale='the "hilum"\n日本', seconds=2.5, key=str(uuid.uuid4()), replace=False,
    )  # fmt: skip
    fields = {
        "answer": answer,
        "url": "http://127.0.0.1:8000",
        "row_edges": (0, 9, 18, 27, 37),
        "col_edges": (0, 13, 26, 39, 53),
        "geometry": {"shape": [37, 53], "spacing": [0.1, 1 / 3], "origin": [0.0, 0.0], "flat_axis": None},
        "created": f"2026-11-21T12:00:{number:02}Z",
    }
    return Pending(**(fields | changes))


@pytest.fixture
def box(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "new" / "Ada's answers ä")


def folder_of(box: Outbox) -> Path:
    return box._folder


def child(code: str, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, str(folder), *arguments],
        env=os.environ | {"PYTHONPATH": str(MODULE), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


# -- one process -------------------------------------------------------------------------------------------------------


def test_entries_come_back_as_they_were_the_oldest_first(box: Outbox) -> None:
    assert box.entries() == []
    made = [pending(number) for number in (3, 1, 2)]
    for entry in made:
        box.put(entry)
    assert box.entries() == sorted(made, key=lambda entry: entry.created)
    assert Outbox(folder_of(box)).entries() == box.entries()
    assert not any(path.suffix != ".json" for path in folder_of(box).iterdir())


def test_answers_of_one_second_keep_their_order(box: Outbox) -> None:
    made = [pending(7) for _ in range(20)]
    for entry in made:
        box.put(entry)
    for entry in made[::3]:
        box.put(entry)
    assert box.entries() == made


def test_entries_of_one_server_and_reader(box: Outbox) -> None:
    mine, other_server = pending(1), pending(2, url="http://elsewhere")
    other_reader = pending(3, answer=replace(pending().answer, reader="Ben"))
    for entry in (mine, other_server, other_reader):
        box.put(entry)
    assert box.entries("http://127.0.0.1:8000", "Ada") == [mine]
    assert box.entries(reader="Ben") == [other_reader]
    assert box.entries("http://elsewhere") == [other_server]


def test_mask_follows_from_edges_and_cells() -> None:
    expected = np.zeros((37, 53), np.uint8)
    expected[0:9, 13:26] = 1
    expected[9:18, 26:39] = 1
    expected[0:9, 39:53] = 2
    mask = pending().mask()
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, expected)


def test_an_entry_is_replaced_marked_and_removed(box: Outbox) -> None:
    entry = pending()
    box.put(entry)
    marked = box.mark(entry.answer.key, "Round 1 is closed.", "conflict")
    assert marked == replace(entry, problem="Round 1 is closed.", kind="conflict")
    assert box.entries() == [marked]
    again = replace(entry, answer=replace(entry.answer, replace=True))
    box.put(again)
    assert box.entries() == [again]
    box.remove(entry.answer.key)
    box.remove(entry.answer.key)
    assert box.entries() == []
    assert list(folder_of(box).iterdir()) == []
    with pytest.raises(KeyError):
        box.mark(entry.answer.key, "x", "y")


def test_a_key_never_becomes_a_path(box: Outbox) -> None:
    for key in ("../x", "", "a/b", str(uuid.uuid4()).upper()):
        with pytest.raises(ValueError, match="UUID"):
            box.put(pending(answer=replace(pending().answer, key=key)))
        with pytest.raises(ValueError, match="UUID"):
            box.remove(key)


def test_others_on_the_computer_cannot_read_it(box: Outbox) -> None:
    box.put(pending())
    (path,) = folder_of(box).iterdir()
    assert path.stat().st_mode & 0o077 == 0


# -- files that aren't answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000, b'{"format": 1}', b" " * (5 << 20)],
    ids=["empty", "half", "list", "null", "binary", "deep", "no answer", "huge"],
)
def test_unreadable_files_are_set_aside_and_kept(box: Outbox, content: bytes) -> None:
    good = pending()
    box.put(good)
    (folder_of(box) / "other.json").write_bytes(content)
    assert box.entries() == [good]
    (aside,) = box.set_aside()
    assert aside.read_bytes() == content
    assert aside.name.startswith("other.json")
    assert box.entries() == [good]
    assert box.set_aside() == [aside]


@pytest.mark.parametrize(
    "change",
    [
        {"url": 7},
        {"row_edges": [0, 5, 5]},
        {"answer": {}},
        {"created": None},
        {"geometry": []},
    ],
    ids=lambda change: next(iter(change)),
)
def test_files_with_wrong_fields_are_set_aside(box: Outbox, change: dict[str, Any]) -> None:
    entry = pending()
    box.put(entry)
    (path,) = folder_of(box).iterdir()
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    assert box.entries() == []
    assert len(box.set_aside()) == 1


def test_files_of_a_newer_module_stay_where_they_are(box: Outbox) -> None:
    box.put(pending())
    (path,) = folder_of(box).iterdir()
    path.write_text(json.dumps({"format": 2, "new": True}))
    assert box.entries() == []
    assert box.set_aside() == []
    assert path.exists()


def test_foreign_files_are_left_alone(box: Outbox) -> None:
    box.put(pending())
    (folder_of(box) / "notes.txt").write_text("mine")
    (folder_of(box) / "sub.json").mkdir()
    assert len(box.entries()) == 1
    assert (folder_of(box) / "notes.txt").read_text() == "mine"
    assert (folder_of(box) / "sub.json").is_dir()


# -- a folder or a disk that doesn't want ------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    box = Outbox(tmp_path / "file" / "answers")
    with pytest.raises(OutboxError) as caught:
        box.put(pending())
    assert isinstance(caught.value, OSError)
    assert str(tmp_path / "file") in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "Errno" not in str(caught.value)
    assert caught.value.strerror == "Not a directory"


def test_a_folder_that_cannot_be_read_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxError, match=r"file can't be read \(Not a directory\)\.$"):
        Outbox(tmp_path / "file").entries()


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: writing fails in the middle of the file."""
    code = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
kept = entry(1)
box.put(kept)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
for tried in (entry(2), Pending(kept.answer, kept.url, kept.row_edges, kept.col_edges, {}, kept.created, "changed")):
    try:
        box.put(tried)
        print("no error")
    except OSError as error:
        print(str(error))
        print(error.strerror)
print([found == kept for found in box.entries()])
"""
    process = child(code, tmp_path)
    output = process.communicate(timeout=30)[0].splitlines()
    assert process.returncode == 0
    assert output[-1] == "[True]"
    for sentence, reason in (output[0:2], output[2:4]):
        assert (
            sentence
            == f"The answer can't be kept in {tmp_path} (File too large); make room there, or make it writable."
        )
        assert reason == "File too large"
    assert len(list(tmp_path.iterdir())) == 1, "no half file is left"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 200


# -- processes that are killed -----------------------------------------------------------------------------------------


def test_what_was_put_survives_kill_9_at_any_time(tmp_path: Path) -> None:
    """A child writes answers and says so line by line; it's killed at five arbitrary times."""
    code = """
for number in range(int(sys.argv[2]), 10**9):
    made = entry(number, "r" * 3000)
    box.put(made)
    print(made.answer.key, flush=True)
    if number % 3 == 0:
        box.mark(made.answer.key, "p" * 2000, "conflict")
"""
    said: set[str] = set()
    random = np.random.default_rng(0)
    for round_number in range(5):
        process = child(code, tmp_path, str(round_number * 1_000_000))
        assert process.stdout is not None
        said.add(process.stdout.readline().strip())
        time.sleep(float(random.uniform(0, 0.05)))
        process.send_signal(signal.SIGKILL)
        said.update(process.stdout.read().split())
        process.wait(10)
    box = Outbox(tmp_path)
    found = {entry.answer.key for entry in box.entries()}
    complete = {key for key in said if len(key) == 36}
    assert len(complete) >= 5
    assert complete <= found
    assert len(found - complete) <= 5, "at most the one that each child was about to report"
    assert box.set_aside() == []


def test_a_file_that_was_written_but_not_named_is_taken_up(box: Outbox) -> None:
    entry, newer = pending(1), pending(2)
    box.put(newer)
    whole = json.dumps({"format": 1, **asdict(entry)})
    leftovers = {
        f"{entry.answer.key}.0a1b2c3d.tmp": whole,
        f"{newer.answer.key}.0a1b2c3d.tmp": json.dumps({"format": 1, **asdict(replace(newer, problem="old"))}),
        f"{uuid.uuid4()}.0a1b2c3d.tmp": whole[:100],
    }
    for name, content in leftovers.items():
        (folder_of(box) / name).write_text(content)
    assert box.entries() == [newer], "they may be being written just now"
    for name in leftovers:
        os.utime(folder_of(box) / name, (time.time() - 120,) * 2)
    assert box.entries() == [entry, newer]
    assert [path.read_text() for path in box.set_aside()] == [whole[:100]]
    assert len(list(folder_of(box).glob("*.tmp"))) == 0


# -- two Slicers on one folder -----------------------------------------------------------------------------------------


def test_several_processes_share_a_folder(tmp_path: Path) -> None:
    """Two write and two look on while a third removes and another marks: none fails, and the count is right."""
    write = """
for number in range(150):
    made = entry(number)
    box.put(made)
    if number % 5 == 0:
        box.remove(made.answer.key)
    elif number % 5 == 1:
        box.mark(made.answer.key, "p", "conflict")
"""
    look = """
import time
until = time.monotonic() + 3
while time.monotonic() < until:
    for found in box.entries():
        assert found.answer.rationale == "x"
"""
    processes = [child(code, tmp_path) for code in (write, write, look)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    found = Outbox(tmp_path).entries()
    assert len(found) == 2 * 120
    assert sum(entry.kind == "conflict" for entry in found) == 2 * 30
    assert Outbox(tmp_path).set_aside() == []


def test_two_slicers_set_the_same_file_aside(box: Outbox) -> None:
    box.put(pending())
    for number in range(40):
        (folder_of(box) / f"bad{number}.json").write_text("{")
    failures: list[BaseException] = []

    def look() -> None:
        try:
            Outbox(folder_of(box)).entries()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test must fail
            failures.append(error)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    assert len(box.set_aside()) == 40
