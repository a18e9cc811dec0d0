"""The Slicer module's client against a real server: what it asks, and what the server refuses in its own words."""

import time
from typing import Any

import numpy as np
import pytest
import requests
from IMILLib.client import Client
from IMILLib.grid import CellGrid
from IMILLib.images import read_heat_map, read_picture, write_mask

from imil import images
from imil.study import Study
from tests.reviewable import hot_corner
from tests.slicer_module.bad_server import BadServer
from tests.slicer_module.clients import SHAPE, Make, answer_to, fails


def test_info(connect: Make, odd_study: Study) -> None:
    info = connect().info()
    assert (info.name, info.study, info.labels) == ("IMIL", "Studie ä #1", ("normal", "tb"))
    status = info.status
    assert (status.state, status.round, status.reviewed, status.queued) == (
        "awaiting_review",
        1,
        0,
        len(queued(odd_study)),
    )
    assert info.settings["epochs"]["minimum"] == 1
    assert info.presets["quick"]["network"] == "imil_resnet8"
    assert [entry["epoch"] for entry in info.history] == [1, 2]
    assert set(info.history[0]["test"]) >= {"loss", "accuracy", "auroc", "ece"}
    assert info.scores == ()


def queued(study: Study) -> list[str]:
    run = study.store.latest_run()
    assert run is not None
    return [entry.case_id for entry in study.store.queue(run.id, 1)]


def test_every_case_by_name_with_image_heat_map_and_exact_mask(connect: Make, odd_study: Study) -> None:
    """Names that must be quoted, and each flip and transposition: rows and columns are the server's, to the pixel."""
    client = connect()
    names = queued(odd_study)
    assert len(names) >= 8
    for number, name in enumerate(names):
        (case,) = client.next_cases(name)
        assert (case.id, case.shape, case.answer) == (name, SHAPE, None)
        path = odd_study.image_path(name)
        content = client.image(name)
        assert content == path.read_bytes()
        picture = read_picture(content, name)
        heat_map = read_heat_map(client.heat_map(case), case.shape)
        hot = CellGrid(case.row_edges, case.col_edges)
        top, left = divmod(int(np.argmax(hot_corner(number)[::16, ::16])), 2)
        assert heat_map[5 + 25 * top, 8 + 35 * left] > 0.9
        assert heat_map[5 + 25 * (1 - top), 8 + 35 * (1 - left)] < 0.2
        answer = answer_to(case, cells=(number % 16, 15 - number % 16), misleading=())
        mask = hot.mask(answer.cells)
        receipt = client.submit(answer, write_mask(mask, picture.geometry))
        assert (receipt.remaining, receipt.total, receipt.repeated) == (len(names) - number - 1, len(names), False)
        saved = odd_study.folder / "back.nii.gz"
        saved.write_bytes(_label(client, name))
        np.testing.assert_array_equal(images.read_mask(saved, SHAPE), mask)
        saved.unlink()


def _label(client: Client, name: str) -> bytes:
    return requests.get(f"{client.url}/datastore/label", {"label": name, "tag": "imil"}, timeout=30).content


def test_an_answer_arrives_with_all_its_parts_and_once(connect: Make, odd_study: Study) -> None:
    client = connect()
    case = client.next_cases()[0]
    picture = read_picture(client.image(case.id), case.id)
    answer = answer_to(case)
    mask = write_mask(CellGrid(case.row_edges, case.col_edges).mask(answer.cells, answer.misleading), picture.geometry)
    first, second = client.submit(answer, mask), client.submit(answer, mask)
    assert (first.event, first.remaining) == (second.event, second.remaining)
    assert [first.repeated, second.repeated] == [False, True]
    run = odd_study.store.latest_run()
    assert run is not None
    (event,) = odd_study.store.events(run.id)
    assert (event.reader, event.cells, event.misleading, event.seconds) == ("Ada", (1, 6), (3,), 4.25)
    assert event.rationale == answer.rationale
    again = client.next_cases(case.id)[0].answer
    assert again is not None
    assert (again.action, again.cells, again.misleading, again.rationale) == ("grid", (1, 6), (3,), answer.rationale)
    fails("conflict", lambda: client.submit(answer_to(case), mask), "replace")
    assert client.submit(answer_to(case, replace=True), mask).remaining == first.remaining


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "skip"},
        {"action": "exclude", "rationale": "unfit"},
        {"action": "relabel", "new_label": "normal", "rationale": "wrong"},
    ],
    ids=lambda fields: fields["action"],
)
def test_answers_without_cells(connect: Make, odd_study: Study, fields: dict[str, Any]) -> None:
    client = connect()
    case = next(case for case in client.next_cases(ahead=20) if case.label == "tb")
    picture = read_picture(client.image(case.id), case.id)
    empty = write_mask(np.zeros(case.shape, np.uint8), picture.geometry)
    receipt = client.submit(answer_to(case, cells=(), misleading=(), **fields), empty)
    assert receipt.remaining == len(queued(odd_study)) - 1


def test_cases_ahead_queue_and_release(connect: Make, odd_study: Study) -> None:
    ada, ben = connect(), connect(reader="Ben")
    cases = ada.next_cases(ahead=2)
    assert [case.position for case in cases] == [1, 2, 3]
    assert ben.next_cases()[0].position == 4
    queue = ada.queue()
    assert (queue.run, queue.round, queue.state) == (cases[0].run, 1, "awaiting_review")
    assert (queue.total, queue.reviewed, queue.epoch) == (len(queue.rows), 0, 2)
    assert [row.holder for row in queue.rows[:5]] == ["Ada", "Ada", "Ada", "Ben", ""]
    assert queue.rows[0].probabilities == cases[0].probabilities
    fails("conflict", lambda: ben.next_cases(cases[1].id), "'Ada'")
    fails("missing", lambda: ben.next_cases("no/such case.png"), "no/such case.png")
    fails("rejected", lambda: ben.next_cases(ahead=21), "21")
    ada.release()
    assert [row.holder for row in ada.queue().rows[:4]] == ["", "", "", "Ben"]
    ben.release()


def test_refusals_are_the_servers_own_sentences(connect: Make, odd_study: Study) -> None:
    client = connect()
    case = client.next_cases()[0]
    fails("rejected", lambda: client.submit(answer_to(case), b""), "empty")
    fails("rejected", lambda: client.submit(answer_to(case), b"no mask"), "label")
    fails("conflict", lambda: client.submit(answer_to(case, action="skip", cells=(), misleading=(), round=7), b""), "7")
    fails("missing", lambda: client.image("no/such.png"), "no/such.png")
    fails("rejected", lambda: client.train({"new_run": True, "epoch": 3}), "'epoch'", "epochs")
    fails("conflict", lambda: client.train({}), "answer the others")
    fails("rejected", lambda: connect(reader=" ").next_cases(), "client_id")
    client.release()


def test_how_training_ended(connect: Make, proxy: BadServer, odd_study: Study) -> None:
    client = connect(proxy.url)
    assert client.training_problem() == ""  # there was none
    client.stop_training()
    proxy.mode, proxy.status = "status", 200
    for body, told in (
        (b'{"status":"ERROR","details":["a","b","c "," the disk is full"]}', "b\nc\nthe disk is full"),
        (b'{"status":"ERROR","details":[7,"x",null]}', "x"),
        (b'{"status":"ERROR","details":null}', ""),
        (b'{"status":"DONE","details":["done"]}', ""),
        (b"[]", ""),
    ):
        proxy.body = body
        assert client.training_problem() == told


@pytest.mark.slow
def test_training_starts_stops_and_tells_how_it_failed(connect: Make, odd_study: Study) -> None:
    client = connect(seconds=30)
    quick = {
        "new_run": True,
        "network": "imil_small",
        "image_size": 32,
        "epochs": 4,
        "imil_epochs": [],
        "device": "cpu",
    }
    # The process starts, and fails only then.
    client.train(quick | {"target_layer": "no.such.layer", "heatmap": "gradcam", "device": "cuda:7"})
    deadline = time.monotonic() + 60
    while not (problem := client.training_problem()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "cuda" in problem
    client.stop_training()
