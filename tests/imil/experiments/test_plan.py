"""Plans: what is refused before anything is trained, and which weights are shared."""

import numpy as np
import pytest
from PIL import Image

from imil.errors import BadInput, NotFound
from imil.experiments.catalogue import EXPERIMENTS
from imil.experiments.folder import ExperimentFolder
from imil.experiments.panels import SimulatedPanel
from imil.experiments.plan import default_out, design, needs_reader, study_digest, tasks
from imil.experiments.trainings import Trunk
from imil.settings import resolve
from imil.study import Study
from tests.imil.experiments.experiment_helpers import make_study, planned, request, rewrite_manifest, settings


@pytest.fixture
def study(tmp_path):
    """One that may be changed."""
    return make_study(tmp_path / "study")


def refused(asked, tmp_path, words, kind=BadInput):
    """Fails unless it's refused in one sentence, and nothing was written."""
    with pytest.raises(kind, match=words) as told:
        planned(asked, tmp_path / "out")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


def test_a_study_without_test_images(study, tmp_path):
    changed = rewrite_manifest(study.folder, (",test,", ",val,"))
    refused(request(changed), tmp_path, r"has no test images \(its splits: train, val\)")


def test_a_class_without_a_test_image(study, tmp_path):
    changed = rewrite_manifest(study.folder, *((f"{n:02},test", f"{n:02},train") for n in (11, 15, 19, 23)))
    refused(request(changed), tmp_path, "The class 'tb' has no image in the split 'test'")


def test_a_class_without_a_training_image(study, tmp_path):
    numbers = (1, 3, 5, 7, 9, 13, 17, 21)
    changed = rewrite_manifest(study.folder, *((f"{n:02},train", f"{n:02},val") for n in numbers))
    refused(request(changed, arms=("baseline",)), tmp_path, "The class 'tb' has no image in the split 'train'")


def test_fewer_training_images_than_outliers(tiny_study, tmp_path):
    refused(
        request(tiny_study, num_outliers=17),
        tmp_path,
        r"The arm imil asks about 17 images, but .* has only 16 training images; lower num_outliers",
    )
    refused(request(tiny_study, "outliers"), tmp_path, "The arm imil_20 asks about 20 images")
    refused(
        request(tiny_study, num_outliers=9, imil_epochs=(1, 2)), tmp_path, "asks about 9 images in each of 2 rounds"
    )
    refused(request(tiny_study, num_outliers=17, arms=("same_steps",)), tmp_path, "The arm same_steps asks about 17")
    assert planned(request(tiny_study, num_outliers=17, arms=("mixup",)), tmp_path / "out").panel is None


@pytest.mark.parametrize(
    ("seeds", "words"),
    [((), "No seed is given"), ((0, 1, 0), "The seed 0 is given 2 times"), ((4, 4, 4), "The seed 4 is given 3 times")],
)
def test_seeds_that_say_nothing_new(tiny_study, tmp_path, seeds, words):
    refused(request(tiny_study, seeds=seeds), tmp_path, words)


def test_arms_and_experiments_that_dont_exist(tiny_study, tmp_path):
    refused(request(tiny_study, arms=("imul",)), tmp_path, "no arm 'imul'; the arms .* are baseline, .*", NotFound)
    refused(request(tiny_study, "compere"), tmp_path, "no experiment 'compere'; there are compare, outliers", NotFound)


def test_without_a_round_nobody_can_be_asked(tiny_study, tmp_path):
    refused(request(tiny_study, imil_epochs=()), tmp_path, "The setting imil_epochs is empty, so nobody would be asked")
    refused(request(tiny_study, "timing", imil_epochs=()), tmp_path, "needs an IMIL epoch from 2 on")
    refused(request(tiny_study, imil_epochs=(), arms=("same_steps",)), tmp_path, "imil_epochs is empty")
    folder = ExperimentFolder(tmp_path / "out")
    asked = request(tiny_study, imil_epochs=(), arms=("baseline", "mixup"))
    assert [task.key for task in tasks(planned(asked, folder.path), folder)] == ["baseline-seed-0", "mixup-seed-0"]


def test_images_smaller_than_the_grid(study, tmp_path):
    refused(
        request(study, grid_size=33, image_size=48), tmp_path, r"The training image .* is too small: A grid of 33 x"
    )
    refused(request(study, image_size=8, grid_size=9), tmp_path, "9 x 9 cells doesn't fit an image_size of 8")


def test_an_oracle_needs_masks_of_training_images(study, tmp_path):
    masks = [(f"train,masks/lesion{number:02}.png", "train,") for number in (1, 3, 5, 7, 9, 13, 17, 21)]
    changed = rewrite_manifest(study.folder, *masks)
    refused(request(changed, reader="oracle"), tmp_path, "has no lesion masks of training images, so no oracle")
    refused(request(changed), tmp_path, r"so nobody can give feedback; use --reader live")
    plan = planned(request(changed, arms=("mixup",)), tmp_path / "out")
    assert [arm.name for arm in plan.arms] == ["baseline", "mixup"]
    assert len(plan.evaluation.lesions) == 4  # where test images have masks, the focus is measured nonetheless


def test_other_questions_than_one_reading_answers(tiny_study, tmp_path):
    for name in ("outliers", "grid", "timing", "networks", "selection"):
        refused(
            request(tiny_study, name, reader="live", num_outliers=2), tmp_path, f"The arms of the experiment {name} "
        )


def test_arms_with_the_same_settings_before_the_round_share_a_trunk(tiny_study, tmp_path):
    folder = ExperimentFolder(tmp_path / "out")
    found = tasks(planned(request(tiny_study, seeds=(3, 5)), folder.path), folder)
    trunks = [task for task in found if isinstance(task, Trunk)]
    assert found[:2] == trunks
    assert {trunk.settings.seed for trunk in trunks} == {3, 5}
    for task in found[2:]:
        alone = task.arm.from_start
        assert alone == (task.arm.group == "augmentation")
        assert task.needs == (() if alone else (next(t.key for t in trunks if t.settings.seed == task.settings.seed),))
        assert (task.panel is None) == (not task.arm.asks and not task.arm.repeats)
    assert len({task.key for task in found}) == len(found)
    assert len({task.result for task in found[2:]}) == len(found) - 2


@pytest.mark.parametrize("name", ["outliers", "grid", "selection", "timing"])
def test_one_trunk_does_for_all_levels(tiny_study, tmp_path, name):
    folder = ExperimentFolder(tmp_path / "out")
    plan = design(
        tiny_study,
        EXPERIMENTS[name],
        settings(num_outliers=2),
        preset="",
        seeds=(0,),
        arms=["imil_5", "cutout_same_10"] if name == "outliers" else [],
        panel=SimulatedPanel(),
    )
    (trunk,) = [task for task in tasks(plan, folder) if isinstance(task, Trunk)]
    assert trunk.stops == ((1, 2) if name == "timing" else (2,))


def test_each_network_has_a_trunk_of_its_own(tiny_study, tmp_path):
    folder = ExperimentFolder(tmp_path / "out")
    found = tasks(planned(request(tiny_study, "networks"), folder.path), folder)
    networks = {task.key: task.settings.network for task in found if isinstance(task, Trunk)}
    assert sorted(networks.values()) == ["imil_small", "vit_tiny_patch16_224"]
    for task in found[2:]:
        assert networks[task.needs[0]] == task.settings.network


@pytest.mark.parametrize("fill", ["none", "least_confident", "out_of_fold"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_settings_of_all_arms_agree_with_each_other(tiny_study, name, fill):
    plan = design(
        tiny_study,
        EXPERIMENTS[name],
        settings(fill=fill, num_outliers=2),
        preset="",
        seeds=(0,),
        arms=["imil_5", "same_steps_10"] if name == "outliers" else [],
        panel=SimulatedPanel(),
    )
    for arm in plan.arms:
        chosen = plan.arm_settings(arm, 7)
        assert chosen.seed == 7
        assert chosen.fill == ("none" if fill == "out_of_fold" and "selection" in arm.settings else fill)


def test_readers_are_needed_where_arms_ask_or_count():
    compare = EXPERIMENTS["compare"]
    for arms, needed in (
        ([], True),
        (["baseline"], False),
        (["mixup", "cutout", "affine"], False),
        (["same_steps"], True),
        (["reader_2"], True),
        (["reader_9"], True),
    ):
        assert needs_reader(compare, resolve(), arms) == needed


def test_a_studys_hash_tells_its_content(study):
    before = study_digest(study)
    assert study_digest(Study.open(study.folder)) == before
    assert study_digest(rewrite_manifest(study.folder, ("p00,train", "p00,val"))) != before
    assert study_digest(rewrite_manifest(study.folder, ("p00,val", "p00,train"))) == before
    Image.fromarray(np.full((32, 32), 255, np.uint8)).save(study.folder / "masks" / "lung.png")
    repainted = study_digest(Study.open(study.folder))
    assert repainted != before
    marked = rewrite_manifest(
        study.folder, (",lung_mask\n", ",lung_mask,misleading_mask\n"), ("/lung.png\n", "/lung.png,masks/lung.png\n")
    )
    assert study_digest(marked) not in (before, repainted)
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(study.folder / "images" / "case10.png")
    assert study_digest(Study.open(study.folder)) not in (before, repainted)


def test_shown_images_are_half_of_each_class_whatever_is_predicted(tiny_study, tmp_path):
    plan = planned(request(tiny_study), tmp_path / "out")
    labels = [tiny_study.case(case).label for case in plan.evaluation.shown]
    assert labels == ["normal", "normal", "tb", "tb"]
    assert all(tiny_study.case(case).split == "test" for case in plan.evaluation.shown)
    assert plan.evaluation.shown == planned(request(tiny_study, seeds=(9,)), tmp_path / "out").evaluation.shown


def test_where_an_experiment_goes_by_default(tmp_path):
    assert str(default_out(tmp_path / "chest", "compare")) == "chest-compare"
