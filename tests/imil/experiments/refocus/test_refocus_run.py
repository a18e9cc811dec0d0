"""Tiny benchmarks that are really carried out."""

import json
from dataclasses import replace

import numpy as np
import pytest

from imil.errors import BadInput, Conflict
from imil.experiments import resuming
from imil.experiments.folder import ExperimentFolder
from imil.experiments.refocus.arms import choose_arms
from imil.experiments.refocus.data import read_training
from imil.experiments.refocus.plan import result_path, tasks
from imil.experiments.refocus.results import read_result
from imil.experiments.refocus.run import report_refocus
from imil.experiments.refocus.tasks import ArmTask
from imil.experiments.refocus.unasked import nothing_learnt, register_lung_mask, widened
from imil.training.draws import Draws
from imil.training.modes import MODES, FeedbackView, finder
from tests.imil.experiments.refocus.refocus_helpers import carried_out, tiny_plan


@pytest.fixture(scope="module", autouse=True)
def _a_finder_of_a_few_steps():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finder, "STEPS", 5)
        patch.setattr(finder, "REFINING_STEPS", 5)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("refocus") / "out"
    plan = tiny_plan("blackout", "counterfactual", "lung_mask", settings=("corner", "none"), shortcuts=(0.95, 1.0))
    return plan, out, *carried_out(plan, out)


def test_each_setting_strength_and_arm_has_a_row(finished):
    _, _, facts, _ = finished
    found = {(row["setting"], row["shortcut"], row["arm"]) for row in facts["rows"]}
    arms = ["baseline", "blackout", "counterfactual", "lung_mask"]
    assert found == {
        *(("corner", shortcut, arm) for shortcut in (0.95, 1.0) for arm in [*arms, "clean"]),
        *(("none", None, arm) for arm in arms),
    }
    for row in facts["rows"]:
        assert 0 <= row["accuracy"] <= 1
        assert row["seeds"] == [100]
    assert facts["command"] == "imil experiment refocus"
    assert facts["versions"]["torch"]


def test_what_arms_share_is_made_once(finished):
    _, _, _, started = finished
    assert len(started) == len(set(started))
    assert sum("clean" in key for key in started) == 1  # strengths of a setting share it
    assert sum("shared" in key for key in started) == 3
    assert sum("test" in key for key in started) == 2


def test_the_report_is_self_contained(finished):
    _, out, _, _ = finished
    page = (out / "report.html").read_text()
    assert "no cell feedback can heal it" in page
    assert 'src="http' not in page
    assert "data:image/svg+xml" in page


def test_the_same_command_does_nothing_twice_and_more_seeds_are_added(finished, tmp_path):
    plan, out, _, _ = finished
    _, started = carried_out(plan, out)
    assert started == []
    more = replace(plan, seeds=(100, 101), settings=plan.settings[:1], arms=plan.arms[:1], shortcuts=(1.0,))
    facts, started = carried_out(more, out)
    assert {key.rpartition("-")[2] for key in started} == {"101"}
    assert facts["rows"][0]["seeds"] == [100, 101]


def test_a_report_of_what_is_there_trains_nothing(finished):
    plan, out, facts, _ = finished
    wider = replace(plan, arms=tuple(choose_arms(["blackout", "counterfactual", "cutmix", "lung_mask"])))
    before = sorted(path for path in out.rglob("*") if path.is_file())
    written = report_refocus(wider, out, command="imil experiment refocus --report")
    told = json.loads((out / "refocus.json").read_text())
    assert told["command"] == "imil experiment refocus --report"
    assert [row for row in told["rows"] if row["seeds"]] == facts["rows"]
    assert sorted(path for path in out.rglob("*") if path.is_file()) == before
    assert out / "report.html" in written
    with pytest.raises(BadInput, match="has no result of these settings"):
        report_refocus(replace(plan, seeds=(102,)), out, command="")


def test_other_conditions_are_refused(finished):
    plan, out, _, _ = finished
    with pytest.raises(Conflict, match="the setting epochs was 3 and is 4 now"):
        carried_out(replace(plan, training={**plan.training, "epochs": 4}), out)


def test_a_damaged_result_is_named_before_anything_is_trained(finished):
    plan, out, _, _ = finished
    path = result_path(ExperimentFolder(out), "corner", 1.0, "blackout", 100)
    whole = path.read_text()
    path.write_text(whole[:40])
    with pytest.raises(BadInput, match=r"seed-100\.json is damaged"):
        carried_out(plan, out)
    path.write_text(whole)


@pytest.mark.slow
def test_an_arm_that_is_stopped_ends_with_the_same_weights(finished, tmp_path, monkeypatch):
    plan, out, _, _ = finished
    monkeypatch.setattr(resuming, "SAVE_SECONDS", 0.0)
    folder = ExperimentFolder(tmp_path / "out")
    todo = [task for task in tasks(plan, folder) if "corner-1-" in task.key or "corner-any-test" in task.key]
    for task in todo:
        if not isinstance(task, ArmTask):
            task.run("cpu", 1)
    (arm,) = [task for task in todo if "-counterfactual-" in task.key]
    train_to = resuming.ResumableTraining.train_to

    def stopped(training, epoch):
        training.engine.fit(
            2, on_epoch=lambda result: training._finish_epoch(result, training.folder / "checkpoint.pt")
        )
        raise KeyboardInterrupt

    monkeypatch.setattr(resuming.ResumableTraining, "train_to", stopped)
    with pytest.raises(KeyboardInterrupt):
        arm.run("cpu", 1)
    assert (arm.folder / "checkpoint.pt").is_file()
    monkeypatch.setattr(resuming.ResumableTraining, "train_to", train_to)
    arm.run("cpu", 1)
    reference = read_result(result_path(ExperimentFolder(out), "corner", 1.0, "counterfactual", 100))
    assert read_result(arm.result).weights_sha256 == reference.weights_sha256
    assert not arm.folder.exists()


def test_a_mode_that_refuses_counts_as_the_baseline(tmp_path):
    plan = tiny_plan("counterfactual", settings=("exposure",))
    facts, _ = carried_out(plan, tmp_path / "out")
    rows = {row["arm"]: row for row in facts["rows"]}
    assert rows["counterfactual"]["refused"] == 1
    assert "No cell" in rows["counterfactual"]["note"]
    one, other = (
        read_result(result_path(ExperimentFolder(tmp_path / "out"), "exposure", 1.0, arm, 100))
        for arm in ("counterfactual", "baseline")
    )
    assert one.weights_sha256 == other.weights_sha256


def test_the_lung_mask_swaps_what_lies_outside_of_the_lungs_and_nothing_else(finished):
    _, out, _, _ = finished
    part = read_training(out / "work" / "images" / "corner-1-images-seed-100.npz")
    register_lung_mask(part.lung)
    labels = part.data.labels
    view = FeedbackView(part.data, labels, np.ones(len(labels), bool), {}, ("normal", "tb"), 0.0, 1.0, "cpu")
    mode = MODES["lung_mask"](view, None, nothing_learnt(part.data, "lung_mask", 4))
    index = np.arange(8)
    before = view.images(index)
    after = mode.edit(Draws(index, before.clone(), labels[:8]), np.random.default_rng(0)).images
    inside = widened(part.lung[:8])[:, None]
    assert (after.numpy()[inside] == before.numpy()[inside]).all()
    assert (after != before).any(dim=(1, 2, 3)).sum() >= 7
