"""What rounds taught, its corrections, and the moves of a round that is learnt from."""

import dataclasses
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from imil.errors import Conflict, NotFound
from imil.store import InsightCorrection, InsightRecord, Run, RunState, Store, migrations
from imil.store.database import SCHEMA_VERSION


def learnt(store: Store, run: Run, *, wait: bool = True, **changes: object) -> InsightRecord:
    """Ends the review of round 1 with what was learnt from it."""
    store.start_learning(run.id, 1, early=True)
    return saved(store, run, wait=wait, **changes)


def saved(store: Store, run: Run, *, wait: bool = True, **changes: object) -> InsightRecord:
    fields = {"feedback": "mode", "file_sha256": "a" * 64, "summary": {"cells": [0, 3]}, "seconds": 1.5}
    return store.save_insight(run.id, 1, wait=wait, **(fields | changes))


def veto(**changes: object) -> InsightCorrection:
    plain = InsightCorrection("veto", "images/1.png", run=1, round=1, reader="ann", key=str(uuid.uuid4()))
    return dataclasses.replace(plain, **changes)


def test_a_round_stays_open_while_it_is_learnt_from_and_approved(store: Store, review: Run) -> None:
    store.lease_next(review.id, 1, "ann", 60)
    with pytest.raises(Conflict, match=r"0 of 5 cases .* are reviewed"):
        store.start_learning(review.id, 1, early=False)
    run = store.start_learning(review.id, 1, early=True)
    assert (run.state, store.rounds(run.id)[0].closed) == (RunState.TRAINING, False)
    with pytest.raises(Conflict, match="takes no answers"):
        store.lease_next(review.id, 1, "bob", 60)
    record = saved(store, review)
    assert store.run(run.id).state is RunState.AWAITING_APPROVAL
    assert (record.summary, record.feedback, record.seconds) == ({"cells": [0, 3]}, "mode", 1.5)
    assert record.discarded is None
    assert store.insight(run.id) == store.insight(run.id, 1) == record
    assert store.insight(run.id, 2) is None
    with pytest.raises(Conflict, match="without a round opened or closed"):
        store.set_state(run.id, RunState.TRAINING)
    with pytest.raises(Conflict, match="is awaiting_approval, not training"):
        store.close_learnt_round(run.id, 1, RunState.TRAINING)
    assert store.close_learnt_round(run.id, 1, RunState.AWAITING_APPROVAL).state is RunState.TRAINING
    (info,) = store.rounds(run.id)
    assert (info.closed, info.early) == (True, True)
    assert all(entry.state == "open" for entry in store.queue(run.id, 1)), "nobody holds a case of a closed round"
    for refused in (
        lambda: store.close_learnt_round(run.id, 1, RunState.TRAINING),
        lambda: store.reopen_round(run.id, 1, RunState.TRAINING),
        lambda: saved(store, review),
    ):
        with pytest.raises(Conflict, match="Round 1 of run 1 isn't open"):
            refused()


def test_without_waiting_the_round_is_closed_with_the_insight(store: Store, review: Run) -> None:
    learnt(store, review, wait=False)
    assert (store.run(review.id).state, store.rounds(review.id)[0].closed) == (RunState.TRAINING, True)
    with pytest.raises(Conflict, match="can't be corrected now: the run is at round 1, training"):
        store.correct(veto(), 1)


def test_reopening_throws_the_insight_away_and_keeps_its_corrections(store: Store, review: Run) -> None:
    first = learnt(store, review)
    store.correct(veto(), first.id)
    run = store.reopen_round(review.id, 1, RunState.AWAITING_APPROVAL)
    assert run.state is RunState.AWAITING_REVIEW
    assert store.insight(review.id) is None
    second = learnt(store, review, summary={})
    assert [record.discarded is None for record in store.insights(review.id)] == [False, True]
    assert store.corrections(second.id) == []
    assert [known.action for known in store.corrections(first.id)] == ["veto"]
    with pytest.raises(Conflict, match="was found out anew"):
        store.correct(veto(), first.id)
    third = store.reopen_round(review.id, 1, RunState.AWAITING_APPROVAL, "Too few cells.")
    assert third.message == "Too few cells."
    assert store.lease_next(review.id, 1, "ann", 60) is not None


def test_settings_given_anew_are_kept_with_the_round(store: Store, review: Run) -> None:
    store.start_learning(review.id, 1, early=True, settings={"grid_size": 8, "feedback": "propagate"})
    assert store.run(review.id).settings["grid_size"] == 8
    assert store.rounds(review.id)[0].changed_settings == {"grid_size": [4, 8], "feedback": [None, "propagate"]}
    store.reopen_round(review.id, 1, RunState.TRAINING)
    store.close_round(review.id, 1, early=True, settings={"grid_size": 4, "feedback": "rrr"})
    assert store.run(review.id).settings["feedback"] == "rrr"
    assert store.rounds(review.id)[0].changed_settings == {"feedback": [None, "rrr"]}


def test_more_cases_go_behind_the_others(store: Store, review: Run, make_queue) -> None:
    more = [dataclasses.replace(case, case_id=f"more/{case.case_id}") for case in make_queue(2)]
    store.extend_round(review.id, 1, more, "2 more.")
    assert [entry.position for entry in store.queue(review.id, 1)] == [1, 2, 3, 4, 5, 6, 7]
    assert (store.queue(review.id, 1)[-1].case_id, store.rounds(review.id)[0].queued) == (more[-1].case_id, 7)
    assert (store.run(review.id).message, store.rounds(review.id)[0].message) == ("2 more.", "2 more.")
    assert store.heatmap(review.id, 1, more[0].case_id).tolist() == more[0].heatmap.tolist()
    with pytest.raises(Conflict, match=r"'more/images/1.png' is in the queue of round 1 already"):
        store.extend_round(review.id, 1, more[:1], "")
    store.close_round(review.id, 1, early=True)
    with pytest.raises(Conflict, match="closed"):
        store.extend_round(review.id, 1, [], "")


def test_corrections_are_recorded_once_by_their_key(store: Store, review: Run) -> None:
    record = learnt(store, review)
    sent = veto(action="correct", cells=(3, 1))
    first = store.correct(sent, record.id)
    assert (first.cells, first.insight, first.reader, first.time.tzinfo is None) == ((3, 1), record.id, "ann", False)
    assert store.correct(dataclasses.replace(sent, cells=(1, 3)), record.id) == first
    assert store.known_correction(sent) == first
    assert store.known_correction(veto()) is None
    for name, value in {"case_id": "", "reader": "bob", "action": "restore", "cells": (1,)}.items():
        with pytest.raises(Conflict, match=f"belongs to another correction .{name}"):
            store.correct(dataclasses.replace(sent, **{name: value}), record.id)
    with pytest.raises(Conflict, match="run is at round 1, awaiting_approval"):
        store.correct(veto(round=2), record.id)
    with pytest.raises(NotFound, match="no run 7"):
        store.correct(veto(run=7), record.id)
    assert store.corrections(record.id) == [first]
    store.close_learnt_round(review.id, 1, RunState.AWAITING_APPROVAL)
    assert store.correct(sent, record.id) == first, "whatever has happened since"


@pytest.mark.parametrize("change", ["UPDATE insight_corrections SET action = 'x'", "DELETE FROM insight_corrections"])
def test_the_database_itself_refuses_to_alter_corrections(store: Store, review: Run, change: str) -> None:
    record = learnt(store, review)
    store.correct(veto(), record.id)
    with pytest.raises(DBAPIError, match="only ever appended"), store._database.write() as session:
        session.execute(text(change))
    assert len(store.corrections(record.id)) == 1


WRITER = """
import sys, uuid
from imil.store import InsightCorrection, Store
store = Store.open(sys.argv[1])
while True:
    key = str(uuid.uuid4())
    store.correct(InsightCorrection("veto", "", (0,), run=1, round=1, reader="ann", key=key), 1)
    print(key, flush=True)
"""


def test_a_killed_process_keeps_every_acknowledged_correction(store: Store, review: Run, url: str) -> None:
    record = learnt(store, review)
    process = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True)
    acknowledged = [process.stdout.readline().strip() for _ in range(20)]
    process.kill()
    acknowledged += process.communicate()[0].split()
    keys = [known.key for known in store.corrections(record.id)]
    assert keys[: len(acknowledged)] == acknowledged
    assert len(keys) <= len(acknowledged) + 1


def test_a_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "imil.db"
    store = Store.open(f"sqlite:///{path}")
    store.create_run({"epochs": 2, "imil_epochs": [1]}, ["a", "b"])
    store.open_round(1, 1, "f" * 64, [])
    store.close()
    connection = sqlite3.connect(path)
    connection.executescript(
        "DROP TABLE insight_corrections; DROP TABLE insights; ALTER TABLE rounds DROP COLUMN changed_settings; "
        "UPDATE alembic_version SET version_num = '0001'"
    )
    connection.close()
    store = Store.open(f"sqlite:///{path}")
    assert store._database.schema_version() == SCHEMA_VERSION == migrations.known_versions()[0]
    assert store.rounds(1)[0].changed_settings == {}
    assert store.insights(1) == []
    store.close()
