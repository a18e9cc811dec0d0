"""What a viewer asks of the last round: cases by name and ahead, the queue, how the run went, what it taught. A server
of its own.
"""

import math
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import requests

from imil import images, insights
from imil.casefeedback import CaseFeedback
from imil.grid import Grid
from imil.settings import resolve
from imil.store import Action, Answer, EpochMetrics, QueuedCase, Run, RunState
from imil.study import Study
from imil.training.insight import Insight
from tests.monailabel_app.server_process import (
    HEIGHT,
    SETTINGS,
    WIDTH,
    Server,
    make_study,
    mask_file,
    refused,
    serve,
    stop,
)

QUEUED = 6


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("queue") / "study")


@pytest.fixture(scope="module")
def server(study: Study) -> Iterator[Server]:
    running = serve(study.folder, study.folder.parent / "server.log")
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
    assert info["strategies"]["imil_outlier"]["run"]["contract"] == 3
    assert set(info["strategies"]) == {"imil_outlier", "imil_queue", "imil_insight", "random"}
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


# -- what a round taught -----------------------------------------------------------------------------------------------


@pytest.fixture
def taught(study: Study, review: Run) -> Run:
    """A run that waits for approval of what its round taught: two cells to swap, finds in the first four images."""
    queue = study.store.queue(review.id, 1)
    answer = Answer(queue[0].case_id, review.id, 1, "ann", Action.GRID, (5,), (0,), key=str(uuid.uuid4()))
    study.store.append(answer)
    run = study.store.start_learning(review.id, 1, early=True)
    ids = tuple(case.id for case in study.cases if case.split == "train")
    finds = np.zeros((len(ids), 8, 8), np.uint8)
    finds[:4, :3, 6:] = 1
    scores = np.linspace(0.9, 0.1, len(ids), dtype=np.float32)
    shares = np.zeros(16, np.float32)
    insight = Insight("mode", ids, 4, shares, shares, (3, 12), shares, finds, scores, scores, ("A note.",), 2.5)
    feedback = {queue[0].case_id: CaseFeedback(queue[0].case_id, "grid", 4, (5,), (0,))}
    insights.keep(study, run, insight, feedback, wait=True)
    return study.store.run(run.id)


def insight(server: Server, reader: str = "ann", **fields: Any) -> dict[str, Any]:
    started = time.perf_counter()
    response = server.post("/activelearning/imil_insight", json={"client_id": reader} | fields)
    assert response.ok, response.text
    assert time.perf_counter() - started < 2
    return dict(response.json())


def test_the_insight_is_told_and_corrected(server: Server, study: Study, taught: Run) -> None:
    status = server.run()
    assert (status["state"], status["reviewed"], status["training"]) == ("awaiting_approval", 1, False)
    told = insight(server)
    assert (told["run"], told["round"], told["open"], told["feedback"]) == (taught.id, 1, True, "mode")
    assert (told["grid_size"], told["grid_cells_swapped"], told["notes"]) == (4, [3, 12], ["A note."])
    assert [set(told["cells"][0]), len(told["cells"])] == [{"cell", "chosen", "misled", "heat", "influence"}, 16]
    assert [image["cells"] for image in told["images"]] == [[3, 7]] * 4
    assert set(told["images"][0]) == {
        "id", "label", "queued", "score", "influence", "cells", "vetoed", "corrected",
    }  # fmt: skip
    trained = [case.label for case in study.cases if case.split == "train"]
    assert told["classes"] == [
        {"name": "a", "images": trained.count("a"), "found": 4, "share": 4 / trained.count("a")},
        {"name": "b", "images": trained.count("b"), "found": 0, "share": 0.0},
    ]
    assert (
        f"{round(400 / trained.count('a'))} % of class 'a' carry something like this, 0 % of 'b'." in told["sentences"]
    )
    assert [told["corrections"], told["seconds"]] == [[], 2.5]

    first, second = (image["id"] for image in told["images"][:2])
    veto = {"run": taught.id, "round": 1, "action": "veto", "cells": [3], "key": str(uuid.uuid4())}
    now = insight(server, **veto)
    assert (now["grid_cells_swapped"], now["grid_cells_vetoed"]) == ([12], [3])
    assert insight(server, **veto) == insight(server) == now
    now = insight(server, "bob", run=taught.id, round=1, action="veto", image=first)
    now = insight(server, "bob", run=taught.id, round=1, action="correct", image=second, cells=[15])
    assert [(image["vetoed"], image["cells"]) for image in now["images"][:2]] == [(True, [3, 7]), (False, [15])]
    assert [(entry["reader"], entry["image"]) for entry in now["corrections"]] == [
        ("ann", ""), ("bob", first), ("bob", second),
    ]  # fmt: skip
    assert [known.action for known in study.store.corrections(now["insight"])] == ["veto", "veto", "correct"]


def test_finds_come_as_masks_in_the_images_geometry(server: Server, taught: Run, tmp_path: Any) -> None:
    told = insight(server)
    first, second, third = (image["id"] for image in told["images"][:3])
    insight(server, run=taught.id, round=1, action="veto", image=first)
    insight(server, run=taught.id, round=1, action="correct", image=second, cells=[15])

    def mask(image: str) -> np.ndarray:
        path = tmp_path / "find.nii.gz"
        path.write_bytes(server.get("/datastore/label", params={"label": image, "tag": "find"}).content)
        return images.read_mask(path, (HEIGHT, WIDTH))

    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:15, 36:] = 1  # three of eight rows, the last two of eight columns
    np.testing.assert_array_equal(mask(third), expected)
    np.testing.assert_array_equal(mask(first), expected)  # what was vetoed is still shown
    np.testing.assert_array_equal(mask(second), Grid.square(4, (HEIGHT, WIDTH)).mask([15]))
    info = server.get("/datastore/label/info", params={"label": first, "tag": "find"}).json()
    assert (info["run"], info["vetoed"], info["cells"]) == (taught.id, True, [3, 7])
    unfound = told["images"][0] | {"id": "b/case 00.png"}
    refused(server.get("/datastore/label", params={"label": unfound["id"], "tag": "find"}), 404, "Nothing was found")
    refused(server.get("/datastore/label", params={"label": first, "tag": "finds"}), 404, "'find'", "'cam'", "'imil'")


def test_corrections_that_cannot_be_are_refused(server: Server, study: Study, taught: Run) -> None:
    here = {"client_id": "ann", "run": taught.id, "round": 1, "action": "veto", "cells": [3]}

    def wrong(status: int, *words: str, **changes: Any) -> None:
        refused_case(server, status, *words, strategy="imil_insight", **(here | changes))

    wrong(400, "client_id", client_id=" ")
    wrong(400, "unknown field 'mood'", "run, round, action", mood="fine")
    wrong(400, "run", run="1")
    wrong(400, "cells", cells="3")
    wrong(400, "'paint'", "veto, correct, restore", action="paint")
    wrong(400, "isn't a UUID", key="1")
    wrong(400, "cell 5 isn't swapped", cells=[5])
    wrong(404, "nothing.png", image="nothing.png", cells=[])
    wrong(404, "run 999", run=999)
    wrong(409, "round 2", round=2)
    refused_case(server, 400, "lacks 'round'", strategy="imil_insight", client_id="ann", run=1, action="veto")
    assert insight(server)["corrections"] == []
    refused(server.post("/train/classifier", json={"feedback": "blackout", "insight": "go_on"}), 400, "goes on with")
    reply = server.post("/train/classifier", json={"reopen": True})
    assert reply.json() == {"run": taught.id, "round": 1, "state": "awaiting_review"}
    assert insight(server) == {}
    wrong(409, "awaiting_review")
    refused(server.post("/train/classifier", json={"reopen": True}), 409, "open for answers already")
    assert ask(server, "bob")["run"] == taught.id


def test_other_strategies_answer_as_before(server: Server) -> None:
    sample = server.post("/activelearning/random", json={}).json()
    assert set(sample) == {"id", "path", "label", "split"}
    assert requests.get(f"{server.url}/datastore/image", params={"image": sample["id"]}, timeout=30).ok
