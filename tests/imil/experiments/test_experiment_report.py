"""The files of an experiment's report: JSON, table and page say the same, and nothing more than was measured."""

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from imil.experiments.report.description import what_was_done
from imil.experiments.report.facts import facts_of
from imil.experiments.report.page import best_arms, render
from imil.experiments.report.published import TABLE_1, published
from imil.experiments.report.tabular import COLUMNS, csv_text
from imil.experiments.report.write import write_outcome
from imil.experiments.tables import build_table
from imil.settings import resolve
from tests.imil.experiments.made_outcomes import made_outcome

REFERENCE = Path(__file__).parents[3] / "docs/reference/experiment-json.md"
AGREEMENT = {
    "readers": ["a", "b", "c"],
    "cases": 5,
    "cells": 80,
    "pairs": [{"a": "a", "b": "b", "kappa": 0.61, "cases": 5}, {"a": "a", "b": "c", "kappa": None, "cases": 0}],
    "fleiss": 0.37,
}


@pytest.fixture(scope="module")
def outcome():
    made = made_outcome(seeds=(3, 5), cases=24, side=16, left_out=("readers_staple",), shown=2)
    return replace(made, study="<b>study</b> & more", agreement=AGREEMENT)


@pytest.fixture(scope="module")
def table(outcome):
    return build_table(outcome, resamples=20)


@pytest.fixture(scope="module")
def facts(outcome, table):
    return facts_of(outcome, table)


@pytest.fixture(scope="module")
def written(outcome, table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment") / "new" / "compare"
    return folder, write_outcome(outcome, table, folder)


class Page(HTMLParser):
    """Text and sources of a page; fails where tags don't match."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self, content):
        super().__init__()
        self.open, self.texts, self.sources = [], [], []
        self.feed(content)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.sources += [found[name] for name in ("src", "href") if name in found]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "img":
            assert found["alt"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append(" ".join(data.split()))


class TestFacts:
    def test_arms_have_the_numbers_of_the_table(self, facts, table):
        for arm, row in zip(facts["arms"], table.rows, strict=True):
            assert arm["name"] == row.arm.name
            assert arm["seeds"] == [3, 5]
            assert arm["measures"]["accuracy"]["value"] == row.measures["accuracy"].value
            assert arm["measures"]["ece"]["per_seed"] == row.measures["ece"].per_seed
            if row.differences:
                assert arm["differences"]["auroc"]["p_holm"] == row.differences["auroc"].p_holm
            else:
                assert arm["differences"] is None

    def test_they_are_strict_json_where_much_is_undefined(self):
        alone = made_outcome(seeds=(0,), cases=4, side=16, shown=0, lesions=False, readers={})
        found = facts_of(alone, build_table(alone, resamples=5))
        json.dumps(found, allow_nan=False)
        imil = next(arm for arm in found["arms"] if arm["name"] == "imil")
        assert imil["measures"]["accuracy"]["over_seeds"] is None
        assert imil["differences"]["accuracy"]["p"] is None
        assert imil["differences"]["accuracy"]["shown"] is False
        assert found["chance"] == {}

    def test_they_say_what_was_left_out_and_on_what_it_was_measured(self, facts):
        assert facts["left_out"] == {"readers_staple": "The study has no second reader for it."}
        assert facts["evaluation"]["cases_by_class"] == {"normal": 12, "tb": 12}
        assert facts["evaluation"]["patients"] == 12


class TestPublished:
    @pytest.fixture
    def same(self, outcome):
        """An outcome under the paper's conditions."""
        settings = resolve("paper").model_dump(mode="json")
        return replace(outcome, source="shenzhen", splits={"train": 530, "test": 132}, settings=settings)

    def test_the_values_are_those_of_the_papers_table(self, same):
        values = [(row.accuracy, row.auroc, row.ece) for row in TABLE_1]
        assert values[0] == (0.804, 0.832, 0.2)
        assert values[3:5] == [(0.834, 0.878, 0.161), (0.846, 0.857, 0.179)]
        # The table prints these differences, in brackets.
        differences = [row["differences"] for row in published(same)["rows"][1:]]
        assert [one["accuracy"] for one in differences] == [0.008, -0.007, 0.03, 0.042, 0.031, 0.02]
        assert [one["auroc"] for one in differences] == [0.021, -0.015, 0.046, 0.025, 0.021, 0.026]
        assert [one["ece"] for one in differences] == [-0.05, 0.001, -0.039, -0.021, -0.025, -0.017]

    def test_both_values_of_mixup_are_there_with_a_note(self, same):
        found = published(same)
        assert {row["name"]: row["ece_in_text"] for row in found["rows"] if row["ece_in_text"]} == {
            "published_mixup": 0.179
        }
        assert "0.161" in found["disagreements"][0]
        assert "0.179" in found["disagreements"][0]

    def test_other_data_and_other_trainings_are_called_not_comparable(self, same):
        assert (published(same)["comparable"], published(same)["note"]) == (True, "")
        for other, words in (
            (replace(same, source="folders"), "This study isn't the paper's"),
            (replace(same, splits={"train": 30, "test": 132}), "(30 images in train instead of 530)"),
            (replace(same, settings=same.settings | {"epochs": 4}), "(epochs 4 instead of 100)"),
        ):
            found = published(other)
            assert found["comparable"] is False
            assert words in found["note"]
            assert "can't be compared" in found["note"]

    def test_they_belong_to_the_preset_paper_only(self, outcome, table):
        assert facts_of(replace(outcome, preset="quick"), table)["published"] is None


class TestCsv:
    def rows(self, facts):
        return list(csv.DictReader(io.StringIO(csv_text(facts))))

    def test_there_is_a_row_for_each_arm_and_measure(self, facts):
        rows = [row for row in self.rows(facts) if row["source"] == "measured"]
        assert len(rows) == 18 * 6
        assert tuple(rows[0]) == COLUMNS
        row = next(row for row in rows if (row["arm"], row["measure"]) == ("imil", "accuracy"))
        imil = next(arm for arm in facts["arms"] if arm["name"] == "imil")
        assert float(row["value"]) == imil["measures"]["accuracy"]["value"]
        assert float(row["seeds_low"]) == imil["measures"]["accuracy"]["over_seeds"][0]
        assert float(row["difference_patients_high"]) == imil["differences"]["accuracy"]["over_patients"][1]
        assert float(row["p_holm"]) == imil["differences"]["accuracy"]["p_holm"]
        assert (row["seeds"], float(row["images"])) == ("2", 5)

    def test_a_baseline_has_no_difference_but_empty_fields(self, facts):
        row = self.rows(facts)[0]
        assert (row["arm"], row["difference"], row["p"]) == ("baseline", "", "")

    def test_published_rows_have_names_of_their_own(self, facts):
        rows = self.rows(facts)
        published = [row for row in rows if row["source"] == "published"]
        assert len(published) == 7 * 3 + 1
        assert not {row["arm"] for row in published} & {row["arm"] for row in rows if row["source"] == "measured"}
        ece = {row["arm"]: row["value"] for row in published if row["measure"] == "ece"}
        assert (ece["published_mixup"], ece["published_mixup_in_text"]) == ("0.161", "0.179")

    def test_a_title_never_becomes_a_formula(self, facts):
        first = facts["arms"][0] | {"title": "=HYPERLINK(1)"}
        rows = self.rows(facts | {"arms": [first]})
        assert rows[0]["title"] == "'=HYPERLINK(1)"


class TestDescription:
    def test_it_names_study_training_reader_and_seeds(self, outcome):
        text = " ".join(what_was_done(outcome))
        assert "530 images for training and 24 images for testing" in text
        assert "100 epochs of resnet50 on 16 × 16 pixels from random weights, with SGD" in text
        assert "After epoch 70, up to 20 training images" in text
        assert "grid of 4 × 4 cells" in text
        assert text.endswith("Seeds: 3 and 5.")

    def test_what_readers_were_asked_is_said_as_it_was(self, outcome):
        filled = replace(outcome, settings=outcome.settings | {"fill": "least_confident"})
        assert "confidently wrong, and where these are too few, those that it is least confident about" in " ".join(
            what_was_done(filled)
        )
        replayed = " ".join(what_was_done(replace(outcome, recorded=True, about_readers=("They sat in Bonn.",))))
        assert "the training images that readers have answered are fed back" in replayed
        assert "They sat in Bonn." in replayed
        assert "confidently wrong" not in replayed

    def test_without_a_reader_it_says_nothing_of_feedback(self, outcome):
        assert "fed back" not in " ".join(what_was_done(replace(outcome, reader="nobody")))


class TestPage:
    def test_it_loads_nothing_and_shows_everything(self, written, facts):
        folder, _ = written
        page = Page((folder / "report.html").read_text(encoding="utf-8"))
        assert len(page.sources) == 6
        assert all(re.match(r"data:image/(svg\+xml|jpeg);base64,", source) for source in page.sources)
        for sentence in [*facts["description"], *facts["sentences"]]:
            assert " ".join(sentence.split()) in page.texts
        for arm in facts["arms"]:
            assert arm["title"] in page.texts

    def test_numbers_of_a_cell_are_those_of_the_facts(self, written, facts):
        page = Page((written[0] / "report.html").read_text(encoding="utf-8"))
        imil = next(arm for arm in facts["arms"] if arm["name"] == "imil")
        low, high = imil["measures"]["accuracy"]["over_seeds"]
        assert f"{low:.3f} to {high:.3f}" in page.texts
        assert f"{imil['measures']['accuracy']['value']:.3f}" in page.texts

    def test_names_from_outside_are_text(self, written):
        content = (written[0] / "report.html").read_text(encoding="utf-8")
        assert "<b>study</b>" not in content
        assert "&lt;b&gt;study&lt;/b&gt; &amp; more" in content

    def test_published_values_stand_apart_and_agreement_has_its_table(self, written):
        texts = Page((written[0] / "report.html").read_text(encoding="utf-8")).texts
        assert "Published values, not measured here" in texts
        assert "0.161 in Table 1, 0.179 in the text" in texts
        assert "0.37" in texts

    def test_other_presets_and_data(self, outcome, facts):
        other = facts | {"published": published(replace(outcome, source="folders"))}
        assert "can&#39;t be compared" in render(other, outcome, [])
        assert "Published" not in render(facts | {"published": None}, outcome, [])

    def test_with_one_seed_no_interval_and_no_p_is_shown(self):
        alone = made_outcome(seeds=(0,), cases=8, side=16, shown=0, lesions=False)
        page = render(facts_of(alone, build_table(alone, resamples=5)), alone, [])
        assert "With one seed there is neither" in page
        assert not [text for text in Page(page).texts if re.match(r"p [=<–]|None|nan", text)]


class TestLevels:
    @pytest.fixture(scope="class")
    def made(self):
        made = made_outcome("outliers", seeds=(0, 1), cases=8, side=16, shown=0, lesions=False)
        kept = {name: found for name, found in made.results.items() if name.startswith(("baseline", "imil"))}
        return replace(made, results=kept)

    def test_facts_and_page_have_each_against_that_of_the_paper(self, made):
        table = build_table(made, resamples=20)
        facts = facts_of(made, table)
        found = facts["level_contrasts"]
        assert [(one["level"], one["reference"]) for one in found] == [(f"imil_{n}", "imil_20") for n in (5, 10, 40)]
        expected = table.level_contrasts[0].differences["auroc"]
        assert found[0]["differences"]["auroc"]["value"] == expected.value
        texts = Page(render(facts, made, [])).texts
        assert "Levels against each other" in texts
        assert texts.count("minus IMIL, 20 images") == 3

    def test_there_is_no_such_table_of_one_level(self, outcome, facts):
        assert facts["level_contrasts"] == []
        assert "Levels against each other" not in render(facts, outcome, [])

    def test_one_patient_has_no_intervals_in_facts_and_page(self, made):
        one = replace(made, evaluation=replace(made.evaluation, patients=["a"] * 8))
        facts = facts_of(one, build_table(one, resamples=20))
        json.dumps(facts, allow_nan=False)
        for arm in facts["arms"]:
            assert arm["measures"]["accuracy"]["over_patients"] is None
        assert not any(shown["shown"] for arm in facts["arms"] for shown in (arm["differences"] or {}).values())
        texts = Page(render(facts, one, [])).texts
        assert "no interval" in texts
        assert not [text for text in texts if re.search(r"None|\bnan\b", text)]


class TestBest:
    def facts(self, *values, better="higher"):
        arms = [{"name": f"arm{index}", "measures": {"m": {"value": value}}} for index, value in enumerate(values)]
        return {"measures": [{"key": "m", "better": better}], "arms": arms}

    def test_it_is_the_highest_or_the_lowest(self):
        assert best_arms(self.facts(0.1, 0.3, 0.2)) == {"m": "arm1"}
        assert best_arms(self.facts(0.1, 0.3, 0.2, better="lower")) == {"m": "arm0"}

    def test_nobody_is_best_alone_in_a_tie_or_undefined(self):
        assert best_arms(self.facts(0.1)) == {}
        assert best_arms(self.facts(0.3, 0.3001, 0.1)) == {}
        assert best_arms(self.facts(None, 0.3)) == {}


class TestFiles:
    def test_all_are_written_and_listed(self, written):
        folder, files = written
        assert [path.name for path in files[:3]] == ["report.html", "results.json", "table.csv"]
        assert sorted(path.relative_to(folder).as_posix() for path in files[3:]) == sorted(
            f"figures/{name}.{kind}"
            for name in ("roc", "reliability", "differences", "heatmaps", "heatmaps_more", "samples")
            for kind in ("png", "svg")
        )
        assert all(path.stat().st_size for path in files)
        assert sorted(path for path in folder.rglob("*") if path.is_file()) == sorted(files)

    def test_the_json_is_the_facts(self, written, facts):
        text = (written[0] / "results.json").read_text(encoding="utf-8")
        assert json.loads(text, parse_constant=pytest.fail) == facts

    def test_figures_that_are_no_more_are_removed_and_other_files_stay(self, tmp_path):
        (tmp_path / "figures").mkdir()
        for name in ("samples.png", "heatmaps_more.svg", "mine.png"):
            (tmp_path / "figures" / name).write_bytes(b"old")
        outcome = made_outcome(seeds=(0,), cases=8, side=16, shown=0, lesions=False)
        alone = replace(outcome, results={"baseline": outcome.results["baseline"]})
        write_outcome(alone, build_table(alone, resamples=5), tmp_path)
        names = {path.name for path in (tmp_path / "figures").iterdir()}
        assert names == {"mine.png", "roc.png", "roc.svg", "reliability.png", "reliability.svg"}

    def test_an_outcome_without_results_still_has_a_page(self, tmp_path):
        outcome = made_outcome(seeds=(0,), cases=4, side=16)
        empty = replace(outcome, results={}, left_out={"imil": "It failed."})
        write_outcome(empty, build_table(empty, resamples=5), tmp_path)
        page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
        assert "IMIL: It failed." in page.texts
        assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["arms"] == []


def test_a_kappa_that_isnt_defined_is_null(outcome, table):
    odd = replace(outcome, agreement=AGREEMENT | {"fleiss": np.float64("nan")})
    assert facts_of(odd, table)["agreement"]["fleiss"] is None


class TestReferencePage:
    def keys(self, value):
        """All keys of dictionaries, but not those that are names of arms, measures, classes, settings and so on."""
        named = {"chance", "left_out", "settings", "versions", "splits", "cases_by_class"}
        if isinstance(value, list):
            return {key for one in value for key in self.keys(one)}
        if not isinstance(value, dict):
            return set()
        found = set(value)
        for key, one in value.items():
            if key in ("measures", "differences") and isinstance(one, dict):
                found |= self.keys(list(one.values()))
            elif key not in named:
                found |= self.keys(one)
        return found

    def test_every_key_and_column_is_described(self, facts):
        page = REFERENCE.read_text(encoding="utf-8")
        described = set(re.findall(r"`([a-z0-9_]+)`", page))
        assert self.keys(facts) <= described
        assert {name for name in COLUMNS if not name.startswith("difference_")} <= described

    def test_its_example_runs(self, written, facts, monkeypatch):
        (example,) = re.findall(r"```python\n(.*?)```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL)
        monkeypatch.chdir(written[0].parent)
        names = {}
        exec(example, names)
        highest = max(arm["measures"]["accuracy"]["value"] for arm in facts["arms"])
        assert float(names["best"]["value"]) == highest
