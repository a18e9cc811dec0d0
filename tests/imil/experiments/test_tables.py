"""Tables of outcomes whose numbers are worked out by hand, and what is said of them."""

import math
from dataclasses import replace

import numpy as np
import pytest

from imil.errors import BadInput
from imil.experiments.arms import Arm
from imil.experiments.results import ArmResult, Evaluation, Outcome
from imil.experiments.tables import MEASURES, build_table, sentences
from imil.metrics import mean_intervals, mean_paired_intervals, mean_value_intervals

NAN = float("nan")
BASELINE = Arm("baseline", "Baseline", "baseline", "Training goes on.", versus="")
IMIL = Arm("imil", "IMIL", "imil", "Feedback.")
MIXUP = Arm("mixup", "MixUp", "augmentation", "Blends.")
RANDOM_CELLS = Arm("random_cells", "Random cells", "control", "Random cells.")
READER = Arm("reader_1", "IMIL + Reader 1", "readers", "One reader.")


def result(arm, seed, wrong, *, cases=10, focus=(), images=0, note=""):
    """Cases are 0, 1, 0, 1 ...; the `wrong` first positive ones are mispredicted. All confidences are 0.9."""
    labels = np.arange(cases) % 2
    right = np.ones(cases, dtype=bool)
    right[np.flatnonzero(labels == 1)[:wrong]] = False
    probabilities = np.full((cases, 2), 0.1, np.float32)
    probabilities[np.arange(cases), np.where(right, labels, 1 - labels)] = 0.9
    share = np.asarray(focus, dtype=np.float32)
    nothing = np.zeros((0, 4, 4), np.float16)
    return ArmResult(
        arm, seed, probabilities, nothing, share, share / 2, (), nothing, images, 100 + seed, 3, 1.0, "ab", note
    )


def outcome(wrong, *, cases=10, seeds=(0, 1, 2), area=(), results=None, left_out=None, patients=None):
    """An outcome of arms with their wrong cases by seed."""
    labels = np.arange(cases) % 2
    ids = [f"case-{index}.png" for index in range(cases)]
    evaluation = Evaluation(
        split="test",
        classes=["healthy", "ill"],
        case_ids=ids,
        labels=labels.astype(np.int64),
        patients=patients or ids,
        shown=[],
        shown_images=np.zeros((0, 4, 4), np.uint8),
        lesion_cases=ids[: len(area)],
        lesion_patients=ids[: len(area)],
        lesion_area=np.asarray(area, dtype=np.float32),
        sample_images={},
    )
    made = {
        arm.name: [result(arm.name, seed, count, cases=cases) for seed, count in zip(seeds, counts, strict=False)]
        for arm, counts in wrong
    }
    return Outcome(
        experiment="compare",
        title="Comparison",
        study="study",
        source="made",
        preset="paper",
        settings={},
        seeds=list(seeds),
        reader="an oracle",
        arms=[arm for arm, _ in wrong],
        results=made | (results or {}),
        left_out=left_out or {},
        evaluation=evaluation,
        versions={},
        seconds=1.0,
    )


# Accuracies: baseline 0.8, 0.7, 0.8; IMIL 0.9, 0.9, 0.8; MixUp 0.8, 0.9, 0.9; random cells 0.9, 0.8, 0.9.
WRONG = [(BASELINE, [2, 3, 2]), (IMIL, [1, 1, 2]), (MIXUP, [2, 1, 1]), (RANDOM_CELLS, [1, 2, 1])]
T2 = 4.302653  # Student's t, 2 degrees of freedom, 97.5 %
TABLE = {"resamples": 50}


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


# 40 cases, six seeds: the baseline has 12 wrong, some arms 2 or 3, which is far outside of any chance.
CLEAR, SAME = [2, 3, 3, 3, 2, 3], [12, 11, 12, 11, 12, 12]


def clear(**others):
    return outcome([(BASELINE, [12] * 6), *others.pop("arms")], cases=40, seeds=range(6), **others)


def said_of(made):
    return sentences(build_table(made, resamples=200), made)


def test_a_method_that_works_and_beats_its_control():
    said = said_of(clear(arms=[(IMIL, CLEAR), (RANDOM_CELLS, SAME)]))
    assert said[0].startswith("3 arms with 6 seeds each, measured on 40 test images of 40 patients")
    assert "Feedback came from an oracle." in said[0]
    assert said[1].startswith("All seeds share one split of the patients.")
    assert any(text.startswith("The highest mean accuracy is 0.933: IMIL (95 %") for text in said)
    assert "In accuracy, with Holm's correction for 2 comparisons, shown to differ from the baseline: IMIL." in said
    (line,) = [text for text in said if text.startswith("IMIL minus Baseline: accuracy +0.233")]
    assert "excludes zero" in line
    assert line.endswith("p < 0.001 after correction.")
    assert any(text.startswith("Controls that IMIL is shown to beat") for text in said)
    assert not any("can't be credited" in text for text in said)
    assert said[-1] == "No mean in this table is worse with feedback than without it, to three decimals."
    assert not any("fewer than 5" in text for text in said)


def test_a_control_that_does_as_well_is_told():
    said = said_of(clear(arms=[(IMIL, CLEAR), (RANDOM_CELLS, [2, 2, 2, 3, 2, 3])]))
    (line,) = [text for text in said if text.startswith("Controls that did as well as IMIL or better")]
    assert "Random cells −0.008 [" in line
    assert line.endswith("So the choice of cells can't be credited.")
    assert any("The highest mean accuracy is 0.942: Random cells, a control" in text for text in said)


def test_a_control_that_is_not_shown_to_be_beaten_is_told():
    said = said_of(clear(arms=[(IMIL, CLEAR), (RANDOM_CELLS, [4, 2, 3, 3, 4, 2])]))
    (line,) = [text for text in said if text.startswith("Controls that IMIL isn't shown to beat")]
    assert line.endswith("So the choice of cells can't be credited on this evidence.")


def test_unknown_controls_are_told_by_their_titles():
    placebo = replace(RANDOM_CELLS, name="placebo", title="Placebo")
    assert any(
        text.endswith("So what IMIL has beyond Placebo can't be credited.")
        for text in said_of(clear(arms=[(IMIL, SAME), (placebo, CLEAR)]))
    )


def test_no_control_is_told():
    assert any(text.startswith("No control at equal budget") for text in said_of(clear(arms=[(IMIL, CLEAR)])))
    assert not any(text.startswith("No control at equal budget") for text in said_of(clear(arms=[(MIXUP, CLEAR)])))


def test_what_goes_against_the_method_is_told():
    said = said_of(clear(arms=[(IMIL, [13, 12, 14, 12, 13, 12]), (READER, [12] * 6), (MIXUP, CLEAR)]))
    assert any("no arm" not in text and "shown to differ from the baseline: MixUp." in text for text in said)
    (line,) = [text for text in said if text.startswith("IMIL minus Baseline")]
    assert line.endswith("That doesn't show a difference.")
    assert "(includes zero)" in line
    against = [text.removeprefix("Against feedback: ") for text in said if text.startswith("Against feedback: ")]
    assert against[0].startswith(
        "4 of its 8 means are worse than the baseline's: IMIL, accuracy −0.017 (not shown); IMIL, AUROC"
    )
    assert against[1] == "seeds with less accuracy than the baseline: IMIL with 3 of 6."
    assert against[2].startswith("MixUp, which needs no reader, had a mean accuracy of 0.933, higher than IMIL (0.683)")
    assert (
        "the arm IMIL + Reader 1 is not shown to differ from the baseline; accuracy, arm minus baseline: 0.000."
        in " ".join(said)
    )


def test_a_gaze_that_misses_the_lesion_is_told():
    results = {name: [result(name, seed, 2, focus=[0.05, 0.1]) for seed in (0, 1)] for name in ("baseline", "imil")}
    made = outcome([(BASELINE, []), (IMIL, [])], seeds=(0, 1), area=[0.1, 0.1], results=results)
    assert any(
        "no more on lesions than a map without focus (0.100): IMIL, share of the heat map inside the lesion 0.075"
        in text
        for text in said_of(made)
    )


def test_equal_differences_show_nothing():
    # Two seeds, each one case better: the t-test says p = 0.
    made = outcome([(BASELINE, [3, 4]), (IMIL, [2, 3])], seeds=(0, 1))
    said = said_of(made)
    assert any("no arm is shown to differ" in text for text in said)
    assert any(text.endswith("All seeds differ by the same amount, which makes p 0 and shows little.") for text in said)
    assert any(text.startswith("There are fewer than 5 seeds") for text in said)


def test_seeds_that_agree_on_one_patient_are_no_proof():
    # All that differs is one patient's twelve images, who is in most draws but not in all.
    patients = ["a" if index % 2 and index < 24 else f"p{index}" for index in range(40)]
    said = said_of(clear(arms=[(IMIL, CLEAR)], patients=patients))
    (line,) = [text for text in said if text.startswith("IMIL minus Baseline")]
    assert line.endswith("On these patients the seeds agree, but on others the difference could vanish.")
    assert any("no arm is shown to differ" in text for text in said)


def test_notes_of_trainings_are_kept():
    results = {"imil": [result("imil", seed, 1, note="Only 7 of 20 cases." if seed else "") for seed in range(3)]}
    assert "IMIL, seed 1, 2: Only 7 of 20 cases." in said_of(outcome(WRONG, results=results))


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
