"""A whole round over HTTP with MONAI Label's own client, and every bad request with its sentence."""

import json
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from imil import images
from imil.study import Study
from tests.monailabel_app.server_process import (
    HEIGHT,
    SETTINGS,
    WIDTH,
    Server,
    grid_of,
    mask_file,
    number_of_events,
    refused,
)

pytestmark = pytest.mark.xdist_group("monailabel_app")


# -- the open round ----------------------------------------------------------------------------------------------------


def test_a_reader_needs_a_name(open_round: Server) -> None:
    for name in (None, "", "  "):
        body = {} if name is None else {"client_id": name}
        refused(open_round.post("/activelearning/imil_outlier", json=body), 400, "client_id")
    refused(open_round.post("/activelearning/imil_outlier"), 400, "client_id")
    case = {"id": "a/case 00.png", "run": 1, "round": 1}
    events = number_of_events(open_round)
    refused(open_round.put_label(case, ""), 400, "client_id")
    assert number_of_events(open_round) == events


def test_a_case_comes_with_all_that_a_reader_needs(open_round: Server) -> None:
    case = open_round.next_case("needs")
    assert {
        "id", "path", "run", "round", "position", "total", "label", "prediction", "confidence", "probabilities",
        "classes", "grid", "cam", "lease_expires",
    } <= set(case)  # fmt: skip
    assert case["classes"] == ["a", "b"]
    assert case["confidence"] == pytest.approx(max(case["probabilities"]))
    assert case["grid"]["row_edges"] == [0, 10, 20, 30, 40]
    assert case["grid"]["col_edges"] == [0, 12, 24, 36, 48]
    assert case["total"] == SETTINGS["num_outliers"]
    assert open_round.next_case("needs")["id"] == case["id"], "the reader's own lease comes first"
    assert open_round.put_label(case, "needs").ok


def test_the_heat_map_lies_over_the_image(open_round: Server, tmp_path: Path) -> None:
    case = open_round.next_case("maps")
    file = open_round.client("maps").download_label(case["id"], case["cam"]["tag"])
    assert file.endswith(".nii.gz")
    heat_map = images.read_image(Path(file))
    assert heat_map.pixels.shape == (HEIGHT, WIDTH)
    assert 0 <= heat_map.pixels.min() <= heat_map.pixels.max() <= 1
    assert heat_map.pixels.std() > 0
    # The same file again, from the served copy.
    again = open_round.get("/datastore/label", params={"label": case["id"], "tag": "cam"})
    assert again.content == Path(file).read_bytes()
    info = open_round.get("/datastore/label/info", params={"label": case["id"], "tag": "cam"}).json()
    assert info["method"] == case["cam"]["method"]
    assert open_round.put_label(case, "maps").ok


def test_an_image_that_is_not_queued_has_no_heat_map(open_round: Server) -> None:
    listing = open_round.client().datastore()["objects"]
    test_case = next(name for name, entry in listing.items() if entry["image"]["info"]["split"] == "test")
    refused(open_round.get("/datastore/label", params={"label": test_case, "tag": "cam"}), 404, test_case)
    refused(open_round.get("/datastore/label", params={"label": test_case, "tag": "imil"}), 404, test_case)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".png"])
def test_an_answer_is_recorded_and_comes_back(open_round: Server, tmp_path: Path, suffix: str) -> None:
    reader = f"draws{suffix}"
    case = open_round.next_case(reader)
    mask = grid_of(case).mask([1, 5], [10])
    file = mask_file(open_round, case, mask, tmp_path, suffix)
    params = {
        "run": case["run"], "round": case["round"], "action": "grid", "cells": [1, 5], "misleading": [10],
        "rationale": "the model was focused on the edge", "seconds": 12.5, "key": str(uuid.uuid4()),
    }  # fmt: skip
    receipt = open_round.client(reader).save_label(case["id"], str(file), "imil", params)
    assert receipt["total"] == SETTINGS["num_outliers"]
    assert 0 <= receipt["remaining"] < receipt["total"]
    assert receipt["repeated"] is False
    assert receipt["image"] == case["id"]

    events = number_of_events(open_round)
    again = open_round.client(reader).save_label(case["id"], str(file), "imil", params)
    assert again == receipt | {"repeated": True}
    assert number_of_events(open_round) == events

    back = images.read_mask(Path(open_round.client().download_label(case["id"], "imil")), (HEIGHT, WIDTH))
    np.testing.assert_array_equal(back, mask)
    info = open_round.get("/datastore/label/info", params={"label": case["id"], "tag": "imil"}).json()
    assert (info["reader"], info["cells"], info["seconds"]) == (reader, [1, 5], 12.5)


def test_cells_may_be_left_to_the_mask(open_round: Server, tmp_path: Path) -> None:
    case = open_round.next_case("draws-only")
    file = mask_file(open_round, case, grid_of(case).mask([2], [3]), tmp_path)
    assert open_round.put_label(case, "draws-only", file.read_bytes(), action="grid", key="").ok
    info = open_round.get("/datastore/label/info", params={"label": case["id"], "tag": "imil"}).json()
    assert (info["cells"], info["misleading"]) == ([2], [3])


def test_bad_answers_write_nothing(open_round: Server, tmp_path: Path) -> None:
    reader = "mistaken"
    case = open_round.next_case(reader)
    grid = grid_of(case)
    good = mask_file(open_round, case, grid.mask([1]), tmp_path).read_bytes()
    half = grid.mask([1])
    half[0, 14] = 0
    half_file = mask_file(open_round, case, half, tmp_path).read_bytes()
    wrong_value = mask_file(open_round, case, grid.mask([1]) * 7, tmp_path).read_bytes()
    small = tmp_path / "small.png"
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(small)
    events = number_of_events(open_round)

    def answer(content: bytes, **params: Any) -> requests.Response:
        return open_round.put_label(case, reader, content, **({"action": "grid", "cells": [1]} | params))

    refused(answer(small.read_bytes()), 400, "20 x 20", "40 x 48")
    refused(answer(half_file), 400, "whole cells")
    refused(answer(half_file, cells=[]), 400, "whole cells")
    refused(answer(wrong_value), 400, "7")
    refused(answer(good, cells=[1, 2]), 400, "2")
    refused(answer(good, cells=[99]), 400, "99", "0 to 15")
    refused(answer(good, misleading=[1]), 400, "1")
    refused(answer(b""), 400, "empty")
    refused(answer(b"this is no image"), 400)
    refused(answer(good[:60]), 400)
    refused(answer(good, action="paint"), 400, "'paint'", "grid, skip, relabel, exclude")
    refused(answer(good, action="relabel", new_label="c"), 400, "'c'")
    refused(answer(good, rationale="x" * 3000), 400, "2000")
    refused(answer(good, key="not a uuid"), 400, "not a uuid")
    refused(answer(good, seconds=-1.0), 400, "seconds")
    refused(answer(good, cells="1"), 400, "cells")
    refused(answer(good, mood="fine"), 400, "'mood'")
    refused(answer(good, round=case["round"] + 5), 409)
    refused(answer(good, run=999), 404)
    for text in ("{broken", "[]", "7", '{"client_id": "x"}'):
        response = requests.put(
            f"{open_round.url}/datastore/label",
            params={"image": case["id"], "tag": "imil"},
            data={"params": text},
            files={"label": ("x", good)},
            timeout=30,
        )
        refused(response, 400)
    missing = requests.put(f"{open_round.url}/datastore/label", params={"image": case["id"]}, timeout=30)
    refused(missing, 422, "label")
    assert number_of_events(open_round) == events
    assert open_round.put_label(case, reader).ok


def test_an_image_outside_the_queue_takes_no_answer(open_round: Server) -> None:
    listing = open_round.client().datastore()["objects"]
    outside = next(name for name, entry in listing.items() if entry["image"]["info"]["split"] == "test")
    run = open_round.run()
    refused(open_round.put_label({"id": outside, "run": run["run"], "round": 1}, "ann"), 404, outside)
    refused(open_round.put_label({"id": "nothing.png", "run": run["run"], "round": 1}, "ann"), 404, "nothing.png")


def test_leases_and_second_answers(open_round: Server) -> None:
    case = open_round.next_case("first")
    other = open_round.next_case("second")
    assert other["id"] != case["id"]
    refused(open_round.put_label(case, "second"), 409, case["id"], "first")
    assert open_round.put_label(case, "first").ok
    refused(open_round.put_label(case, "first"), 409, "replace")
    assert open_round.put_label(case, "first", replace=True, rationale="changed my mind").ok
    refused(open_round.put_label(case, "second"), 409, case["id"])
    assert open_round.put_label(case, "first", action="undo").ok
    assert open_round.put_label(case, "first").ok
    assert open_round.put_label(other, "second").ok


# -- inference and scoring ---------------------------------------------------------------------------------------------


def test_inference_on_a_study_image_and_on_an_upload(open_round: Server, tmp_path: Path) -> None:
    client = open_round.client("ann")
    file, reply = client.infer("classifier", "b/case 01.png", {})
    assert file is None
    params = json.loads(reply)  # MONAI Label's client decodes the reply only if a file comes with it
    assert set(params["probabilities"]) == {"a", "b"}
    assert params["prediction"] in ("a", "b")
    assert sum(params["probabilities"].values()) == pytest.approx(1)
    source = open_round.study / "b" / "case 01.png"
    _, reply = client.infer("classifier", "", {}, file=str(source))
    uploaded = json.loads(reply)
    assert uploaded["probabilities"] == pytest.approx(params["probabilities"], abs=1e-5)


def test_heat_maps_by_class(open_round: Server, tmp_path: Path) -> None:
    client = open_round.client("ann")
    file, params = client.infer("cam", "b/case 01.png", {"class": "a", "method": "gradcam"})
    assert (params["class"], params["method"]) == ("a", "gradcam")
    assert images.read_image(Path(file)).pixels.shape == (HEIGHT, WIDTH)
    _, params = client.infer("cam", "", {}, file=str(open_round.study / "b" / "case 01.png"))
    assert params["class"] in ("a", "b")


def test_bad_inference_requests(open_round: Server) -> None:
    def infer(model: str, params: Any = None, **options: Any) -> requests.Response:
        query = {"image": "b/case 01.png"} | options.pop("query", {})
        return open_round.post(f"/infer/{model}", params=query, data={"params": json.dumps(params or {})}, **options)

    refused(infer("unet"), 404, "'unet'", "classifier")
    refused(infer("cam", {"class": "c"}), 400, "'c'", "a, b")
    refused(infer("cam", {"method": "magic"}), 404, "magic", "gradcam")
    refused(infer("cam", {"layer": "no.such.layer"}), 404, "no.such.layer")
    refused(infer("cam", [1]), 400, "params")
    refused(infer("classifier", query={"session_id": "1"}), 400, "Sessions")
    refused(infer("classifier", query={"output": "dicom_seg"}), 400, "dicom_seg")
    refused(infer("classifier", files={"file": ("a.png", b"\x89PNG but no more")}), 400)
    # A path in params must not take the place of the image.
    response = infer("classifier", {"image": "/etc/passwd"})
    assert response.ok
    refused(infer("classifier", {}, query={"image": str(open_round.study / "manifest.csv")}), 404)


def test_scoring_is_stored(open_round: Server) -> None:
    refused(open_round.post("/scoring/metrics", json={"split": "holdout"}), 400, "'holdout'", "test")
    refused(open_round.post("/scoring/dice", json={}), 404, "'dice'", "metrics")
    assert open_round.post("/scoring/metrics", json={"split": "test"}).ok
    task = open_round.wait_for_task("scoring")
    assert task["status"] == "DONE", task
    store = Study.open(open_round.study).store
    (score,) = store.scores(open_round.run()["run"])
    store.close()
    assert score.split == "test"
    assert set(score.metrics) == {"accuracy", "auroc", "ece", "brier"}


# -- to the end --------------------------------------------------------------------------------------------------------


def test_the_rest_of_the_round_and_of_the_run(open_round: Server, tmp_path: Path) -> None:
    client = open_round.client("last")
    run = open_round.run()
    if run["reviewed"] < run["queued"]:
        refused(open_round.post("/train/classifier", json={}), 409, "continue_early")
    receipt = None
    while case := client.next_sample("imil_outlier", {}):
        cells = [5, 6]
        file = mask_file(open_round, case, grid_of(case).mask(cells), tmp_path)
        params = {
            "run": case["run"],
            "round": case["round"],
            "action": "grid",
            "cells": cells,
            "key": str(uuid.uuid4()),
        }
        receipt = client.save_label(case["id"], str(file), "imil", params)
    assert receipt is None or receipt["remaining"] == 0
    run = open_round.run()
    assert run["reviewed"] == run["queued"] == SETTINGS["num_outliers"]

    mode = {"feedback": "propagate", "insight": "go_on", "propagate_tolerance": 0.5}
    task = client.train_start("classifier", mode)
    assert task["status"] in ("SUBMITTED", "RUNNING")
    time.sleep(0.5)
    refused(open_round.post("/train/classifier", json={}), 409, "DELETE /train/")
    open_round.wait_until("completed")
    open_round.wait_for_task("train")
    assert client.train_status()["status"] == "DONE"
    done = open_round.run()
    assert done["epoch"] == done["epochs"] == SETTINGS["epochs"]
    taught = open_round.post("/activelearning/imil_insight", json={"client_id": "last"}).json()
    assert (taught["feedback"], taught["open"], taught["looks"]) == ("propagate", False, False)
    assert taught["grid_cells_swapped"]
    assert open_round.next_case("last") == {}
    stale = {"id": "a/case 00.png", "run": done["run"], "round": 1}
    refused(open_round.put_label(stale, "late"), 409)
    refused(open_round.post("/train/classifier", json={}), 409, "new_run")


@pytest.mark.slow
def test_a_stopped_training_resumes(open_round: Server) -> None:
    client = open_round.client("trainer")
    client.train_start("classifier", SETTINGS | {"new_run": True, "epochs": 5000, "imil_epochs": []})
    deadline = time.monotonic() + 120
    while not (run := open_round.run())["training"] or run["epoch"] < 1:
        assert time.monotonic() < deadline, run
        time.sleep(0.1)
    stopped = client.train_stop()
    assert stopped["status"] == "STOPPED"
    run = open_round.run()
    assert (run["state"], run["training"]) == ("training", False)
    assert "resume" in run["message"]
    refused(open_round.post("/train/classifier", json={"lr": 0.5}), 400, "lr", "new_run")
    # What MONAI Label's own clients do: send back the whole config as it was shown.
    config = open_round.get("/info/").json()["trainers"]["classifier"]["config"]
    shown = {name: value[0] if isinstance(value, list) else value for name, value in config.items()}
    client.train_start("classifier", shown)
    while (now := open_round.run())["epoch"] <= run["epoch"]:
        assert time.monotonic() < deadline + 120, now
        time.sleep(0.1)
    assert now["run"] == run["run"]
    client.train_stop()
