"""Tables of outcomes whose numbers are worked out by hand, and what is said where much is missing."""

import math
from dataclasses import replace

import numpy as np
import pytest

from imil.errors import BadInput
from imil.experiments.tables import MEASURES, build_table, sentences
from imil.metrics import mean_intervals, mean_paired_intervals, mean_value_intervals
from tests.imil.experiments.counted_outcomes import (
    BASELINE,
    IMIL,
    MIXUP,
    NAN,
    RANDOM_CELLS,
    T2,
    TABLE,
    WRONG,
    outcome,
    result,
)


def rows_of(made):
    table = build_table(made, **TABLE)
    return {row.arm.name: row for row in table.rows}


def test_estimates_by_hand():
    rows = rows_of(outcome(WRONG))
    assert list(rows) == ["baseline", "imil", "mixup", "random_cells"]
    found = rows["imil"].measures["accuracy"]
    assert found.per_seed == pytest.approx([0.9, 0.9, 0.8])
    assert found.value == pytest.approx(2.6 / 3)
    assert found.sd == pytest.approx(0.1 / math.sqrt(3))  # squares of 1/30, 1/30, -2/30 sum to 6/900; half of it
    assert found.over_seeds == pytest.approx((2.6 / 3 - T2 * 0.1 / 3, 2.6 / 3 + T2 * 0.1 / 3), abs=1e-6)
    # One bin holds all: confidence 0.9 against accuracies 0.9, 0.9, 0.8.
    assert rows["imil"].measures["ece"].per_seed == pytest.approx([0, 0, 0.1], abs=1e-6)
    # A right case costs 2 * 0.1^2, a wrong one 2 * 0.9^2.
    assert rows["imil"].measures["brier"].per_seed == pytest.approx([0.18, 0.18, 0.34], abs=1e-6)
    # One of five positive cases ties with all negative ones: 0.8 + 0.2 / 2.
    assert rows["imil"].measures["auroc"].per_seed == pytest.approx([0.9, 0.9, 0.8])
    assert (rows["imil"].steps, rows["imil"].images, rows["imil"].seeds) == (101, 0, [0, 1, 2])


def test_differences_by_hand():
    rows = rows_of(outcome(WRONG))
    assert rows["baseline"].differences == {}
    found = rows["imil"].differences["accuracy"]
    # 0.1, 0.2, 0: mean 0.1, sd 0.1, t = sqrt(3). With 2 degrees of freedom p = 1 - t / sqrt(2 + t^2).
    assert found.per_seed == pytest.approx([0.1, 0.2, 0])
    assert found.value == pytest.approx(0.1)
    assert found.over_seeds == pytest.approx((0.1 - T2 * 0.1 / math.sqrt(3), 0.1 + T2 * 0.1 / math.sqrt(3)), abs=1e-6)
    assert found.p == pytest.approx(1 - math.sqrt(3 / 5))
    # Random cells: 0.1 with each seed, so p 0. MixUp: 0, 0.2, 0.1, as IMIL. Holm: 0 * 3, p * 2, and no less.
    assert rows["random_cells"].differences["accuracy"].p == 0
    assert [rows[name].differences["accuracy"].p_holm for name in ("imil", "mixup", "random_cells")] == pytest.approx(
        [2 * found.p, 2 * found.p, 0]
    )


def test_intervals_over_patients_are_those_of_the_mean():
    patients = [f"p{index // 2}" for index in range(10)]
    made = outcome(WRONG, patients=patients)
    rows = rows_of(made)
    models, baselines = ([one.probabilities for one in made.results[name]] for name in ("imil", "baseline"))
    expected = mean_intervals(models, made.evaluation.labels, patients, resamples=50)
    paired = mean_paired_intervals(models, baselines, made.evaluation.labels, patients, resamples=50)
    for key in ("accuracy", "auroc", "ece", "brier"):
        assert rows["imil"].measures[key].over_patients == (expected[key].low, expected[key].high)
        assert rows["imil"].differences[key].over_patients == (paired[key].low, paired[key].high)


def test_contrasts_of_the_method_with_its_controls():
    wrong_cells = replace(RANDOM_CELLS, name="wrong_cells", title="Wrong cells")
    table = build_table(outcome([*WRONG, (wrong_cells, [3, 4, 2])]), **TABLE)
    assert [(one.method.name, one.control.name) for one in table.contrasts] == [
        ("imil", "random_cells"),
        ("imil", "wrong_cells"),
    ]
    even, ahead = (one.differences["accuracy"] for one in table.contrasts)
    assert even.per_seed == pytest.approx([0, 0.1, -0.1])
    assert even.p == pytest.approx(1)
    # 0.2, 0.3, 0: mean 1/6, sd sqrt(7/300), t = 1.8898; p = 1 - t / sqrt(2 + t^2); doubled by Holm.
    t = (1 / 6) / math.sqrt(7 / 300 / 3)
    assert ahead.p_holm == pytest.approx(2 * (1 - t / math.sqrt(2 + t * t)))


def test_controls_belong_to_the_arm_with_their_ending():
    few, many = replace(IMIL, name="imil_2"), replace(IMIL, name="imil_20")
    controls = [replace(RANDOM_CELLS, name=f"random_cells{end}") for end in ("_2", "_20")]
    named = replace(RANDOM_CELLS, name="placebo", versus="imil_2")
    stray = replace(RANDOM_CELLS, name="random_cells_other", versus="baseline_other")
    arms = [(arm, [2, 3, 2]) for arm in (BASELINE, few, many, *controls, named, stray)]
    found = [(one.method.name, one.control.name) for one in build_table(outcome(arms), **TABLE).contrasts]
    assert found == [("imil_2", "random_cells_2"), ("imil_20", "random_cells_20"), ("imil_2", "placebo")]


def test_focus_by_hand():
    results = {
        # Empty maps have no share; cases are compared where both have one.
        "baseline": [result("baseline", 0, 2, focus=[0.2, 0.4, 0.6]), result("baseline", 1, 2, focus=[0.1, 0.3, NAN])],
        "imil": [result("imil", 0, 2, focus=[0.4, NAN, 0.5]), result("imil", 1, 2, focus=[0.3, 0.5, 0.9])],
    }
    made = outcome([(BASELINE, []), (IMIL, [])], seeds=(0, 1), area=[0.1, 0.2, 0.3], results=results)
    table = build_table(made, **TABLE)
    assert table.chance == pytest.approx({"heatmap_inside": 0.2, "gradient_inside": 0.2})
    assert [measure.key for measure in table.measures] == [measure.key for measure in MEASURES]
    baseline, imil = table.rows
    assert baseline.measures["heatmap_inside"].per_seed == pytest.approx([0.4, 0.2])
    assert imil.measures["heatmap_inside"].per_seed == pytest.approx([0.45, 1.7 / 3])
    found = imil.differences["heatmap_inside"]
    assert found.per_seed == pytest.approx([0.05, 0.2])  # of 0.2, -0.1 and of 0.2, 0.2
    shares = np.array([[0.2, NAN, -0.1], [0.2, 0.2, NAN]], dtype=np.float32)
    expected = mean_value_intervals(shares, made.evaluation.lesion_patients, resamples=50)
    assert found.over_patients == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert imil.differences["gradient_inside"].per_seed == pytest.approx([0.025, 0.1])
    said = "\n".join(sentences(table, made))
    assert "2 of 12 heat maps are zero everywhere" in said


def test_without_lesion_masks_there_is_no_focus():
    table = build_table(outcome(WRONG), **TABLE)
    assert [measure.key for measure in table.measures] == ["accuracy", "auroc", "ece", "brier"]
    assert table.chance == {}
    assert set(table.rows[1].measures) == set(table.rows[1].differences) == {"accuracy", "auroc", "ece", "brier"}


def test_one_seed_has_no_intervals_over_seeds():
    made = outcome([(BASELINE, [3]), (IMIL, [1])], seeds=(7,))
    table = build_table(made, **TABLE)
    estimate, difference = table.rows[1].measures["accuracy"], table.rows[1].differences["accuracy"]
    assert estimate.value == pytest.approx(0.9)
    assert difference.value == pytest.approx(0.2)
    assert np.isnan([estimate.sd, *estimate.over_seeds, *difference.over_seeds, difference.p, difference.p_holm]).all()
    assert estimate.over_patients[0] < 0.9
    said = "\n".join(sentences(table, made))
    assert "single seed" in said
    assert "One seed can't show a difference." in said
    assert "nan" not in said


def test_only_shared_seeds_are_compared():
    results = {
        "imil": [result("imil", 2, 1), result("imil", 9, 0)],
        "baseline": [result("baseline", s, 3) for s in (0, 2)],
    }
    made = outcome([(BASELINE, []), (IMIL, []), (MIXUP, [1])], seeds=(0, 2, 9), results=results)
    rows = rows_of(made)
    assert rows["imil"].differences["accuracy"].per_seed == pytest.approx([0.2])
    assert rows["imil"].measures["accuracy"].value == pytest.approx(0.95)
    said = "\n".join(sentences(build_table(made, **TABLE), made))
    assert "IMIL has no result with seed 0 and" in said
    assert "Baseline has no result with seed 9 and" in said


def test_missing_arms_and_baselines():
    made = outcome(
        [(BASELINE, []), (IMIL, [1, 1, 2]), (MIXUP, [])], left_out={"mixup": "Mixing needs two images in a batch."}
    )
    table = build_table(made, **TABLE)
    assert [row.arm.name for row in table.rows] == ["imil"]
    assert table.rows[0].differences == {}
    said = "\n".join(sentences(table, made))
    assert "MixUp was left out: Mixing needs two images in a batch." in said
    assert "IMIL stands alone: Baseline has no result" in said
    assert "No arm could be compared with a baseline." in said


def test_no_result_at_all():
    made = outcome([(BASELINE, []), (IMIL, [])])
    table = build_table(made, **TABLE)
    assert table.rows == []
    assert sentences(table, made) == ["No arm has a result yet, so there is nothing to compare."]


def test_arms_with_other_baselines():
    other = replace(BASELINE, name="baseline_vit", title="Baseline, ViT")
    vit = replace(IMIL, name="imil_vit", title="IMIL, ViT", versus="baseline_vit")
    made = outcome([(BASELINE, [2, 2, 2]), (other, [4, 4, 3]), (IMIL, [1, 1, 2]), (vit, [3, 2, 2])])
    rows = rows_of(made)
    assert rows["imil_vit"].differences["accuracy"].per_seed == pytest.approx([0.1, 0.2, 0.1])
    said = "\n".join(sentences(build_table(made, **TABLE), made))
    assert "“IMIL, ViT” minus “Baseline, ViT”: accuracy +0.133" in said
    assert "IMIL minus Baseline: accuracy +0.067" in said


def test_results_that_do_not_fit_are_told():
    made = outcome(WRONG)
    good = made.results["imil"][0]
    for changed, sentence in (
        (
            replace(good, probabilities=good.probabilities[:9]),
            r"'imil' with seed 0 has .* shape \(9, 2\)",
        ),
        (replace(good, probabilities=good.probabilities * np.nan), "diverged"),
        (replace(good, heatmap_inside=np.ones(2, np.float32)), "focus of 2 and 0 cases"),
    ):
        with pytest.raises(BadInput, match=sentence):
            build_table(replace(made, results=made.results | {"imil": [changed]}), **TABLE)
