"""The report of a real run: what the JSON says, and what the page holds."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from importlib import metadata

import numpy as np
import pytest
from PIL import Image

import imil
from imil.errors import BadInput, NotFound
from imil.metrics import summary
from imil.report import write_report
from imil.runs import checkpoint_path, load_model, round_checkpoint_path
from tests.imil.report.conftest import RATIONALE, reviewable


@pytest.fixture(scope="module")
def written(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return write_report(finished, folder / "report.html", picture=folder / "round.png")


@pytest.fixture(scope="module")
def facts(written):
    return json.loads(written.files[1].read_text())


class Page(HTMLParser):
    """What a page loads and shows."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.alts, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                self.links.append(value)
            if name == "alt":
                self.alts.append(value)

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page(written):
    return Page(written.files[0].read_text())


def test_the_json_has_what_the_issue_asks_for(facts):
    assert facts["state"] == "completed"
    (entry,) = facts["rounds"]
    assert [entry["epoch"], entry["queued"], entry["reviewed"]] == [2, 5, 5]
    assert [entry["insight"], entry["changed_settings"]] == [None, {}]
    first = entry["cases"][0]
    assert first["action"] == "grid"
    assert [first["cells"], first["misleading"], first["reader"]] == [[5, 6], [0], "Dr. Ada"]
    assert [first["seconds"], first["rationale"]] == [2.5, RATIONALE]
    assert 0 < first["confidence"] <= 1
    assert {"id", "label", "prediction", "new_label", "reason"} <= set(first)
    assert facts["counts"] == {
        "queued": 5,
        "reviewed": 5,
        "grid": 2,
        "relabelled": 1,
        "excluded": 1,
        "skipped": 1,
    }
    assert facts["settings"]["network"] == "imil_small"
    assert facts["versions"]["imil"] == imil.__version__
    assert facts["versions"]["torch"] == metadata.version("torch")
    assert facts["seconds"] >= 0
    assert facts["evaluation"] == {"split": "test", "cases": 8, "patients": 8, "classes": ["normal", "tb"]}


def test_the_metrics_are_those_of_the_three_checkpoints(finished, facts):
    indices = [index for index, case in enumerate(finished.cases) if case.split == "test"]
    labels = np.array([finished.classes.index(finished.cases[index].label) for index in indices])
    paths = {
        "before": round_checkpoint_path(finished, 1, 1),
        "after": checkpoint_path(finished, 1),
        "without_feedback": checkpoint_path(finished, 2),
    }
    for name, path in paths.items():
        expected = summary(load_model(path).predict(finished.pixels(32)[indices]).astype(np.float64), labels)
        found = facts["metrics"][name]
        for metric, value in expected.items():
            assert found[metric] == pytest.approx(value, abs=1e-9)
            low, high = found["intervals"][metric]
            assert low <= high
        assert found["epoch"] == (2 if name == "before" else 4)
    gap = facts["metrics"]["after"]["accuracy"] - facts["metrics"]["without_feedback"]["accuracy"]
    assert facts["difference"]["accuracy"]["value"] == pytest.approx(gap)


def test_the_heat_before_is_the_map_that_the_reader_saw(finished, facts):
    # Cells 5 and 6, and cell 9, of 4 x 4 over 32 x 32 pixels.
    for position, cells in enumerate((np.s_[8:16, 8:24], np.s_[16:24, 8:16])):
        entry = finished.store.queue(1, 1)[position]
        heatmap = finished.store.heatmap(1, 1, entry.case_id)
        share = heatmap[cells].sum() / heatmap.sum() if heatmap.any() else None
        found = facts["rounds"][0]["cases"][position]["heat_in_cells"]["before"]
        assert found == (None if share is None else pytest.approx(share, abs=0.02))


def test_the_page_loads_nothing_from_elsewhere(written, page):
    assert all(link.startswith("data:image/") for link in page.links)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    text = re.sub(r'"data:[^"]*"', "", written.files[0].read_text())
    assert not re.search(r"url\(|@import|srcset", text)


def test_what_readers_and_folders_say_is_text_and_nothing_else(page):
    assert RATIONALE in page.text
    assert "tiny <b>study" in page.text
    assert "b" not in [tag for tag in page.tags if tag == "blockquote"]
    assert not any("evil.example" in link for link in page.links)


def test_each_case_has_its_pictures_and_each_picture_a_text(page):
    # Five pictures where cells were chosen; image, heat map before and after for the others; and the colour scale.
    pictures = [link for link in page.links if link.startswith("data:image/jpeg")]
    assert len(pictures) == 5 * 2 + 3 * 3
    assert len(page.alts) == len(page.links)
    assert all(page.alts)
    for link in pictures:
        picture = Image.open(io.BytesIO(base64.b64decode(link.split(",", 1)[1])))
        assert picture.size == (300, 300)
    assert {"Image", "Heat map before", "Chosen cells", "Trained with", "Heat map after"} <= set(
        page.text.split("\n")
    ) | {line.strip() for line in page.text.splitlines()}


def test_the_changed_picture_is_black_outside_of_the_cells(page):
    index = next(i for i, alt in enumerate(page.alts) if "as training saw it" in alt)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(page.links[index].split(",", 1)[1]))))
    assert pixels[80:145, 80:220].mean() > 20  # cells 5 and 6 of 4 x 4 over 300 x 300 pixels
    assert pixels[:70].max() < 10
    assert pixels[155:].max() < 10


def test_the_picture_is_five_panels_wide(written):
    picture = Image.open(written.files[2])
    assert picture.width > 4 * picture.height


def test_an_unfinished_run_has_no_after_and_says_so(under_review, tmp_path):
    written = write_report(under_review, tmp_path / "report.html")
    facts = written.facts
    assert facts["state"] == "awaiting_review"
    assert facts["metrics"]["before"] is not None
    assert [facts["metrics"]["after"], facts["metrics"]["without_feedback"], facts["difference"]] == [None, None, None]
    assert "not finished (awaiting review)" in facts["summary"][0]
    cases = facts["rounds"][0]["cases"]
    assert [case["action"] for case in cases] == ["grid", None, None, None, None]
    assert [case["reader"] for case in cases] == ["Dr. Ada", None, None, None, None]
    assert "not reviewed" in written.files[0].read_text()


def test_a_study_without_a_run_and_a_name_that_ends_in_json_are_refused(tmp_path, finished, tiny_images):
    from imil.study import create_study

    with pytest.raises(NotFound, match="has no run yet"):
        write_report(create_study(tiny_images, "csv"), tmp_path / "report.html")
    with pytest.raises(BadInput, match=r"report\.html"):
        write_report(finished, tmp_path / "report.json")
    with pytest.raises(NotFound):
        write_report(finished, tmp_path / "report.html", run_id=99)
    assert not (tmp_path / "report.html").exists()


def test_a_picture_needs_a_case_with_cells(tmp_path):
    study = reviewable(tmp_path)
    with pytest.raises(NotFound, match="no case with chosen cells"):
        write_report(study, tmp_path / "report.html", picture=tmp_path / "round.png")
    assert not (tmp_path / "round.png").exists()
