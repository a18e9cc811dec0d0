"""Which cases are queued, in which order, and what the message says when there are too few."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imil.errors import BadInput
from imil.outliers import folds, select
from imil.settings import Fill, Selection

# Model's probability of class 1, label:    prediction, confidence
#   a 0.9 / 0   wrong 0.9      d 0.3 / 0   right 0.7
#   b 0.2 / 1   wrong 0.8      e 0.6 / 1   right 0.6
#   c 0.9 / 0   wrong 0.9      f 1.0 / 1   right 1.0
IDS = ["c", "f", "b", "e", "a", "d"]
POSITIVE = {"a": 0.9, "b": 0.2, "c": 0.9, "d": 0.3, "e": 0.6, "f": 1.0}
LABEL = {"a": 0, "b": 1, "c": 0, "d": 0, "e": 1, "f": 1}
# Out of fold: b 0.1, e 0.4 and f 0.3 are wrong, with 0.9, 0.6 and 0.7.
OUT_OF_FOLD = {"a": 0.1, "b": 0.1, "c": 0.2, "d": 0.4, "e": 0.4, "f": 0.3}


def two(positive):
    column = np.asarray(positive, dtype=float)
    return np.stack([1 - column, column], axis=1)


def pick(num_outliers, ids=IDS, **options):
    labels = [LABEL[case] for case in ids]
    chosen = select(ids, labels, two([POSITIVE[case] for case in ids]), num_outliers=num_outliers, **options)
    return [ids[entry.index] for entry in chosen.picks], [entry.reason for entry in chosen.picks], chosen


def test_surest_mispredictions_first_and_ties_by_id():
    cases, reasons, chosen = pick(3)
    assert cases == ["a", "c", "b"]
    assert set(reasons) == {"misprediction"}
    assert chosen.mispredicted == 3
    assert chosen.message == "3 of the 3 training images that the model mispredicts, the most confident first."
    assert pick(2)[0] == ["a", "c"]
    assert pick(2)[2].message.startswith("2 of the 3 training images that")


def test_too_few_mispredictions():
    cases, _, chosen = pick(20)
    assert cases == ["a", "c", "b"]
    assert chosen.message == (
        "3 of the 20 asked for: the model mispredicts only 3 training images; fill=least_confident or out_of_fold "
        "would add cases."
    )


def test_fill_with_the_least_confident():
    cases, reasons, chosen = pick(5, fill="least_confident")
    assert cases == ["a", "c", "b", "e", "d"]
    assert reasons == ["misprediction"] * 3 + ["least_confident"] * 2
    assert chosen.message.endswith("only 3 training images; 2 of those it is least sure of were added.")
    cases, _, chosen = pick(20, fill="least_confident")
    assert cases == ["a", "c", "b", "e", "d", "f"]
    assert chosen.message.endswith("3 of those it is least sure of were added (there are no more).")
    assert pick(2, fill="least_confident")[0] == ["a", "c"]


def test_fill_with_out_of_fold_mispredictions():
    other = two([OUT_OF_FOLD[case] for case in IDS])
    cases, reasons, chosen = pick(20, fill="out_of_fold", out_of_fold=other)
    assert cases == ["a", "c", "b", "f", "e"]  # b is there already; d, right in both, stays out
    assert reasons == ["misprediction"] * 3 + ["out_of_fold"] * 2
    assert "2 that models trained on the other folds mispredict were added (there are no more)" in chosen.message


def test_excluded_cases_are_left_out():
    cases, _, chosen = pick(20, exclude={"a", "e", "gone"}, fill="least_confident")
    assert cases == ["c", "b", "d", "f"]
    assert chosen.mispredicted == 2
    assert "only 2 training images that weren't queued before" in chosen.message


def test_network_that_has_memorised_everything():
    chosen = select(["a", "b"], [0, 1], two([0.1, 0.9]), num_outliers=4)
    assert chosen.picks == []
    assert chosen.message.startswith("0 of the 4 asked for: the model mispredicts none of the training images;")


def test_random_selection():
    first = pick(4, selection="random", seed=3)
    assert first[0] == pick(4, selection="random", seed=3)[0]
    assert first[1] == ["random"] * 4
    assert first[2].mispredicted == 3
    assert len({tuple(pick(4, selection="random", seed=seed)[0]) for seed in range(20)}) > 10
    cases, _, chosen = pick(20, selection="random", exclude={"a"})
    assert sorted(cases) == ["b", "c", "d", "e", "f"]
    assert chosen.message == "5 of the 20 asked for, picked at random: there are no more training images."


def test_the_least_confident_come_first_right_or_wrong():
    cases, reasons, chosen = pick(4, selection="least_confident")
    assert cases == ["e", "d", "b", "a"]  # 0.6, 0.7, 0.8, and 0.9 twice, of which the first by id
    assert set(reasons) == {"least_confident"}
    assert chosen.mispredicted == 3
    assert chosen.message == "4 training images that the model is least sure of."
    cases, _, chosen = pick(20, selection="least_confident", exclude={"e"})
    assert cases == ["d", "b", "a", "c", "f"]
    assert chosen.message == (
        "5 of the 20 asked for, that the model is least sure of: there are no more training images."
    )


def test_the_hardest_of_each_class_in_turn():
    # Probability of the true class: a 0.1, c 0.1, d 0.7 of class 0; b 0.2, e 0.6, f 1.0 of class 1.
    cases, reasons, chosen = pick(4, selection="class_balanced")
    assert cases == ["a", "b", "c", "e"]
    assert set(reasons) == {"class_balanced"}
    assert chosen.message == (
        "4 training images, 2 of each class, those with the lowest probability of their true class first."
    )
    assert pick(3, selection="class_balanced")[0] == ["a", "b", "c"]  # of the two seconds, the harder
    assert "3 training images, 1 to 2 of each class" in pick(3, selection="class_balanced")[2].message


def test_a_class_that_runs_out_is_filled_up_from_the_others():
    cases, _, chosen = pick(4, selection="class_balanced", exclude={"c", "d"})
    assert cases == ["a", "b", "e", "f"]
    assert chosen.message == (
        "4 training images, 1 to 3 of each class, those with the lowest probability of their true class first: some "
        "classes have too few, so the others filled up."
    )
    assert pick(20, selection="class_balanced", exclude={"c"})[2].message == (
        "5 of the 20 asked for, 2 to 3 of each class, those with the lowest probability of their true class first: "
        "there are no more training images."
    )


def test_out_of_fold_mispredictions_the_surest_first():
    other = two([OUT_OF_FOLD[case] for case in IDS])
    cases, reasons, chosen = pick(2, selection="out_of_fold", out_of_fold=other)
    assert (cases, set(reasons)) == (["b", "f"], {"out_of_fold"})
    assert chosen.message == (
        "2 of the 3 training images that models trained on the other folds mispredict, the most confident first."
    )
    cases, _, chosen = pick(20, selection="out_of_fold", out_of_fold=other)
    assert cases == ["b", "f", "e"]
    assert chosen.message == (
        "3 of the 20 asked for: models trained on the other folds mispredict only 3 training images; "
        "fill=least_confident would add cases."
    )
    cases, reasons, chosen = pick(5, selection="out_of_fold", out_of_fold=other, fill="least_confident")
    assert cases == ["b", "f", "e", "d", "a"]
    assert reasons == ["out_of_fold"] * 3 + ["least_confident"] * 2
    assert chosen.message.endswith("; 2 of those the run's own model is least sure of were added.")


def test_three_classes():
    # Confidence is that of the wrong class predicted: a 0.5, b 0.4.
    chosen = select(["b", "a"], [0, 2], [[0.3, 0.4, 0.3], [0.5, 0.2, 0.3]], num_outliers=5)
    assert [entry.index for entry in chosen.picks] == [1, 0]


tables = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 1), st.booleans()), min_size=1, max_size=25
)
options = st.fixed_dictionaries(
    {
        "num_outliers": st.integers(1, 30),
        "fill": st.sampled_from(get_args(Fill)),
        "selection": st.sampled_from(get_args(Selection)),
        "seed": st.integers(0, 5),
    }
).filter(lambda chosen: not chosen["selection"] == chosen["fill"] == "out_of_fold")


@given(tables, options, st.randoms(use_true_random=False))
def test_what_always_holds(table, chosen_options, random):
    rows = [(f"case {index}", *row) for index, row in enumerate(table)]
    results = []
    for some in (rows, random.sample(rows, len(rows))):
        ids = [row[0] for row in some]
        selection = select(
            ids,
            [row[3] for row in some],
            two([row[1] / 4 for row in some]),
            out_of_fold=two([row[2] / 4 for row in some]),
            exclude={row[0] for row in some if row[4]},
            **chosen_options,
        )
        picked = [(ids[entry.index], entry.reason) for entry in selection.picks]
        results.append((picked, selection.mispredicted, selection.message))
    assert results[0] == results[1]  # the order of the cases has no influence
    picked, mispredicted, _ = results[0]
    names = [case for case, _ in picked]
    by_id = {row[0]: row for row in rows}
    assert len(names) == len(set(names)) <= chosen_options["num_outliers"]
    assert not any(by_id[case][4] for case in names)
    wrong = {row[0] for row in rows if (row[1] > 2) != (row[3] == 1) and not row[4]}
    assert mispredicted == len(wrong)
    if chosen_options["selection"] in ("least_confident", "class_balanced", "random"):
        assert len(names) == min(sum(not row[4] for row in rows), chosen_options["num_outliers"])
    if chosen_options["selection"] == "class_balanced":
        taken = [sum(by_id[case][3] == label for case in names) for label in (False, True)]
        left = [sum(row[3] == label and not row[4] for row in rows) - n for label, n in zip((0, 1), taken, strict=True)]
        assert abs(taken[0] - taken[1]) <= 1 or 0 in left  # as many of each, unless one ran out
    if chosen_options["selection"] == "highest_confidence":
        assert {case for case, reason in picked if reason == "misprediction"} <= wrong
        assert len(names) >= min(len(wrong), chosen_options["num_outliers"])
        if chosen_options["fill"] == "none":
            assert set(names) <= wrong


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ids": ["a", "b"]}, "2 ids for 3 rows"),
        ({"ids": ["a", "b", "a"]}, "case id 'a' occurs more than once"),
        ({"num_outliers": 0}, "number of outliers is 0"),
        ({"selection": "worst"}, "no selection 'worst'; allowed are highest_confidence, least_confident, class"),
        ({"fill": "all"}, "no fill 'all'; allowed are none, least_confident, out_of_fold"),
        ({"fill": "out_of_fold"}, "needs out-of-fold probabilities"),
        ({"selection": "out_of_fold"}, "needs out-of-fold probabilities"),
        ({"selection": "out_of_fold", "fill": "out_of_fold"}, "nothing for fill=out_of_fold to add"),
        ({"fill": "out_of_fold", "out_of_fold": two([0.5])}, r"shape \(1, 2\); they must be \(3, 2\)"),
        ({"labels": [0, 1, 2]}, "a label 2"),
    ],
)
def test_bad_input_is_told(changes, sentence):
    arguments = {"ids": ["a", "b", "c"], "labels": [0, 1, 0], "probabilities": two([0.1, 0.9, 0.2]), "num_outliers": 3}
    with pytest.raises(BadInput, match=sentence):
        select(**(arguments | changes))


patients_and_labels = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 2)), min_size=4, max_size=60).filter(
    lambda rows: len({patient for patient, _ in rows}) >= 4
)


@given(patients_and_labels, st.integers(2, 4), st.integers(0, 3), st.randoms(use_true_random=False))
def test_folds_keep_patients_together(rows, k, seed, random):
    made = folds([f"p{patient}" for patient, _ in rows], [label for _, label in rows], k, seed)
    assert set(made.tolist()) == set(range(k))
    of_patient = {}
    for (patient, _), fold in zip(rows, made, strict=True):
        assert of_patient.setdefault(patient, fold) == fold
    shuffled = random.sample(rows, len(rows))
    again = folds([f"p{patient}" for patient, _ in shuffled], [label for _, label in shuffled], k, seed)
    assert [of_patient[patient] for patient, _ in shuffled] == again.tolist()


def test_folds_spread_the_classes():
    labels = np.array([0] * 261 + [1] * 269)
    made = folds([str(index) for index in range(530)], labels, 3, seed=1)
    for label, each in ((0, 87), (1, 269 / 3)):
        counts = np.bincount(made[labels == label])
        assert abs(counts - each).max() < 1
    assert made.tolist() != folds([str(index) for index in range(530)], labels, 3, seed=2).tolist()


@pytest.mark.parametrize(
    ("patients", "labels", "k", "sentence"),
    [
        (["a", "b"], [0, 1], 3, "2 patients can't be split into 3 folds"),
        (["a", "b"], [0, 1], 1, "into 1 folds"),
        (["a"], [0, 1], 2, "1 patients for labels"),
    ],
)
def test_bad_folds_are_told(patients, labels, k, sentence):
    with pytest.raises(BadInput, match=sentence):
        folds(patients, labels, k)
