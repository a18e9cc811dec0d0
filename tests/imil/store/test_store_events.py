import dataclasses
import random
import sqlite3
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from imil.errors import Conflict, NotFound
from imil.store import Action, Answer, Receipt, Run, Store


def an_answer(number: int = 1, reader: str = "ann", **changes: object) -> Answer:
    plain = Answer(f"images/{number}.png", 1, 1, reader, Action.GRID, (2, 1), (3,), key=str(uuid.uuid4()))
    return dataclasses.replace(plain, **changes)


def test_an_event_holds_what_the_reader_said_and_saw(store: Store, review: Run) -> None:
    sent = an_answer(rationale="the model was focused on the marker", seconds=12.5)
    assert store.append(sent, image_sha256="a" * 64) == Receipt(1, 4, 5)
    (event,) = store.events(review.id)
    assert (event.cells, event.misleading) == ((1, 2), (3,))
    assert (event.rationale, event.seconds, event.key) == (sent.rationale, 12.5, sent.key)
    assert (event.epoch, event.grid_size, event.heatmap_method) == (4, 4, "gradcam")
    assert (event.image_sha256, event.model_sha256) == ("a" * 64, "f" * 64)
    assert event.time.tzinfo is not None
    assert store.effective(review.id) == [event]
    assert store.last_event_id(review.id) == event.id


def test_the_same_key_gets_the_first_reply_again(store: Store, review: Run) -> None:
    first, second = an_answer(1), an_answer(2)
    receipt = store.append(first)
    assert store.append(second) == Receipt(2, 3, 5)
    for repeat in (first, dataclasses.replace(first, seconds=99.0, cells=(1, 2))):
        assert store.append(repeat) == dataclasses.replace(receipt, repeated=True)
        assert store.receipt(repeat) == dataclasses.replace(receipt, repeated=True)
    assert len(store.events(review.id)) == 2
    store.close_round(review.id, 1, early=True)
    assert store.append(first) == dataclasses.replace(receipt, repeated=True)
    assert store.receipt(an_answer(3)) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("case_id", "images/2.png"),
        ("reader", "bob"),
        ("action", Action.SKIP),
        ("cells", (1,)),
        ("misleading", ()),
        ("rationale", "other"),
        ("new_label", "tb"),
    ],
)
def test_a_key_belongs_to_one_answer(store: Store, review: Run, name: str, value: object) -> None:
    first = an_answer()
    store.append(first)
    with pytest.raises(Conflict, match=f"belongs to another answer .{name}"):
        store.append(dataclasses.replace(first, **{name: value}))
    assert len(store.events(review.id)) == 1


def test_a_second_answer_needs_replace(store: Store, review: Run) -> None:
    store.append(an_answer())
    with pytest.raises(Conflict, match=r"'ann' has already answered .* \"replace\": true"):
        store.append(an_answer(cells=(5,)))
    assert store.append(an_answer(cells=(5,), replace=True)) == Receipt(2, 4, 5)
    assert [event.cells for event in store.effective(review.id)] == [(5,)]
    assert len(store.events(review.id)) == 2


def test_others_cant_answer_what_is_answered_or_reserved(store: Store, review: Run) -> None:
    store.append(an_answer())
    with pytest.raises(Conflict, match="answered by 'ann' already"):
        store.append(an_answer(reader="bob", replace=True))
    store.lease_next(review.id, 1, "ann", 60)
    with pytest.raises(Conflict, match=r"images/2\.png' is reserved for 'ann' until \d{4}-"):
        store.append(an_answer(2, reader="bob"))
    assert store.append(an_answer(3, reader="bob")).remaining == 3
    assert len(store.events(review.id)) == 2


def test_an_expired_lease_still_lets_its_reader_answer(store: Store, review: Run) -> None:
    store.lease_next(review.id, 1, "ann", 0.05)
    time.sleep(0.06)
    assert store.append(an_answer(1)).remaining == 4
    store.lease_next(review.id, 1, "ann", 0.05)
    time.sleep(0.06)
    store.lease_next(review.id, 1, "bob", 60)
    with pytest.raises(Conflict, match="reserved for 'bob'"):
        store.append(an_answer(2))


def test_undo_opens_the_case_again(store: Store, review: Run) -> None:
    with pytest.raises(Conflict, match=r"no answer .* to undo"):
        store.append(an_answer(action=Action.UNDO, cells=(), misleading=()))
    store.append(an_answer())
    undo = an_answer(action=Action.UNDO, cells=(), misleading=())
    assert store.append(undo) == Receipt(2, 5, 5)
    assert store.effective(review.id) == []
    assert store.append(undo).repeated
    taken = store.lease_next(review.id, 1, "bob", 60)
    assert taken is not None
    assert taken.position == 1
    assert store.append(an_answer(reader="bob")) == Receipt(3, 4, 5)
    assert [event.action for event in store.events(review.id)] == [Action.GRID, Action.UNDO, Action.GRID]


def test_several_readers_count_until_there_are_enough(store: Store, make_queue) -> None:
    run = store.create_run({"epochs": 5, "imil_epochs": [2], "readers_per_case": 2}, ["normal", "tb"])
    store.open_round(run.id, 2, "f" * 64, make_queue(2))
    assert store.append(an_answer(reader="ann")).remaining == 2
    assert store.append(an_answer(reader="bob")).remaining == 1
    with pytest.raises(Conflict, match="answered by 'ann', 'bob' already"):
        store.append(an_answer(reader="cyd"))
    assert store.append(an_answer(reader="ann", replace=True)).remaining == 1
    assert store.append(an_answer(reader="ann", action=Action.UNDO)).remaining == 2
    assert [event.reader for event in store.effective(run.id)] == ["bob"]


def test_answers_to_other_rounds_and_cases_are_refused(store: Store, review: Run, make_queue) -> None:
    with pytest.raises(NotFound, match="isn't in the queue of round 1"):
        store.append(an_answer(9))
    with pytest.raises(Conflict, match="Round 2 of run 1 isn't under review: the run is at round 1"):
        store.append(an_answer(round=2))
    with pytest.raises(NotFound, match="no run 5"):
        store.append(an_answer(run=5))
    store.append(an_answer(1))
    store.close_round(review.id, 1, early=True)
    with pytest.raises(Conflict, match="closed"):
        store.append(an_answer(2))
    store.open_round(review.id, 7, "e" * 64, make_queue(2))
    with pytest.raises(Conflict, match="Round 1 of run 1 isn't under review: the run is at round 2"):
        store.append(an_answer(2))
    store.append(an_answer(2, round=2))
    assert [event.round for event in store.effective(review.id)] == [1, 2]
    assert [event.round for event in store.effective(review.id, 1)] == [1]
    assert [event.round for event in store.effective(review.id, closed_only=True)] == [1]
    assert [event.case_id for event in store.events(review.id, 2)] == ["images/2.png"]


@pytest.mark.parametrize("change", ["UPDATE feedback_events SET rationale = 'x'", "DELETE FROM feedback_events"])
def test_the_database_itself_refuses_to_change_events(store: Store, review: Run, change: str) -> None:
    store.append(an_answer())
    before = store.events(review.id)
    with pytest.raises(DBAPIError, match="only ever appended"), store._database.write() as session:
        session.execute(text(change))
    assert store.events(review.id) == before


ANSWERER = """
import sys, uuid
from imil.store import Action, Answer, Store
store = Store.open(sys.argv[1])
while (entry := store.lease_next(1, 1, "ann", 60)) is not None:
    key = str(uuid.uuid4())
    store.append(Answer(entry.case_id, 1, 1, "ann", Action.GRID, (1, 2), key=key))
    print(key, flush=True)
"""


@pytest.mark.parametrize("kills", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_no_acknowledged_answer_is_lost_to_kill_9(tmp_path: Path, empty_database: Path, make_queue, kills: int) -> None:
    (tmp_path / "imil.db").write_bytes(empty_database.read_bytes())
    url = f"sqlite:///{tmp_path / 'imil.db'}"
    store = Store.open(url)
    run = store.create_run({"epochs": 10, "imil_epochs": [4], "grid_size": 4}, ["normal", "tb"])
    store.open_round(run.id, 4, "f" * 64, make_queue(20_000, size=1))
    store.close()
    rng = random.Random(0)
    acknowledged: list[str] = []
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-c", ANSWERER, url], stdout=subprocess.PIPE, text=True)
        acknowledged.append(process.stdout.readline().strip())
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        out, _ = process.communicate()
        assert process.returncode == -9
        # A last line without its end was cut off in the middle: that answer wasn't acknowledged.
        acknowledged += [line.strip() for line in out.splitlines(keepends=True) if line.endswith("\n")]
    store = Store.open(url)
    keys = Counter(event.key for event in store.events(run.id))
    assert len(acknowledged) >= kills
    assert set(acknowledged) <= set(keys)
    assert set(keys.values()) == {1}
    # At most one answer for each kill was written without its acknowledgement having come through.
    assert len(keys) - len(acknowledged) <= kills
    assert len(store.effective(run.id)) == len(keys) == store.rounds(run.id)[0].reviewed
    store.close()
    with sqlite3.connect(tmp_path / "imil.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
