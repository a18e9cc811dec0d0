"""The open round before training goes on: its feedback mode, more cases, and all of it with a real training."""

import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, ignore_patterns

import numpy as np
import pytest
from PIL import Image

from imil.study import Study, create_study
from slicer_host.panelfixtures import Desk
from tests.learnt import answer
from tests.monailabel_app.server_process import Server, serve, stop
from tests.slicer_module.bad_server import BadServer

SAMPLE_DATA = Path(__file__).resolve().parents[2] / "sample-data"
SETTINGS = {
    "feedback": "blackout",
    "network": "imil_resnet8",
    "image_size": 64,
    "epochs": 10,
    "imil_epochs": [8],
    "num_outliers": 8,
    "selection": "class_balanced",
    "fill": "least_confident",
    "optimizer": "adamw",
    "lr": 0.003,
    "schedule": "restarts",
    "batch_size": 32,
    "device": "cpu",
}


def field(desk: Desk, label: str):
    """The widget of a setting of the round."""
    found = [w for w in desk.ui.round_settings_box.findChildren("QWidget") if w.accessibleName == label]
    assert len(found) == 1
    return found[0]


def connect(desk: Desk, url: str) -> None:
    desk.ui.url_edit.setText(url)
    desk.ui.reader_edit.setText("Ada")
    desk.host.click(desk.ui.connect_button)
    desk.host.wait_until(lambda: desk.review.connection == "connected", 30)
    desk.settle()


def requests(proxy: BadServer) -> list[dict[str, object]]:
    """The bodies of all requests to train."""
    return [json.loads(seen.body) for seen in proxy.seen if seen.path.startswith("/train/") and seen.method == "POST"]


def test_another_mode_and_more_cases(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    cases = panel_study.store.queue(panel_study.store.latest_run().id, 1)
    answer(panel_study, [entry.case_id for entry in cases], misled=())
    with BadServer(panel_server.url) as proxy:
        connect(desk, proxy.url)
        ui, host = desk.ui, desk.host
        desk.keys("Alt+3")
        assert ui.round_box.visible
        assert (ui.round_button.text, ui.round_button.collapsed) == ("Feedback mode: blackout", True)
        host.click(ui.round_button, (20, 8))
        host.idle(0.1)
        modes = field(desk, "Feedback mode")
        assert [modes.itemText(place) for place in (0, modes.count - 3)] == ["blackout", "counterfactual+propagate"]
        assert not field(desk, "Decoys").visible
        modes.setCurrentIndex(modes.findText("counterfactual"))
        host.idle(0.1)
        assert ui.round_button.text == "Feedback mode: counterfactual"
        assert field(desk, "Decoys").visible
        assert "even if disease lies in the same cell" in ui.round_hint_label.text
        modes.setEditText("counterfactual+heal")
        assert "can't be 'heal'" in ui.round_hint_label.text
        assert not ui.continue_button.enabled
        modes.setEditText("counterfactual")

        # The answers lack what this mode needs: the server says so, and nothing is started.
        host.click(ui.continue_button)
        host.wait_until(lambda: ui.problem_frame.visible, 30)
        assert "the feedback mode counterfactual needs images of each class" in ui.problem_label.text
        assert requests(proxy) == [{"feedback": "counterfactual"}]
        host.wait_until(lambda: ui.more_button.enabled, 30)
        assert desk.review.status.state == "awaiting_review"

        # More cases, of each class for this mode. (The study has no checkpoint, so the proxy takes the request.)
        proxy.only, proxy.mode, proxy.status, proxy.body = "/train/", "status", 200, b"{}"
        ui.more_spin.setValue(3)
        assert ui.more_hint_label.text == "the hardest of each class"
        host.click(ui.more_button)
        host.wait_until(lambda: len(requests(proxy)) == 2, 30)
        assert requests(proxy)[1] == {"more_cases": 3, "selection": "class_balanced"}


# -- with a real training ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Study]]:
    """A server with the sample data, whose images of one class carry a marker."""
    folder = tmp_path_factory.mktemp("sample")
    copytree(SAMPLE_DATA, folder / "study", ignore=ignore_patterns(".imil"))
    study = create_study(folder / "study", "csv")
    running = serve(folder / "study", folder / "server.log")
    yield running, study
    stop(running)
    study.store.close()


def answer_case(desk: Desk, study: Study, misleading: bool) -> None:
    """As somebody who knows where lesions and markers are."""
    opened = desk.review.case
    truth = study.case(opened.case.id)
    inside = lambda path: touched(study, opened, path) if path else []  # noqa: E731
    misled = inside(truth.misleading_mask) if misleading else []
    relevant = [cell for cell in inside(truth.lesion_mask) or [5, 6, 9, 10] if cell not in misled]
    opened.marks.replace(relevant or [5], misled)
    desk.review.submit()
    desk.settle()


def touched(study: Study, opened, path: str) -> list[int]:
    mask = np.asarray(Image.open(study.folder / path)) > 0
    return [cell for cell in range(opened.grid.num_cells) if mask[opened.grid.inside([cell])].any()]


def answer_the_round(desk: Desk, study: Study, misleading: bool) -> None:
    desk.host.wait_until(lambda: desk.review.case is not None, 60)
    while desk.review.case is not None:
        answer_case(desk, study, misleading)
    desk.host.wait_until(lambda: desk.review.status.reviewed == desk.review.status.queued, 30)


@pytest.mark.slow
def test_from_too_little_to_learn_to_a_run_that_learnt(desk: Desk, sample: tuple[Server, Study]) -> None:
    server, study = sample
    connect(desk, server.url)
    ui, host, review = desk.ui, desk.host, desk.review
    review.train(SETTINGS)
    host.wait_until(lambda: review.case is not None, 180)
    assert ui.guidance_label.text == ""
    answer_the_round(desk, study, misleading=False)

    desk.keys("Alt+3")
    host.click(ui.round_button, (20, 8))
    host.idle(0.1)
    field(desk, "Feedback mode").setEditText("counterfactual")
    host.click(ui.continue_button)
    host.wait_until(lambda: ui.problem_frame.visible, 30)
    assert "is marked as misleading" in ui.problem_label.text
    ui.more_spin.setValue(8)
    host.click(ui.more_button)
    # The first of the new cases comes to the screen by itself.
    host.wait_until(lambda: review.case is not None, 120)
    assert review.status.queued == 16
    host.wait_until(lambda: not review.status.training, 60)
    answer_the_round(desk, study, misleading=True)

    desk.keys("Alt+3")
    assert field(desk, "Feedback mode").currentText == "counterfactual"
    host.wait_until(lambda: ui.continue_button.enabled, 30)
    host.click(ui.continue_button)
    host.wait_until(lambda: review.insight.opened is not None, 180)
    desk.settle()
    assert ui.insight_box.visible
    assert "of class 'tb' carry something like this" in ui.insight_label.text
    assert review.info.feedback == "counterfactual"
    assert review.insight.opened.overlay.any()
    host.click(ui.veto_button)
    desk.settle()
    assert "Readers vetoed what was found in 1 image." in ui.insight_label.text
    host.click(ui.go_on_button)
    host.wait_until(lambda: review.status.state == "completed", 180)
    desk.settle()
    # What it was trained with can still be looked at, but not changed.
    desk.keys("Alt+1")
    assert ui.insight_box.visible
    assert not any(button.visible for button in (ui.veto_button, ui.go_on_button, ui.reopen_button))
    ui.finds_table.selectRow(1)
    host.wait_until(lambda: review.insight.opened is not None, 30)
    desk.click_cell(1)
    assert review.insight.opened.painted == ()
