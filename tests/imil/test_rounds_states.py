"""Any order of moves: what the rules allow and refuse, and what is left afterwards, against a model of a few lines."""

import shutil
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from PIL import Image

from imil.errors import Conflict, ImilError
from imil.rounds import Rounds, StartRequest
from imil.store import Action, Answer, EpochMetrics, Event, InsightCorrection, QueuedCase, Receipt, RunState
from imil.study import Study, create_study

READERS = ["ann", "bob", "cyd"]
NEEDED = 2
IMIL_EPOCHS = (2, 4)
EPOCHS = 5
SAID = st.sampled_from([Action.GRID, Action.GRID, Action.SKIP, Action.EXCLUDE, Action.UNDO])


@dataclass
class ModelRun:
    """What a run should be like."""

    state: str = "training"
    epoch: int = 0
    queues: list[list[str]] = field(default_factory=list)
    closed: int = 0
    learning: bool = False
    """The last round is open, and what its answers teach is being found out, or waits for approval."""
    vetoes: int = 0
    """Of what the last round taught."""
    answers: dict[tuple[int, str, str], tuple[str, int]] = field(default_factory=dict)
    """By round, case and reader: action and cell."""

    @property
    def reviewed(self) -> int:
        number = len(self.queues)
        return sum(len(self.readers(number, case)) >= NEEDED for case in self.queues[-1])

    def readers(self, number: int, case: str) -> list[str]:
        return [reader for reader in READERS if (number, case, reader) in self.answers]


class Moves(RuleBasedStateMachine):
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        shutil.copytree(self.template, self.folder.name, dirs_exist_ok=True)
        self.open()
        self.runs: list[ModelRun] = []
        self.sent: list[tuple[Answer, Receipt]] = []

    def open(self) -> None:
        self.study = Study.open(Path(self.folder.name))
        self.rounds = Rounds(self.study)
        self.cases = [case.id for case in self.study.cases]

    def teardown(self) -> None:
        self.study.store.close()
        self.folder.cleanup()

    @property
    def run(self) -> ModelRun:
        return self.runs[-1] if self.runs else ModelRun("none")

    def refused(self, call: Callable[[], object], kind: type[ImilError] = Conflict) -> None:
        before = self.facts()
        with pytest.raises(kind):
            call()
        assert self.facts() == before

    def facts(self) -> SimpleNamespace:
        store = self.study.store
        runs = store.runs()
        events = [store.events(run.id) for run in runs]
        return SimpleNamespace(runs=runs, events=events, rounds=[store.rounds(run.id) for run in runs])

    def begin(self, *, learns: bool = False, **request: bool) -> None:
        settings_of_run = {
            "epochs": EPOCHS, "imil_epochs": IMIL_EPOCHS, "readers_per_case": NEEDED, "requeue": True,
            "feedback": "blackout",  # nothing is asked of the answers; that is tested in test_runs_insight
        }  # fmt: skip
        plan = self.rounds.plan(StartRequest(settings=settings_of_run, **request))
        self.rounds.begin(plan, learns=learns)

    @initialize(begins=st.sampled_from(["review", "approval", "review", "learning", "blank"]))
    def to_the_first_review(self, begins: str) -> None:
        """Mostly begin where most moves are possible."""
        if begins == "blank":
            return
        self.start()
        self.train(3, 2)
        if begins != "review":
            self.continue_early(3, learns=True)
        if begins == "approval":
            self.learn(wait=True)

    @rule()
    def kill(self) -> None:
        """Everything in memory is gone."""
        self.study.store.close()
        self.open()

    @rule(learns=st.booleans())
    def start(self, learns: bool = False) -> None:
        run = self.run
        if run.state == "completed" or (run.state == "awaiting_review" and run.reviewed < len(run.queues[-1])):
            self.refused(self.begin)
            return
        self.begin(learns=learns)
        if run.state == "none":
            self.runs.append(ModelRun())
        elif run.state == "awaiting_review":
            self.leave_review(learns)
        elif run.state == "awaiting_approval":
            run.closed, run.learning = len(run.queues), False
        self.run.state = "training"

    def leave_review(self, learns: bool) -> None:
        self.run.learning = learns
        if not learns:
            self.run.closed = len(self.run.queues)

    @rule(sure=st.integers(0, 3), learns=st.booleans())
    def continue_early(self, sure: int, learns: bool) -> None:
        if sure < 3:  # or few rounds are ever reviewed
            return
        if self.run.state != "awaiting_review":
            self.refused(lambda: self.begin(continue_early=True))
            return
        self.begin(continue_early=True, learns=learns)
        self.leave_review(learns)
        self.run.state = "training"

    @rule(sure=st.integers(0, 2))
    def reopen(self, sure: int) -> None:
        if not self.run.learning:
            self.refused(lambda: self.begin(reopen=True))
        elif sure == 2:
            self.begin(reopen=True)
            self.run.state, self.run.learning, self.run.vetoes = "awaiting_review", False, 0

    @rule(wait=st.booleans())
    def learn(self, wait: bool) -> None:
        """Keep what an open round has taught."""
        run, number = self.run, len(self.runs)
        summary = {
            "grid_size": 4, "cells_swapped": [0], "cells": [], "looks": False, "classes": [], "images": [],
            "queued": [], "heat_in": {}, "notes": [],
        }  # fmt: skip

        def save() -> None:
            fields = {"feedback": "mode", "file_sha256": "f" * 64, "summary": summary, "seconds": 1.0, "wait": wait}
            self.study.store.save_insight(number, max(1, len(run.queues)), **fields)

        if run.state != "training" or not run.learning:
            self.refused(save, ImilError)
            return
        save()
        run.vetoes = 0
        if wait:
            run.state = "awaiting_approval"
        else:
            run.closed, run.learning = len(run.queues), False

    @precondition(lambda self: self.runs)
    @rule()
    def veto(self) -> None:
        key, number = str(uuid.uuid4()), len(self.run.queues)
        sent = InsightCorrection("veto", "", (0,), run=len(self.runs), round=number, reader="ann", key=key)
        if self.run.state != "awaiting_approval":
            self.refused(lambda: self.rounds.correct(sent))
            return
        self.rounds.correct(sent)
        self.run.vetoes += 1

    @precondition(lambda self: len(self.runs) < 3)
    @rule(sure=st.integers(0, 7))
    def new_run(self, sure: int) -> None:
        if sure == 7:  # rarely, or no run gets far
            self.begin(new_run=True)
            self.runs.append(ModelRun())

    @rule(queued=st.sampled_from([3, 2, 4, 0]), epochs=st.integers(1, 3))
    def train(self, queued: int, epochs: int) -> None:
        """Some epochs more, or to the next stop."""
        if self.run.learning:
            return
        self.train_an_epoch(queued)
        while epochs > 1 and self.run.state == "training":
            self.train_an_epoch(queued)
            epochs -= 1

    def train_an_epoch(self, queued: int) -> None:
        run, store, number = self.run, self.study.store, len(self.runs)
        metrics = [EpochMetrics(number, run.epoch + 1, "train", 0.5, 0.5, 0.5, 0.5, 0.5, 1.0)]
        if run.state != "training":
            self.refused(lambda: store.record_epoch(number, run.epoch + 1, metrics), ImilError)
            self.refused(lambda: store.open_round(number, run.epoch, "f" * 64, self.queue(queued)), ImilError)
            self.refused(lambda: store.set_state(number, RunState.COMPLETED), ImilError)
            return
        run.epoch += 1
        store.record_epoch(number, run.epoch, metrics)
        if run.epoch == EPOCHS:
            store.set_state(number, RunState.COMPLETED)
            run.state = "completed"
        elif run.epoch in IMIL_EPOCHS[len(run.queues) :]:
            store.open_round(number, run.epoch, "f" * 64, self.queue(queued))
            run.queues.append(self.cases[:queued])
            run.vetoes = 0
            run.state = "awaiting_review" if queued else "training"
            run.closed += not queued

    @precondition(lambda self: self.run.state == "training")
    @rule()
    def fail(self) -> None:
        self.study.store.set_state(len(self.runs), RunState.FAILED, message="disk full")
        self.run.state = "failed"

    @precondition(lambda self: self.run.state == "awaiting_review")
    @rule(reader=st.sampled_from(READERS[:2]), case=st.integers(0, 3), cell=st.integers(0, 15), said=SAID)
    def answer(self, reader: str, case: int, cell: int, said: Action) -> None:
        """What a careful client sends."""
        queue, number = self.run.queues[-1], len(self.run.queues)
        name = queue[case % len(queue)]
        mine = (number, name, reader) in self.run.answers
        self.send(reader, name, number, cell, said, replace=mine)

    @precondition(lambda self: self.run.state == "awaiting_review")
    @rule(cell=st.integers(0, 15))
    def answer_all_that_is_open(self, cell: int) -> None:
        number = len(self.run.queues)
        for name in self.run.queues[-1]:
            for reader in READERS:
                done = self.run.readers(number, name)
                if reader not in done and len(done) < NEEDED:
                    self.send(reader, name, number, cell, Action.GRID, replace=False)

    @rule(
        reader=st.sampled_from(READERS),
        case=st.integers(0, 5),
        cell=st.integers(0, 15),
        said=SAID,
        replace=st.booleans(),
        number=st.integers(1, 3),
    )
    def stray_answer(self, reader: str, case: int, cell: int, said: Action, replace: bool, number: int) -> None:
        """What any client may send at any time."""
        self.send(reader, self.cases[case], number, cell, said, replace=replace)

    def send(self, reader: str, name: str, number: int, cell: int, action: Action, *, replace: bool) -> None:
        run = self.run
        cells = () if action is Action.UNDO else (cell,)
        key = str(uuid.uuid4())
        sent = Answer(name, len(self.runs), number, reader, action, cells, key=key, replace=replace)
        mine = (number, name, reader) in run.answers
        others = [other for other in run.readers(number, name) if other != reader]
        possible = (
            run.state == "awaiting_review"
            and number == len(run.queues)
            and name in run.queues[-1]
            and (mine if action is Action.UNDO else (replace if mine else len(others) < NEEDED))
        )
        if not possible:
            self.refused(lambda: self.rounds.submit(sent), ImilError)
            return
        receipt = self.rounds.submit(sent)
        if action is Action.UNDO:
            del run.answers[number, name, reader]
        else:
            run.answers.pop((number, name, reader), None)
            run.answers[number, name, reader] = (action, cell)
        assert (receipt.total, receipt.total - receipt.remaining) == (len(run.queues[-1]), run.reviewed)
        self.sent.append((sent, receipt))

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 100))
    def send_again(self, which: int) -> None:
        sent, first = self.sent[which % len(self.sent)]
        before = self.facts()
        again = self.rounds.submit(sent)
        assert (again.event_id, again.remaining, again.total) == (first.event_id, first.remaining, first.total)
        assert again.repeated
        assert self.facts() == before

    @rule(reader=st.sampled_from(READERS))
    def look_at_the_next_case(self, reader: str) -> None:
        run, number = self.run, len(self.run.queues)
        entry = self.rounds.next_case(reader)
        free = []
        if run.state == "awaiting_review":
            readers = {case: run.readers(number, case) for case in run.queues[-1]}
            free = [case for case, done in readers.items() if reader not in done and len(done) < NEEDED]
        assert (None if entry is None else entry.case_id) == (free[0] if free else None)
        if entry is not None:
            # Give it back at once: what leases do to others is tested elsewhere.
            self.study.store.lease_next(entry.run, entry.round, reader, -1)

    def queue(self, count: int) -> list[QueuedCase]:
        heatmap = np.zeros((2, 2), np.float32)
        return [
            QueuedCase(name, "a", "b", 0.9, (0.1, 0.9), "misprediction", heatmap, "gradcam", "layer4")
            for name in self.cases[:count]
        ]

    @invariant()
    def status_tells_the_truth(self) -> None:
        status, run = self.rounds.status(), self.run
        assert (status.state, status.epoch, status.round) == (run.state, run.epoch, len(run.queues))
        if run.queues:
            assert (status.reviewed, status.queued) == (run.reviewed, len(run.queues[-1]))

    @invariant()
    def insights_have_their_vetoes(self) -> None:
        for number, run in enumerate(self.runs, start=1):
            record = self.study.store.insight(number, len(run.queues)) if run.queues else None
            assert run.vetoes == (0 if record is None else len(self.study.store.corrections(record.id)))
            assert (run.state != "awaiting_approval") or record is not None

    @invariant()
    def feedback_is_what_closed_rounds_say(self) -> None:
        for number, run in enumerate(self.runs, start=1):
            expected: dict[str, tuple[str, tuple[int, ...]]] = {}
            for closed in range(1, run.closed + 1):
                for name in run.queues[closed - 1]:
                    said = [answer for key, answer in run.answers.items() if key[:2] == (closed, name)]
                    said = [answer for answer in said if answer[0] is not Action.SKIP]
                    if said:
                        # Two readers at most: they agree, or the earlier counts.
                        cells = {cell for action, cell in said if action == said[0][0] == Action.GRID}
                        expected[name] = (str(said[0][0]), tuple(sorted(cells)))
            found = self.rounds.feedback(number)
            assert {name: (entry.action, entry.cells) for name, entry in found.items()} == expected

    @invariant()
    def events_are_only_appended(self) -> None:
        events: list[Event] = [event for run in self.study.store.runs() for event in self.study.store.events(run.id)]
        assert sorted(event.key for event in events) == sorted(sent.key for sent, _ in self.sent)
        assert len({event.id for event in events}) == len(events)


def test_every_order_of_moves_keeps_to_the_rules(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(3):
            Image.fromarray(np.full((8, 8), number, np.uint8)).save(tmp_path / label / f"{number}.png")
    create_study(tmp_path, "folders").store.close()
    machine = type("MovesInThisStudy", (Moves,), {"template": tmp_path})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
