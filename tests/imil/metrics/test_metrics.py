"""Metrics against numbers worked out by hand, against plain loops, and against torchmetrics."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imil.errors import BadInput
from imil.metrics import accuracy, auroc, brier, ece, reliability, roc_curve, summary


def two(*positive):
    """Two-class probabilities from those of class 1."""
    column = np.array(positive)
    return np.stack([1 - column, column], axis=1)


def random_case(seed, cases=200, classes=2):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(classes, 0.7), size=cases)
    labels = np.array([generator.choice(classes, p=row) for row in probabilities])
    return probabilities, labels


def test_import_is_light():
    code = "import imil.metrics, imil.outliers, sys; print(sorted({'torch', 'scipy', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_accuracy_by_hand():
    # Predicted 1, 0, 1, and 0 for the tie.
    assert accuracy(two(0.9, 0.2, 0.6, 0.5), [1, 0, 0, 0]) == 0.75


def test_ece_by_hand():
    # Confidences 0.95, 0.9, 0.8, 0.6, 0.55; right, wrong, right, right, wrong. With 5 bins (0.2 wide):
    #   (0.4, 0.6]: 0.6, 0.55      acc 1/2, conf 0.575   gap 0.075
    #   (0.6, 0.8]: 0.8            acc 1,   conf 0.8     gap 0.2
    #   (0.8, 1.0]: 0.95, 0.9      acc 1/2, conf 0.925   gap 0.425
    # ECE = 2/5 * 0.075 + 1/5 * 0.2 + 2/5 * 0.425 = 0.03 + 0.04 + 0.17
    probabilities, labels = two(0.95, 0.9, 0.2, 0.4, 0.55), [1, 0, 0, 0, 0]
    assert ece(probabilities, labels, bins=5) == pytest.approx(0.24)
    # With 15 bins all are apart but 0.6 and 0.55, which share (8/15, 9/15]:
    # (0.05 + 0.9 + 0.2 + 2 * 0.075) / 5
    assert ece(probabilities, labels) == pytest.approx(0.26)


def test_ece_at_its_ends():
    assert ece(two(1, 0, 1), [1, 0, 1]) == 0
    assert ece(two(1, 0, 1), [0, 1, 0]) == 1


def test_reliability_by_hand():
    table = reliability(two(0.95, 0.9, 0.2, 0.4, 0.55), [1, 0, 0, 0, 0], bins=5)
    assert table.lower == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert table.upper == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])
    assert table.count.tolist() == [0, 0, 2, 1, 2]
    assert table.accuracy == pytest.approx([np.nan, np.nan, 0.5, 1, 0.5], nan_ok=True)
    assert table.confidence == pytest.approx([np.nan, np.nan, 0.575, 0.8, 0.925], nan_ok=True)


def test_bins_are_closed_above():
    # 0.5 and 0.75 are exact in binary; with 4 bins they belong to the second and third.
    assert reliability(two(0.5, 0.75, 1), [1, 1, 1], bins=4).count.tolist() == [0, 1, 1, 1]


def test_brier_by_hand():
    # Two classes: (0.2^2 + 0.2^2) and (0.7^2 + 0.7^2), mean (0.08 + 0.98) / 2.
    assert brier(two(0.8, 0.7), [1, 0]) == pytest.approx(0.53)
    # Three: (0.5 - 1)^2 + 0.3^2 + 0.2^2 = 0.25 + 0.09 + 0.04
    assert brier([[0.5, 0.3, 0.2]], [0]) == pytest.approx(0.38)
    assert brier(two(1), [0]) == 2


def test_auroc_by_hand():
    # Positives 0.8, 0.4; negatives 0.4, 0.1, 0.9. Of 6 pairs: 0.8 beats two; 0.4 beats one and ties one: 3.5 / 6.
    assert auroc(two(0.8, 0.4, 0.4, 0.1, 0.9), [1, 1, 0, 0, 0]) == pytest.approx(3.5 / 6)


def test_auroc_of_three_classes_by_hand():
    # Class 0 against rest: 0.6 over 0.2, 0.1: 1. Class 1: 0.5 over 0.3, 0.4: 1. Class 2: 0.5 over 0.1, 0.3: 1.
    probabilities = [[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.4, 0.5]]
    assert auroc(probabilities, [0, 1, 2]) == 1
    # Labels 1, 0, 2: class 0 has 0.2 over 0.6 no, over 0.1 yes: 1/2. Class 1 has 0.3 over none: 0. Class 2: 1.
    assert auroc(probabilities, [1, 0, 2]) == pytest.approx(0.5)


def test_auroc_without_a_class():
    with pytest.warns(RuntimeWarning, match=r"only the classes \[1\].*it is NaN"):
        assert np.isnan(auroc(two(0.3, 0.4), [1, 1]))
    with pytest.warns(RuntimeWarning, match="mean over the others"):
        assert auroc([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]], [0, 1]) == 1


def test_roc_curve_by_hand():
    # Falling scores 0.9-, 0.8+, 0.4+-, 0.1-: after each distinct one 0, 1, 2, 2 of 2 hits and 1, 1, 2, 3 of 3 misses.
    curve = roc_curve([0.8, 0.4, 0.4, 0.1, 0.9], [1, 1, 0, 0, 0])
    assert curve.tpr.tolist() == [0, 0, 0.5, 1, 1]
    assert curve.fpr == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 1])
    assert curve.thresholds.tolist() == [np.inf, 0.9, 0.8, 0.4, 0.1]


def test_roc_curve_of_one_class():
    with pytest.warns(RuntimeWarning, match="one class"):
        curve = roc_curve([0.2, 0.7], [1, 1])
    assert np.isnan(curve.fpr[1:]).all()
    assert curve.tpr.tolist() == [0, 0.5, 1]


scored = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


@given(scored)
def test_auroc_counts_pairs(rows):
    scores = np.array([score for score, _ in rows]) / 8
    labels = np.array([int(label) for _, label in rows])
    wins = [float(a > b) + 0.5 * float(a == b) for a in scores[labels == 1] for b in scores[labels == 0]]
    assert auroc(two(*scores), labels) == pytest.approx(np.mean(wins))
    curve = roc_curve(scores, labels)
    trapezia = np.diff(curve.fpr) * (curve.tpr[1:] + curve.tpr[:-1]) / 2
    assert trapezia.sum() == pytest.approx(np.mean(wins))
    assert (np.diff(curve.fpr) >= 0).all()
    assert (np.diff(curve.tpr) >= 0).all()


@given(scored, st.randoms(use_true_random=False))
def test_order_of_cases_has_no_influence(rows, random):
    shuffled = random.sample(rows, len(rows))
    first, second = (
        summary(two(*[score / 8 for score, _ in some]), [int(label) for _, label in some]) for some in (rows, shuffled)
    )
    assert first == pytest.approx(second)


@given(st.integers(0, 2**32), st.integers(2, 5), st.integers(1, 30))
def test_metrics_stay_in_their_ranges(seed, classes, bins):
    probabilities, labels = random_case(seed, cases=20, classes=classes)
    assert 0 <= ece(probabilities, labels, bins) <= 1
    assert 0 <= brier(probabilities, labels) <= 2
    table = reliability(probabilities, labels, bins)
    assert table.count.sum() == 20
    filled = table.count > 0
    assert (table.confidence[filled] <= table.upper[filled] + 1e-12).all()
    assert (table.confidence[filled] >= table.lower[filled] - 1e-12).all()


@pytest.mark.parametrize("classes", [2, 4])
def test_agrees_with_torchmetrics(classes):
    import torch
    from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC, MulticlassCalibrationError

    probabilities, labels = random_case(3, cases=500, classes=classes)
    given_, truth = torch.as_tensor(probabilities), torch.as_tensor(labels)
    ours = summary(probabilities, labels)
    peers = {
        "accuracy": MulticlassAccuracy(classes, average="micro"),
        "auroc": MulticlassAUROC(classes),
        "ece": MulticlassCalibrationError(classes, n_bins=15),
    }
    for name, peer in peers.items():
        assert ours[name] == pytest.approx(float(peer(given_, truth)), abs=1e-5), name


def test_half_precision_probabilities_are_accepted():
    probabilities, labels = random_case(1, classes=5)
    assert summary(probabilities.astype(np.float16), labels) == pytest.approx(summary(probabilities, labels), abs=0.01)


@pytest.mark.parametrize("metric", [accuracy, auroc, ece, brier, reliability, summary])
@pytest.mark.parametrize(
    ("probabilities", "labels", "sentence"),
    [
        ([0.2, 0.8], [0, 1], r"shape \(2,\).*at least 2 classes"),
        ([[1.0], [1.0]], [0, 0], "at least 2 classes"),
        (np.zeros((0, 2)), [], "no cases"),
        ([[0.5, np.nan]], [0], "case 0 are .*finite"),
        ([[0.5, 0.5], [2.0, 1.5]], [0, 1], "case 1 are .*softmax"),
        ([[1.5, -0.5]], [0], "softmax"),
        (two(0.5, 0.5), [0], r"labels have shape \(1,\); they must be \(2,\)"),
        (two(0.5, 0.5), [0, 2], "a label 2; with 2 classes, labels are 0 to 1"),
        (two(0.5, 0.5), [0, -1], "a label -1"),
        (two(0.5, 0.5), [0.0, 1.0], "float64; they must be integer"),
    ],
)
def test_bad_input_is_told(metric, probabilities, labels, sentence):
    with pytest.raises(BadInput, match=sentence):
        metric(probabilities, labels)


@pytest.mark.parametrize(
    ("scores", "positive", "sentence"),
    [
        ([0.1], [0, 1], "both must be"),
        ([], [], "at least one case"),
        ([0.1, np.inf], [0, 1], "case 1 isn't finite"),
        ([0.1, 0.2], [0, 2], "0 .negative. or 1"),
    ],
)
def test_bad_curves_are_told(scores, positive, sentence):
    with pytest.raises(BadInput, match=sentence):
        roc_curve(scores, positive)


def test_bad_bins_are_told():
    with pytest.raises(BadInput, match="calibration bins is 0"):
        ece(two(0.5), [0], bins=0)


def test_ordinary_input_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(summary(*random_case(0))) == {"accuracy", "auroc", "ece", "brier"}
