"""Review over HTTP against a real server process; the round is laid into the store, so that nothing needs training."""

import http.server
import threading
import uuid

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from imil import insights
from imil.cli import app
from imil.errors import BadInput, Conflict
from imil.images import read_image
from imil.readers import OracleReader, Reading
from imil.remote import HttpClient, RemoteRounds
from imil.review import grey_levels, reader_case, review, study_masks
from imil.serve import free_port
from imil.settings import resolve
from imil.store import Action, QueuedCase
from imil.study import Study, create_study
from imil.training.insight import Insight
from tests.conftest import write_tiny_images
from tests.monailabel_app.server_process import Server, serve, stop

CASES = 8


def with_marker_masks(folder):
    """Each case gets a misleading mask, of the upper left corner, into which the lungs reach."""
    marker = np.zeros((32, 32), np.uint8)
    marker[1:6, 1:6] = 255
    Image.fromarray(marker).save(folder / "masks" / "marker.png")
    header, *rows = (folder / "manifest.csv").read_text().splitlines()
    lines = [f"{header},misleading_mask", *(f"{row},masks/marker.png" for row in rows)]
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("remote")
    study = create_study(with_marker_masks(write_tiny_images(folder / "study")), "csv")
    run = study.store.create_run(resolve(epochs=4, imil_epochs=(2,)).model_dump(mode="json"), study.classes)
    rng = np.random.default_rng(0)
    queue = [
        QueuedCase(
            case_id=case.id,
            label=case.label,
            prediction=next(name for name in study.classes if name != case.label),
            confidence=0.75,
            probabilities=(0.25, 0.75),
            reason="misprediction",
            heatmap=rng.random((32, 32), np.float32),
            method="gradcam",
            layer="layer4",
        )
        for case in study.cases[:CASES]
    ]
    study.store.open_round(run.id, 2, "f" * 64, queue, "Laid by hand.")
    study.store.close()
    running = serve(folder / "study", folder / "server.log")
    yield running
    stop(running)


@pytest.fixture
def study(server: Server):
    study = Study.open(server.study)
    yield study
    study.store.close()


@pytest.fixture
def rounds(server: Server):
    """A fresh reader's view of the round."""
    rounds = RemoteRounds(HttpClient(server.url, f"reader {uuid.uuid4().hex[:8]}"))
    yield rounds
    rounds.close()


def release(study, opened, rounds):
    """Answer a case and take it back, so that the next test finds it open."""
    rounds.submit(opened, Reading("skip"), seconds=0, key=str(uuid.uuid4()))
    rounds.submit(opened, Reading("undo"), seconds=0, key=str(uuid.uuid4()))


def test_a_case_comes_with_the_image_and_map_that_the_study_has(rounds, study):
    status = rounds.status()
    assert [status["state"], status["queued"], status["grid_size"]] == ["awaiting_review", CASES, 4]
    opened = rounds.next_case()
    case = opened.case
    np.testing.assert_array_equal(case.image, grey_levels(read_image(study.image_path(case.id))))
    stored = study.store.heatmap(opened.run, opened.round, case.id)
    np.testing.assert_allclose(case.heatmap, stored, atol=1 / 2048)  # sent rounded to 1/1024
    assert [case.grid.rows, case.grid.cols, case.grid.height, case.grid.width] == [4, 4, 32, 32]
    assert [case.label, case.confidence, case.classes] == [study.case(case.id).label, 0.75, ("normal", "tb")]
    assert case.lesion_mask is None
    assert case.misleading_mask is None
    assert rounds.next_case().case.id == case.id  # the reader's own lease
    release(study, opened, rounds)


def test_an_answer_arrives_with_all_its_parts(rounds, study):
    opened = rounds.next_case()
    reading = Reading("grid", (5, 6), (0,), 'focus on the "marker" ü', "")
    key = str(uuid.uuid4())
    first = rounds.submit(opened, reading, seconds=4.5, key=key)
    assert rounds.submit(opened, reading, seconds=4.5, key=key) == first
    (event,) = [event for event in study.store.events(opened.run) if event.key == key]
    assert [event.cells, event.misleading, event.action] == [(5, 6), (0,), Action.GRID]
    assert [event.seconds, event.rationale] == [4.5, 'focus on the "marker" ü']
    with pytest.raises(Conflict):
        rounds.submit(opened, Reading("skip"), seconds=0, key=str(uuid.uuid4()))
    other = rounds.next_case()
    with pytest.raises(BadInput, match="new label"):
        rounds.submit(other, Reading("relabel", new_label="flu"), seconds=0, key=str(uuid.uuid4()))
    release(study, other, rounds)


def test_a_person_reads_over_http_at_the_console(server, study):
    typed = "5 9\nthe hilum\nx\nunfit\nq\n"
    done = CliRunner().invoke(app, ["review", server.url, "--reader", "Ada"], input=typed, catch_exceptions=False)
    assert done.exit_code == 0
    assert "Ada left at" in done.output
    assert "cases of round 1 are reviewed" in done.output
    mine = [event for event in study.store.events(1) if event.reader == "Ada"]
    assert [event.action for event in mine] == [Action.GRID, Action.EXCLUDE]
    assert [mine[0].cells, mine[0].rationale] == [(5, 9), "the hilum"]
    assert mine[0].seconds > 0


def test_a_simulated_reader_answers_all_that_nobody_else_holds(server, study):
    rounds = RemoteRounds(HttpClient(server.url, "oracle"), study_masks(study))
    left = []
    answered = review(rounds, OracleReader("oracle"), lambda _, receipt: left.append(receipt.remaining))
    assert answered == len(left) > 0
    assert rounds.next_case() is None
    assert rounds.status()["reviewed"] == CASES - left[-1]
    mine = [event for event in study.store.events(1) if event.reader == "oracle"]
    assert [event.misleading for event in mine] == [(0,)] * answered
    assert all(event.cells and 0 not in event.cells for event in mine)
    assert all(entry.state == "leased" for entry in study.store.queue(1, 1) if entry.state != "done")
    rounds.close()


def test_a_folders_own_cases_come_with_the_masks_that_the_manifest_names(study):
    entry = study.store.queue(1, 1)[0]
    heatmap = study.store.heatmap(1, 1, entry.case_id)
    case = reader_case(study, entry, heatmap, grid_size=4, classes=study.classes)
    np.testing.assert_array_equal(case.lung_mask, study.lung_mask(entry.case_id))
    np.testing.assert_array_equal(case.misleading_mask, study.misleading_mask(entry.case_id))
    assert (case.lesion_mask is None) == (study.lesion_mask(entry.case_id) is None)
    assert int(case.misleading_mask.sum()) == 25


def test_scripts_see_and_correct_what_a_round_taught(server, study):
    """The last test of this server: its round is over then."""
    client = HttpClient(server.url, "script")
    assert client.insight() == {}
    with pytest.raises(BadInput, match="nothing to correct"):
        client.veto(cells=[0])
    run = study.store.start_learning(1, 1, early=True)
    ids = tuple(case.id for case in study.cases if case.split == "train")
    shares = np.zeros(16, np.float32)
    finds = np.ones((len(ids), 4, 4), np.uint8)
    insights.keep(study, run, Insight("mode", ids, 4, shares, shares, (0, 1), finds=finds), {}, wait=True)
    told = client.insight()
    assert [len(told["images"]), told["images"][0]["score"], told["heat_in"]["relevant"]["images"]] == [
        len(ids),
        None,
        0,
    ]
    assert client.veto(cells=[0])["grid_cells_vetoed"] == [0]
    assert client.restore(cells=[0])["grid_cells_vetoed"] == []
    assert client.veto(ids[0])["images"][0]["vetoed"]
    assert client.correct(ids[1], [3])["images"][1]["cells"] == [3]
    with pytest.raises(Conflict, match="no round to add cases to"):
        client.more_cases(2)
    client.reopen()
    assert (client.insight(), study.store.run(1).state) == ({}, "awaiting_review")


def test_no_server_and_another_server_are_told_apart():
    port = free_port("127.0.0.1", 0)
    nobody = RemoteRounds(HttpClient(f"http://127.0.0.1:{port}", "Ada"))
    with pytest.raises(BadInput, match="is the server running there"):
        nobody.status()

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        with pytest.raises(BadInput, match="has no strategy imil_outlier"):
            RemoteRounds(HttpClient(f"http://127.0.0.1:{other.server_port}", "Ada")).status()
        other.shutdown()
