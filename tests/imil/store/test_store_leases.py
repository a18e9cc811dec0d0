"""Reserving cases by name and ahead; and any order of asking, answering, leaving and coming back."""

import time
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from imil.errors import Conflict, NotFound
from imil.store import Action, Answer, QueuedCase, QueueEntry, Run, Store


def name(number: int) -> str:
    return f"images/{number}.png"


def answer(store: Store, number: int, reader: str, action: Action = Action.SKIP, **more: object) -> None:
    store.append(Answer(name(number), 1, 1, reader, action, key=str(uuid.uuid4()), **more))


def reserve(store: Store, reader: str, number: int = 0, ahead: int = 0, seconds: float = 60) -> list[int]:
    """Positions of the case and of those ahead; [] for none."""
    case_id = name(number) if number else ""
    reserved = store.reserve(1, 1, reader, seconds, case_id=case_id, ahead=ahead)
    return [entry.position for entry in (reserved.entry, *reserved.ahead)] if reserved else []


def holders(store: Store) -> list[str | None]:
    return [entry.reader for entry in store.queue(1, 1)]


def test_cases_are_reserved_ahead(store: Store, review: Run) -> None:
    assert reserve(store, "ann", ahead=2) == [1, 2, 3]
    assert reserve(store, "bob", ahead=4) == [4, 5]
    assert reserve(store, "cyd", ahead=1) == []
    assert holders(store) == ["ann", "ann", "ann", "bob", "bob"]
    answer(store, 1, "ann")
    assert reserve(store, "ann") == [2], "what was reserved ahead comes next"
    assert reserve(store, "ann", ahead=20) == [2, 3]


def test_the_entries_ahead_are_whole(store: Store, review: Run) -> None:
    reserved = store.reserve(1, 1, "ann", 60, ahead=1)
    assert reserved is not None
    (following,) = reserved.ahead
    assert (following.epoch, following.total, following.reader) == (4, 5, "ann")
    assert following.lease_expires == reserved.entry.lease_expires
    assert following == store.queue_entry(1, 1, following.case_id)
    assert reserved.answer is None


def test_asking_renews_everything_that_the_reader_holds(store: Store, review: Run) -> None:
    reserve(store, "ann", ahead=2, seconds=10)
    reserve(store, "bob", seconds=10)
    before = [entry.lease_expires for entry in store.queue(1, 1)]
    assert reserve(store, "ann", seconds=100) == [1]
    after = [entry.lease_expires for entry in store.queue(1, 1)]
    assert [new > old for old, new in zip(before[:4], after[:4], strict=True)] == [True, True, True, False]


def test_asking_again_gives_the_same_although_an_earlier_case_got_free(store: Store, review: Run) -> None:
    assert reserve(store, "bob") == [1]
    assert reserve(store, "ann") == [2]
    store.release(1, 1, "bob")
    assert reserve(store, "ann", ahead=1) == [2, 3]
    assert reserve(store, "ann") == [2]
    assert reserve(store, "bob", ahead=1) == [1, 4]


def test_a_case_is_opened_by_name(store: Store, review: Run) -> None:
    assert reserve(store, "ann", 4) == [4]
    assert holders(store) == [None, None, None, "ann", None]
    assert reserve(store, "ann", 4, ahead=2) == [4, 5], "free cases behind it follow"
    assert reserve(store, "ann", 2, ahead=2) == [2, 4, 5], "what she holds comes first"
    assert reserve(store, "ann") == [2]
    with pytest.raises(NotFound, match=r"'images/9\.png' isn't in the queue of round 1"):
        reserve(store, "ann", 9)


def test_a_case_of_other_readers_is_refused(store: Store, review: Run) -> None:
    reserve(store, "ann")
    answer(store, 2, "cyd")
    with pytest.raises(Conflict, match=r"images/1\.png' is reserved for 'ann' until"):
        reserve(store, "bob", 1, ahead=2)
    with pytest.raises(Conflict, match=r"images/2\.png' has been answered by 'cyd' already"):
        reserve(store, "bob", 2)
    assert holders(store) == ["ann", None, None, None, None], "a refusal reserves nothing"


def test_an_answered_case_comes_with_its_answer_and_without_a_lease(store: Store, review: Run) -> None:
    answer(store, 1, "ann", Action.GRID, cells=(5, 2), misleading=(7,), rationale="the tube", seconds=8.5)
    reserved = store.reserve(1, 1, "ann", 60, case_id=name(1), ahead=1)
    assert reserved is not None
    assert reserved.answer is not None
    assert (reserved.answer.id, reserved.answer.cells, reserved.answer.rationale) == (1, (2, 5), "the tube")
    assert (reserved.entry.reader, reserved.entry.lease_expires) == (None, None)
    assert [entry.position for entry in reserved.ahead] == [2]
    assert holders(store) == [None, "ann", None, None, None]
    answer(store, 1, "ann", Action.UNDO)
    again = store.reserve(1, 1, "ann", 60, case_id=name(1))
    assert again is not None
    assert again.answer is None
    assert again.entry.reader == "ann"


def test_released_cases_go_to_others(store: Store, review: Run) -> None:
    reserve(store, "ann", ahead=3)
    answer(store, 1, "ann")
    assert store.release(1, 1, "ann") == 3
    assert store.release(1, 1, "ann") == 0
    assert reserve(store, "bob", ahead=20) == [2, 3, 4, 5]
    assert store.release(1, 2, "bob") == 0
    with pytest.raises(NotFound, match="no run 9"):
        store.release(9, 1, "bob")


def test_expired_reservations_are_free(store: Store, review: Run) -> None:
    reserve(store, "ann", ahead=2, seconds=0.05)
    time.sleep(0.06)
    assert reserve(store, "bob", 2) == [2]
    with pytest.raises(Conflict, match="reserved for 'bob'"):
        reserve(store, "ann", 2)
    assert reserve(store, "ann", ahead=3) == [1, 3, 4, 5]


def test_several_readers_each_get_a_case_once(store: Store, make_queue) -> None:
    run = store.create_run({"epochs": 5, "imil_epochs": [2], "readers_per_case": 2}, ["normal", "tb"])
    store.open_round(run.id, 2, "f" * 64, make_queue(3))
    assert reserve(store, "ann", ahead=5) == [1, 2, 3], "never a case twice, though each has two places"
    assert reserve(store, "bob", ahead=1) == [1, 2]
    assert reserve(store, "cyd", ahead=5) == [3]
    with pytest.raises(Conflict, match="reserved for"):
        reserve(store, "cyd", 1)


def test_the_listing_shows_who_answered_what(store: Store, review: Run) -> None:
    answer(store, 2, "ann", Action.EXCLUDE)
    answer(store, 3, "bob")
    answer(store, 3, "bob", Action.UNDO)
    reserve(store, "bob")
    listed = store.listing(1, 1)
    assert [case.entry for case in listed] == store.queue(1, 1)
    assert [case.answers for case in listed] == [{}, {"ann": Action.EXCLUDE}, {}, {}, {}]
    with pytest.raises(NotFound, match="no round 2 of run 1"):
        store.listing(1, 2)


# -- any order ---------------------------------------------------------------------------------------------------------

READERS = st.sampled_from(["ann", "bob", "cyd"])
CASES = 6


class Desk(RuleBasedStateMachine):
    """Readers at one queue, against a model of a few lines: who holds and who has answered which position."""

    store: Store
    queue: list[QueuedCase]

    @initialize(needed=st.sampled_from([1, 1, 2]))
    def open(self, needed: int) -> None:
        """A new run with a round; the database stays the same."""
        run = self.store.create_run({"epochs": 5, "imil_epochs": [2], "readers_per_case": needed}, ["normal", "tb"])
        self.run, self.needed = run.id, needed
        self.store.open_round(run.id, 2, "f" * 64, self.queue)
        self.held: dict[int, set[str]] = {position: set() for position in range(1, CASES + 1)}
        self.done: dict[int, set[str]] = {position: set() for position in range(1, CASES + 1)}

    def mine(self, reader: str) -> list[int]:
        return [position for position, readers in self.held.items() if reader in readers]

    def free(self, position: int, reader: str) -> bool:
        taken = len(self.held[position] - {reader}) + len(self.done[position])
        return taken < self.needed and reader not in self.done[position]

    def lease(self, reader: str, case_id: str = "", ahead: int = 0, seconds: float = 600) -> list[QueueEntry]:
        reserved = self.store.reserve(self.run, 1, reader, seconds, case_id=case_id, ahead=ahead)
        if reserved is None:
            return []
        assert (reserved.answer is not None) == (reader in self.done[reserved.entry.position])
        return [reserved.entry, *reserved.ahead]

    @rule(reader=READERS, ahead=st.integers(0, 4))
    def ask(self, reader: str, ahead: int) -> None:
        mine = self.mine(reader)
        free = [position for position in self.held if self.free(position, reader)]
        expected = mine[:1] or free[:1]
        self.check_reserved(reader, expected, ahead, self.lease(reader, ahead=ahead))

    @rule(reader=READERS, position=st.integers(1, CASES), ahead=st.integers(0, 4))
    def open_case(self, reader: str, position: int, ahead: int) -> None:
        if reader in self.done[position] or reader in self.held[position] or self.free(position, reader):
            self.check_reserved(reader, [position], ahead, self.lease(reader, name(position), ahead))
            return
        with pytest.raises(Conflict):
            self.lease(reader, name(position), ahead)

    def check_reserved(self, reader: str, first: list[int], ahead: int, given: list[QueueEntry]) -> None:
        positions = [entry.position for entry in given]
        assert positions[:1] == first
        if not first:
            return
        others = [position for position in self.mine(reader) if position != first[0]]
        behind = [p for p in self.held if p > first[0] and p not in others and self.free(p, reader)]
        expected = sorted((others + behind)[:ahead] if len(others) < ahead else others[:ahead])
        assert positions[1:] == expected
        for position in positions:
            if reader not in self.done[position]:
                self.held[position].add(reader)

    @rule(reader=READERS)
    def leave(self, reader: str) -> None:
        assert self.store.release(self.run, 1, reader) == len(self.mine(reader))
        self.forget(reader)

    @rule(reader=READERS)
    def let_time_pass(self, reader: str) -> None:
        """All that she holds, and what this gives her, runs out at once."""
        if self.mine(reader):
            self.lease(reader, seconds=-1)
            self.forget(reader)

    def forget(self, reader: str) -> None:
        for readers in self.held.values():
            readers.discard(reader)

    @rule(reader=READERS, position=st.integers(1, CASES), undo=st.booleans())
    def answer(self, reader: str, position: int, undo: bool) -> None:
        mine = reader in self.done[position]
        action = Action.UNDO if undo else Action.SKIP
        sent = Answer(name(position), self.run, 1, reader, action, key=str(uuid.uuid4()), replace=mine)
        if not mine and (undo or not self.free(position, reader)):
            with pytest.raises(Conflict):
                self.store.append(sent)
            return
        self.store.append(sent)
        if undo:
            self.done[position].discard(reader)
        else:
            self.done[position].add(reader)
            self.held[position].discard(reader)

    @invariant()
    def the_store_agrees_and_promises_no_place_twice(self) -> None:
        for case in self.store.listing(self.run, 1):
            position = case.entry.position
            assert set(case.answers) == self.done[position]
            assert case.entry.reader in (self.held[position] or {None})
            assert len(self.held[position]) + len(self.done[position]) <= self.needed


def test_no_order_of_requests_gives_a_place_to_two_readers(tmp_path: Path, make_queue) -> None:
    store = Store.for_study(tmp_path)
    desk = type("DeskInThisStore", (Desk,), {"store": store, "queue": make_queue(CASES, size=2)})
    run_state_machine_as_test(
        desk,
        settings=settings(
            max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    store.close()
