"""Recorded answers: replayed as they were given, and refused where they don't belong."""

import csv
import shutil
import uuid

import numpy as np
import pytest
from PIL import Image

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput, NotFound
from imil.experiments import recordings
from imil.experiments.catalogue import EXPERIMENTS
from imil.experiments.plan import design
from imil.experiments.recordings import load_recording, newest_recorded_run
from imil.export import export_feedback
from imil.rounds import Rounds
from imil.runs import split_data
from imil.store import Action, Answer
from imil.study import Study
from imil.training.engine import TrainingEngine
from tests.imil.experiments.experiment_helpers import (
    ADA,
    BEN,
    carried_out,
    make_study,
    planned,
    record,
    request,
    rewrite_manifest,
    settings,
)
from tests.reviewable import hot_corner, open_round


@pytest.fixture(scope="module")
def read_study(tmp_path_factory):
    """A study whose run 1 was read by two readers."""
    study = make_study(tmp_path_factory.mktemp("read") / "study")
    assert record(study, {"Ada": ADA, "Ben": BEN}) == 1
    return study


@pytest.fixture(scope="module")
def table(read_study, tmp_path_factory):
    """The table of that run."""
    folder = tmp_path_factory.mktemp("exported") / "feedback"
    export_feedback(read_study, folder, 1)
    return folder / "feedback.csv"


@pytest.fixture(scope="module")
def replayed(read_study, tmp_path_factory):
    asked = request(
        read_study,
        reader="1",
        arms=("imil", "reader_*", "readers_*", "random_*", "repeated", "same_steps"),
        seeds=(0, 1),
    )
    return carried_out(asked, tmp_path_factory.mktemp("replayed") / "out")[0]


def edited(table, folder, change):
    """A copy of the table with each row changed."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        change(row)
    path = folder / "feedback.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_each_arm_applies_its_readers_cells(replayed):
    cells = {
        name: {sample.case_id: sample.cells for sample in results[0].samples}
        for name, results in replayed.results.items()
    }
    assert cells["reader_1"] == ADA
    assert cells["reader_2"] == BEN
    both = {case: tuple(sorted({*ADA[case], *BEN[case]})) for case in ADA}
    assert cells["imil"] == cells["readers_union"] == both
    assert cells["readers_intersection"] == {"images/case00.png": (5,), "images/case01.png": (6,)}
    assert "images/case04.png" in replayed.results["readers_intersection"][0].note
    assert replayed.results["readers_intersection"][0].images == 2


def test_recorded_feedback_is_trained_on_with_every_seed(read_study, replayed):
    for seed, result in enumerate(replayed.results["reader_1"]):
        engine = TrainingEngine(settings(seed=seed), read_study.classes, split_data(read_study, 32, "train"))
        engine.fit(2)
        engine.set_feedback({case: CaseFeedback(case, "grid", 4, cells) for case, cells in ADA.items()}, cursor=1)
        engine.fit(4)
        assert result.weights_sha256 == engine.weights_sha256()


def test_samples_show_what_the_reader_saw(replayed):
    result = replayed.results["imil"][0]
    by_case = dict(zip((sample.case_id for sample in result.samples), result.sample_maps, strict=True))
    for number, case in enumerate(ADA):
        np.testing.assert_array_equal(by_case[case], hot_corner(number).astype(np.float16))
    sample = next(sample for sample in result.samples if sample.case_id == "images/case01.png")
    assert (sample.reason, sample.label, sample.prediction) == ("recorded", "tb", "normal")
    assert sample.confidence == pytest.approx(0.95, abs=0.001)
    assert (sample.reader, sample.rationale) == ("Ada, Ben", "Ada says so")


def test_several_recorded_readers_are_compared_with_each_other(replayed):
    titles = {arm.name: arm.title for arm in replayed.arms}
    assert titles["reader_1"] == "IMIL + Ada"
    assert titles["readers_staple"] == "IMIL + all readers (STAPLE)"
    assert replayed.agreement["readers"] == ["Ada", "Ben"]
    assert replayed.agreement["cases"] == 3  # with one seed: the answers are the same with every other
    assert replayed.agreement["cells"] == 3 * 16
    assert replayed.reader == "2 recorded readers (run 1, 3 cases)"


def test_recorded_readers_arent_asked_about_other_images(replayed):
    assert "random_images" not in replayed.results
    assert replayed.left_out == {
        "random_images": "The recorded readers can't be asked about other images than those they answered."
    }
    repeated, same_steps = (replayed.results[name][0].steps for name in ("repeated", "same_steps"))
    # 3 images 4 times more: 28 draws in batches of 4 in each of 2 epochs, after 2 epochs of 16.
    assert repeated == same_steps == 2 * 4 + 2 * 7


def test_a_table_and_its_folder_replay_as_the_run_does(read_study, table):
    run, from_table, from_folder = (load_recording(read_study, str(name)) for name in (1, table, table.parent))
    assert from_table.replies == from_folder.replies == run.replies
    assert run.singles == from_table.singles == {"reader_1": "Ada", "reader_2": "Ben"}
    assert set(run.seen) == set(ADA)
    assert from_table.seen == {}
    assert from_table.description == "2 recorded readers (feedback/feedback.csv, 3 cases)"


def test_what_readers_excluded_relabelled_and_skipped_is_replayed(tmp_path):
    study = make_study(tmp_path / "study")
    said = dict(zip(ADA, ("exclude", "relabel", "skip"), strict=True)) | {"images/case05.png": (3,)}
    record(study, {"Ada": said})
    outcome, _ = carried_out(
        request(study, reader="1", arms=("imil", "repeated", "same_steps", "wrong_cells")), tmp_path / "out"
    )
    samples = {sample.case_id: sample for sample in outcome.results["imil"][0].samples}
    assert {case: sample.action for case, sample in samples.items()} == {
        "images/case00.png": "exclude",
        "images/case01.png": "relabel",
        "images/case05.png": "grid",
    }
    # One image is left out and one drawn 4 times more: 19 draws in batches of 4.
    assert outcome.results["repeated"][0].steps == outcome.results["same_steps"][0].steps == 2 * 4 + 2 * 5
    assert outcome.agreement is None


def test_the_newest_run_that_was_read_is_replayed_where_there_are_no_masks(tmp_path):
    study = make_study(tmp_path / "study")
    masks = [(f",masks/lesion{number:02}.png,", ",,") for number in range(1, 24, 2)]
    study = rewrite_manifest(study.folder, *masks)
    with pytest.raises(BadInput, match="neither lesion masks nor answers of a reader"):
        planned(request(study), tmp_path / "out")
    with pytest.raises(BadInput, match="no lesion masks of training images"):
        planned(request(study, reader="oracle"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    record(study, {"Ada": ADA})
    record(study, {"Ada": BEN})
    open_round(study, list(ADA))  # nobody has read this one
    assert newest_recorded_run(study) == 2
    plan = planned(request(study), tmp_path / "out")
    assert plan.panel.description == "one recorded reader (run 2, 3 cases)"
    with pytest.raises(BadInput, match=r"The arms of the experiment outliers ask about different images"):
        planned(request(study, "outliers"), tmp_path / "other")


def test_an_unfinished_round_is_replayed_only_when_it_is_named(tmp_path):
    study = make_study(tmp_path / "study")
    run = open_round(study, list(ADA))
    rounds = Rounds(study)
    entry = rounds.next_case("Ada")
    rounds.submit(Answer(entry.case_id, run, 1, "Ada", Action.GRID, (5,), key=str(uuid.uuid4())))
    assert newest_recorded_run(study) is None
    panel = load_recording(study, str(run))
    assert panel.about == (
        "The answers were given once and are replayed: every seed gets the same image, whatever its own network makes "
        "of them. Answers: 1 with cells.",
        "The round isn't finished: 2 of its cases lack answers.",
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("7", "There is no run 7"),
        ("99999999999999999999999", "There is no run"),
        ("no-such-file.csv", r"There is no file no-such-file\.csv; name a run by its number, or a feedback\.csv"),
        ("x" * 5000, "can't be read"),
    ],
)
def test_a_recording_that_doesnt_exist(read_study, source, words):
    with pytest.raises((NotFound, BadInput), match=words):
        load_recording(read_study, source)


def test_a_run_without_any_answer(tmp_path):
    study = make_study(tmp_path / "study")
    open_round(study, list(ADA))
    record(study, {"Ada": dict.fromkeys(ADA, "skip")})
    for run in ("1", "2"):
        with pytest.raises(BadInput, match=f"There is no answer in run {run} to replay"):
            load_recording(study, run)
    assert newest_recorded_run(study) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no column 'effective'"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe", "can't be read as a table"),
        (b"image,label\na.png,tb\n", "has no column 'effective'"),
        (b"effective,image,reader,action,cells,misleading,grid_size,new_label\n", "no column 'image_sha256'"),
        ("effective,image,reäder".encode("latin-1"), "can't be read as a table"),
        (b'effective,image\n"' + b"a" * 300_000, "has no column 'reader'"),
    ],
)
def test_a_file_that_is_no_table_of_feedback(read_study, tmp_path, content, words):
    path = tmp_path / "feedback.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=words) as told:
        load_recording(read_study, str(path))
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_table_with_a_field_without_end(read_study, table, tmp_path):
    path = tmp_path / "feedback.csv"
    path.write_text(table.read_text().splitlines()[0] + '\n"' + "a" * 300_000, encoding="utf-8")
    with pytest.raises(BadInput, match="can't be read as a table"):
        load_recording(read_study, str(path))


def test_a_huge_table_isnt_read(read_study, tmp_path):
    path = tmp_path / "feedback.csv"
    with path.open("wb") as file:
        file.truncate(recordings.MAX_TABLE_BYTES + 1)
    with pytest.raises(BadInput, match="is larger than 64 MB"):
        load_recording(read_study, str(path))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cells": "16"}, r"the cells of 'images/case00\.png' can't be used \(Cell 16 doesn't exist"),
        ({"cells": "-1"}, "Cell -1 doesn't exist"),
        ({"cells": "five"}, "can't be used"),
        ({"cells": ""}, "needs at least one cell that matters"),
        ({"cells": "5", "misleading": "5"}, "marked both as relevant and as misleading"),
        ({"grid_size": "0"}, "can't be used"),
        ({"grid_size": "1000000000"}, "its grid_size is 1000000000; allowed is 1 to 64"),
        ({"grid_size": "-4"}, "allowed is 1 to 64"),
        ({"action": "paint"}, "the action of 'images/case00.png' is 'paint'; allowed are grid, skip"),
        ({"action": "relabel"}, "the action relabel needs a new label"),
        ({"new_label": "tb"}, "the others take none"),
        ({"action": "relabel", "new_label": "cancer"}, r"the label 'cancer', which isn't a class of study; there are"),
        ({"effective": "0"}, "There is no answer in .* to replay"),
        ({"image": "images/other.png"}, r"recorded on another study than study: 1 of 1 images aren't in it"),
        ({"image": ""}, "aren't in it"),
        ({"image_sha256": "0" * 64}, r"3 of 3 images have another content there, 'images/case00\.png' first"),
        ({"image_sha256": ""}, "have another content there"),
    ],
)
def test_a_table_with_impossible_values(read_study, table, tmp_path, changes, words):
    path = edited(table, tmp_path, lambda row: row.update(changes))
    with pytest.raises(BadInput, match=words) as told:
        load_recording(read_study, str(path))
    assert "\n" not in str(told.value)


def test_readers_with_different_grids_cant_be_combined(read_study, table, tmp_path):
    path = edited(table, tmp_path, lambda row: row.update({"grid_size": "8"} if row["reader"] == "Ben" else {}))
    with pytest.raises(BadInput, match=r"had different grids \(4, 8 cells along each side\)"):
        load_recording(read_study, str(path))


def test_a_recorded_grid_must_fit_what_the_network_gets(read_study, table, tmp_path):
    path = edited(table, tmp_path, lambda row: row.update(grid_size="64"))
    with pytest.raises(BadInput, match="A grid of 64 x 64 cells doesn't fit an image_size of 32"):
        planned(request(read_study, reader=str(path)), tmp_path / "out")


def test_a_table_with_rows_too_short_or_too_long(read_study, table, tmp_path):
    lines = table.read_text().splitlines()
    path = tmp_path / "feedback.csv"
    path.write_text("\n".join([*lines, "99,", lines[-1] + ",more,and,more"]) + "\n")
    assert len(load_recording(read_study, str(path)).replies) == 6


def test_a_readers_last_answer_counts(read_study, table, tmp_path):
    path = tmp_path / "feedback.csv"
    rows = table.read_text().splitlines()
    with table.open(newline="") as file:
        changed = dict(next(csv.DictReader(file)), cells="15", event="99", round="2")
    path.write_text("\n".join([*rows, ",".join(changed.values())]) + "\n")
    panel = load_recording(read_study, str(path))
    assert len(panel.replies) == 6
    said = {(reply.reader, reply.case_id): reply.cells for reply in panel.replies}
    assert said[changed["reader"], changed["image"]] == (15,)
    assert panel.identity != load_recording(read_study, str(table)).identity


def test_feedback_of_a_study_that_has_changed(read_study, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(read_study.folder, folder)
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(folder / "images" / "case01.png")
    with pytest.raises(BadInput, match=r"1 of 3 images have another content there, 'images/case01\.png' first"):
        load_recording(Study.open(folder), "1")


def test_feedback_on_images_that_are_test_images_now(read_study, table, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(read_study.folder, folder)
    study = rewrite_manifest(folder, ("p04,train", "p04,test"))
    for source in ("1", str(table)):
        with pytest.raises(BadInput, match=r"1 images that aren't in the split 'train' of study now, 'images/case04"):
            load_recording(study, source)


def test_feedback_on_images_that_are_gone(read_study, table, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(read_study.folder, folder)
    lines = (folder / "manifest.csv").read_text().splitlines()
    (folder / "manifest.csv").write_text("\n".join(line for line in lines if "case00" not in line) + "\n")
    for source in ("1", str(table)):
        with pytest.raises(BadInput, match=r"another study than study: 1 of 3 images aren't in it, 'images/case00"):
            load_recording(Study.open(folder), source)


def test_a_fourth_reader_has_an_arm_too(tmp_path):
    study = make_study(tmp_path / "study")
    record(study, {name: {"images/case00.png": (number,)} for number, name in enumerate("abcd")})
    plan = planned(request(study, reader="1", arms=("reader_4",)), tmp_path / "out")
    assert [arm.name for arm in plan.arms] == ["baseline", "reader_4"]
    with pytest.raises(NotFound, match="There is no arm 'reader_5'"):
        planned(request(study, reader="1", arms=("reader_5",)), tmp_path / "out")


def test_a_design_of_recorded_answers_knows_them_by_their_content(read_study, table, tmp_path):
    def conditions(source):
        panel = load_recording(read_study, str(source))
        return design(read_study, EXPERIMENTS["compare"], settings(), preset="", seeds=(0,), panel=panel).conditions

    assert conditions(1) == conditions(table)
    changed = edited(table, tmp_path, lambda row: row.update(cells="7"))
    assert conditions(changed).reader != conditions(1).reader
