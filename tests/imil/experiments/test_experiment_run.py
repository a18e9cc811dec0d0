"""Experiments as a whole: their folder, going on where they were, and their report."""

import csv
import json
import random
import threading
from dataclasses import replace

import numpy as np
import pytest
from filelock import FileLock

from imil.errors import BadInput, Conflict
from imil.experiments.conduct import conduct
from imil.experiments.folder import ExperimentFolder, read_result, write_result
from imil.experiments.run import run_experiment
from imil.study import Study
from tests.imil.experiments.experiment_helpers import (
    InProcess,
    carried_out,
    make_study,
    planned,
    request,
    rewrite_manifest,
    same,
)


@pytest.fixture(scope="module")
def finished(tiny_study, tmp_path_factory):
    """The folder of an experiment with two arms and one seed."""
    out = tmp_path_factory.mktemp("finished") / "out"
    carried_out(request(tiny_study, arms=("imil",)), out)
    return out


def times(out):
    return {path.relative_to(out): path.stat().st_mtime_ns for path in out.glob("results/*/*.npz")}


def test_what_is_done_isnt_done_again(tiny_study, tmp_path):
    out = tmp_path / "out"
    _, started = carried_out(request(tiny_study, arms=("imil",)), out)
    assert [key.split("-")[0] for key in started] == ["shared", "baseline", "imil"]
    before = times(out)
    again, started = carried_out(request(tiny_study, arms=("imil",)), out)
    assert started == []
    more, started = carried_out(request(tiny_study, arms=("imil", "mixup"), seeds=(0, 4)), out)
    assert [key.split("-")[0] for key in started] == ["shared", "mixup", "baseline", "mixup", "imil"]
    assert {path: when for path, when in times(out).items() if path in before} == before
    assert same(again.results["imil"][0], more.results["imil"][0])
    _, started = carried_out(request(tiny_study, arms=("repeated",), seeds=(4,)), out)
    assert [key.split("-")[0] for key in started] == ["repeated"]
    assert not list((out / "work").glob("imil*"))


def test_a_shared_training_that_nobody_needs_any_more_isnt_done_again(tiny_study, tmp_path):
    out = tmp_path / "out"
    carried_out(request(tiny_study, arms=("baseline",)), out)
    for path in (out / "work").glob("shared-*/epoch-*.pt"):
        path.unlink()
    assert carried_out(request(tiny_study, arms=("baseline",)), out)[1] == []
    assert len(carried_out(request(tiny_study, arms=("imil",)), out)[1]) == 2


def test_arms_without_readers_go_with_any_reader(tiny_study, tmp_path):
    out = tmp_path / "out"
    carried_out(request(tiny_study, arms=("mixup",)), out)
    assert carried_out(request(tiny_study, arms=("imil", "mixup")), out)[0].reader.startswith("an oracle")
    outcome, started = carried_out(request(tiny_study, arms=("mixup",)), out)
    assert (outcome.reader, started) == ("nobody", [])
    description = json.loads((out / "experiment.json").read_text())
    assert description["conditions"]["reader"] == "oracle"


def test_progress_counts_what_is_done_and_names_what_runs(tiny_study, tmp_path):
    told = []
    out = tmp_path / "out"
    plan = planned(request(tiny_study, arms=("baseline",)), out)
    conduct(plan, ExperimentFolder(out), InProcess(), lambda done, total, running: told.append((done, total, *running)))
    assert [entry[:2] for entry in told] == [(0, 2), (1, 2), (2, 2)]
    assert told[1][2] == "baseline-seed-0"


def test_the_outcome_has_what_a_report_needs(tiny_study, finished):
    outcome, _ = carried_out(request(tiny_study, arms=("imil",)), finished)
    assert (outcome.experiment, outcome.study, outcome.source) == ("compare", "study", "csv")
    assert outcome.splits == {"train": 16, "test": 8}
    assert [arm.name for arm in outcome.arms] == ["baseline", "imil"] == list(outcome.results)
    found = outcome.evaluation
    assert found.classes == ["normal", "tb"]
    test = [case for case in tiny_study.cases if case.split == "test"]
    assert found.case_ids == [case.id for case in test]
    assert [found.classes[label] for label in found.labels] == [case.label for case in test]
    assert found.patients == [case.patient for case in test]
    assert found.lesion_cases == [case.id for case in test if case.lesion_mask]
    np.testing.assert_allclose(found.lesion_area, 64 / 1024)  # 8 x 8 of 32 x 32 pixels
    assert set(found.sample_images) == {sample.case_id for sample in outcome.results["imil"][0].samples}
    row = [case.id for case in tiny_study.cases].index(found.shown[0])
    np.testing.assert_array_equal(found.shown_images[0], tiny_study.pixels(32)[row])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lr": 0.004}, "the setting lr was 0.003 and is 0.004 now"),
        ({"grid_size": 2}, "the setting grid_size was 4 and is 2 now"),
        ({"experiment": "grid"}, "the experiment was 'compare' and is 'grid' now"),
    ],
)
def test_results_made_under_other_conditions_are_refused(tiny_study, finished, changes, words):
    before = times(finished)
    with pytest.raises(Conflict, match=f"made under other conditions: {words}. Name another folder"):
        planned(request(tiny_study, **changes), finished)
    assert times(finished) == before


def test_results_of_another_study_or_reader_are_refused(tiny_study, finished, tmp_path):
    study = make_study(tmp_path / "study")
    assert planned(request(study, arms=("imil",)), finished)  # the same images, labels and splits
    changed = rewrite_manifest(study.folder, ("p00,train", "p00,val"))
    with pytest.raises(Conflict, match="images, labels or splits have changed, or it's another study"):
        planned(request(changed), finished)
    description = finished / "experiment.json"
    text = description.read_text()
    try:
        description.write_text(text.replace('"reader": "oracle"', '"reader": "abc"'))
        with pytest.raises(Conflict, match="feedback came from recorded answers and comes from an oracle now"):
            planned(request(tiny_study), finished)
    finally:
        description.write_text(text)


@pytest.mark.parametrize("version", [0, 99, None, "1", [1]])
def test_results_of_another_version_are_refused(tiny_study, tmp_path, version):
    (tmp_path / "experiment.json").write_text(json.dumps({"version": version, "imil": "0.0.9", "conditions": 3}))
    with pytest.raises(Conflict, match=r"another version of IMIL \(format .*, made by IMIL 0\.0\.9; this one"):
        planned(request(tiny_study), tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b"3", b'{"version": 1}', b'{"version": 1, "conditions": {"settings": []}}']
)
def test_a_damaged_description_is_refused(tiny_study, tmp_path, content):
    (tmp_path / "experiment.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"experiment\.json can't be used \(.*name another folder with --out"):
        planned(request(tiny_study), tmp_path)


def test_a_folder_with_other_things_or_that_is_none_is_refused(tiny_study, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(BadInput, match="isn't empty and isn't an experiment's folder; name another with --out"):
        planned(request(tiny_study), tmp_path)
    with pytest.raises(BadInput, match=r"thesis\.tex isn't a folder"):
        planned(request(tiny_study), tmp_path / "thesis.tex")
    with pytest.raises(BadInput, match=r"isn't a folder|can't be written to"):
        planned(request(tiny_study), tmp_path / "thesis.tex" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_processes_dont_carry_out_the_same_experiment(tiny_study, finished):
    plan = planned(request(tiny_study, arms=("imil",)), finished)
    refused = []

    def try_it():
        try:
            conduct(plan, ExperimentFolder(finished), InProcess())
        except Conflict as error:
            refused.append(str(error))

    with FileLock(finished / "work" / "lock"):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert "Another process is carrying out the experiment" in refused[0]
    conduct(plan, ExperimentFolder(finished), InProcess())


def test_a_damaged_result_is_named_before_anything_is_trained(tiny_study, tmp_path):
    out = tmp_path / "out"
    carried_out(request(tiny_study, arms=("baseline",)), out)
    path = out / "results" / "baseline" / "seed-0.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    backend = InProcess()
    with pytest.raises(BadInput, match=r"seed-0\.npz is damaged .*; remove it and run the experiment again"):
        conduct(planned(request(tiny_study, arms=("imil",)), out), ExperimentFolder(out), backend)
    assert backend.started == []
    path.unlink()
    assert len(carried_out(request(tiny_study, arms=("imil",)), out)[1]) == 2


def is_damaged(path):
    try:
        read_result(path)
    except BadInput as error:
        return "is damaged" in str(error)
    return False


def test_a_result_is_read_as_it_was_written_or_not_at_all(finished, tmp_path):
    result = read_result(finished / "results" / "imil" / "seed-0.npz")
    path = tmp_path / "new" / "seed-0.npz"
    write_result(path, result)
    assert same(read_result(path), result)
    assert [entry.name for entry in path.parent.iterdir()] == ["seed-0.npz"]
    whole = path.read_bytes()
    moments = random.Random(0)
    for number in range(150):
        content = bytearray(whole)
        if number < 100:
            content[moments.randrange(len(content))] ^= 1 << moments.randrange(8)
        else:
            del content[moments.randrange(len(content)) :]
        path.write_bytes(content)
        assert is_damaged(path) or same(read_result(path), result)
    for content in (b"", b"PK", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'"):
        path.write_bytes(content)
        with pytest.raises(BadInput, match="is damaged"):
            read_result(path)


def test_a_result_may_have_no_samples_and_no_lesions(finished, tmp_path):
    result = read_result(finished / "results" / "baseline" / "seed-0.npz")
    nothing = np.zeros(0, np.float32)
    bare = replace(result, heatmap_inside=nothing, gradient_inside=nothing)
    write_result(tmp_path / "bare.npz", bare)
    assert same(read_result(tmp_path / "bare.npz"), bare)


def test_a_study_without_lesion_masks_has_no_focus(tmp_path):
    study = make_study(tmp_path / "study")
    masks = [(f",masks/lesion{number:02}.png,", ",,") for number in range(1, 24, 2)]
    bare = rewrite_manifest(study.folder, *masks)
    outcome, _ = carried_out(request(bare, arms=("mixup",)), tmp_path / "out")
    assert outcome.evaluation.lesion_cases == []
    assert outcome.evaluation.lesion_area.shape == outcome.results["mixup"][0].heatmap_inside.shape == (0,)


@pytest.mark.slow
def test_the_whole_way_to_a_report(tiny_study, tmp_path):
    out, said = tmp_path / "out", []
    asked = request(Study.open(tiny_study.folder), arms=("imil", "random_cells"), seeds=(0, 1))
    written = run_experiment(asked, out, InProcess, say=said.append)
    assert said == ["Feedback comes from an oracle that goes by the lesion masks.", "Writing the report"]
    assert {path.name for path in written} >= {"report.html", "results.json", "table.csv"}
    assert all(path.is_file() for path in written)
    with (out / "table.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) >= 4  # a heading and three arms
    again = run_experiment(asked, out, InProcess, say=said.append)
    assert again == written
