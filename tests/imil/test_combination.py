"""Several readers' answers as one piece of feedback: by hand, and what always holds."""

import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from imil.casefeedback import CaseFeedback
from imil.combination import combine_answers, combine_round
from imil.errors import BadInput
from imil.settings import Combine
from imil.staple import staple
from imil.store import Action, Event

METHODS = get_args(Combine)


def event(number: int, action: Action = Action.GRID, cells=(), misleading=(), new_label="", case="a.png") -> Event:
    return Event(case, 1, 1, f"reader {number}", action, tuple(cells), tuple(misleading), new_label, grid_size=4)


def combine(answers, method="union"):
    return combine_round(answers, method).get("a.png")


@pytest.mark.parametrize("method", METHODS)
def test_one_readers_answer_is_the_feedback(method) -> None:
    found = combine([event(1, cells=(1, 2), misleading=(3,))], method)
    assert found == CaseFeedback("a.png", "grid", 4, (1, 2), (3,), "")
    assert combine([event(1, Action.EXCLUDE, cells=(1,))], method) == CaseFeedback("a.png", "exclude")
    relabel = event(1, Action.RELABEL, cells=(7,), new_label="tb")
    assert combine([relabel], method) == CaseFeedback("a.png", "relabel", 4, (7,), (), "tb")
    assert combine([event(1, Action.SKIP)], method) is None
    assert combine_round([], method) == {}


def test_the_majority_decides_and_of_equals_the_earlier() -> None:
    grid, exclude = event(1, cells=(1,)), event(2, Action.EXCLUDE)
    tb, other = event(3, Action.RELABEL, new_label="tb"), event(4, Action.RELABEL, new_label="other")
    assert combine([grid, exclude]).action == "grid"
    assert combine([exclude, grid]).action == "exclude"
    assert combine([grid, exclude, event(5, Action.EXCLUDE)]).action == "exclude"
    assert combine([grid, tb, other]).action == "grid"
    assert combine([grid, other, tb, event(6, Action.RELABEL, cells=(9,), new_label="tb")]) == CaseFeedback(
        "a.png", "relabel", 4, (9,), (), "tb"
    )


# Three readers who chose cells, one who skipped; cell 5 by all, 6 by two, 7 by one.
THREE = [
    event(1, cells=(5, 6, 7), misleading=(0, 1)),
    event(2, cells=(5, 6), misleading=(0, 7)),
    event(3, cells=(5,), misleading=(0, 6)),
    event(4, Action.SKIP),
]


@pytest.mark.parametrize(
    ("method", "cells", "misleading"),
    [
        ("union", (5, 6, 7), (0, 1)),
        ("intersection", (5,), (0,)),
        ("majority", (5, 6), (0,)),
    ],
)
def test_cells_are_combined_by_the_method(method, cells, misleading) -> None:
    found = combine(THREE, method)
    assert (found.cells, found.misleading) == (cells, misleading)


def test_half_of_the_readers_are_enough_for_a_majority() -> None:
    two = [event(1, cells=(1, 2)), event(2, cells=(2, 3))]
    assert combine(two, "majority").cells == (1, 2, 3)
    four = [*two, event(3, cells=(4,)), event(4, cells=(2,))]
    assert combine(four, "majority").cells == (2,)


def test_only_readers_who_chose_what_is_done_have_a_say_in_the_cells() -> None:
    said = [event(1, cells=(1,)), event(2, cells=(1,)), event(3, Action.EXCLUDE, cells=(2,))]
    assert combine(said, "intersection").cells == (1,)
    assert combine(said, "union").cells == (1,)


def test_a_case_of_which_no_cell_is_left_is_named_and_not_changed() -> None:
    said = [event(1, cells=(1,)), event(2, cells=(2,)), event(1, cells=(3,), case="b.png")]
    found = combine_answers(said, "intersection")
    assert list(found.feedback) == ["b.png"]
    assert found.without_cells == ("a.png",)
    assert found.message == (
        "1 case trains on unchanged, because combine=intersection leaves none of the cells that their readers chose: "
        "a.png."
    )
    assert combine_answers(said, "union").message == ""
    relabelled = [event(n, Action.RELABEL, cells=(n,), new_label="tb") for n in (1, 2)]
    assert combine(relabelled, "intersection") == CaseFeedback("a.png", "relabel", 4, (), (), "tb")


# -- STAPLE ------------------------------------------------------------------------------------------------------------


def rounds_of(readers: dict[int, list[tuple[int, ...]]]) -> list[Event]:
    """For each reader, the cells of case after case."""
    return [
        event(number, cells=cells, case=f"case {index:02}")
        for number, cases in readers.items()
        for index, cells in enumerate(cases)
    ]


def test_staple_follows_the_readers_that_prove_reliable() -> None:
    # Two readers agree on nine cases, and the third marks what neither does. In the tenth, one of the two and the third
    # have other cells: by votes they stand 1 to 1 to 1, but one of them is known to be wrong nearly always.
    good = [(case, case + 4) for case in range(9)]
    bad = [(15 - case,) for case in range(9)]
    found = combine_round(rounds_of({1: [*good, (5, 6)], 2: [*good, (5, 6, 7)], 3: [*bad, (0, 7)]}), "staple")
    assert found["case 00"].cells == (0, 4)
    assert found["case 09"].cells[:2] == (5, 6)
    assert 0 not in found["case 09"].cells


def test_staple_is_simple_itks_over_all_cases_of_the_same_readers_at_once() -> None:
    random = np.random.default_rng(0)
    said = random.random((3, 8, 16)) < np.array([0.3, 0.35, 0.5])[:, None, None]
    said[:, :, 5] = True
    said[:, :, 6] |= random.random((3, 8)) < 0.7
    cases = {number: [tuple(np.flatnonzero(row)) for row in said[number]] for number in range(3)}
    # A fourth reader's cases, and one that only two of the three answered, are other groups.
    others = [event(4, cells=(1,), case="other"), event(0, cells=(2,), case="two"), event(1, cells=(2,), case="two")]
    found = combine_round([*rounds_of(cases), *others], "staple")
    expected = SimpleITK.GetArrayFromImage(
        SimpleITK.STAPLE([SimpleITK.GetImageFromArray(part.astype(np.uint8)) for part in said], 1)
    )
    for index in range(8):
        assert found[f"case {index:02}"].cells == tuple(np.flatnonzero(expected[index] >= 0.5))
    assert (found["other"].cells, found["two"].cells) == ((1,), (2,))


@pytest.mark.parametrize(
    "mask",
    [np.zeros((2, 16), bool), np.ones((2, 16), bool), np.arange(32).reshape(2, 16) % 5 == 0],
    ids=["empty", "full", "some"],
)
@pytest.mark.parametrize("readers", [1, 2, 5])
def test_readers_who_agree_are_believed(mask, readers) -> None:
    np.testing.assert_array_equal(staple(np.stack([mask] * readers)), mask.astype(float))


def test_readers_who_have_nothing_in_common_leave_no_cell() -> None:
    found = combine_answers([event(1, cells=(3,)), event(2, cells=(4,))], "staple")
    assert (found.feedback, found.without_cells) == ({}, ("a.png",))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4), st.floats(0, 1))
def test_staple_always_gives_probabilities(seed, readers, cases, share) -> None:
    found = staple(np.random.default_rng(seed).random((readers, cases, 16)) < share)
    assert found.shape == (cases, 16)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1


# -- what always holds -------------------------------------------------------------------------------------------------

cells = st.sets(st.integers(0, 15), min_size=1)
readings = st.lists(st.tuples(cells, st.sets(st.integers(0, 15))), min_size=1, max_size=5)


@settings(deadline=None)
@given(readings)
def test_what_always_holds(said) -> None:
    events = [event(n, cells=sorted(a), misleading=sorted(b - a)) for n, (a, b) in enumerate(said)]
    found = {method: combine(events, method) for method in METHODS}
    chosen = {name: set() if one is None else set(one.cells) for name, one in found.items()}
    assert chosen["union"] == set.union(*(a for a, _ in said))
    assert chosen["intersection"] == set.intersection(*(a for a, _ in said))
    assert chosen["intersection"] <= chosen["majority"] <= chosen["union"]
    assert chosen["staple"] <= chosen["union"]
    for one in found.values():
        assert one is None or (one.cells and not set(one.cells) & set(one.misleading))


def test_the_order_of_cases_has_no_influence() -> None:
    said = rounds_of({1: [(1, 2), (3,), (4, 5)], 2: [(2,), (3, 9), (5,)], 3: [(2, 7), (3,), (6, 5)]})
    for method in METHODS:
        assert combine_round(said, method) == combine_round(said[::-1], method)
        assert list(combine_round(said[::-1], method)) == ["case 00", "case 01", "case 02"]


@pytest.mark.parametrize(
    ("answers", "method", "sentence"),
    [
        ([event(1, cells=(1,))], "mean", "combine cells 'mean'; allowed are union, intersection, majority, staple"),
        ([event(1, cells=(1,)), event(1, cells=(2,))], "union", "two answers of 'reader 1' to 'a.png'"),
        ([event(1, Action.UNDO)], "union", "action 'undo' of 'a.png'"),
        ([event(1, cells=(16,))], "union", "cell 16 of 'a.png', whose grid is 4 x 4; its cells are 0 to 15"),
    ],
)
def test_what_cannot_be_combined_is_told(answers, method, sentence) -> None:
    with pytest.raises(BadInput, match=sentence.replace("(", r"\(")):
        combine_round(answers, method)


def test_importing_the_rules_loads_no_image_library() -> None:
    code = "import sys, imil.combination; print([m for m in ('SimpleITK', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
