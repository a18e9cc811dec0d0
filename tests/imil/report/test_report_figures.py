"""Figures, pictures and sentences of the report on data made by hand."""

import io
import xml.etree.ElementTree as ET
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from imil.casefeedback import CaseFeedback
from imil.grid import Grid
from imil.outliers import Reason
from imil.report import comparison, figures, pictures
from imil.report.cases import changed_image
from imil.report.html import REASONS, number
from imil.report.model import CasePictures, Evaluation, ScoredModel
from imil.store import EpochMetrics


def evaluation(classes=2, patients=None):
    rng = np.random.default_rng(0)
    labels = np.arange(24) % classes
    found = Evaluation(
        "test",
        [f"class{index}" for index in range(classes)],
        labels,
        patients or [f"p{index}" for index in range(24)],
    )
    for name, epoch in (("before", 2), ("after", 4), ("without_feedback", 4)):
        scores = rng.random((24, classes)) + np.eye(classes)[labels] * 0.3
        found.models.append(ScoredModel(name, epoch, scores / scores.sum(axis=1, keepdims=True)))
    return found


def is_svg(content):
    return ET.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("classes", [2, 3])
def test_curves_and_calibration_are_drawn_for_every_model(classes):
    models = evaluation(classes)
    for model in models.models:
        assert is_svg(figures.roc_figure(models, model, 1, model.title))
        assert is_svg(figures.reliability_figure(models, model))


def test_a_figure_is_the_same_every_time():
    models = evaluation()
    drawn = [figures.roc_figure(models, models.models[0], 1, "Once") for _ in range(2)]
    assert drawn[0] == drawn[1]


@pytest.mark.filterwarnings("ignore:All cases are of one class", "ignore:The labels hold only")
def test_a_test_set_of_one_class_still_has_its_figures():
    one_class = Evaluation("test", ["a", "b"], np.zeros(4, np.int64), list("wxyz"))
    one_class.models.append(ScoredModel("after", 3, np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.5, 0.5]])))
    assert is_svg(figures.roc_figure(one_class, one_class.models[0], 1, "One"))
    found = comparison.score(one_class, one_class.models[0])
    assert found["accuracy"] == pytest.approx(0.75)
    assert found["intervals"]["auroc"] is None


def test_training_curves_mark_the_round_and_take_undefined_values():
    rows = [EpochMetrics(1, epoch, "train", 1 / epoch, 0.5, float("nan"), 0.1, 0.2, 1.0) for epoch in (1, 2, 3)]
    assert is_svg(figures.curve_figure({"after": rows}, "loss", "train", [2]))
    assert is_svg(figures.curve_figure({"after": rows}, "auroc", "train", [2]))


def test_a_heat_map_of_zero_darkens_only_and_one_of_one_is_the_end_of_the_scale():
    image = np.full((4, 4), 0.5, np.float32)
    cold = pictures.overlay(image, np.zeros((4, 4), np.float32))
    # Inferno begins at (0, 0, 4) of 255; its share is a quarter there.
    np.testing.assert_allclose(cold[0, 0], [0.75 * 127.5, 0.75 * 127.5, 0.75 * 127.5 + 1], atol=1)
    hot = pictures.overlay(image, np.ones((4, 4), np.float32))
    # It ends at (252, 255, 164); its share is 0.7 there.
    np.testing.assert_allclose(hot[0, 0], [0.7 * 252 + 38, 0.7 * 255 + 38, 0.7 * 164 + 38], atol=2)


def test_cells_are_drawn_where_they_are():
    image = np.zeros((120, 160), np.float32)
    grid = Grid(4, 4, 120, 160)
    drawn = np.asarray(Image.open(io.BytesIO(pictures.cells_jpeg(image, grid, [5], [15])))).astype(int)
    assert drawn.shape == (120, 160, 3)
    inside = drawn[33:57, 43:77]
    assert inside[..., 1].max() > 150  # green
    assert drawn[93:117, 123:157, 0].max() > 150  # orange
    assert drawn[3:27, 3:37].max() < 60  # cell 0 has neither


@pytest.mark.parametrize(
    ("shape", "shown"), [((256, 256), (300, 300)), ((1000, 500), (300, 150)), ((1, 900), (1, 300))]
)
def test_the_page_keeps_the_shape_of_an_image(shape, shown):
    assert pictures.shown_size(*shape) == shown
    assert pictures.fit(np.zeros(shape, np.float32), shown).shape == shown


def test_the_row_of_pictures_is_drawn_without_heat_maps_too():
    bare = CasePictures(np.zeros((30, 20), np.float32), None, None, None, None)
    content = pictures.round_picture(bare, [], [], list("abcde"))
    assert Image.open(io.BytesIO(content)).format == "PNG"


def test_numbers_are_rounded_and_what_is_undefined_is_a_dash():
    assert number(0.12345) == "0.123"
    assert number(-0.5, 2, sign=True) == "−0.50"
    assert number(0.5, 1, sign=True) == "+0.5"
    assert number(None) == number(float("nan")) == "–"


def test_each_reason_is_said_in_words():
    assert set(REASONS) == set(get_args(Reason)) - {"recorded"}
    assert not any("_" in words for words in REASONS.values())


class TestSentences:
    """The summary claims no more than the figures show."""

    def facts(self, low=-0.1, high=0.2, **changes):
        model = {"accuracy": 0.8, "intervals": {"accuracy": [0.7, 0.9]}}
        found = {
            "state": "completed",
            "metrics": {"before": model, "after": model | {"accuracy": 0.85}, "without_feedback": model},
            "difference": {"accuracy": {"value": 0.05, "interval": [low, high]}},
            "images_changed": 1,
            "evaluation": {"split": "test", "cases": 40, "patients": 30},
        }
        return found | changes

    def test_a_difference_within_its_interval_is_called_chance(self):
        first, second = comparison.summary_sentences(self.facts())
        assert "On 40 test images of 30 patients" in first
        assert "0.800 (95 % interval 0.700 to 0.900)" in first
        assert "after feedback on 1 training image." in first
        assert "+0.050" in second
        assert "−0.100 to +0.200, includes zero, so it can't be told from chance" in second
        assert "one run with one seed" in second

    def test_a_difference_beyond_its_interval_is_still_one_run(self):
        _, second = comparison.summary_sentences(self.facts(low=0.01))
        assert "excludes zero" in second
        assert "one run with one seed" in second

    def test_without_a_comparison_nothing_is_put_down_to_feedback(self):
        facts = self.facts(difference=None)
        facts["metrics"]["without_feedback"] = None
        assert "can't be put down to the feedback" in comparison.summary_sentences(facts)[1]

    def test_figures_on_the_training_set_say_so(self):
        facts = self.facts(evaluation={"split": "train", "cases": 40, "patients": 30})
        assert "trained with" in comparison.summary_sentences(facts)[-1]


def test_the_changed_image_is_that_of_an_image_edit_and_of_nothing_else():
    image, answer = np.full((4, 4), 0.5, np.float32), CaseFeedback("a.png", "grid", 2, (3,), (0,))
    assert changed_image("blackout", image, answer).tolist() == [[0, 0, 0, 0]] * 2 + [[0, 0, 0.5, 0.5]] * 2
    assert changed_image("unedited", image, answer).tolist() == image.tolist()
    for feedback in ("randomise", "cutmix", "rrr", "propagate", "blackout+propagate"):
        assert changed_image(feedback, image, answer) is None
