"""Bootstrap intervals against a plain loop over draws."""

import time
import warnings

import numpy as np
import pytest

from imil.errors import BadInput
from imil.metrics import draws as drawing
from imil.metrics import intervals, paired_intervals, roc_band, roc_curve, summary

NAMES = ("accuracy", "auroc", "ece", "brier")


def cases(seed=0, count=60, classes=2):
    generator = np.random.default_rng(seed)
    probabilities = np.round(generator.dirichlet(np.ones(classes), size=count), 1)  # rounded: many ties
    probabilities[:, 0] += 1 - probabilities.sum(axis=1)
    probabilities = np.abs(probabilities)
    labels = np.array([generator.choice(classes, p=row / row.sum()) for row in probabilities])
    labels[:classes] = np.arange(classes)
    return probabilities, labels


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("grouped", [False, True])
def test_draws_equal_a_plain_loop(classes, grouped):
    probabilities, labels = cases(classes=classes)
    patients = [f"p{index // 3}" for index in range(len(labels))] if grouped else None
    draws = []
    for weights in drawing.weights_of_draws(len(labels), patients, 50, 4):
        for row in weights.astype(int):
            chosen = np.repeat(np.arange(len(labels)), row)
            draws.append(summary(probabilities[chosen], labels[chosen]))
    assert len(draws) == 50
    found = intervals(probabilities, labels, patients, resamples=50, seed=4, level=0.9)
    values = summary(probabilities, labels)
    for name in NAMES:
        low, high = np.percentile([draw[name] for draw in draws], [5, 95])
        assert (found[name].low, found[name].high) == pytest.approx((low, high)), name
        assert found[name].value == values[name]


def test_patients_are_drawn_whole():
    patients = ["a", "b", "a", "c", "c", "c"]
    (weights,) = drawing.weights_of_draws(6, patients, 200, 0)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [3]] == weights[:, 3:]).all()
    # Three patients a draw
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()


def test_blocks_of_draws_and_seeds(monkeypatch):
    probabilities, labels = cases()
    first = intervals(probabilities, labels, resamples=40, seed=1)
    assert intervals(probabilities, labels, resamples=40, seed=1) == first
    assert intervals(probabilities, labels, resamples=40, seed=2) != first
    monkeypatch.setattr(drawing, "_WEIGHTS_AT_ONCE", 7 * len(labels))
    blocks = list(drawing.weights_of_draws(len(labels), None, 40, 1))
    assert [len(block) for block in blocks] == [7, 7, 7, 7, 7, 5]


def test_coverage_of_the_accuracy():
    # 95 % intervals hold the true accuracy about 95 times of 100; 300 trials are 95 % +- 4 at three standard errors.
    generator = np.random.default_rng(0)
    inside = 0
    for trial in range(300):
        right = generator.random(100) < 0.8
        probabilities = np.tile([0.2, 0.8], (100, 1))
        found = intervals(probabilities, right.astype(int) if right.any() else right, resamples=200, seed=trial)
        inside += found["accuracy"].low <= 0.8 <= found["accuracy"].high
    assert 0.89 <= inside / 300 <= 0.99


def test_perfect_model_has_no_spread():
    labels = np.array([0, 1] * 10)
    found = intervals(np.eye(2)[labels], labels)
    assert [(found[name].low, found[name].high) for name in NAMES] == [(1, 1), (1, 1), (0, 0), (0, 0)]


def test_one_class_only():
    with pytest.warns(RuntimeWarning, match="NaN"):
        found = intervals(np.tile([0.2, 0.8], (5, 1)), np.ones(5, dtype=int), resamples=20)
    assert np.isnan([found["auroc"].value, found["auroc"].low, found["auroc"].high]).all()
    assert found["accuracy"].low == 1


def test_paired_difference():
    probabilities, labels = cases(count=100)
    same = paired_intervals(probabilities, probabilities, labels, resamples=50)
    assert all((same[name].value, same[name].low, same[name].high) == (0, 0, 0) for name in NAMES)
    better = 0.5 * probabilities + 0.5 * np.eye(2)[labels]
    found = paired_intervals(better, probabilities, labels, resamples=200)
    assert found["brier"].high < 0 < found["auroc"].low
    values, baseline = summary(better, labels), summary(probabilities, labels)
    assert found["accuracy"].value == values["accuracy"] - baseline["accuracy"]


def test_roc_band_equals_a_plain_loop():
    probabilities, labels = cases()
    scores = probabilities[:, 1]
    curves = []
    for weights in drawing.weights_of_draws(len(labels), None, 30, 2):
        for row in weights.astype(int):
            chosen = np.repeat(np.arange(len(labels)), row)
            curve = roc_curve(scores[chosen], labels[chosen])
            curves.append(np.interp(np.linspace(0, 1, 11), curve.fpr, curve.tpr))
    band = roc_band(scores, labels, points=11, resamples=30, seed=2)
    assert band.fpr == pytest.approx(np.linspace(0, 1, 11))
    assert band.low == pytest.approx(np.percentile(curves, 2.5, axis=0))
    assert band.high == pytest.approx(np.percentile(curves, 97.5, axis=0))
    assert band.high[-1] == band.low[-1] == 1


def test_one_patient_has_no_interval():
    probabilities, labels = cases()
    same = ["a"] * len(labels)
    for found in (intervals(probabilities, labels, same), paired_intervals(probabilities, probabilities, labels, same)):
        assert np.isnan([[found[name].low, found[name].high] for name in NAMES]).all()
    assert intervals(probabilities, labels, same)["accuracy"].value == summary(probabilities, labels)["accuracy"]
    band = roc_band(probabilities[:, 1], labels, same)
    assert np.isnan([band.low, band.high]).all()
    assert not np.isnan(band.tpr).any()


def test_two_patients_have_an_interval():
    # One patient's two cases are right, the other's are wrong: a draw has both, or one of them twice.
    found = intervals(np.eye(2)[[0, 1, 1, 0]], [0, 1, 0, 1], ["a", "a", "b", "b"], resamples=200)["accuracy"]
    assert (found.value, found.low, found.high) == (0.5, 0, 1)


def test_roc_band_of_one_class_is_undefined():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        band = roc_band([0.1, 0.2], [1, 1], resamples=5)
    assert np.isnan(band.low).all()


def test_thousand_draws_are_quick():
    probabilities, labels = cases(count=1000)
    start = time.perf_counter()
    intervals(probabilities, labels)
    roc_band(probabilities[:, 1], labels)
    assert time.perf_counter() - start < 5  # about 0.3 s on an idle core


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"patients": ["a"]}, "1 patients for 60 cases"),
        ({"resamples": 0}, "bootstrap draws is 0"),
        ({"level": 95}, "level of an interval is 95"),
    ],
)
def test_bad_input_is_told(changes, sentence):
    probabilities, labels = cases()
    with pytest.raises(BadInput, match=sentence):
        intervals(probabilities, labels, **changes)
    with pytest.raises(BadInput, match=sentence):
        roc_band(probabilities[:, 1], labels, **changes)


def test_band_of_one_point_is_told():
    with pytest.raises(BadInput, match="1 points"):
        roc_band([0.1, 0.2], [0, 1], points=1)
