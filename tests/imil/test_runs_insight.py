"""Runs whose feedback mode learns from a round's answers: approval, vetoes, reopening, more cases, kills."""

import shutil
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch

from imil import insights
from imil.errors import BadInput, Conflict, NotFound
from imil.rounds import Rounds, StartRequest
from imil.runs import advance, checkpoint_path
from imil.settings import resolve
from imil.store import Action, Answer, InsightCorrection, RunState
from imil.study import Study, create_study
from imil.training import checkpoints
from tests.conftest import write_tiny_images
from tests.imil.learning_mode import NAME

SETTINGS = {
    "selection": "highest_confidence",
    "network": "imil_small",
    "image_size": 32,
    "epochs": 3,
    "imil_epochs": (1,),
    "num_outliers": 4,
    "fill": "least_confident",
    "optimizer": "adamw",
    "lr": 0.003,
    "batch_size": 4,
    "augmentation": "affine",
    "feedback": NAME,
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def answered(tmp_path_factory) -> Path:
    """A study whose first round has all its answers."""
    study = create_study(write_tiny_images(tmp_path_factory.mktemp("answered") / "study"), "csv")
    go_on(study, settings=resolve(**SETTINGS))
    answer_all(study)
    study.store.close()
    return study.folder


@pytest.fixture
def study(answered, tmp_path):
    return copy_of(answered, tmp_path / "study")


def copy_of(folder: Path, target: Path) -> Study:
    shutil.copytree(folder, target)
    return Study.open(target)


def go_on(study, progress=None, **request):
    return advance(study, Rounds(study).plan(StartRequest(**request)), progress)


def answer_all(study, cells=(5, 6), misleading=(0,), action=Action.GRID, **fields):
    rounds = Rounds(study)
    while (entry := rounds.next_case("ada")) is not None:
        key = str(uuid.uuid4())
        rounds.submit(
            Answer(entry.case_id, entry.run, entry.round, "ada", action, cells, misleading, key=key, **fields)
        )


def correct(study, action, image="", cells=(), **fields):
    sent = InsightCorrection(action, image, cells, **({"run": 1, "round": 1, "reader": "ada"} | fields))
    return Rounds(study).correct(sent if sent.key else InsightCorrection(**vars(sent) | {"key": str(uuid.uuid4())}))


def weights(study):
    return checkpoints.load(checkpoint_path(study, 1))["network"]


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_waits_until_what_the_answers_taught_is_approved(study):
    told = {}
    run = go_on(study, lambda progress: told.setdefault(progress.phase, Rounds(study).status().message))
    assert (run.state, run.epoch, run.round) == (RunState.AWAITING_APPROVAL, 1, 1)
    assert list(told) == ["reading", "learning", "awaiting_approval"]
    assert told["learning"] == "Finding out what the answers to round 1 teach about all images."
    status = Rounds(study).status()
    assert (status.state, status.reviewed, status.queued) == ("awaiting_approval", 4, 4)
    assert "veto" in status.message
    assert not study.store.rounds(1)[0].closed
    with pytest.raises(Conflict, match="no round is open, run 1 is awaiting_approval"):
        Rounds(study).reserve("ada", study.store.queue(1, 1)[0].case_id)

    insight = Rounds(study).insight()
    assert (insight["run"], insight["round"], insight["feedback"], insight["open"]) == (1, 1, NAME, True)
    assert insight["grid_cells_swapped"] == [cell for cell in range(16) if cell not in (5, 6)]
    assert insight["notes"] == ["Made for a test."]
    shares = {entry["cell"]: entry for entry in insight["cells"]}
    assert [shares[5]["chosen"], shares[0]["misled"], shares[1]["chosen"]] == [1.0, 1.0, 0.0]
    assert sum(entry["heat"] for entry in insight["cells"]) == pytest.approx(1)
    assert insight["heat_in"]["relevant"]["images"] == 4
    assert 0 < insight["heat_in"]["relevant"]["share"] < 1
    scores = [image["score"] for image in insight["images"]]
    assert scores == sorted(scores, reverse=True)
    assert all(
        image["cells"] in ([0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]) for image in insight["images"]
    )
    assert go_on(study).state is RunState.COMPLETED
    (info,) = study.store.rounds(1)
    assert (info.closed, info.early) == (True, False)
    assert Rounds(study).insight() == insight | {"open": False}


def test_vetoes_and_corrections_change_what_training_does(study, answered, tmp_path):
    go_on(study)
    untouched = copy_of(study.folder, tmp_path / "untouched")
    first, second, third = (image["id"] for image in Rounds(study).insight()["images"][:3])
    unfound = next(
        case.id
        for case in study.cases
        if case.split == "train" and case.id not in {image["id"] for image in Rounds(study).insight()["images"]}
    )
    before = {entry["name"]: entry for entry in Rounds(study).insight()["classes"]}
    correct(study, "veto", cells=(0, 1, 3))
    correct(study, "restore", cells=(1,))
    correct(study, "veto", first)
    correct(study, "correct", second, (15,))
    correct(study, "veto", third)
    correct(study, "restore", third)
    now = correct(study, "correct", unfound, (2, 3))
    assert (now["grid_cells_vetoed"], 0 in now["grid_cells_swapped"], 1 in now["grid_cells_swapped"]) == (
        [0, 3],
        False,
        True,
    )
    images = {image["id"]: image for image in now["images"]}
    assert [images[first]["vetoed"], images[second]["vetoed"], images[third]["vetoed"]] == [True, False, False]
    assert (images[second]["cells"], images[second]["corrected"]) == ([15], True)
    assert (images[unfound]["cells"], images[unfound]["score"]) == ([2, 3], None)
    label = study.case(first).label
    moved = {entry["name"]: entry["found"] - before[entry["name"]]["found"] for entry in now["classes"]}
    assert moved == {name: (name == study.case(unfound).label) - (name == label) for name in study.classes}
    assert [entry["action"] for entry in now["corrections"]][:2] == ["veto", "restore"]
    assert "Readers vetoed 2 cells, vetoed what was found in 1 image and corrected it in 2 images." in now["sentences"]

    used = insights.corrected(study, study.store.insight(1), insights.read(study, study.store.insight(1)))
    position = used.case_ids.index
    assert not used.finds[position(first)].any()
    assert insights.touched(used.finds[position(second)], 4) == [15]
    assert insights.touched(used.finds[position(unfound)], 4) == [2, 3]
    go_on(study)
    go_on(untouched)
    assert not equal(weights(study), weights(untouched))
    with pytest.raises(Conflict, match="can't be corrected now: the run is at round 1, completed"):
        correct(study, "veto", first)


def test_corrections_that_make_no_sense_write_nothing(study):
    with pytest.raises(Conflict, match="run is at round 1, awaiting_review"):
        correct(study, "veto", cells=(0,))
    go_on(study)
    found = Rounds(study).insight()["images"][0]["id"]
    without = next(
        case.id
        for case in study.cases
        if case.split == "train" and case.id not in {image["id"] for image in Rounds(study).insight()["images"]}
    )
    test_case = next(case.id for case in study.cases if case.split == "test")
    for sentence, sent in {
        "no action 'paint'": ("paint", found),
        "names neither an image nor cells": ("veto",),
        "needs an image": ("correct", "", (0,)),
        "cell 5 isn't swapped between images: those that were to be are 0, 1": ("veto", "", (0, 5)),
        "Cell 16 doesn't exist": ("veto", "", (16,)),
        "needs the cells that hold it": ("correct", found),
        r"takes no cells \(\[0\]\)": ("veto", found, (0,)),
        "Nothing was found in": ("veto", without),
        "isn't trained with": ("correct", test_case, (0,)),
    }.items():
        with pytest.raises(BadInput, match=sentence):
            correct(study, *sent)
    with pytest.raises(BadInput, match="isn't a UUID"):
        correct(study, "veto", found, key="mine")
    with pytest.raises(BadInput, match="reader's name"):
        correct(study, "veto", found, reader=" ")
    with pytest.raises(NotFound, match=r"nothing\.png"):
        correct(study, "veto", "nothing.png")
    with pytest.raises(Conflict, match="round 2"):
        correct(study, "veto", found, round=2)
    with pytest.raises(NotFound, match="run 7"):
        correct(study, "veto", found, run=7)
    assert Rounds(study).insight()["corrections"] == []
    key = str(uuid.uuid4())
    first = correct(study, "veto", found, key=key)
    assert correct(study, "veto", found, key=key.upper()) == first
    with pytest.raises(Conflict, match="belongs to another correction"):
        correct(study, "restore", found, key=key)


def test_a_round_is_reopened_and_learnt_from_anew(study):
    with pytest.raises(Conflict, match="open for answers already"):
        go_on(study, reopen=True)
    go_on(study)
    correct(study, "veto", cells=(0,))
    with pytest.raises(Conflict, match=r'no round to add cases to; send "reopen": true first'):
        go_on(study, more_cases=2)
    run = go_on(study, reopen=True)
    assert (run.state, Rounds(study).insight()) == (RunState.AWAITING_REVIEW, {})
    entry = study.store.queue(1, 1)[0]
    key = str(uuid.uuid4())
    Rounds(study).submit(Answer(entry.case_id, 1, 1, "ada", Action.GRID, (0, 1), key=key, replace=True))
    assert go_on(study).state is RunState.AWAITING_APPROVAL
    insight = Rounds(study).insight()
    assert insight["grid_cells_swapped"] == [cell for cell in range(16) if cell not in (0, 1, 5, 6)]
    assert (insight["grid_cells_vetoed"], insight["corrections"]) == ([], [])
    assert len(study.store.corrections(1)) == 1
    go_on(study)
    with pytest.raises(Conflict, match="has no round to reopen"):
        go_on(study, reopen=True)


def test_too_little_to_learn_from_says_so_and_starts_nothing(study):
    entry = study.store.queue(1, 1)[0]
    everything = Answer(entry.case_id, 1, 1, "ada", Action.GRID, tuple(range(16)), key=str(uuid.uuid4()), replace=True)
    Rounds(study).submit(everything)
    run = go_on(study)
    assert (run.state, run.epoch) == (RunState.AWAITING_REVIEW, 1)
    assert Rounds(study).status().message.startswith("Every cell was chosen by somebody; ask for more cases. 4 of 4")
    assert (study.store.insights(1), study.store.rounds(1)[0].closed) == ([], False)

    told = []
    run = go_on(study, told.append, more_cases=3)
    assert (run.state, run.message) == (RunState.AWAITING_REVIEW, study.store.rounds(1)[0].message)
    assert run.message.startswith("3 cases were added")
    assert [progress.phase for progress in told] == ["reading", "queue", "awaiting_review"]
    queue = study.store.queue(1, 1)
    assert (len(queue), len({each.case_id for each in queue}), Rounds(study).status().queued) == (7, 7, 7)
    with pytest.raises(Conflict, match="4 of 7 cases"):
        go_on(study)
    go_on(study, more_cases=100)
    trained = sum(case.split == "train" for case in study.cases)
    assert len(study.store.queue(1, 1)) == trained
    assert go_on(study, more_cases=1).message.startswith("0 cases were added")


def test_further_cases_follow_the_runs_selection_and_then_the_hardest(tmp_path):
    study = create_study(write_tiny_images(tmp_path / "study"), "csv")
    go_on(study, settings=resolve(**SETTINGS | {"fill": "none", "num_outliers": 2}))
    first = [entry.case_id for entry in study.store.queue(1, 1)]
    run = go_on(study, more_cases=9)
    reasons = [entry.reason for entry in study.store.queue(1, 1)]
    assert reasons[: len(first)] == ["misprediction"] * len(first)
    assert len(reasons) == len(first) + 9
    assert reasons == sorted(reasons, reverse=True), "mispredictions first, then the hardest of each class"
    assert f"{reasons.count('class_balanced')} of them as the hardest of their class" in run.message


def test_propagate_and_what_the_modes_need(study):
    """The real modes: what the rules refuse before anything starts, and a run to its end."""
    queue = study.store.queue(1, 1)
    labels = {entry.case_id: entry.label for entry in queue}
    one_class = [entry for entry in queue if entry.label == queue[0].label]
    for entry in queue:
        skipped = Action.GRID if entry in one_class else Action.SKIP
        cells = (5, 6) if entry in one_class else ()
        key = str(uuid.uuid4())
        Rounds(study).submit(Answer(entry.case_id, 1, 1, "ada", skipped, cells, key=key, replace=True))
    with pytest.raises(Conflict, match=r"the feedback mode propagate needs images of each class. Ask for more cases"):
        go_on(study, settings={"feedback": "propagate"})
    assert study.store.run(1).state is RunState.AWAITING_REVIEW
    assert study.store.run(1).settings["feedback"] == NAME
    run = go_on(study, more_cases=4, settings={"selection": "class_balanced"})
    assert (run.settings["selection"], run.message[:17]) == ("highest_confidence", "4 cases were adde")
    added = study.store.queue(1, 1)[len(queue) :]
    assert sorted(entry.label for entry in added) == ["normal", "normal", "tb", "tb"]
    assert {entry.case_id for entry in added}.isdisjoint(labels)
    answer_all(study, (5, 6), ())
    with pytest.raises(Conflict, match=r"No cell of the .* images with cells is marked as misleading"):
        go_on(study, settings={"feedback": "counterfactual+propagate"})
    assert go_on(study, settings={"feedback": "propagate"}).state is RunState.AWAITING_APPROVAL
    insight = Rounds(study).insight()
    assert insight["grid_cells_swapped"] == [cell for cell in range(16) if cell not in (5, 6)]
    assert (insight["looks"], insight["classes"], insight["images"]) == (False, [], [])
    assert all(entry["influence"] >= 0 for entry in insight["cells"])
    with pytest.raises(BadInput, match="Nothing was looked for in single images"):
        correct(study, "veto", queue[0].case_id)
    correct(study, "veto", cells=tuple(insight["grid_cells_swapped"]))
    assert "readers vetoed all of them" in " ".join(Rounds(study).insight()["sentences"])
    assert go_on(study).state is RunState.COMPLETED


def test_feedback_may_be_given_anew_when_a_round_is_continued(study, answered, tmp_path):
    with pytest.raises(BadInput, match=r"lr can't be 0\.5: run 1 began with"):
        go_on(study, settings={"lr": 0.5, "feedback": "blackout"})
    with pytest.raises(NotFound, match="no feedback mode 'heal'"):
        go_on(study, settings={"feedback": "heal"})
    assert study.store.run(1).state is RunState.AWAITING_REVIEW
    go_on(study)
    with pytest.raises(BadInput, match="feedback can't be 'blackout' now: run 1 goes on with 'test_unchosen'"):
        go_on(study, settings={"feedback": "blackout"})
    go_on(study, reopen=True)
    run = go_on(study, settings={"preset": "", "feedback": "blackout", "insight": "go_on"})
    assert (run.state, run.settings["feedback"], run.settings["lr"]) == (RunState.COMPLETED, "blackout", 0.003)
    assert study.store.rounds(1)[0].changed_settings == {"feedback": [NAME, "blackout"], "insight": ["wait", "go_on"]}
    twin = copy_of(answered, tmp_path / "twin")
    assert go_on(twin, settings={"feedback": "blackout"}).state is RunState.COMPLETED
    assert equal(weights(study), weights(twin))


def test_without_waiting_training_goes_on_in_the_same_stretch(study, answered, tmp_path):
    run = go_on(study, settings={"insight": "go_on"})
    assert run.state is RunState.COMPLETED
    waited = copy_of(answered, tmp_path / "waited")
    go_on(waited)
    go_on(waited)
    assert equal(weights(study), weights(waited))
    assert Rounds(study).insight()["open"] is False


def test_a_round_closed_early_is_learnt_from_too(study):
    entry = study.store.queue(1, 1)[0]
    Rounds(study).submit(Answer(entry.case_id, 1, 1, "ada", Action.UNDO, key=str(uuid.uuid4())))
    with pytest.raises(Conflict, match="3 of 4 cases"):
        go_on(study)
    assert go_on(study, continue_early=True).state is RunState.AWAITING_APPROVAL
    with pytest.raises(Conflict, match="is awaiting_approval, not awaiting_review; there is no round to close early"):
        go_on(study, continue_early=True)
    assert go_on(study).state is RunState.COMPLETED
    assert study.store.rounds(1)[0].early


def test_a_round_of_skipped_cases_teaches_nothing_and_goes_on(answered, tmp_path):
    study = create_study(write_tiny_images(tmp_path / "study"), "csv")
    go_on(study, settings=resolve(**SETTINGS))
    answer_all(study, (), (), Action.SKIP)
    assert go_on(study).state is RunState.COMPLETED
    assert Rounds(study).insight() == {}


def test_killed_at_any_moment_it_ends_with_the_same_weights(study, answered, tmp_path):
    """Each stop is an error in the middle of a stretch, after which all that is left is what was on disk."""
    reference = copy_of(answered, tmp_path / "reference")
    go_on(reference)
    correct(reference, "veto", cells=(0,))
    go_on(reference)

    def interrupted(phase, **request):
        folder = study.folder

        def stop(progress):
            if progress.phase == phase:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            go_on(Study.open(folder), stop, **request)

    interrupted("learning")
    assert study.store.run(1).state is RunState.TRAINING
    assert Rounds(study).status().message.startswith("Training stopped at epoch 1 of 3")
    assert not study.store.rounds(1)[0].closed
    interrupted("learning")
    study.store.set_state(1, RunState.FAILED, message="The disk is full.")
    assert go_on(study, reopen=True).state is RunState.AWAITING_REVIEW
    interrupted("awaiting_approval")
    assert study.store.run(1).state is RunState.AWAITING_APPROVAL
    correct(study, "veto", cells=(0,))
    interrupted("reading")
    assert study.store.rounds(1)[0].closed
    insights.insight_path(study, 1, 1).unlink()
    interrupted("training")
    assert insights.insight_path(study, 1, 1).is_file()
    assert go_on(study).state is RunState.COMPLETED
    assert equal(weights(study), weights(reference))


def test_a_file_that_was_altered_is_refused(study):
    go_on(study)
    path = insights.insight_path(study, 1, 1)
    state = checkpoints.load(path)
    checkpoints.save(path, state | {"cells": (0,)})
    with pytest.raises(BadInput, match="isn't the one that was written; delete it to have it found out again"):
        go_on(study)
    path.unlink()
    assert go_on(study).state is RunState.COMPLETED


def test_folds_of_a_later_round_use_what_was_learnt(answered, tmp_path):
    study = create_study(write_tiny_images(tmp_path / "study"), "csv")
    settings = {"imil_epochs": (1, 2), "selection": "out_of_fold", "fill": "none", "folds": 2, "insight": "go_on"}
    go_on(study, settings=resolve(**SETTINGS | settings))
    answer_all(study)
    run = go_on(study)
    assert run.round == 2
    assert all(entry.reason == "out_of_fold" for entry in study.store.queue(1, 2))
    answer_all(study, (9,), ())
    if run.state is RunState.AWAITING_REVIEW:
        run = go_on(study)
    assert run.state is RunState.COMPLETED
    assert Rounds(study).insight()["round"] == (2 if study.store.queue(1, 2) else 1)
    assert np.isfinite(Rounds(study).insight()["heat_in"]["relevant"]["share"])
