"""Which arms there are, and which of them are chosen."""

import pytest

from imil.errors import NotFound
from imil.experiments.refocus.arms import ARMS, DEFAULT_ARMS, choose_arms
from imil.experiments.refocus.presets import training_settings

MODES = [
    "blackout",
    "blackout_repeated",
    "randomise",
    "cutmix",
    "mixup",
    "rrr",
    "cam_align",
    "propagate",
    "propagate_influence",
    "counterfactual",
    "counterfactual+propagate",
]


def test_every_mode_has_its_controls_and_its_readers():
    assert [name for name, arm in ARMS.items() if arm.group == "mode"] == MODES
    for mode in MODES:
        own = {name.removeprefix(f"{mode}_"): arm for name, arm in ARMS.items() if arm.mode == mode and arm.control}
        assert set(own) == {"random_images", "random_cells", "wrong_cells", "careless", "sloppy"}
        for arm in own.values():
            assert arm.settings["feedback"] == ARMS[mode].settings["feedback"]
        assert own["random_images"].settings["selection"] == "random"
        assert (own["random_cells"].cells, own["wrong_cells"].cells) == ("random", "opposite")
        assert (own["careless"].reader, own["sloppy"].reader) == ("careless", "sloppy")


def test_settings_of_all_arms_are_valid():
    for arm in ARMS.values():
        assert training_settings(0, arm.settings).num_outliers == training_settings(0).num_outliers


def test_by_default_there_are_all_modes_and_the_controls_of_those_that_learn():
    assert {*MODES, "baseline", "clean", "lung_mask", "cutout_same", "repeated"} <= set(DEFAULT_ARMS)
    assert "counterfactual_wrong_cells" in DEFAULT_ARMS
    assert "blackout_wrong_cells" not in DEFAULT_ARMS


def test_baseline_and_clean_come_with_any_choice():
    assert [arm.name for arm in choose_arms(["cutmix*"])][:3] == ["baseline", "clean", "cutmix"]
    assert [arm.name for arm in choose_arms(["rrr"])] == ["baseline", "clean", "rrr"]
    assert len(choose_arms(["*"])) == len(ARMS)


def test_an_unknown_arm_is_refused():
    with pytest.raises(NotFound, match="no arm 'blackuot'; among the arms are baseline, clean, blackout"):
        choose_arms(["blackuot"])
