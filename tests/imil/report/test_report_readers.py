"""The report of a round that two readers answered: what both come to, and how far they agree."""

import base64
import io
import logging
import re

import numpy as np
import pytest
from PIL import Image

from imil.report import write_report
from imil.rounds import Rounds, StartRequest
from imil.runs import advance
from imil.store import Action, RunState
from tests.imil.report.conftest import answer, reviewable


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Facts and page of a completed run with ``combine=intersection``, and what its training said."""
    study = reviewable(tmp_path_factory.mktemp("two"), readers_per_case=2, combine="intersection")
    queue = [entry.case_id for entry in study.store.queue(1, 1)]
    for reader, first, second in (("ann", (5, 6), (1,)), ("bob", (6, 7), (2,))):
        answer(study, queue[0], Action.GRID, reader, cells=first)
        answer(study, queue[1], Action.GRID, reader, cells=second)
    answer(study, queue[2], Action.GRID, "ann", cells=(9,))
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger("imil.runs").addHandler(handler)
    run = advance(
        study,
        Rounds(study).plan(StartRequest(continue_early=True)),
        lambda progress: said.append(progress.message),
    )
    logging.getLogger("imil.runs").removeHandler(handler)
    assert run.state is RunState.COMPLETED
    written = write_report(study, tmp_path_factory.mktemp("report") / "report.html")
    return queue, written.facts, written.files[0].read_text(), said


def test_a_case_on_which_the_readers_have_nothing_in_common_is_said(told):
    queue, facts, page, said = told
    note = (
        "1 case trains on unchanged, because combine=intersection leaves none of the cells that their readers chose: "
        f"{queue[1]}."
    )
    assert facts["rounds"][0]["note"] == note
    assert note in page
    assert said.count(note) == 2  # the log, and the progress
    assert facts["images_changed"] == 2
    assert "after feedback on 2 training images." in facts["summary"][0]


def test_the_agreement_is_in_the_json_and_on_the_page(told):
    _, facts, page, _ = told
    found = facts["rounds"][0]["agreement"]
    # 28 of the 32 cells of two cases are alike, and each reader chose 3; by chance 9/1024 + 841/1024.
    expected = (28 / 32 - 850 / 1024) / (1 - 850 / 1024)
    (pair,) = found["pairs"]
    assert (pair["a"], pair["b"], pair["cases"]) == ("ann", "bob", 2)
    assert pair["kappa"] == pytest.approx(expected)
    assert re.search(rf"ann and bob.*?<td>2</td><td>{expected:.2f}</td>", page, re.DOTALL)
    assert "Cells are combined by intersection." in page


def test_the_picture_of_what_is_trained_with_shows_both_readers_cells(told):
    queue, _, page, _ = told
    shown = re.findall(rf'src="data:image/jpeg;base64,([^"]*)" alt="{queue[0]} as training saw it', page)
    assert len(shown) == 2  # one for each answer
    for picture in shown:
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))))
        assert pixels[80:145, 155:220].mean() > 20  # cell 6 of 4 x 4 over 300 x 300 pixels
        assert pixels[80:145, 80:145].max() < 10
        assert pixels[80:145, 230:].max() < 10
    assert f"{queue[1]} as training saw it" not in page


def test_one_reader_has_no_agreement(under_review, tmp_path):
    facts = write_report(under_review, tmp_path / "report.html").facts
    assert facts["rounds"][0]["agreement"] is None
    assert facts["rounds"][0]["note"] == ""
    assert "Agreement on cells" not in (tmp_path / "report.html").read_text()
