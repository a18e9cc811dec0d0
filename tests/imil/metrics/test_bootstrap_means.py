"""Bootstrap intervals of means over seeds: against plain loops, and against the functions for one model."""

import time

import numpy as np
import pytest

from imil.errors import BadInput
from imil.metrics import (
    draws,
    intervals,
    mean_intervals,
    mean_paired_intervals,
    mean_roc_band,
    mean_value_intervals,
    paired_intervals,
    roc_band,
    roc_curve,
    summary,
)

NAN = float("nan")
LABELS = np.array([0, 1] * 20)
PATIENTS = [f"p{index // 4}" for index in range(40)]


def model(seed, count=40, skill=0.5):
    """Probabilities (count, 2) that lean towards the labels 0, 1, 0, 1 ..."""
    generator = np.random.default_rng(seed)
    positive = np.clip(np.arange(count) % 2 * skill + generator.random(count) * (1 - skill), 0, 1)
    return np.stack([1 - positive, positive], axis=1)


def drawn_cases(count, patients, resamples, seed):
    for weights in draws.weights_of_draws(count, patients, resamples, seed):
        for row in weights.astype(int):
            yield np.repeat(np.arange(count), row)


def test_mean_intervals_equal_a_plain_loop():
    models = [model(seed, skill=0.2) for seed in range(3)]
    means = [
        {name: np.mean([summary(one[chosen], LABELS[chosen])[name] for one in models]) for name in summary(*PAIR)}
        for chosen in drawn_cases(40, PATIENTS, 40, 7)
    ]
    found = mean_intervals(models, LABELS, PATIENTS, resamples=40, seed=7)
    for name, interval in found.items():
        low, high = np.percentile([mean[name] for mean in means], [2.5, 97.5])
        assert (interval.low, interval.high) == pytest.approx((low, high)), name
        assert interval.value == pytest.approx(np.mean([summary(one, LABELS)[name] for one in models]))


PAIR = (model(0), LABELS)


def test_one_seed_is_the_single_model():
    one, other = model(1, skill=0.3), model(2, skill=0.2)
    options = {"resamples": 60, "seed": 3}
    assert mean_intervals([one], LABELS, PATIENTS, **options) == intervals(one, LABELS, PATIENTS, **options)
    paired = mean_paired_intervals([one], [other], LABELS, PATIENTS, **options)
    assert paired == paired_intervals(one, other, LABELS, PATIENTS, **options)
    band, single = (
        mean_roc_band(one[None, :, 1], LABELS, PATIENTS, **options),
        roc_band(one[:, 1], LABELS, PATIENTS, **options),
    )
    assert all(np.array_equal(getattr(band, name), getattr(single, name)) for name in ("fpr", "tpr", "low", "high"))


def test_equal_seeds_are_one_seed():
    one = model(1, skill=0.3)
    found, single = mean_intervals([one] * 4, LABELS, PATIENTS), intervals(one, LABELS, PATIENTS)
    for name in single:
        assert (found[name].low, found[name].high) == pytest.approx((single[name].low, single[name].high))


def test_mean_over_seeds_is_surer_than_one_of_them():
    models = [model(seed, skill=0.1) for seed in range(8)]
    mean = mean_intervals(models, LABELS)["accuracy"]
    widths = [intervals(one, LABELS)["accuracy"] for one in models]
    assert mean.high - mean.low < np.mean([one.high - one.low for one in widths])


def test_paired_means_equal_a_plain_loop():
    models, baselines = [model(1), model(2)], [model(3, skill=0.3), model(4, skill=0.3)]
    differences = [
        np.mean(
            [
                summary(a[chosen], LABELS[chosen])["brier"] - summary(b[chosen], LABELS[chosen])["brier"]
                for a, b in zip(models, baselines, strict=True)
            ]
        )
        for chosen in drawn_cases(40, PATIENTS, 40, 0)
    ]
    found = mean_paired_intervals(models, baselines, LABELS, PATIENTS, resamples=40)["brier"]
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(differences, [2.5, 97.5])))
    same = mean_paired_intervals(models, models, LABELS, PATIENTS, resamples=40)
    assert all((one.value, one.low, one.high) == (0, 0, 0) for one in same.values())


def test_patients_stay_together():
    # One patient has every wrong case: her ten are in a draw all at once, so accuracies come in tenths of the draw.
    right = np.repeat([True, True, True, False], 10)
    probabilities = np.where(right[:, None], np.eye(2)[LABELS], np.eye(2)[1 - LABELS])
    patients = np.repeat(["a", "b", "c", "d"], 10).tolist()
    whole = mean_intervals([probabilities], LABELS, patients, resamples=400)["accuracy"]
    loose = mean_intervals([probabilities], LABELS, None, resamples=400)["accuracy"]
    assert (whole.low, whole.high) == (0.25, 1)  # 1 - (3/4)^4 of the draws hold her; four times in one of 256
    assert loose.high - loose.low < whole.high - whole.low
    values = mean_value_intervals(right[None].astype(float), patients, resamples=400)
    assert (values.value, values.low, values.high) == (0.75, whole.low, whole.high)


def test_mean_values_by_hand():
    # Seed 1: mean of 1 and 3; seed 2: mean of 2, 4 and 6; seed 3 has nothing.
    found = mean_value_intervals([[1, NAN, 3], [2, 4, 6], [NAN] * 3], resamples=50)
    assert found.value == (2 + 4) / 2


def test_mean_values_equal_a_plain_loop():
    generator = np.random.default_rng(0)
    values = generator.random((3, 20))
    values[generator.random((3, 20)) < 0.3] = NAN
    patients = [f"p{index // 2}" for index in range(20)]
    means = [np.mean([np.nanmean(row[chosen]) for row in values]) for chosen in drawn_cases(20, patients, 60, 5)]
    found = mean_value_intervals(values, patients, resamples=60, seed=5)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


def test_values_that_are_all_nan():
    found = mean_value_intervals([[NAN, NAN]], resamples=5)
    assert np.isnan([found.value, found.low, found.high]).all()


def test_means_over_one_patient_have_no_interval():
    same = ["a"] * 40
    found = [
        *mean_intervals([model(0), model(1)], LABELS, same).values(),
        *mean_paired_intervals([model(0)], [model(1)], LABELS, same).values(),
        mean_value_intervals([[0.2, 0.4]], ["a", "a"]),
        mean_value_intervals([[0.2]]),
        # The other patient has no number at all.
        mean_value_intervals([[0.2, 0.4, NAN], [0.1, NAN, NAN]], ["a", "a", "b"]),
    ]
    assert np.isnan([[one.low, one.high] for one in found]).all()
    assert found[-1].value == pytest.approx((0.3 + 0.1) / 2)
    band = mean_roc_band([model(0)[:, 1]], LABELS, same)
    assert np.isnan([band.low, band.high]).all()


def test_mean_roc_band_equals_a_plain_loop():
    scores = np.stack([model(seed, skill=0.3)[:, 1].round(1) for seed in range(3)])
    grid = np.linspace(0, 1, 11)

    def mean_curve(chosen):
        curves = [roc_curve(row[chosen], LABELS[chosen]) for row in scores]
        return np.mean([np.interp(grid, curve.fpr, curve.tpr) for curve in curves], axis=0)

    curves = [mean_curve(chosen) for chosen in drawn_cases(40, PATIENTS, 30, 2)]
    band = mean_roc_band(scores, LABELS, PATIENTS, points=11, resamples=30, seed=2)
    assert band.tpr == pytest.approx(mean_curve(np.arange(40)))
    assert band.low == pytest.approx(np.percentile(curves, 2.5, axis=0))
    assert band.high == pytest.approx(np.percentile(curves, 97.5, axis=0))


def test_one_class_has_no_curve_and_no_area():
    band = mean_roc_band(np.random.default_rng(0).random((2, 5)), np.ones(5, dtype=int), resamples=5)
    assert np.isnan([band.tpr, band.low, band.high]).all()
    with pytest.warns(RuntimeWarning, match="NaN"):
        found = mean_intervals([np.tile([0.2, 0.8], (5, 1))] * 2, np.ones(5, dtype=int), resamples=20)
    assert np.isnan([found["auroc"].value, found["auroc"].low]).all()
    assert found["accuracy"].value == 1


def test_a_table_of_twenty_arms_is_quick():
    labels = np.arange(140) % 2
    arms = [[model(10 * arm + seed, count=140) for seed in range(5)] for arm in range(20)]
    start = time.perf_counter()
    for models in arms:
        mean_intervals(models, labels)
        mean_paired_intervals(models, arms[0], labels)
    assert time.perf_counter() - start < 20  # about 2 s on an idle core


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: mean_intervals([], LABELS), "no models"),
        (lambda: mean_intervals([model(0), model(0, 38)], LABELS), r"\(38,\)"),
        (lambda: mean_intervals([model(0)], LABELS, ["a"]), "1 patients for 40 cases"),
        (lambda: mean_paired_intervals([model(0)] * 2, [model(0)], LABELS), "2 models and 1 baselines"),
        (lambda: mean_value_intervals([1, 2]), r"\(2,\)"),
        (lambda: mean_value_intervals(np.zeros((2, 0))), r"\(2, 0\)"),
        (lambda: mean_value_intervals([[1, np.inf]]), "case 1 with seed number 0 is infinite"),
        (lambda: mean_value_intervals([[1, 2]], level=2), "level of an interval is 2"),
        (lambda: mean_roc_band([], LABELS), "at least one seed"),
        (lambda: mean_roc_band([[0.1, 0.2]], [0, 1], points=1), "1 points"),
        (lambda: mean_roc_band([[0.1, 0.2], [0.1]], [0, 1]), r"\(1,\)"),
    ],
)
def test_bad_input_of_means_is_told(call, sentence):
    with pytest.raises(BadInput, match=sentence):
        call()
