"""What is said of tables: what was shown, what wasn't, and what goes against the method."""

from dataclasses import replace

import numpy as np

from imil.experiments.tables import build_table, sentences
from imil.experiments.tables.phrases import direction, intervals
from imil.experiments.tables.shown import is_shown
from tests.imil.experiments.counted_outcomes import (
    BASELINE,
    CLEAR,
    IMIL,
    MIXUP,
    NAN,
    RANDOM_CELLS,
    READER,
    SAME,
    TABLE,
    WRONG,
    clear,
    outcome,
    result,
    said_of,
)


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


def test_a_control_beaten_by_the_same_amount_with_each_seed_is_no_proof():
    # 0.1 better than the control with both seeds.
    said = said_of(outcome([(BASELINE, [3, 4]), (IMIL, [2, 2]), (RANDOM_CELLS, [3, 3])], seeds=(0, 1)))
    (line,) = [text for text in said if text.startswith("Controls that IMIL isn't shown to beat")]
    assert "all seeds differ by the same amount, which makes p 0 and shows little" in line


def test_other_arms_with_equal_differences_share_a_sentence():
    said = said_of(outcome([(BASELINE, [3, 4]), (MIXUP, [2, 3]), (READER, [4, 5])], seeds=(0, 1)))
    assert (
        "In accuracy, all seeds differ from the baseline by the same amount, which makes p 0 and shows little: "
        "MixUp +0.100; IMIL + Reader 1 −0.100." in said
    )
    assert not any("minus Baseline" in text or text.startswith("Of the readers") for text in said)


def test_a_single_patient_shows_nothing():
    made = clear(arms=[(IMIL, CLEAR), (RANDOM_CELLS, SAME)], patients=["a"] * 40)
    table = build_table(made, resamples=50)
    found = table.rows[1].differences["accuracy"]
    assert np.isnan([found.over_patients, table.rows[1].measures["accuracy"].over_patients]).all()
    assert found.p_holm < 0.001
    assert not is_shown(found)
    said = sentences(table, made)
    assert any(text.startswith("With a single test patient nothing can be said about others") for text in said)
    assert any(text.endswith("One patient can't show a difference.") for text in said)
    assert any("no arm is shown to differ" in text for text in said)
    assert "nan" not in "\n".join(said)


def test_few_patients_are_told():
    def warnings(patients, lesions):
        made = clear(arms=[(IMIL, CLEAR)], patients=[f"p{index % patients}" for index in range(40)])
        masks = replace(made.evaluation, lesion_patients=[f"p{index}" for index in range(lesions)])
        said = sentences(build_table(made, resamples=5), replace(made, evaluation=masks))
        return [text for text in said if "tend to be too narrow" in text or "with a lesion mask says" in text]

    assert warnings(30, 0) == warnings(30, 30) == []
    (few,) = warnings(29, 0)
    assert few.startswith("There are fewer than 30 test patients: intervals over 29 tend to be too narrow")
    (both,) = warnings(29, 12)
    assert "intervals over 29 (12 for the shares inside the lesion) tend" in both
    (masks,) = warnings(40, 29)
    assert masks.startswith("Fewer than 30 test patients have a lesion mask: intervals over 29, for the shares")
    assert warnings(29, 1)[1].startswith("One patient with a lesion mask says nothing about others")


def test_long_lists_are_cut():
    readers = [replace(READER, name=f"reader_{n}", title=f"IMIL + Reader {n}") for n in range(1, 10)]
    said = said_of(clear(arms=[(reader, [13] * 6) for reader in readers]))
    (line,) = [text for text in said if "seeds with less accuracy" in text]
    assert line.endswith("IMIL + Reader 6 with 6 of 6; and 3 more.")


def test_what_rounds_to_zero_is_not_called_worse():
    found = build_table(outcome(WRONG), **TABLE)
    measure = found.measures[2]
    assert [direction(value, measure) for value in (0.0004, -0.0004, 0.0006, -0.0006)] == [
        "equal",
        "equal",
        "worse",
        "better",
    ]


def test_intervals_have_a_true_minus():
    assert intervals((-0.1, 1.2), (NAN, NAN)) == "95 % interval over seeds −0.100 to 1.200"


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
