"""What a round taught, in the report and as a page of its own."""

import base64
import io
import json
import uuid

import numpy as np
import pytest
from PIL import Image

from imil import insights
from imil.report import write_report
from imil.report.taught import gather_taught
from imil.report.taughtpictures import find_jpeg
from imil.rounds import Rounds, StartRequest
from imil.runs import advance
from imil.store import Action, InsightCorrection
from tests.imil.learning_mode import NAME
from tests.imil.report.conftest import answer, reviewable
from tests.imil.report.test_report_files import Page


@pytest.fixture(scope="module")
def waiting(tmp_path_factory):
    """A run that waits for approval, with a veto of a find and of a cell, and a correction."""
    study = reviewable(tmp_path_factory.mktemp("waiting"))
    for entry in study.store.queue(1, 1):
        answer(study, entry.case_id, Action.GRID, cells=(5, 6), misleading=(0,))
    advance(study, Rounds(study).plan(StartRequest(settings={"feedback": NAME})))
    first, second = (image["id"] for image in Rounds(study).insight()["images"][:2])
    for sent in (
        InsightCorrection("veto", first),
        InsightCorrection("correct", second, (15,)),
        InsightCorrection("veto", "", (3,)),
    ):
        where = {"run": 1, "round": 1, "reader": "Dr. <i>Ada", "key": str(uuid.uuid4())}
        Rounds(study).correct(InsightCorrection(**vars(sent) | where))
    return study


@pytest.fixture(scope="module")
def written(waiting, tmp_path_factory):
    return write_report(waiting, tmp_path_factory.mktemp("report") / "report.html")


def test_the_insight_is_a_page_of_its_own_while_it_waits(waiting, written):
    page, facts, own = written.files
    assert own.name == "report-insight.html"
    found = json.loads(facts.read_text())["rounds"][0]
    assert found["insight"] == Rounds(waiting).insight()
    assert found["changed_settings"] == {"feedback": {"from": "blackout", "to": NAME}}
    for name in (page, own):
        shown = Page(name.read_text())
        assert all(link.startswith("data:image/") for link in shown.links)
        assert len(shown.alts) == len(shown.links)
        for sentence in found["insight"]["sentences"]:
            assert " ".join(sentence.split()) in " ".join(shown.text.split())
        assert "Dr. <i>Ada" in shown.text
    assert f"From this round on: feedback={NAME} (it was blackout)." in " ".join(Page(page.read_text()).text.split())


def test_the_contact_sheet_and_the_examples(waiting, written):
    shown = Page(written.files[2].read_text())
    pictures = [link for link in shown.links if link.startswith("data:image/jpeg")]
    count = len(Rounds(waiting).insight()["images"])
    assert len(pictures) == count + 2 * 6
    assert [link.partition(",")[0] for link in shown.links if link not in pictures] == ["data:image/svg+xml;base64"]
    size = Image.open(io.BytesIO(base64.b64decode(pictures[0].split(",", 1)[1]))).size
    assert size == (180, 180)
    assert {"vetoed", "corrected"} <= set(shown.text.split())
    assert f"What was found: {count} images" in " ".join(shown.text.split())


def test_a_find_is_outlined(tmp_path):
    place = np.zeros((60, 60), bool)
    place[20:40, 20:40] = True
    image = np.asarray(Image.open(io.BytesIO(find_jpeg(np.zeros((60, 60), np.float32), place, vetoed=False))))
    assert image[19, 30, 0] > 200, "the outline lies around the find"
    assert image[30, 30].max() < 40
    assert image[5, 5].max() < 40


def test_once_it_goes_on_the_section_stays_and_without_its_file_it_says_why(waiting, tmp_path):
    advance(waiting, Rounds(waiting).plan(StartRequest()))
    written = write_report(waiting, tmp_path / "report.html")
    assert [path.name for path in written.files] == ["report.html", "report.json"]
    assert "What the answers taught" in Page(written.files[0].read_text()).text
    insights.insight_path(waiting, 1, 1).unlink()
    without = gather_taught(waiting, waiting.store.run(1), 1)
    assert without.note.startswith("There are no pictures of it: There is no checkpoint at")
    assert without.facts["sentences"]
