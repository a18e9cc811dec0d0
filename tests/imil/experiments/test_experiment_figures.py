"""Figures of an experiment: what is in them, for small and large experiments and for odd ones."""

import io
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import rc_context
from PIL import Image

from imil.experiments.arms import Arm
from imil.experiments.report import figures, mapfigures
from imil.experiments.report.sections import level_of, main_arm, present, sections, side_by_side
from imil.experiments.report.style import STYLE, looks, saved, wrapped
from imil.experiments.tables import build_table
from tests.imil.experiments.made_outcomes import made_outcome

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def compared():
    return made_outcome(seeds=(0, 1), cases=24, side=32, left_out=("readers_staple",))


@pytest.fixture(scope="module")
def table(compared):
    return build_table(compared, resamples=20)


@pytest.fixture(scope="module")
def levels():
    return made_outcome("outliers", seeds=(0,), cases=12, side=16, shown=2)


def texts(svg):
    root = ET.fromstring(svg)
    return [" ".join("".join(node.itertext()).split()) for node in root.iter(f"{SVG}text")]


class TestSections:
    def test_each_arm_is_in_one_section_in_the_order_of_the_tables(self, compared):
        found = sections(compared.arms)
        assert [section.title for section in found] == ["Baseline", "Augmentations", "IMIL", "Readers", "Controls"]
        assert sorted(arm.name for section in found for arm in section.arms) == sorted(
            arm.name for arm in compared.arms
        )

    def test_levels_of_imil_stand_with_their_controls_under_their_own_heading(self, levels):
        found = sections(levels.arms)
        assert [section.title for section in found] == ["Baseline", *(f"IMIL, {n} images" for n in (5, 10, 20, 40))]
        assert {level_of(arm, levels.arms) for arm in found[2].arms} == {"_10"}
        assert found[2].short(found[2].arms[0]) == "IMIL"
        assert "Random cells" in [found[2].short(arm) for arm in found[2].arms]

    def test_a_level_whose_name_ends_another_is_told_from_it(self):
        arms = [Arm(name, name, "imil", "") for name in ("imil_5", "imil_15_5")]
        control = Arm("random_cells_15_5", "", "control", "")
        assert level_of(control, [*arms, control]) == "_15_5"

    def test_the_main_arm_is_imil_or_the_first_of_its_levels(self, compared, levels):
        assert main_arm(compared.arms).name == "imil"
        assert main_arm(levels.arms).name == "imil_5"
        assert main_arm([]) is None


class TestLooks:
    def test_arms_of_a_section_differ_in_colour_and_dashes_or_marker(self, compared):
        look = looks(compared.arms)
        for section in sections(compared.arms):
            own = [look[arm.name] for arm in section.arms]
            assert len({one.color for one in own}) == len(own)
            assert len({(str(one.dashes), one.marker) for one in own}) == len(own)

    def test_a_left_out_arm_changes_no_other_ones_look(self, compared):
        full = made_outcome(seeds=(0,), cases=4, side=16)
        assert looks(full.arms) == looks(compared.arms)

    def test_the_same_control_of_two_levels_looks_the_same(self, levels):
        look = looks(levels.arms)
        assert look["random_cells_5"] == look["random_cells_40"]


def test_long_texts_break_after_underscores_and_lose_what_cant_be_printed():
    assert wrapped("IMIL, vit_small_patch16_224", 12) == "IMIL, vit_\nsmall_\npatch16_224"
    assert wrapped("a\x00b\n c", 20) == "ab c"
    assert wrapped("one two three", 8, 1) == "one …"


class TestRoc:
    def test_every_arm_has_a_line_and_no_panel_has_too_many(self, compared):
        panels = figures.roc_panels(compared)
        assert {arm.name for panel in panels for arm in panel.arms} == {arm.name for arm in present(compared)}
        assert all(len(panel.arms) <= figures.LINES_IN_PANEL + 2 for panel in panels)
        assert all("baseline" in [arm.name for arm in panel.arms] for panel in panels)
        assert [panel.title for panel in panels if panel.banded] == ["IMIL"]

    def test_the_figure_has_the_aurocs_of_the_table_as_text(self, compared, table):
        _, svg = saved(figures.roc_figure(compared, table))
        shown = texts(svg)
        for row in table.rows:
            assert any(f"{row.measures['auroc'].value:.3f}" in text for text in shown), row.arm.name
        assert "Augmentations" in shown

    def test_more_classes_have_a_panel_each_with_baseline_and_imil(self):
        outcome = made_outcome(seeds=(0,), cases=12, side=16, classes=("a", "$b$ \x01", "c"), lesions=False)
        panels = figures.roc_panels(outcome)
        assert [panel.positive for panel in panels] == [0, 1, 2]
        assert all([arm.name for arm in panel.arms] == ["baseline", "imil"] for panel in panels)
        _, svg = saved(figures.roc_figure(outcome, build_table(outcome, resamples=5)))
        assert "$b$ against the rest" in texts(svg)

    def test_each_network_is_drawn_with_its_own_baseline(self):
        outcome = made_outcome("networks", seeds=(0,), cases=8, side=16)
        panels = figures.roc_panels(outcome)
        assert [panel.arms[0].name for panel in panels] == ["baseline_cnn", "baseline_vit"]

    @pytest.mark.filterwarnings("ignore")
    def test_a_test_set_of_one_class_is_drawn_without_curves(self):
        outcome = made_outcome(seeds=(0, 1), cases=6, side=16, lesions=False)
        outcome = replace(outcome, evaluation=replace(outcome.evaluation, labels=np.zeros(6, np.int64)))
        table = build_table(outcome, resamples=5)
        assert saved(figures.roc_figure(outcome, table))[0].startswith(b"\x89PNG")
        _, svg = saved(figures.differences_figure(outcome, table))
        assert "not defined" in texts(svg)


def test_reliability_is_that_of_all_seeds_together(compared, table):
    with rc_context(STYLE):
        figure = figures.reliability_figure(compared, table)
    shares = [sum(bar.get_height() for bar in axes.patches) for axes in figure.axes if axes.get_ylabel() == "Cases (%)"]
    assert shares == pytest.approx([100, 100])
    _, svg = saved(figure)
    assert [text for text in texts(svg) if text.startswith("ECE")] == [
        f"ECE {row.measures['ece'].value:.3f}"
        for arm in side_by_side(compared)
        for row in table.rows
        if row.arm.name == arm.name
    ]


class TestDifferences:
    def test_points_and_intervals_stand_where_the_table_has_them(self, compared, table):
        figure = figures.differences_figure(compared, table)
        drawn = {float(line.get_xdata()[0]) for line in figure.axes[0].lines if len(line.get_xdata()) == 1}
        for row in table.rows:
            if row.differences:
                assert any(row.differences["accuracy"].value == pytest.approx(x) for x in drawn), row.arm.name
        low, high = figure.axes[0].get_xlim()
        assert all(low <= x <= high for x in drawn)

    def test_there_is_none_of_a_baseline_alone(self):
        outcome = made_outcome(seeds=(0,), cases=4, side=16)
        alone = replace(outcome, results={"baseline": outcome.results["baseline"]})
        assert figures.differences_figure(alone, build_table(alone, resamples=5)) is None


class TestMaps:
    def test_both_figures_together_have_every_arm(self, compared):
        shown = [
            text
            for figure in (mapfigures.heatmaps_figure(compared), mapfigures.more_heatmaps_figure(compared))
            for text in " ".join(texts(saved(figure)[1])).split()
        ]
        for arm in present(compared):
            assert all(word in shown for word in arm.title.split()), arm.title

    def test_a_row_has_the_image_and_a_map_for_each_arm(self, compared):
        figure = mapfigures.heatmaps_figure(compared)
        arms = len(side_by_side(compared))
        assert len([axes for axes in figure.axes if axes.images]) == 4 * (1 + arms) + 1

    def test_levels_have_their_own_block(self, levels):
        shown = texts(saved(mapfigures.more_heatmaps_figure(levels))[1])
        assert [f"IMIL, {n} images" in shown for n in (5, 10, 20, 40)] == [True] * 4

    def test_there_is_none_without_images(self, compared):
        empty = replace(compared.evaluation, shown=[], shown_images=np.zeros((0, 32, 32), np.uint8))
        assert mapfigures.heatmaps_figure(replace(compared, evaluation=empty)) is None
        assert mapfigures.more_heatmaps_figure(replace(compared, evaluation=empty)) is None


class TestSamples:
    def test_each_reader_has_one_and_no_case_is_shown_twice(self, compared):
        chosen = mapfigures.chosen_samples(compared)
        assert [one.arm.name for one in chosen] == ["reader_1", "reader_2", "reader_3"]
        assert len({one.sample.case_id for one in chosen}) == 3
        assert all(one.sample.action == "grid" for one in chosen)

    def test_without_single_readers_they_are_those_of_imil(self):
        outcome = made_outcome(seeds=(0,), cases=4, side=16, readers={})
        assert [one.arm.name for one in mapfigures.chosen_samples(outcome)] == ["imil"] * 3

    def test_the_last_picture_is_the_image_with_the_other_cells_black(self, compared):
        one = mapfigures.chosen_samples(compared)[0]
        figure = mapfigures.samples_figure(compared)
        changed = np.asarray(figure.axes[3].images[0].get_array())
        rows, columns = np.divmod(np.array(one.sample.cells), 4)
        expected = np.zeros((32, 32), np.float32)
        for row, column in zip(rows, columns, strict=True):
            part = np.s_[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            expected[part] = one.image[part]
        np.testing.assert_array_equal(changed, expected)

    def test_a_mode_that_no_picture_shows_is_named_instead(self, compared):
        outcome = replace(compared, settings=compared.settings | {"feedback": "randomise"})
        figure = mapfigures.samples_figure(outcome)
        assert [len(axes.images) for axes in figure.axes[:4]] == [1, 1, 1, 0]
        assert "No one picture" in texts(saved(figure)[1])

    def test_prediction_truth_and_reason_are_written_out(self, compared):
        one = mapfigures.chosen_samples(compared)[0].sample
        shown = texts(saved(mapfigures.samples_figure(compared))[1])
        assert f"{one.prediction} ({one.confidence:.2f})" in shown
        assert "so I switched the focus towards" in " ".join(shown)

    def test_there_is_none_without_feedback(self, compared):
        alone = replace(compared, results={"baseline": compared.results["baseline"]})
        assert mapfigures.samples_figure(alone) is None


def test_a_figure_has_the_same_bytes_every_time_and_200_dots_an_inch(compared, table):
    first, second = (saved(figures.differences_figure(compared, table)) for _ in range(2))
    assert first == second
    assert Image.open(io.BytesIO(first[0])).width == 1440
