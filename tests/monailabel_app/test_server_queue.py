"""What a viewer asks of the open round: cases by name and ahead, the queue, how the run went. A server of its own."""

import math
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import requests

from imil.serve import free_port
from imil.settings import resolve
from imil.store import EpochMetrics, QueuedCase, Run, RunState
from imil.study import Study
from tests.monailabel_app.server_process import SETTINGS, Server, make_study, mask_file, refused, start, stop

QUEUED = 6


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("queue") / "study")


@pytest.fixture(scope="module")
def server(study: Study) -> Iterator[Server]:
    port = free_port("127.0.0.1", 0)
    command = [sys.executable, "-m", "imil.cli", "serve", str(study.folder), "--port", str(port)]
    running = start(command, study.folder, port, study.folder.parent / "server.log")
    yield running
    stop(running)
    assert "Traceback" not in running.log.read_text()


@pytest.fixture
def review(study: Study) -> Run:
    """A new run with six cases under review, opened beside the server, as a training process would do it."""
    return open_round(study)


def open_round(study: Study, **settings: Any) -> Run:
    store = study.store
    run = store.create_run(resolve(**(SETTINGS | settings)).model_dump(mode="json"), study.classes)
    names = [case.id for case in study.cases if case.split == "train"][:QUEUED]
    rng = np.random.default_rng(run.id)
    queue = [
        QueuedCase(
            name,
            study.case(name).label,
            "b",
            0.8,
            (0.2, 0.8),
            "misprediction",
            rng.random((8, 8), np.float32),
            "gradcam",
            "features",
        )
        for name in names
    ]
    store.open_round(run.id, 2, "0" * 64, queue)
    return store.run(run.id)


def ask(server: Server, reader: str, **fields: Any) -> dict[str, Any]:
    response = server.post("/activelearning/imil_outlier", json={"client_id": reader} | fields)
    assert response.ok, response.text
    return dict(response.json())


def listing(server: Server, reader: str) -> dict[str, Any]:
    response = server.post("/activelearning/imil_queue", json={"client_id": reader})
    assert response.ok, response.text
    return dict(response.json())


def refused_case(server: Server, status: int, *words: str, strategy: str = "imil_outlier", **fields: Any) -> None:
    refused(server.post(f"/activelearning/{strategy}", json=fields), status, *words)


def test_before_the_first_run_there_is_nothing(server: Server, study: Study) -> None:
    if study.store.latest_run() is not None:
        pytest.skip("a test before this one has opened a round")
    empty = {"run": None, "round": 0, "state": "none", "epoch": 0, "total": 0, "reviewed": 0, "cases": []}
    assert listing(server, "ann") == empty | {"classes": ["a", "b"]}
    assert ask(server, "ann", ahead=2) == {}
    assert ask(server, "ann", release=True) == {}
    refused_case(server, 409, "a/case 00.png", "no run yet", client_id="ann", image="a/case 00.png")
    assert server.get("/info/").json()["train_stats"]["classifier"] == {"run": None, "history": [], "scores": []}


def test_info_names_the_contract(server: Server) -> None:
    info = server.get("/info/").json()
    assert info["strategies"]["imil_outlier"]["run"]["contract"] == 2
    assert set(info["strategies"]) == {"imil_outlier", "imil_queue", "random"}
    assert info["datastore"]["name"] == server.study.name


def test_cases_ahead_are_as_complete_as_the_first(server: Server, review: Run) -> None:
    first = ask(server, "ann", ahead=2)
    ahead = first.pop("ahead")
    assert [case["position"] for case in (first, *ahead)] == [1, 2, 3]
    for case in ahead:
        assert set(case) == set(first)
        assert case["path"].endswith(case["id"])
        assert (case["epoch"], case["answer"], case["split"]) == (2, None, "train")
        heat_map = server.get("/datastore/label", params={"label": case["id"], "tag": "cam"})
        assert heat_map.ok
        assert ask(server, "ann", image=case["id"])["id"] == case["id"]
    assert "ahead" not in ask(server, "ann")
    assert ask(server, "ann", ahead=0)["ahead"] == []
    assert server.put_label(first, "ann").ok
    assert ask(server, "ann", ahead=20)["id"] == ahead[0]["id"]


def test_an_answer_comes_back_with_its_case(server: Server, review: Run, tmp_path: Any) -> None:
    case = ask(server, "ann")
    mask = np.zeros((40, 48), np.uint8)
    mask[:10, 12:24] = 1
    mask[30:, 36:] = 2
    sent = {"action": "grid", "cells": [1], "misleading": [15], "rationale": "the edge", "seconds": 4.5}
    receipt = server.put_label(case, "ann", mask_file(server, case, mask, tmp_path).read_bytes(), **sent)
    assert receipt.ok, receipt.text
    opened = ask(server, "ann", image=case["id"], ahead=1)
    assert opened["answer"] == sent | {"new_label": "", "event": receipt.json()["event"]}
    assert opened["lease_expires"] is None
    assert [each["position"] for each in opened["ahead"]] == [2]
    assert server.put_label(case, "ann", action="exclude", replace=True).ok
    assert ask(server, "ann", image=case["id"])["answer"]["action"] == "exclude"
    refused_case(server, 409, case["id"], "'ann'", client_id="bob", image=case["id"])


def test_what_a_reader_holds_goes_to_nobody_else(server: Server, review: Run) -> None:
    mine = ask(server, "ann", ahead=2)
    refused_case(
        server, 409, mine["ahead"][1]["id"], "reserved for 'ann'", client_id="bob", image=mine["ahead"][1]["id"]
    )
    assert ask(server, "bob", ahead=1)["position"] == 4
    assert ask(server, "ann", release=True) == {}
    assert ask(server, "cyd", ahead=20)["position"] == 1
    assert [row["holder"] for row in listing(server, "ann")["cases"]] == ["cyd"] * 3 + ["bob"] * 2 + ["cyd"]
    assert ask(server, "ann") == {}


def test_a_crowd_that_reserves_ahead_shares_the_queue(server: Server, review: Run) -> None:
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda number: ask(server, f"reader {number}", ahead=number % 3), range(12)))
    held = [case["id"] for reply in replies if reply for case in (reply, *reply["ahead"])]
    assert len(held) == len(set(held)) == QUEUED


def test_bad_requests_reserve_nothing(server: Server, review: Run, study: Study) -> None:
    for ahead in (-1, 21, 2.0, "2", True, [1]):
        refused_case(server, 400, "ahead", repr(ahead), "0 to 20", client_id="ann", ahead=ahead)
    for image in (7, True, ["a"], {}):
        refused_case(server, 400, "image", repr(image), client_id="ann", image=image)
    for release in (1, "yes", []):
        refused_case(server, 400, "release", repr(release), client_id="ann", release=release)
    refused_case(server, 400, "release", client_id="ann", release=True, ahead=1)
    refused_case(server, 400, "client_id", ahead=1)
    refused_case(server, 400, "client_id", strategy="imil_queue")
    refused_case(server, 400, "101 characters", strategy="imil_queue", client_id="x" * 101)
    refused_case(server, 404, "../secret", client_id="ann", image="../secret")
    refused_case(server, 404, "a\\x00b", client_id="ann", image="a\0b")
    outside = next(case.id for case in study.cases if case.split == "test")
    refused_case(server, 404, outside, "isn't in the queue", client_id="ann", image=outside)
    assert {case["state"] for case in listing(server, "ann")["cases"]} == {"open"}


def test_the_queue_shows_every_case_to_each_reader(server: Server, review: Run) -> None:
    case = ask(server, "ann", ahead=1)
    assert server.put_label(case, "ann").ok
    seen = listing(server, "ann")
    assert (seen["run"], seen["round"], seen["state"], seen["epoch"]) == (review.id, 1, "awaiting_review", 2)
    assert (seen["total"], seen["reviewed"], seen["classes"]) == (QUEUED, 1, ["a", "b"])
    first, second, third, *_ = seen["cases"]
    assert first == {
        "id": case["id"], "position": 1, "state": "done", "label": "a", "prediction": "b", "confidence": 0.8,
        "probabilities": [0.2, 0.8], "reason": "misprediction", "readers": ["ann"], "holder": None, "mine": True,
        "action": "skip",
    }  # fmt: skip
    assert (second["state"], second["holder"], second["mine"], second["action"]) == ("leased", "ann", False, "")
    assert (third["state"], third["holder"], third["readers"]) == ("open", None, [])
    assert [row["mine"] for row in listing(server, " bob ")["cases"]] == [False] * QUEUED


def test_two_readers_a_case(server: Server, study: Study) -> None:
    open_round(study, readers_per_case=2)
    case = ask(server, "ann")
    assert server.put_label(case, "ann").ok
    assert ask(server, "bob")["id"] == case["id"]
    row = listing(server, "ann")["cases"][0]
    assert (row["state"], row["holder"], row["readers"], row["mine"]) == ("leased", "bob", ["ann"], True)


def test_a_closed_round_can_be_seen_but_not_opened(server: Server, review: Run, study: Study) -> None:
    case = ask(server, "ann", ahead=3)
    assert server.put_label(case, "ann").ok
    study.store.close_round(review.id, 1, early=True)
    seen = listing(server, "ann")
    assert (seen["state"], seen["round"], seen["reviewed"]) == ("training", 1, 1)
    assert [row["state"] for row in seen["cases"]] == ["done"] + ["open"] * (QUEUED - 1)
    refused_case(server, 409, case["id"], f"run {review.id} is training", client_id="ann", image=case["id"])
    assert ask(server, "ann", ahead=3) == {}
    assert ask(server, "ann", release=True) == {}


def test_info_has_the_history_and_the_scores(server: Server, review: Run, study: Study) -> None:
    store = study.store
    store.close_round(review.id, 1, early=True)
    for epoch in (1, 2, 3):
        splits = [
            EpochMetrics(review.id, epoch, split, 1 / epoch, 0.5, math.nan, 0.1, 0.2, 1.5)
            for split in ("test", "train")
        ]
        store.record_epoch(review.id, epoch, splits)
    store.save_score(review.id, 1, 2, "test", {"accuracy": 0.5, "auroc": math.nan})
    stats = server.get("/info/").json()["train_stats"]["classifier"]
    assert (stats["run"], stats["epoch"], stats["state"], stats["total_time"]) == (review.id, 3, "training", 9.0)
    assert [entry["epoch"] for entry in stats["history"]] == [1, 2, 3]
    shown = {"loss": 0.5, "accuracy": 0.5, "auroc": None, "ece": 0.1, "brier": 0.2}
    assert stats["history"][1] == {"epoch": 2, "train": shown, "test": shown}
    assert stats["scores"] == [{"round": 1, "epoch": 2, "split": "test", "metrics": {"accuracy": 0.5, "auroc": None}}]


def test_a_long_history_is_thinned(server: Server, review: Run, study: Study) -> None:
    store = study.store
    store.close_round(review.id, 1, early=True)
    for epoch in range(1, 1103):
        store.record_epoch(review.id, epoch, [EpochMetrics(review.id, epoch, "train", 0.5, 0.5, 0.5, 0.1, 0.2, 1.0)])
    epochs = [entry["epoch"] for entry in server.get("/info/").json()["train_stats"]["classifier"]["history"]]
    assert (epochs[-1], epochs[-2], len(epochs)) == (1102, 1099, 368)
    store.set_state(review.id, RunState.FAILED)


def test_other_strategies_answer_as_before(server: Server) -> None:
    sample = server.post("/activelearning/random", json={}).json()
    assert set(sample) == {"id", "path", "label", "split"}
    assert requests.get(f"{server.url}/datastore/image", params={"image": sample["id"]}, timeout=30).ok
