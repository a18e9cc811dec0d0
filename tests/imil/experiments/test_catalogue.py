"""The experiments and their arms."""

import re

import pytest

from imil.errors import BadInput, NotFound
from imil.experiments.catalogue import EXPERIMENTS, choose
from imil.settings import RunSettings, resolve

READERS = {"reader_1": "Ada", "reader_2": "Ben"}
CONTROLS = ("random_images", "random_cells", "wrong_cells", "cutout_same", "repeated", "same_steps")


def arms_of(experiment, settings=None, readers=READERS):
    return EXPERIMENTS[experiment].arms(settings or resolve("paper"), readers)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_arms_are_told_apart_and_say_what_they_do(experiment):
    arms = arms_of(experiment)
    names = [arm.name for arm in arms]
    assert len(set(names)) == len(names)
    assert len({arm.title for arm in arms}) == len(arms)
    baselines = {arm.name for arm in arms if arm.group == "baseline"}
    for arm in arms:
        assert re.fullmatch(r"[a-z0-9_]+", arm.name)
        assert arm.description.endswith(".")
        assert (arm.versus in baselines) != (arm.name in baselines)
        values = resolve("paper").model_dump() | dict(arm.settings)
        RunSettings(**values)  # refuses what isn't a setting


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_table_has_the_controls_at_equal_budget(experiment):
    arms = {arm.name: arm for arm in arms_of(experiment)}
    for name, arm in arms.items():
        if arm.group != "imil":
            continue
        suffix = name.removeprefix("imil")
        for control in CONTROLS:
            if experiment == "selection" and control == "random_images":
                assert "imil_random" in arms
                continue
            found = arms[control + suffix]
            assert found.group == "control"
            assert found.versus == arm.versus
            overridden = {"selection": "random"} if control == "random_images" else {}
            assert found.settings.items() >= (dict(arm.settings) | overridden).items()


def test_levels_are_those_of_the_issue():
    assert {arm.settings["num_outliers"] for arm in arms_of("outliers") if arm.group == "imil"} == {5, 10, 20, 40}
    assert {arm.settings["grid_size"] for arm in arms_of("grid") if arm.group == "imil"} == {2, 4, 8}
    assert {arm.settings["selection"] for arm in arms_of("selection") if arm.group == "imil"} == {
        "highest_confidence",
        "least_confident",
        "class_balanced",
        "out_of_fold",
        "random",
    }
    timing = {arm.name: dict(arm.settings) for arm in arms_of("timing") if arm.group == "imil"}
    assert timing == {
        "imil_late": {"imil_epochs": (70,)},
        "imil_early": {"imil_epochs": (35,)},
        "imil_twice": {"imil_epochs": (70, 85), "num_outliers": 10},
    }
    networks = {arm.settings["network"] for arm in arms_of("networks")}
    assert networks == {"resnet50", "vit_small_patch16_224"}


def test_arms_of_single_readers_come_with_the_readers():
    alone = [arm.name for arm in arms_of("compare", readers={})]
    together = [arm.name for arm in arms_of("compare")]
    assert set(together) - set(alone) == {
        *READERS,
        "readers_union",
        "readers_intersection",
        "readers_majority",
        "readers_staple",
    }
    one = {arm.name for arm in arms_of("compare", readers={"reader_1": "Ada"})}
    assert one - set(alone) == {"reader_1"}


@pytest.mark.parametrize(
    "changes", [{"imil_epochs": ()}, {"imil_epochs": (1,)}, {"epochs": 71}, {"epochs": 3, "imil_epochs": (2,)}]
)
def test_timing_needs_room_for_its_rounds(changes):
    with pytest.raises(BadInput, match="needs an IMIL epoch from 2 on"):
        arms_of("timing", resolve(**changes))


def test_chosen_arms_bring_their_baseline_and_keep_their_order():
    arms = arms_of("compare")
    assert [arm.name for arm in choose(arms, [])] == [arm.name for arm in arms]
    assert [arm.name for arm in choose(arms, ["random_*", "imil"])] == [
        "baseline",
        "imil",
        "random_images",
        "random_cells",
    ]
    assert [arm.name for arm in choose(arms_of("networks"), ["imil_vit"])] == ["baseline_vit", "imil_vit"]


@pytest.mark.parametrize("wanted", ["imill", "IMIL", "reader_9", "x*", ""])
def test_an_arm_that_doesnt_exist_is_answered_with_those_that_do(wanted):
    with pytest.raises(NotFound, match=r"the arms of this experiment are baseline, affine, .*, same_steps\.$") as told:
        choose(arms_of("compare"), ["baseline", wanted])
    assert repr(wanted) in str(told.value)
