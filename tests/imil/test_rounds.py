import json
import shutil
import subprocess
import sys
import time
import uuid
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imil.errors import BadInput, Conflict, ImilError, NotFound
from imil.grid import Grid
from imil.rounds import Plan, Rounds, StartRequest
from imil.settings import resolve
from imil.store import Action, Answer, EpochMetrics, QueuedCase, Run, RunState
from imil.study import Study, create_study
from imil.trainlock import TrainLock

SETTINGS = {
    "feedback": "blackout",
    "selection": "highest_confidence",
    "epochs": 10,
    "imil_epochs": (4, 7),
    "grid_size": 4,
    "image_size": 8,
}
HOLDER = """
import sys
from pathlib import Path
from imil.trainlock import TrainLock
with TrainLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(scope="session")
def study_to_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    for label in ("normal", "tb"):
        (folder / label).mkdir()
        for number in range(5):
            pixels = np.full((12, 15), 10 * number, np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    create_study(folder, "folders").store.close()
    return folder


@pytest.fixture
def study(study_to_copy: Path, tmp_path: Path) -> Study:
    shutil.copytree(study_to_copy, tmp_path / "study")
    return Study.open(tmp_path / "study")


@pytest.fixture
def rounds(study: Study) -> Rounds:
    return Rounds(study)


def queue(study: Study, count: int = 4) -> list[QueuedCase]:
    return [
        QueuedCase(
            case_id=case.id,
            label=case.label,
            prediction="normal" if case.label == "tb" else "tb",
            confidence=0.9,
            probabilities=(0.1, 0.9),
            reason="misprediction",
            heatmap=np.zeros((8, 8), np.float32),
            method="gradcam",
            layer="layer4",
        )
        for case in study.cases[:count]
    ]


def start(study: Study, **settings: object) -> Run:
    rounds = Rounds(study)
    return rounds.begin(rounds.plan(StartRequest(new_run=True, settings=SETTINGS | settings)))


def to_review(study: Study, run: Run, epoch: int = 4, count: int = 4) -> Run:
    study.store.record_epoch(run.id, epoch, [EpochMetrics(run.id, epoch, "train", 0.5, 0.7, float("nan"), 0.1, 0.2, 3)])
    study.store.open_round(run.id, epoch, "f" * 64, queue(study, count), "4 mispredictions.")
    return study.store.run(run.id)


@pytest.fixture
def review(study: Study) -> Run:
    return to_review(study, start(study))


def answer(study: Study, number: int = 0, **changes: object) -> Answer:
    plain = Answer(study.cases[number].id, 1, 1, "ann", Action.GRID, (1, 2), key=str(uuid.uuid4()))
    return replace(plain, **changes)


def answer_all(study: Study, run: Run, **changes: object) -> None:
    for number in range(len(study.store.queue(run.id, run.round))):
        Rounds(study).submit(answer(study, number, run=run.id, round=run.round, **changes))


def plan(rounds: Rounds, **request: object) -> Plan:
    return rounds.plan(StartRequest(**request))


# -- plan and begin --------------------------------------------------------------------------------------------------


def test_the_first_request_starts_with_the_papers_settings(study: Study, rounds: Rounds) -> None:
    found = plan(rounds)
    assert (found.kind, found.run_id, found.settings) == ("start", None, resolve())
    assert study.store.runs() == []  # a plan writes nothing
    run = rounds.begin(found)
    assert (run.state, run.epochs, run.rounds, run.classes) == (RunState.TRAINING, 100, 1, ["normal", "tb"])
    with pytest.raises(Conflict, match="Run 1 was started in the meantime"):
        rounds.begin(found)


def test_settings_come_as_a_preset_with_changes_or_whole(rounds: Rounds) -> None:
    assert plan(rounds, settings={"preset": "quick", "lr": 0.5}).settings == resolve("quick", lr=0.5)
    assert plan(rounds, settings=resolve("quick")).settings == resolve("quick")
    with pytest.raises(BadInput, match="no setting 'colour'"):
        plan(rounds, settings={"colour": 1})
    with pytest.raises(BadInput, match="no preset 'slow'"):
        plan(rounds, settings={"preset": "slow"})
    with pytest.raises(BadInput, match="imil_epochs has 10"):
        plan(rounds, settings={"epochs": 10, "imil_epochs": 10})


def test_a_killed_run_is_resumed_with_its_own_settings(study: Study, rounds: Rounds) -> None:
    run = start(study)
    for settings in (None, {}, {"epochs": 10}, {"imil_epochs": "4,7"}, resolve(**SETTINGS)):
        found = plan(rounds, settings=settings)
        assert (found.kind, found.run_id) == ("resume", run.id)
        assert found.settings == resolve(**SETTINGS)
    with pytest.raises(BadInput, match=r"setting lr can't be 0\.5: run 1 began with 0\.001"):
        plan(rounds, settings={"lr": 0.5, "epochs": 10})
    with pytest.raises(BadInput, match="setting network can't be 'imil_resnet8'"):
        plan(rounds, settings=resolve("quick"))
    with pytest.raises(BadInput, match="setting network can't be 'imil_resnet8'"):
        plan(rounds, settings={"preset": "quick"})
    assert rounds.begin(plan(rounds)).state is RunState.TRAINING


def test_a_failed_run_is_resumed(study: Study, rounds: Rounds) -> None:
    run = start(study)
    study.store.set_state(run.id, RunState.FAILED, message="disk full")
    assert rounds.status().message == "disk full"
    found = plan(rounds)
    assert found.kind == "resume"
    resumed = rounds.begin(found)
    assert (resumed.id, resumed.state, resumed.message) == (run.id, RunState.TRAINING, "")


def test_a_plan_is_void_once_the_run_has_moved(study: Study, rounds: Rounds) -> None:
    run = start(study)
    resume = plan(rounds)
    to_review(study, run)
    with pytest.raises(Conflict, match="Run 1 is awaiting_review, not training"):
        rounds.begin(resume)
    early = plan(rounds, continue_early=True)
    rounds.begin(early)
    with pytest.raises(Conflict, match="closed"):
        rounds.begin(early)
    assert study.store.run(run.id).state is RunState.TRAINING


def test_review_ends_when_all_is_answered_or_on_purpose(study: Study, rounds: Rounds, review: Run) -> None:
    rounds.submit(answer(study, 0))
    with pytest.raises(Conflict, match=r'1 of 4 cases of round 1 of run 1 are reviewed; .*"continue_early": true'):
        plan(rounds)
    early = plan(rounds, continue_early=True)
    assert (early.kind, early.run_id, early.early) == ("continue", review.id, True)
    for number in (1, 2, 3):
        rounds.submit(answer(study, number))
    found = plan(rounds)
    assert (found.kind, found.round, found.early) == ("continue", 1, False)
    rounds.submit(answer(study, 3, action=Action.UNDO, cells=()))
    with pytest.raises(Conflict, match="3 of 4 cases"):
        rounds.begin(found)
    rounds.submit(answer(study, 3))
    assert rounds.begin(found).state is RunState.TRAINING
    (info,) = study.store.rounds(review.id)
    assert (info.closed, info.early) == (True, False)


def test_a_completed_run_needs_new_run(study: Study, rounds: Rounds) -> None:
    run = start(study)
    study.store.set_state(run.id, RunState.COMPLETED)
    with pytest.raises(Conflict, match='Run 1 is completed; send "new_run": true for another'):
        plan(rounds)
    assert rounds.begin(plan(rounds, new_run=True)).id == 2


def test_continue_early_is_about_a_round(study: Study, rounds: Rounds) -> None:
    with pytest.raises(Conflict, match="no run yet"):
        plan(rounds, continue_early=True)
    start(study)
    with pytest.raises(Conflict, match="Run 1 is training, not awaiting_review"):
        plan(rounds, continue_early=True)
    with pytest.raises(BadInput, match="new_run and continue_early contradict"):
        plan(rounds, continue_early=True, new_run=True)


def test_the_comparison_branches_from_the_first_round(study: Study, rounds: Rounds) -> None:
    with pytest.raises(Conflict, match="No run has opened a round yet"):
        plan(rounds, without_feedback=True)
    parent = start(study)
    with pytest.raises(Conflict, match="No run has opened a round yet"):
        plan(rounds, without_feedback=True)
    parent = to_review(study, parent)
    found = plan(rounds, without_feedback=True)
    run = rounds.begin(found)
    assert (run.kind, run.parent, run.epoch, run.rounds) == ("without_feedback", parent.id, 4, 0)
    assert run.settings == parent.settings
    with pytest.raises(Conflict, match="started in the meantime"):
        rounds.begin(found)
    again = plan(rounds, without_feedback=True)
    assert (again.kind, again.run_id) == ("resume", run.id)
    assert plan(rounds, continue_early=True).run_id == parent.id
    study.store.set_state(run.id, RunState.COMPLETED)
    with pytest.raises(Conflict, match="Run 2 is run 1 without feedback, and completed"):
        plan(rounds, without_feedback=True)
    with pytest.raises(BadInput, match="setting epochs can't be 11"):
        plan(rounds, without_feedback=True, settings={"epochs": 11})
    to_review(study, start(study))
    assert plan(rounds, without_feedback=True).parent == 3


def test_everything_waits_for_a_process_that_trains(study: Study, rounds: Rounds, review: Run) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(study.state_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    assert rounds.status().training
    for request in ({}, {"new_run": True}, {"continue_early": True}, {"without_feedback": True}):
        with pytest.raises(Conflict, match="Another process is training"):
            plan(rounds, **request)
    process.kill()
    process.communicate()
    assert not rounds.status().training
    assert plan(rounds, new_run=True).kind == "start"


def test_the_process_that_holds_the_lock_may_plan(study: Study, rounds: Rounds) -> None:
    with TrainLock(study.state_dir):
        assert plan(rounds).kind == "start"


# -- status ----------------------------------------------------------------------------------------------------------


def test_status_says_where_the_study_stands(study: Study, rounds: Rounds) -> None:
    none = rounds.status()
    assert (none.state, none.run, none.classes) == ("none", None, ["normal", "tb"])
    assert "start training" in none.message
    run = start(study)
    study.store.record_epoch(run.id, 1, [EpochMetrics(run.id, 1, "train", 0.5, 0.7, float("nan"), 0.1, 0.2, 2)])
    study.store.record_epoch(run.id, 2, [EpochMetrics(run.id, 2, "train", 0.4, 0.7, float("nan"), 0.1, 0.2, 4)])
    stopped = rounds.status()
    assert (stopped.state, stopped.training, stopped.seconds_left) == ("training", False, None)
    assert stopped.message == "Training stopped at epoch 2 of 10; start it again to resume."
    assert stopped.metrics["train"] == {"loss": 0.4, "accuracy": 0.7, "auroc": None, "ece": 0.1, "brier": 0.2}
    with TrainLock(study.state_dir):
        live = rounds.status()
    assert (live.training, live.message, live.seconds_left) == (True, "", 6.0)  # two epochs to go, three seconds each
    to_review(study, run)
    rounds.submit(answer(study))
    waiting = rounds.status()
    assert (waiting.state, waiting.round, waiting.rounds, waiting.epoch) == ("awaiting_review", 1, 2, 4)
    assert (waiting.reviewed, waiting.queued, waiting.grid_size) == (1, 4, 4)
    assert waiting.message == "4 mispredictions. 1 of 4 cases of round 1 are reviewed."
    rounds.begin(plan(rounds, continue_early=True))
    with TrainLock(study.state_dir):
        assert rounds.status().seconds_left == 9.0  # from epoch 4 to 7, three seconds each
    json.dumps(asdict(waiting), allow_nan=False)
    with pytest.raises(NotFound, match="no run 9"):
        rounds.status(9)


def test_status_shows_the_comparison_while_it_matters(study: Study, rounds: Rounds, review: Run) -> None:
    other = rounds.begin(plan(rounds, without_feedback=True))
    assert rounds.status().run == review.id
    with TrainLock(study.state_dir):
        shown = rounds.status()
        assert (shown.run, shown.kind, shown.seconds_left) == (other.id, "without_feedback", 18.0)
    assert rounds.status(other.id).message.startswith("Training stopped at epoch 4")
    rounds.begin(plan(rounds, continue_early=True))
    assert rounds.status().run == review.id
    study.store.set_state(review.id, RunState.COMPLETED)
    assert rounds.status().run == other.id


# -- review ----------------------------------------------------------------------------------------------------------


def test_cases_go_out_while_under_review(study: Study, rounds: Rounds) -> None:
    assert rounds.next_case("ann") is None
    run = start(study, lease_seconds=10)
    assert rounds.next_case("ann") is None
    to_review(study, run)
    entry = rounds.next_case(" ann ")
    assert entry is not None
    assert (entry.position, entry.reader) == (1, "ann")
    assert rounds.next_case("ann", run.id) is not None
    with pytest.raises(NotFound, match="no run 2"):
        rounds.next_case("ann", 2)
    for name in ("", " ", "x" * 101, "a\nb"):
        with pytest.raises(BadInput, match="reader's name"):
            rounds.next_case(name)
    start(study)
    assert rounds.next_case("ann") is None
    with pytest.raises(Conflict, match="Run 1 takes no answers: only the newest run does, 2"):
        rounds.next_case("ann", run.id)


def test_cases_are_reserved_by_name_and_ahead(study: Study, rounds: Rounds) -> None:
    first, second, third, *_ = (case.id for case in study.cases)
    assert rounds.reserve("ann", ahead=2) is None
    assert rounds.release("ann") == 0
    with pytest.raises(Conflict, match=f"{second}' can't be opened .* there is no run yet"):
        rounds.reserve("ann", second)
    run = start(study, lease_seconds=10)
    with pytest.raises(Conflict, match="no round is open, run 1 is training"):
        rounds.reserve("ann", second)
    to_review(study, run)
    reserved = rounds.reserve(" ann ", second, ahead=1)
    assert reserved is not None
    assert [entry.case_id for entry in (reserved.entry, *reserved.ahead)] == [second, third]
    assert reserved.entry.reader == "ann"
    assert rounds.next_case("bob").case_id == first
    for number in (-1, 21, 1.0, True, "1", None):
        with pytest.raises(BadInput, match=f"ahead is {number!r}; .* 0 to 20"):
            rounds.reserve("ann", ahead=number)
    with pytest.raises(NotFound, match="nothing"):
        rounds.reserve("ann", "nothing.png")
    with pytest.raises(BadInput, match="reader's name"):
        rounds.release(" ")
    assert rounds.release("ann") == 2
    assert rounds.release("ann") == 0


def test_an_answer_is_recorded_with_the_images_hash(study: Study, rounds: Rounds, review: Run) -> None:
    grid = Grid.square(4, (12, 15))
    receipt = rounds.submit(answer(study), grid.mask((1, 2)), grid)
    assert (receipt.remaining, receipt.total, receipt.repeated) == (3, 4, False)
    (event,) = study.store.events(review.id)
    assert event.image_sha256 == study.sha256(study.cases[0].id)
    assert event.grid_size == 4
    assert rounds.submit(answer(study, 1, cells=()), grid.mask((3,), (4,))).remaining == 2
    assert study.store.events(review.id)[1].misleading == (4,)


def test_the_same_key_is_answered_the_same_even_after_the_round(study: Study, rounds: Rounds, review: Run) -> None:
    mask = Grid.square(4, (12, 15)).mask((1, 2))
    sent = answer(study)
    first = rounds.submit(sent, mask)
    rounds.submit(answer(study, 1))
    rounds.begin(plan(rounds, continue_early=True))
    start(study, grid_size=2)
    again = replace(first, repeated=True)
    assert rounds.submit(sent, mask) == again
    assert rounds.submit(replace(sent, key=sent.key.upper(), reader=" ann", seconds=9.0)) == again
    assert rounds.submit(replace(sent, cells=()), mask) == again
    with pytest.raises(Conflict, match="belongs to another answer"):
        rounds.submit(replace(sent, reader="bob"))
    assert len(study.store.events(review.id)) == 2


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"case_id": "../../etc/passwd"}, NotFound, "no image '../../etc/passwd'"),
        ({"case_id": "tb/4.png"}, NotFound, "isn't in the queue of round 1"),
        ({"reader": ""}, BadInput, "reader's name"),
        ({"run": 2}, NotFound, "no run 2"),
        ({"run": 2**70}, NotFound, "no run"),
        ({"run": 0}, NotFound, "no run 0"),
        ({"round": 0}, Conflict, "for round 0 of run 1, .* is at round 1"),
        ({"round": 2**70}, Conflict, "the run is at round 1, awaiting_review"),
        ({"key": "x"}, BadInput, "UUID"),
        ({"cells": ()}, BadInput, "at least one cell"),
        ({"cells": (16,)}, BadInput, "Cell 16 doesn't exist"),
        ({"cells": (1,), "misleading": (1,)}, BadInput, "both"),
        ({"action": "relabel", "new_label": "cow"}, BadInput, "can't be 'cow': .* 'normal'; allowed is 'tb'"),
        ({"action": "relabel", "new_label": "normal"}, BadInput, "can't be 'normal'"),
        ({"action": "relabel"}, BadInput, "needs a new_label"),
        ({"action": "undo", "cells": ()}, Conflict, "no answer .* to undo"),
        ({"rationale": "x" * 2001}, BadInput, "at most 2000"),
        ({"seconds": float("nan")}, BadInput, "seconds"),
    ],
)
def test_a_bad_answer_is_refused_and_leaves_nothing(
    study: Study, rounds: Rounds, review: Run, changes: dict[str, object], kind: type[ImilError], reason: str
) -> None:
    with pytest.raises(kind, match=reason):
        rounds.submit(answer(study, **changes))
    assert study.store.events(review.id) == []


def test_a_mask_must_fit_image_grid_and_cells(study: Study, rounds: Rounds, review: Run) -> None:
    grid = Grid.square(4, (12, 15))
    half = grid.mask((1, 2))
    half[0, 0] = 1
    for mask, given_grid, reason in (
        (grid.mask((3,)), grid, "disagree"),
        (half, grid, "only in part"),
        (np.zeros((15, 12), np.uint8), grid, "15 x 12 pixels"),
        (np.zeros((2, 2), np.uint8), None, "doesn't fit"),
        (None, Grid.square(5, (12, 15)), "the run's grid is 4 x 4"),
    ):
        with pytest.raises(BadInput, match=reason):
            rounds.submit(answer(study), mask, given_grid)
    assert study.store.events(review.id) == []


def test_second_answers_and_foreign_leases_are_refused(study: Study, rounds: Rounds, review: Run) -> None:
    rounds.submit(answer(study))
    with pytest.raises(Conflict, match="'ann' has already answered"):
        rounds.submit(answer(study, cells=(4,)))
    rounds.submit(answer(study, cells=(4,), replace=True))
    with pytest.raises(Conflict, match="answered by 'ann' already"):
        rounds.submit(answer(study, reader="bob"))
    rounds.next_case("bob")
    with pytest.raises(Conflict, match="reserved for 'bob' until"):
        rounds.submit(answer(study, 1))
    study.store.lease_next(review.id, 1, "cyd", 0.05)
    time.sleep(0.06)
    rounds.submit(answer(study, 2, reader="cyd"))


def test_answers_to_what_is_over_are_refused(study: Study, rounds: Rounds, review: Run) -> None:
    rounds.begin(plan(rounds, continue_early=True))
    with pytest.raises(Conflict, match="takes no answers now: the run is at round 1, training"):
        rounds.submit(answer(study))
    to_review(study, review, epoch=7)
    with pytest.raises(Conflict, match=r"for round 1 of run 1, .* is at round 2, awaiting_review"):
        rounds.submit(answer(study))
    start(study)
    with pytest.raises(Conflict, match="only the newest run does, 2"):
        rounds.submit(answer(study, round=2))


# -- feedback --------------------------------------------------------------------------------------------------------


def test_feedback_is_what_closed_rounds_say(study: Study, rounds: Rounds, review: Run) -> None:
    ids = [case.id for case in study.cases]
    rounds.submit(answer(study, 0, misleading=(3,)))
    rounds.submit(answer(study, 1, action=Action.SKIP, cells=()))
    rounds.submit(answer(study, 2, action=Action.EXCLUDE, cells=()))
    rounds.submit(answer(study, 3, action=Action.RELABEL, cells=(5,), new_label="tb"))
    assert rounds.feedback(review.id) == {}  # not closed yet
    rounds.begin(plan(rounds))
    found = rounds.feedback(review.id)
    assert sorted(found) == sorted([ids[0], ids[2], ids[3]])
    assert (found[ids[0]].action, found[ids[0]].cells, found[ids[0]].misleading) == ("grid", (1, 2), (3,))
    assert found[ids[2]].action == "exclude"
    assert (found[ids[3]].action, found[ids[3]].new_label, found[ids[3]].cells) == ("relabel", "tb", (5,))
    # Queued again: the later round counts, unless it says nothing.
    to_review(study, review, epoch=7, count=3)
    rounds.submit(answer(study, 0, round=2, action=Action.SKIP, cells=()))
    rounds.submit(answer(study, 1, round=2, cells=(9,)))
    rounds.submit(answer(study, 2, round=2, cells=(8,)))
    assert rounds.feedback(review.id) == found
    rounds.begin(plan(rounds))
    later = rounds.feedback(review.id)
    assert later[ids[0]] == found[ids[0]]
    assert later[ids[1]].cells == (9,)
    assert (later[ids[2]].action, later[ids[2]].cells) == ("grid", (8,))
    assert rounds.feedback(review.id, 1) == found
    assert rounds.feedback(review.id, 0) == {}


@pytest.mark.parametrize(
    ("combine", "cells"),
    [
        # Of two cases; of the first both readers chose cell 2, of the second they have nothing in common.
        ("union", [((1, 2, 3), (4,)), ((5, 6), ())]),
        ("intersection", [((2,), (4,)), None]),
        ("majority", [((1, 2, 3), (4,)), ((5, 6), ())]),
        ("staple", [((2,), (4,)), None]),
    ],
)
def test_several_readers_are_combined_as_the_run_says(study: Study, rounds: Rounds, combine: str, cells: list) -> None:
    run = to_review(study, start(study, readers_per_case=2, combine=combine), count=2)
    rounds.submit(answer(study, 0, cells=(1, 2), misleading=(4,)))
    rounds.submit(answer(study, 1, cells=(5,)))
    with pytest.raises(Conflict, match="0 of 2 cases"):
        plan(rounds)
    rounds.submit(answer(study, 0, reader="bob", cells=(2, 3), misleading=(4,)))
    rounds.submit(answer(study, 1, reader="bob", cells=(6,)))
    assert rounds.combinations(run.id) == {}  # not closed yet
    rounds.begin(plan(rounds))
    feedback = rounds.feedback(run.id)
    ids = [case.id for case in study.cases[:2]]
    found = [(feedback[case].cells, feedback[case].misleading) if case in feedback else None for case in ids]
    assert found == cells
    (combination,) = rounds.combinations(run.id).values()
    assert combination.without_cells == tuple(case for case in ids if case not in feedback)


def test_a_round_that_leaves_no_cell_of_a_case_says_nothing_about_it(study: Study, rounds: Rounds) -> None:
    run = to_review(study, start(study, readers_per_case=2, combine="intersection"), count=1)
    for reader in ("ann", "bob"):
        rounds.submit(answer(study, 0, reader=reader, cells=(1,)))
    rounds.begin(plan(rounds))
    first = rounds.feedback(run.id)
    to_review(study, run, epoch=7, count=1)
    for reader, cell in (("ann", 2), ("bob", 3)):
        rounds.submit(answer(study, 0, round=2, reader=reader, cells=(cell,)))
    rounds.begin(plan(rounds))
    assert rounds.feedback(run.id) == first != {}
