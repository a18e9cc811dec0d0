"""The sentences claim no more than the intervals."""

from imil.experiments.refocus.arms import choose_arms
from imil.experiments.refocus.report.sentences import sentences
from imil.experiments.refocus.table import build_contrasts, build_rows
from tests.imil.experiments.refocus.refocus_helpers import made_world

ARMS = choose_arms(
    ["blackout", "counterfactual", "counterfactual_random_cells", "counterfactual_careless", "lung_mask"]
)


def said(accuracies, setting="corner", shortcut=0.95, calibrated=True, **more):
    world = made_world(accuracies, setting=setting, shortcut=shortcut, **more)
    described = {
        "setting": setting,
        "shortcut": shortcut,
        "marked": world.setting.marked,
        "placed": world.setting.placed,
        "target": world.setting.target,
        "calibrated": calibrated,
        "lowest_clean": 0.89,
        "highest_baseline": 0.7,
    }
    facts = {
        "seeds": list(range(len(accuracies["baseline"]))),
        "settings": [described],
        "rows": build_rows(world, ARMS, 20),
        "contrasts": build_contrasts(world, ARMS),
    }
    return "\n".join(sentences(facts))


BASE, CLEAN = [0.50, 0.51, 0.49], [0.90, 0.91, 0.90]


def test_what_heals_and_what_harms_is_named_with_its_interval():
    text = said(
        {"baseline": BASE, "clean": CLEAN, "counterfactual": [0.86, 0.85, 0.88], "blackout": [0.40, 0.41, 0.40]}
    )
    assert "the highest mean is that of counterfactual, which closes 0.90 (0.77 to 1.03) of the gap" in text
    assert "the figure to reach is 0.90" in text
    assert "shown to do harm: blackout −0.24" in text


def test_an_interval_that_includes_zero_shows_nothing():
    text = said(
        {"baseline": BASE, "clean": CLEAN, "counterfactual": [0.86, 0.87, 0.86], "blackout": [0.40, 0.60, 0.51]}
    )
    assert "neither is shown of blackout" in text
    assert "harm: blackout" not in text


def test_controls_and_the_lung_mask_stand_beside_the_mode():
    text = said(
        {
            "baseline": BASE,
            "clean": CLEAN,
            "counterfactual": [0.86, 0.87, 0.86],
            "counterfactual_random_cells": [0.6, 0.62, 0.61],
            "lung_mask": [0.89, 0.9, 0.89],
        }
    )
    assert "counterfactual is shown to be ahead of counterfactual_random_cells." in text
    assert "the lung mask without a reader is ahead of counterfactual." in text


def test_readers_who_make_mistakes_stand_beside_the_best_mode():
    arms = {"counterfactual": [0.86, 0.85, 0.88], "counterfactual_careless": [0.8, 0.79, 0.81], "blackout": BASE}
    text = said({"baseline": BASE, "clean": CLEAN, **arms})
    assert "with readers who make mistakes it closes counterfactual_careless 0.74" in text
    assert "the figure to reach is 0.70" in text


def test_without_a_gap_no_ratio_is_printed():
    text = said({"baseline": CLEAN, "clean": CLEAN, "counterfactual": [0.86, 0.87, 0.86]})
    assert "there is no gap, and no share of it" in text
    assert "closes" not in text


def test_a_shortcut_without_a_place_can_t_be_healed_by_cells():
    text = said({"baseline": BASE, "clean": CLEAN, "blackout": [0.6, 0.61, 0.62]}, setting="exposure")
    assert "no cell can hold it" in text


def test_without_a_shortcut_what_a_mode_costs_is_told():
    kept, lost, unclear = [0.899, 0.909, 0.899], [0.85, 0.86, 0.85], [0.88, 0.95, 0.86]
    text = said({"baseline": CLEAN, "counterfactual": kept, "blackout": lost}, setting="none", shortcut=None)
    assert "none: counterfactual costs less than a point of accuracy" in text
    assert "none: blackout costs more than a point of accuracy" in text
    text = said({"baseline": CLEAN, "counterfactual": unclear}, setting="none", shortcut=None)
    assert "whether counterfactual costs a point of accuracy isn't shown" in text


def test_refusals_and_lost_calibration_are_told():
    text = said(
        {"baseline": BASE, "clean": CLEAN, "counterfactual": BASE}, calibrated=False, refused={"counterfactual"}
    )
    assert "counterfactual (3 of 3). The first reason: There is nothing to learn from." in text
    assert "isn't as calibrated for every seed" in text


def test_a_control_that_fell_back_is_told_of_too():
    accuracies = {"baseline": BASE, "clean": CLEAN, "counterfactual": CLEAN, "counterfactual_careless": BASE}
    assert "counterfactual_careless (3 of 3)" in said(accuracies, refused={"counterfactual_careless"})


def test_one_seed_shows_nothing():
    assert "nothing is shown" in said({"baseline": [0.5], "clean": [0.9], "counterfactual": [0.8]})
