"""Trainings of an experiment: shared weights, what each arm does."""

import numpy as np
import pytest

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput, ImilError
from imil.experiments.catalogue import REPEATS
from imil.experiments.folder import ExperimentFolder, read_result
from imil.experiments.plan import tasks
from imil.experiments.resuming import stop_path
from imil.experiments.schedule import sentence_of
from imil.runs import split_data
from imil.training.engine import TrainingEngine
from tests.imil.experiments.experiment_helpers import carried_out, planned, request, same, settings


@pytest.fixture(scope="module")
def compared(tiny_study, tmp_path_factory):
    """All arms of `compare`, by name."""
    outcome, _ = carried_out(request(tiny_study), tmp_path_factory.mktemp("compared") / "out")
    return {name: results[0] for name, results in outcome.results.items()}


@pytest.fixture(scope="module")
def timed(tiny_study, tmp_path_factory):
    """The outcome of `timing`, less a few controls, and the keys of its trainings."""
    asked = request(tiny_study, "timing", arms=("imil_*", "repeated_*", "same_steps_*"), epochs=6, imil_epochs=(3,))
    return carried_out(asked, tmp_path_factory.mktemp("timed") / "out")


def engine(study, **changes):
    return TrainingEngine(settings(**changes), study.classes, split_data(study, 32, "train"))


def test_the_baseline_ends_with_the_weights_of_a_run_that_never_stopped(tiny_study, compared):
    uninterrupted = engine(tiny_study)
    uninterrupted.fit(4)
    assert compared["baseline"].weights_sha256 == uninterrupted.weights_sha256()
    test = uninterrupted.predict(split_data(tiny_study, 32, "test"))
    np.testing.assert_array_equal(compared["baseline"].probabilities, test)


@pytest.mark.parametrize("name", ["affine", "cutmix", "cutout", "mixup"])
def test_a_comparator_is_trained_with_its_augmentation_from_the_first_epoch(tiny_study, compared, name):
    alone = engine(tiny_study, augmentation=name)
    alone.fit(4)
    assert compared[name].weights_sha256 == alone.weights_sha256()


@pytest.mark.parametrize("name", ["imil", "random_cells", "wrong_cells", "cutout_same", "repeated", "reader_2"])
def test_an_arm_is_the_shared_weights_trained_on_with_its_feedback(tiny_study, compared, name):
    changes = {
        "cutout_same": {"feedback": "cutout"},
        "repeated": {"feedback": "unedited", "feedback_repeat": REPEATS},
    }.get(name, {})
    whole = engine(tiny_study, **changes)
    whole.fit(2)
    said = {
        sample.case_id: CaseFeedback(sample.case_id, "grid", sample.grid_size, sample.cells, sample.misleading)
        for sample in compared[name].samples
    }
    whole.set_feedback(said, cursor=1)
    whole.fit(4)
    assert compared[name].weights_sha256 == whole.weights_sha256()
    assert compared[name].weights_sha256 != compared["baseline"].weights_sha256


def test_random_and_wrong_cells_are_as_many_and_the_others(compared):
    chosen, drawn, wrong = (
        {sample.case_id: set(sample.cells) for sample in compared[name].samples}
        for name in ("imil", "random_cells", "wrong_cells")
    )
    assert len(chosen) == compared["imil"].images == 4
    assert chosen.keys() == drawn.keys() == wrong.keys()
    for case, cells in chosen.items():
        assert len(drawn[case]) == len(cells)
        assert wrong[case] == set(range(16)) - cells
    assert drawn != chosen


def test_random_images_are_others_and_the_other_controls_have_the_same(compared):
    ids = {name: [sample.case_id for sample in compared[name].samples] for name in compared}
    assert set(ids["random_images"]) != set(ids["imil"])
    assert ids["cutout_same"] == ids["repeated"] == ids["random_cells"] == ids["imil"]
    assert {sample.reason for sample in compared["random_images"].samples} == {"random"}
    assert ids["same_steps"] == ids["baseline"] == ids["mixup"] == []


def test_controls_of_the_budget_have_equally_many_steps(compared):
    # 16 images in batches of 4, 4 epochs; from the third epoch on 4 images are drawn 4 times more.
    assert compared["baseline"].steps == compared["imil"].steps == compared["mixup"].steps == 4 * 4
    assert compared["repeated"].steps == compared["same_steps"].steps == 2 * 4 + 2 * 8
    assert compared["same_steps"].weights_sha256 != compared["repeated"].weights_sha256


def test_a_result_holds_what_a_report_needs(compared):
    for result in compared.values():
        assert result.epochs == 4
        assert result.probabilities.shape == (8, 2)
        np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, atol=1e-5)
        assert result.maps.shape == (4, 32, 32)
        assert result.heatmap_inside.shape == result.gradient_inside.shape == (4,)
        assert (np.nan_to_num(result.gradient_inside) <= 1).all()
        assert result.sample_maps.shape == (len(result.samples), 32, 32)
    sample = compared["imil"].samples[0]
    assert (sample.round, sample.epoch, sample.action, sample.reader) == (1, 2, "grid", "oracle")
    assert sample.rationale.startswith("The model was focused on")


def test_cases_whose_cells_were_all_chosen_have_no_wrong_ones_and_are_counted(tiny_study, tmp_path):
    outcome, _ = carried_out(request(tiny_study, arms=("imil", "wrong_cells"), grid_size=1), tmp_path / "out")
    (wrong,) = outcome.results["wrong_cells"]
    assert wrong.images == 0
    assert wrong.note.startswith("4 of 4 cases train on unchanged")
    assert wrong.weights_sha256 == outcome.results["baseline"][0].weights_sha256
    assert outcome.results["imil"][0].note == ""


def test_one_trunk_serves_rounds_at_several_epochs(timed):
    outcome, started = timed
    assert sum(key.startswith("shared-") for key in started) == 1
    assert started[0].startswith("shared-")
    epochs = {name: [sample.epoch for sample in results[0].samples] for name, results in outcome.results.items()}
    assert epochs["imil_early"] == [1] * 4
    assert epochs["imil_late"] == [3] * 4
    assert epochs["imil_twice"] == [3, 3, 4, 4]
    assert [sample.round for sample in outcome.results["imil_twice"][0].samples] == [1, 1, 2, 2]
    assert len({sample.case_id for sample in outcome.results["imil_twice"][0].samples}) == 4


def test_an_arm_with_two_rounds_equals_a_run_with_two_rounds(tiny_study, timed):
    whole = engine(tiny_study, epochs=6, imil_epochs=(3,))
    said = {}
    for number, until in ((1, 3), (2, 4)):
        whole.fit(until)
        for sample in timed[0].results["imil_twice"][0].samples:
            if sample.round == number:
                said[sample.case_id] = CaseFeedback(sample.case_id, "grid", sample.grid_size, sample.cells)
        whole.set_feedback(dict(said), cursor=number)
    whole.fit(6)
    assert timed[0].results["imil_twice"][0].weights_sha256 == whole.weights_sha256()


@pytest.mark.parametrize("which", ["early", "late", "twice"])
def test_equally_many_steps_at_each_timing(timed, which):
    repeated, same_steps = (timed[0].results[f"{name}_{which}"][0].steps for name in ("repeated", "same_steps"))
    assert repeated == same_steps > timed[0].results["baseline"][0].steps


def test_folds_of_a_second_round_dont_depend_on_which_arm_came_first(tiny_study, tmp_path):
    asked = request(
        tiny_study,
        "timing",
        arms=("imil_twice", "wrong_cells_twice"),
        epochs=6,
        imil_epochs=(3,),
        fill="out_of_fold",
        folds=2,
    )
    found = []
    for turn in (1, -1):
        folder = ExperimentFolder(tmp_path / f"out{turn}")
        trunk, *arms = tasks(planned(asked, folder.path), folder)
        for task in (trunk, *arms[::turn]):
            task.run("cpu", 1)
        found.append({task.key: read_result(task.result) for task in arms})
    assert found[0].keys() == found[1].keys()
    assert all(same(result, found[1][key]) for key, result in found[0].items())
    first, second = (found[0][f"{name}_twice-seed-0"] for name in ("imil", "wrong_cells"))
    assert first.weights_sha256 != second.weights_sha256


def test_all_networks_can_be_compared(tiny_study, tmp_path):
    outcome, started = carried_out(
        request(tiny_study, "networks", arms=("imil_*",), epochs=2, imil_epochs=(1,)), tmp_path / "out"
    )
    assert sum(key.startswith("shared-") for key in started) == 2
    assert set(outcome.results) == {"baseline_cnn", "imil_cnn", "baseline_vit", "imil_vit"}
    assert outcome.results["imil_vit"][0].maps.max() > 0


def test_every_way_to_select_is_trained(tiny_study, tmp_path):
    asked = request(tiny_study, "selection", arms=("imil_*",), fill="out_of_fold", folds=2)
    outcome, _ = carried_out(asked, tmp_path / "out")
    reasons = {name: {sample.reason for sample in found[0].samples} for name, found in outcome.results.items()}
    assert reasons["imil_random"] == {"random"}
    assert reasons["imil_class_balanced"] == {"class_balanced"}
    assert reasons["imil_least_confident"] == {"least_confident"}
    assert reasons["imil_out_of_fold"] <= {"out_of_fold"}
    assert reasons["imil_highest_confidence"] <= {"misprediction"}


def test_a_training_that_diverges_says_so(tiny_study, tmp_path):
    folder = ExperimentFolder(tmp_path / "out")
    asked = request(tiny_study, arms=("baseline",), lr=10, optimizer="sgd", momentum=0.99, epochs=40, imil_epochs=(39,))
    trunk, _ = tasks(planned(asked, folder.path), folder)
    with pytest.raises(ImilError, match="in epoch"):
        trunk.run("cpu", 1)


def test_a_damaged_checkpoint_is_named(tiny_study, tmp_path):
    folder = ExperimentFolder(tmp_path / "out")
    trunk, arm = tasks(planned(request(tiny_study, arms=("baseline",)), folder.path), folder)
    trunk.run("cpu", 1)
    path = stop_path(trunk.folder, 2)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BadInput, match=r"epoch-2\.pt is damaged"):
        arm.run("cpu", 1)


def test_unexpected_errors_become_sentences_too():
    assert sentence_of(BadInput("The cell 7 doesn't exist.")) == "The cell 7 doesn't exist."
    assert sentence_of(ZeroDivisionError("division by zero")) == "ZeroDivisionError: division by zero"
