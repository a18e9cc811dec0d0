"""Agreement of readers: kappas by hand and against torchmetrics."""

import json
import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_cohen_kappa
from torchmetrics.functional.nominal import fleiss_kappa as peer_fleiss

from imil.errors import BadInput
from imil.metrics.agreement import agreement, cohen_kappa, fleiss_kappa
from imil.store import Action, Event


def test_cohens_kappa_by_hand():
    # Both 20, only the first 5, only the second 10, neither 15: observed 0.7, by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
    first = [1] * 25 + [0] * 25
    second = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert cohen_kappa(second, first) == cohen_kappa(first, second)
    assert cohen_kappa(first, first) == 1
    assert cohen_kappa([1, 0], [0, 1]) == -1
    assert cohen_kappa([1, 1, 1, 1], [1, 0, 1, 0]) == 0  # who always says the same agrees by chance only


def test_fleiss_kappa_by_hand():
    # Three readers, four cells with 3, 2, 0 and 0 votes: observed (1 + 1/3 + 1 + 1) / 4, share 5/12.
    chosen = [[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]]
    assert fleiss_kappa(chosen) == pytest.approx(46 / 70)
    assert fleiss_kappa([[1, 0], [1, 0]]) == 1
    assert fleiss_kappa([[1, 0], [0, 1]]) == pytest.approx(-1)


@pytest.mark.parametrize("choices", [[], [0, 0, 0], [1, 1, 1]])
def test_without_variation_there_is_no_kappa(choices):
    assert math.isnan(cohen_kappa(choices, choices))
    assert math.isnan(fleiss_kappa([choices] * 3))


@pytest.mark.parametrize("seed", range(5))
def test_the_same_as_torchmetrics(seed):
    random = np.random.default_rng(seed)
    chosen = random.random((4, 64)) < random.uniform(0.1, 0.8, 64)
    first, second = torch.from_numpy(chosen[:2].astype(np.int64))
    assert cohen_kappa(chosen[0], chosen[1]) == pytest.approx(float(binary_cohen_kappa(first, second)), abs=1e-6)
    votes = chosen.sum(axis=0)
    counts = torch.from_numpy(np.stack([4 - votes, votes], axis=1))
    # torchmetrics adds 1e-5 to the denominator.
    assert fleiss_kappa(chosen) == pytest.approx(float(peer_fleiss(counts, mode="counts")), abs=5e-5)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: cohen_kappa([1, 0], [1]), r"shapes \(2,\) and \(1,\)"),
        (lambda: fleiss_kappa([[1, 0]]), r"shape \(1, 2\)"),
        (lambda: agreement([event("ann", "a", (4,))]), "cell 4 of 'a', whose grid is 2 x 2"),
        (lambda: agreement([event("ann", "a", (1,)), event("bob", "a", (1,), grid_size=3)]), "grids of 4 and 9 cells"),
    ],
)
def test_what_cannot_be_compared_is_told(call, sentence):
    with pytest.raises(BadInput, match=sentence):
        call()


def event(reader, case, cells, action=Action.GRID, grid_size=2):
    return Event(case, 1, 1, reader, action, cells, grid_size=grid_size)


def test_the_agreement_of_a_round():
    replies = [
        event("bob", "a", (0, 1)),
        event("ann", "a", (0,)),
        event("cyd", "a", (0,)),
        event("ann", "b", (3,)),
        event("bob", "b", (3,)),
        event("cyd", "b", (), Action.SKIP),
        event("ann", "c", (2,)),
        event("bob", "c", (2,), Action.EXCLUDE),
    ]
    found = agreement(replies)
    assert found == json.loads(json.dumps(found))
    assert found["readers"] == ["ann", "bob", "cyd"]
    assert (found["cases"], found["cells"]) == (1, 4)
    by_pair = {(pair["a"], pair["b"]): (pair["kappa"], pair["cases"]) for pair in found["pairs"]}
    # Over eight cells: 7 agree; shares 2/8 and 3/8 give (6 + 30) / 64 by chance.
    assert by_pair["ann", "bob"] == (pytest.approx((56 - 36) / (64 - 36)), 2)
    assert by_pair["ann", "cyd"] == (1, 1)
    assert by_pair["bob", "cyd"] == (pytest.approx((12 - 8) / (16 - 8)), 1)
    # Votes 3, 1, 0, 0: observed (1 + 1/3 + 1 + 1) / 4, share 4/12.
    assert found["fleiss"] == pytest.approx((10 / 12 - 5 / 9) / (4 / 9))


def test_where_nothing_can_be_compared_the_kappas_are_none():
    assert agreement([]) == {"readers": [], "cases": 0, "cells": 0, "pairs": [], "fleiss": None}
    alone = agreement([event("ann", "a", (0,))])
    assert (alone["cases"], alone["pairs"], alone["fleiss"]) == (1, [], None)
    apart = agreement([event("ann", "a", (0,)), event("bob", "b", (0,))])
    assert (apart["cases"], apart["fleiss"]) == (0, None)
    assert apart["pairs"] == [{"a": "ann", "b": "bob", "kappa": None, "cases": 0}]
