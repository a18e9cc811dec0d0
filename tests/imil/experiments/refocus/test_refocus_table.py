"""Gap closed, differences and what's undefined: hand-computed numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imil.experiments.refocus.arms import choose_arms
from imil.experiments.refocus.table import build_contrasts, build_rows, gap_closed, is_above, is_below
from tests.imil.experiments.refocus.refocus_helpers import made_world

ARMS = choose_arms(["blackout", "counterfactual", "counterfactual_random_cells", "lung_mask"])


def rows(accuracies, **world):
    return {row["arm"]: row for row in build_rows(made_world(accuracies, **world), ARMS, 20)}


def test_the_gap_is_closed_seed_by_seed():
    found = rows({"baseline": [0.5, 0.6], "clean": [0.9, 1.0], "counterfactual": [0.7, 0.9]})["counterfactual"]
    assert found["per_seed"]["gap_closed"] == pytest.approx([0.5, 0.75])
    assert found["gap_closed"] == pytest.approx(0.625)
    # t(0.975, 1) = 12.706; sd = 0.176777; 12.706 * 0.176777 / sqrt(2) = 1.58828
    assert found["gap_closed_low"] == pytest.approx(0.625 - 1.58828, abs=1e-4)
    assert found["gap_closed_high"] == pytest.approx(0.625 + 1.58828, abs=1e-4)
    assert (found["change"], found["budget"], found["seeds"]) == (pytest.approx(0.25), 20, [0, 1])


def test_a_baseline_that_equals_the_clean_model_has_no_gap():
    found = rows({"baseline": [0.9, 0.9], "clean": [0.9, 0.85], "counterfactual": [0.95, 0.8]})["counterfactual"]
    assert (found["gap_closed"], found["gap_closed_low"], found["gap_closed_high"]) == (None, None, None)
    assert found["per_seed"]["gap_closed"] == [None, None]
    assert found["change"] == pytest.approx(-0.025)


def test_references_close_no_gap_by_definition():
    found = rows({"baseline": [0.5], "clean": [0.9]})
    assert found["baseline"]["gap_closed"] is None
    assert found["clean"]["gap_closed"] is None
    assert found["baseline"]["budget"] == 0


def test_one_seed_has_no_interval():
    found = rows({"baseline": [0.5], "clean": [0.9], "blackout": [0.4]})["blackout"]
    assert found["gap_closed"] == pytest.approx(-0.25)
    assert found["gap_closed_low"] is None
    assert not is_above(found, "gap_closed")
    assert not is_below(found, "gap_closed")


def test_an_arm_without_results_has_no_row_and_no_contrast():
    world = made_world({"baseline": [0.5], "counterfactual": [0.7], "lung_mask": [0.6]})
    assert [row["arm"] for row in build_rows(world, ARMS, 20)] == ["baseline", "counterfactual", "lung_mask"]
    assert [(row["mode"], row["control"]) for row in build_contrasts(world, ARMS)] == [("counterfactual", "lung_mask")]


def test_a_mode_is_compared_with_its_own_controls_and_those_of_no_mode():
    world = made_world({arm.name: [0.5, 0.6] for arm in ARMS})
    pairs = {(row["mode"], row["control"]) for row in build_contrasts(world, ARMS)}
    assert pairs == {
        ("blackout", "lung_mask"),
        ("counterfactual", "counterfactual_random_cells"),
        ("counterfactual", "lung_mask"),
    }


def test_refusals_are_counted_with_their_sentence():
    found = rows({"baseline": [0.5], "counterfactual": [0.5]}, refused={"counterfactual"})["counterfactual"]
    assert (found["refused"], found["note"]) == (1, "There is nothing to learn from.")


@given(st.floats(0, 1), st.floats(0, 0.5), st.floats(0.53, 1))
def test_baseline_closes_nothing_and_clean_all(arm, baseline, clean):
    assert gap_closed(baseline, baseline, clean) == 0
    assert gap_closed(clean, baseline, clean) == 1
    assert (gap_closed(arm, baseline, clean) > 0) == (arm > baseline)
