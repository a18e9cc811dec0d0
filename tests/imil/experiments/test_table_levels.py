"""Levels of the method against each other and their controls, with numbers worked out by hand."""

import math
from dataclasses import replace

import pytest

from imil.experiments.tables import build_table, sentences
from tests.imil.experiments.counted_outcomes import (
    BASELINE,
    CLEAR,
    IMIL,
    RANDOM_CELLS,
    SAME,
    TABLE,
    WRONG,
    clear,
    outcome,
    said_of,
)

LEVELS = [
    replace(IMIL, name=f"imil_{n}", title=f"IMIL, {n} images", settings={"num_outliers": n, "imil_epochs": (7,)})
    for n in (5, 10, 20)
]


def test_levels_are_compared_with_that_of_the_experiments_own_settings():
    arms = [(BASELINE, [3, 3, 3]), *zip(LEVELS, ([2, 3, 2], [2, 2, 2], [1, 0, 2]), strict=True)]
    made = replace(outcome(arms), settings={"num_outliers": 10, "imil_epochs": [7]})
    table = build_table(made, **TABLE)
    few, many = table.level_contrasts
    assert [(one.level.name, one.reference.name) for one in (few, many)] == [
        ("imil_5", "imil_10"),
        ("imil_20", "imil_10"),
    ]
    # 0, -0.1, 0: t = -1; 0.1, 0.2, 0: t = sqrt(3). p = 1 - t / sqrt(2 + t^2) with 2 degrees of freedom.
    assert few.differences["accuracy"].per_seed == pytest.approx([0, -0.1, 0])
    assert many.differences["accuracy"].per_seed == pytest.approx([0.1, 0.2, 0])
    assert few.differences["accuracy"].p == pytest.approx(1 - math.sqrt(1 / 3))
    assert many.differences["accuracy"].p == pytest.approx(1 - math.sqrt(3 / 5))
    # The smaller p is doubled; the other would be smaller than that.
    assert [one.differences["accuracy"].p_holm for one in (few, many)] == pytest.approx(
        [2 * (1 - math.sqrt(3 / 5))] * 2
    )
    (verdict,) = [text for text in sentences(table, made) if "no level is" in text]
    assert "correction for 2 comparisons of levels, no level is shown to differ from “IMIL, 10 images”." in verdict


def test_without_such_settings_levels_are_compared_with_the_first():
    other = replace(LEVELS[2], versus="baseline_vit")
    made = outcome([(arm, [2, 3, 2]) for arm in (BASELINE, *LEVELS[:2], other)])
    found = build_table(made, **TABLE).level_contrasts
    assert [(one.level.name, one.reference.name) for one in found] == [("imil_10", "imil_5")]
    assert build_table(outcome(WRONG), **TABLE).level_contrasts == []


def test_a_level_that_differs_is_told_and_each_has_one_sentence_on_its_controls():
    controls = [
        replace(RANDOM_CELLS, name=f"{name}_{n}", title=f"{title}, {n} images")
        for n in (5, 10)
        for name, title in (("random_cells", "Random cells"), ("repeated", "Drawn more often"))
    ]
    wrong = (SAME, CLEAR, SAME, [2, 2, 2, 3, 2, 3])
    said = said_of(clear(arms=[(LEVELS[0], SAME), (LEVELS[1], CLEAR), *zip(controls, wrong, strict=True)]))
    (verdict,) = [text for text in said if "comparison of levels" in text]
    assert verdict.endswith("shown to differ from “IMIL, 5 images”: “IMIL, 10 images” +0.225.")
    start = "images” against its 2 controls, in accuracy and with Holm's correction for 4: "
    few, many = [text for text in said if start in text]
    assert few.split(start)[1] == (
        "none is shown to be beaten and 2 did as well or better (Random cells; Drawn more often); the choice of cells "
        "and blacking anything out can't be credited on this evidence."
    )
    assert many.split(start)[1] == (
        "1 is shown to be beaten (Random cells) and 1 did as well or better (Drawn more often); blacking anything out "
        "can't be credited on this evidence."
    )
    assert not any(text.startswith("Controls that") for text in said)
