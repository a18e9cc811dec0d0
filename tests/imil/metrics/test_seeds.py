"""Intervals and tests over seeds, against numbers worked out by hand."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from imil.errors import BadInput
from imil.metrics.seeds import holm, mean_interval, paired_difference

NAN = float("nan")
P_VALUES = st.lists(st.one_of(st.floats(0, 1), st.just(NAN)), max_size=12)
numbers = st.lists(st.floats(-1, 1), min_size=2, max_size=8)


def test_mean_interval_by_hand():
    # Mean 2, sd 1; the table's t for 2 degrees of freedom at 97.5 % is 4.303.
    found = mean_interval([1, 2, 3])
    assert found.value == 2
    assert (found.low, found.high) == pytest.approx((2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-4)
    # At 90 % it's 2.920.
    assert mean_interval([1, 2, 3], 0.9).high == pytest.approx(2 + 2.91999 / math.sqrt(3), abs=1e-4)


def test_mean_interval_of_two_seeds():
    # One degree of freedom: t = tan(0.95 * pi / 2) = 12.706. Values 0 and 2: sd sqrt(2), so +- 12.706.
    found = mean_interval([0, 2])
    assert (found.low, found.high) == pytest.approx((1 - 12.7062, 1 + 12.7062), abs=1e-4)


@pytest.mark.parametrize(("values", "mean"), [([0.8], 0.8), ([0.8, NAN], 0.8), ([], NAN), ([NAN], NAN)])
def test_fewer_than_two_seeds_have_no_interval(values, mean):
    found = mean_interval(values)
    assert found.value == pytest.approx(mean, nan_ok=True)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_nan_is_left_out():
    assert mean_interval([1, NAN, 2, 3]) == mean_interval([1, 2, 3])
    assert paired_difference([1, NAN, 2, 3], [0, 0, 0, 0]) == paired_difference([1, 2, 3], [0, 0, 0])
    assert paired_difference([1, 9, 2, 3], [0, NAN, 0, 0]) == paired_difference([1, 2, 3], [0, 0, 0])


def test_equal_values_have_an_interval_without_width():
    found = mean_interval([0.1 + 0.2, 0.3])  # they differ by rounding
    assert found.low == found.value == found.high


def test_paired_difference_by_hand():
    # Differences 1 and 3: mean 2, sd sqrt(2), t = 2 / (sqrt(2) / sqrt(2)) = 2. With one degree of freedom t is a
    # Cauchy variable, so p = 1 - 2 / pi * atan(2) = 0.29517.
    found = paired_difference([4, 5], [3, 2])
    assert found.value == 2
    assert found.p == pytest.approx(1 - 2 / math.pi * math.atan(2))
    assert (found.low, found.high) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-4)


def test_paired_difference_with_two_degrees_of_freedom():
    # Differences 0, 1, 2: mean 1, sd 1, t = sqrt(3). With 2 degrees of freedom p = 1 - t / sqrt(2 + t^2).
    found = paired_difference([1, 2, 3], [1, 1, 1])
    assert found.p == pytest.approx(1 - math.sqrt(3 / 5))


@given(numbers, st.data())
def test_paired_difference_agrees_with_scipy(values, data):
    others = data.draw(st.lists(st.floats(-1, 1), min_size=len(values), max_size=len(values)))
    differences = [a - b for a, b in zip(values, others, strict=True)]
    assume(max(differences) - min(differences) > 1e-6)
    expected = stats.ttest_rel(values, others)
    bounds = expected.confidence_interval()
    found = paired_difference(values, others)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high), rel=1e-6, abs=1e-9)


def test_paired_difference_without_spread():
    assert paired_difference([0.8, 0.9], [0.8, 0.9]).p == 1
    same = paired_difference([0.8, 0.9, 0.7], [0.7, 0.8, 0.6])  # 0.1 each, up to rounding
    assert same.p == 0
    assert same.low == same.value == same.high == pytest.approx(0.1)
    assert math.isnan(paired_difference([0.8], [0.7]).p)


def test_sign_of_the_difference_changes_no_p():
    one, other = paired_difference([3, 5, 9], [1, 4, 4]), paired_difference([1, 4, 4], [3, 5, 9])
    assert one.p == other.p
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


def test_holm_by_hand():
    # Sorted: 0.005 * 4 = 0.02, 0.01 * 3 = 0.03, 0.03 * 2 = 0.06, 0.04 * 1 = 0.04 -> not below 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_holm_does_not_count_nan():
    found = holm([NAN, 0.01, NAN, 0.04])
    assert math.isnan(found[0])
    assert math.isnan(found[2])
    assert [found[1], found[3]] == pytest.approx([0.02, 0.04])


@given(P_VALUES, st.randoms())
def test_holm_properties(p_values, random):
    found = holm(p_values)
    pairs = [(raw, adjusted) for raw, adjusted in zip(p_values, found, strict=True) if not math.isnan(raw)]
    assert sum(math.isnan(adjusted) for adjusted in found) == len(p_values) - len(pairs)
    assert all(raw <= adjusted <= 1 for raw, adjusted in pairs)
    ordered = [adjusted for _, adjusted in sorted(pairs)]
    assert ordered == sorted(ordered)
    positions = list(range(len(p_values)))
    random.shuffle(positions)
    shuffled = holm([p_values[position] for position in positions])
    assert shuffled == pytest.approx([found[position] for position in positions], nan_ok=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_exceeds_bonferroni(p_values):
    largest = [min(1, raw * len(p_values)) for raw in p_values]
    found = holm(p_values)
    assert min(found) == pytest.approx(min(largest))
    assert all(adjusted <= bonferroni + 1e-12 for adjusted, bonferroni in zip(found, largest, strict=True))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: holm([0.5, 1.2]), "p-value of 1.2"),
        (lambda: holm([-0.1]), "p-value of -0.1"),
        (lambda: mean_interval([[1, 2]]), "one for each seed"),
        (lambda: mean_interval([1, math.inf]), "inf"),
        (lambda: mean_interval([1, 2], 95), "level of an interval is 95"),
        (lambda: paired_difference([1, 2], [1]), "2 values and 1 of the baseline"),
    ],
)
def test_bad_input_over_seeds_is_told(call, sentence):
    with pytest.raises(BadInput, match=sentence):
        call()
