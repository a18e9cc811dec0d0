"""Feedback really heals, with the benchmark's own way to train."""

from dataclasses import replace

import pytest

from tests.imil.experiments.refocus.refocus_helpers import carried_out, tiny_plan


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_feedback_heals_a_corner_marker_and_wrong_cells_do_not(tmp_path):
    """Seed 100, on which nothing is reported: the benchmark's own sizes, but fewer test images."""
    plan = tiny_plan("blackout", "counterfactual", "counterfactual_wrong_cells")
    plan = replace(plan, training={}, size=replace(plan.size, train=530, test=600))
    facts, _ = carried_out(plan, tmp_path / "out")
    rows = {row["arm"]: row for row in facts["rows"]}
    assert facts["settings"][0]["calibrated"]
    assert rows["counterfactual"]["gap_closed"] > 0.7
    assert rows["counterfactual"]["finder_image_recall"] > 0.9
    assert rows["counterfactual"]["gap_closed"] > rows["counterfactual_wrong_cells"]["gap_closed"] + 0.2
    assert rows["baseline"]["flipped"] > 0.9
    assert rows["blackout"]["gap_closed"] < 0.3
