"""What a round taught in words and shares, against numbers worked out by hand."""

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from imil.casefeedback import CaseFeedback, Correction
from imil.findings import described, stands
from imil.findingwords import cells_in_words, joined, percent
from imil.insights import heat_shares, touched
from imil.store import InsightRecord, RecordedCorrection


def image(name, label, influence=2.0, **changes):
    plain = {"id": name, "label": label, "queued": False, "score": 0.9, "influence": influence, "cells": [0]}
    return plain | changes


def record(**changes):
    cells = [{"cell": cell, "chosen": 0.0, "misled": 0.0, "heat": 0.25, "influence": None} for cell in range(4)]
    summary = {
        "grid_size": 2,
        "cells_swapped": [],
        "cells": cells,
        "looks": True,
        "classes": [{"name": "normal", "images": 25}, {"name": "tb", "images": 8}],
        "images": [image(f"t{number}", "tb") for number in range(3)] + [image("n0", "normal", 0.0)],
        "queued": ["t0"],
        "heat_in": {"relevant": {"share": 0.23, "images": 20}, "misleading": {"share": 0.41, "images": 1}},
        "notes": [],
    }
    return InsightRecord(1, 1, 1, "mode", "0" * 64, summary | changes, 1.0, datetime.now(UTC), None)


def told(record, *corrections):
    sent = [RecordedCorrection(*correction) for correction in corrections]
    return described(record, sent, lambda _: "normal", is_open=True)["sentences"]


def test_the_sentences_that_a_radiologist_reads():
    assert told(record()) == [
        "38 % of class 'tb' carry something like this, 4 % of 'normal'.",
        "Without it the model's log-odds change by 1.50 on average, as much as from 50 % to 82 %, over the 4 images in "
        "which it was found.",
        "23 % of the model's heat lay in cells that readers called relevant (mean over 20 images) and 41 % in cells "
        "that readers called misleading (mean over 1 image).",
    ]
    assert told(record(), ("veto", "t1"), ("veto", "t2"), ("correct", "new", (3,))) == [
        "13 % of class 'tb' carry something like this, 8 % of 'normal'.",
        "Without it the model's log-odds change by 1.00 on average, as much as from 50 % to 73 %, over the 2 images in "
        "which it was found.",
        "23 % of the model's heat lay in cells that readers called relevant (mean over 20 images) and 41 % in cells "
        "that readers called misleading (mean over 1 image).",
        "Readers vetoed what was found in 2 images and corrected it in 1 image.",
    ]
    none = told(record(images=[image("n0", "normal")]), ("veto", "n0"))
    assert none[0] == "Nothing that was found is left: readers vetoed all of it."


def test_the_sentences_about_cells_that_are_swapped():
    influence = [{"cell": cell, "chosen": 0, "misled": 0, "heat": 0, "influence": 1.0 * cell} for cell in range(4)]
    nothing = {name: {"share": None, "images": 0} for name in ("relevant", "misleading")}
    swaps = record(looks=False, images=[], cells_swapped=[0, 3], cells=influence, heat_in=nothing)
    assert told(swaps) == [
        "Swapped between all training images, so that they say nothing about the class: column 1 of row 1; column 2 of "
        "row 2 (of 2 rows from the top and 2 columns from the left).",
        "The model's output depends most on column 2 of row 2: with that of another image its log-odds change by 3.00, "
        "as much as from 50 % to 95 %; the mean over all cells is 1.50.",
    ]
    assert told(swaps, ("veto", "", (0, 3))) == [
        "No cell is swapped between images any more: readers vetoed all of them.",
        "Readers vetoed 2 cells.",
    ]


@pytest.mark.parametrize(
    ("cells", "size", "words"),
    [
        ((0, 1, 2, 3), 2, "all of rows 1 and 2"),
        ((0, 1, 2, 3, 4, 7, 8, 11, 12, 13, 14, 15), 4, "all of rows 1 and 4; columns 1 and 4 of rows 2 and 3"),
        ((5, 6, 7, 4), 4, "all of row 2"),
        ((1, 2, 3), 4, "columns 2 to 4 of row 1"),
        ((0, 1, 2, 4), 5, "columns 1 to 3 and 5 of row 1"),
    ],
)
def test_cells_in_words(cells, size, words):
    assert cells_in_words(cells, size) == words


def test_shares_and_lists_in_words():
    assert [percent(share) for share in (0, 0.001, 0.005, 0.125, 0.994, 0.999, 1)] == [
        "0 %", "under 1 %", "1 %", "13 %", "99 %", "over 99 %", "100 %",
    ]  # fmt: skip
    assert [joined(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_the_last_correction_counts():
    summary = {"cells_swapped": [0, 1]}
    vetoes = [Correction("veto", "", (0, 1)), Correction("restore", "", (1,)), Correction("veto", "x")]
    assert stands(summary, vetoes).vetoed_cells == {0}
    assert stands(summary, [*vetoes, Correction("correct", "x", (1,))]).images["x"].action == "correct"
    assert stands(summary, [*vetoes, Correction("restore", "x")]).images == {}


def test_where_heat_maps_point_and_where_readers_chose():
    maps = {
        "a": np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]], np.float32),  # cells of 1 and 2 rows and columns
        "b": np.array([[0, 0, 0], [0, 1, 1], [0, 1, 1]], np.float32),
        "c": np.zeros((3, 3), np.float32),
    }
    store = SimpleNamespace(
        queue=lambda *_: [SimpleNamespace(case_id=name) for name in maps], heatmap=lambda *key: maps[key[2]]
    )
    feedback = {"a": CaseFeedback("a", "grid", 2, (0,), (1,)), "b": CaseFeedback("b", "grid", 2, (2, 3))}
    heat, heat_in = heat_shares(store, 1, 1, 2, feedback)
    assert heat.tolist() == [0.375, 0.125, 0, 0.5]
    assert heat_in["relevant"] == {"share": pytest.approx((0.75 + 1) / 2), "images": 2}
    assert heat_in["misleading"] == {"share": 0.25, "images": 1}
    empty = heat_shares(SimpleNamespace(queue=lambda *_: []), 1, 1, 2, {})
    nothing = {"share": None, "images": 0}
    assert empty == (None, {"relevant": nothing, "misleading": nothing})


def test_the_cells_that_a_find_touches():
    find = np.zeros((6, 6), np.uint8)
    find[1:4, 5] = 1
    assert touched(find, 2) == [1, 3]
    assert touched(find, 3) == [2, 5]
    assert touched(np.zeros((6, 6), np.uint8), 3) == []
