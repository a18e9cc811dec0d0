"""A whole round over HTTP with MONAI Label's own client, and every bad request with its sentence."""

import http.client
import json
import socket
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from monailabel.client.client import MONAILabelClientException
from PIL import Image

from imil import images
from imil.settings import RunSettings
from imil.study import Study
from tests.monailabel_app.server_process import (
    HEIGHT,
    IMAGES_PER_CLASS,
    SETTINGS,
    WIDTH,
    Server,
    grid_of,
    mask_file,
)

pytestmark = pytest.mark.xdist_group("monailabel_app")


def sentence(response: requests.Response) -> str:
    detail = response.json()["detail"]
    assert isinstance(detail, str)
    assert "\n" not in detail
    assert "Traceback" not in detail
    return detail


def refused(response: requests.Response, status: int, *words: str) -> None:
    assert response.status_code == status, response.text
    told = sentence(response)
    for word in words:
        assert word in told, told


def number_of_events(server: Server) -> int:
    store = Study.open(server.study).store
    run = store.latest_run()
    events = len(store.events(run.id)) if run else 0
    store.close()
    return events


# -- before anything is trained --------------------------------------------------------------------------------------


def test_info_describes_everything_before_the_first_run(server: Server) -> None:
    info = server.client().info()
    assert set(info["strategies"]) == {"imil_outlier", "random"}
    assert set(info["models"]) == {"classifier", "cam"}
    assert info["labels"] == ["a", "b"]
    assert info["datastore"]["total"] == 2 * IMAGES_PER_CLASS
    trainer = info["trainers"]["classifier"]
    assert set(trainer["settings"]) == set(RunSettings.model_fields)
    assert set(trainer["config"]) == {
        "preset",
        "new_run",
        "continue_early",
        "without_feedback",
        *RunSettings.model_fields,
    }
    assert trainer["config"]["preset"] == ["", "paper", "quick"]
    assert trainer["config"]["imil_epochs"] == "70"
    assert trainer["config"]["fill"] == ["none", "least_confident", "out_of_fold"]
    assert set(trainer["presets"]) == {"paper", "quick"}


@pytest.mark.parametrize(
    ("request_body", "status", "words"),
    [
        ({"epoch": 3}, 400, ["'epoch'", "epochs"]),
        ({"epochs": 5, "imil_epochs": [9]}, 400, ["imil_epochs", "9"]),
        ({"preset": "fast"}, 400, ["'fast'", "paper, quick"]),
        ({"preset": ["paper", "quick"]}, 400, ["preset"]),
        ({"new_run": "yes"}, 400, ["new_run", "'yes'"]),
        ({"pretrained": "../secret.pt"}, 400, ["pretrained", "../secret.pt", "weights"]),
        ({"pretrained": "/etc/passwd"}, 400, ["pretrained", "/etc/passwd"]),
        ({"pretrained": ".."}, 400, ["pretrained"]),
        ({"pretrained": "missing.pt"}, 400, ["missing.pt"]),
        ({"batch_size": 0}, 400, ["batch_size", "0"]),
        ({"continue_early": True}, 409, []),
    ],
)
def test_a_bad_training_request_starts_nothing(
    server: Server, request_body: dict[str, Any], status: int, words: list[str]
) -> None:
    tasks_before = server.get("/train/?all=true").text
    refused(server.post("/train/classifier", json=request_body), status, *words)
    assert server.get("/train/?all=true").text == tasks_before


def test_training_requests_of_the_wrong_kind(server: Server) -> None:
    refused(server.post("/train/segmenter", json={}), 404, "segmenter", "classifier")
    refused(server.post("/train/classifier?run_sync=true", json={}), 400, "run_sync")
    refused(server.post("/train/classifier", data="{broken", headers={"content-type": "application/json"}), 400, "JSON")
    refused(server.post("/train/classifier", json=[1]), 422)


def test_without_a_model_inference_and_scoring_say_so(server: Server) -> None:
    if Study.open(server.study).store.latest_run() is not None:
        pytest.skip("a test before this one has trained a model")
    refused(server.post("/infer/classifier", params={"image": "a/case 00.png"}), 409, "no trained model")
    refused(server.post("/scoring/metrics", json={}), 409, "no trained model")
    assert server.next_case("ann") == {}


def test_endpoints_that_would_change_the_study_are_refused(server: Server, tmp_path: Path) -> None:
    images_before = sorted(server.study.rglob("*.png"))
    case = {"id": "a/case 00.png"}
    file = {"file": ("new.png", (server.study / case["id"]).read_bytes())}
    refused(requests.put(server.url + "/datastore/image", params={"image": "x"}, files=file, timeout=30), 400, "fixed")
    refused(requests.put(server.url + "/datastore/", params={"image": "x"}, files=file, timeout=30), 400, "fixed")
    refused(requests.delete(server.url + "/datastore/image", params={"id": case["id"]}, timeout=30), 400, "fixed")
    refused(requests.delete(server.url + "/datastore/", params={"id": case["id"]}, timeout=30), 400, "fixed")
    refused(
        requests.delete(server.url + "/datastore/label", params={"id": case["id"], "tag": "imil"}, timeout=30),
        400,
        "undo",
    )
    info = {"info": '{"label": "b"}'}
    refused(
        requests.put(server.url + "/datastore/image/info", params={"image": case["id"]}, data=info, timeout=30),
        400,
        "manifest.csv",
    )
    refused(requests.put(server.url + "/model/classifier", files=file, timeout=30), 400, "training")
    refused(requests.delete(server.url + "/model/classifier", timeout=30), 400, "training")
    refused(server.post("/batch/infer/classifier", json={}), 404)
    refused(server.get("/proxy/dicom/wado/anything"), 404)
    refused(server.get("/datastore/dataset"), 400, "imil export")
    assert sorted(server.study.rglob("*.png")) == images_before


def test_the_log_is_in_the_study_and_is_served(server: Server) -> None:
    server.get("/datastore/label", params={"label": "a/case 00.png", "tag": "cam"})
    text = server.get("/logs/?lines=-5").text
    assert len(text.splitlines()) == 1
    assert (server.study / ".imil" / "logs" / "server.log").stat().st_size > 0


def test_no_web_page_of_another_origin_may_read(server: Server) -> None:
    response = server.get("/info/", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in response.headers


# -- images and labels by id -------------------------------------------------------------------------------------------

ESCAPES = [
    "../study/manifest.csv",
    "a/../manifest.csv",
    "/etc/passwd",
    "..",
    "",
    "a/case 00.png/../x",
    "a\0b",
]


@pytest.mark.parametrize("name", ESCAPES)
def test_an_image_id_never_becomes_a_path(server: Server, name: str) -> None:
    case = {"id": name, "run": 1, "round": 1}
    for response in (
        server.get("/datastore/image", params={"image": name}),
        server.get("/datastore/image/info", params={"image": name}),
        server.get("/datastore/label", params={"label": name, "tag": "cam"}),
        server.get("/datastore/label/info", params={"label": name, "tag": "imil"}),
        server.post("/infer/classifier", params={"image": name}),
        server.put_label(case, "ann"),
    ):
        refused(response, 404)
    assert requests.head(f"{server.url}/datastore/image", params={"image": name}, timeout=30).status_code == 404


@pytest.mark.parametrize("tag", ["../../secret", "/tmp/x", "final", "original", "cam/../imil"])
def test_a_tag_never_becomes_a_path(server: Server, tag: str, tmp_path: Path) -> None:
    files_before = sorted(server.study.rglob("*"))
    refused(server.get("/datastore/label", params={"label": "a/case 00.png", "tag": tag}), 404, tag, "cam")
    case = {"id": "a/case 00.png", "run": 1, "round": 1}
    refused(server.put_label(case, "ann", tag=tag), 400, tag, "imil")
    assert sorted(server.study.rglob("*")) == files_before


def test_the_original_file_is_served_unchanged(server: Server) -> None:
    response = server.get("/datastore/image", params={"image": "b/case 03.png"})
    assert response.content == (server.study / "b" / "case 03.png").read_bytes()


def test_the_datastore_lists_every_image(server: Server) -> None:
    listing = server.client().datastore()
    assert len(listing["objects"]) == 2 * IMAGES_PER_CLASS
    assert listing["objects"]["a/case 00.png"]["image"]["info"]["label"] == "a"
    sample = server.client().next_sample("random", {})
    assert sample["id"] in listing["objects"]
    assert Path(sample["path"]).is_file()
    refused(server.post("/activelearning/best", json={}), 404, "'best'", "imil_outlier")


# -- size limits -------------------------------------------------------------------------------------------------------


def test_an_upload_of_a_gigabyte_is_refused_before_it_is_sent(server: Server) -> None:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    connection.putrequest("PUT", "/datastore/label?image=a%2Fcase+00.png&tag=imil")
    connection.putheader("content-type", "multipart/form-data; boundary=b")
    connection.putheader("content-length", str(1024**3))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert "8 MB" in json.loads(response.read())["detail"]
    connection.close()


def test_a_stream_without_a_length_is_cut_off(server: Server) -> None:
    sent = 0

    def chunks() -> Any:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="label"; filename="a.nii"\r\n\r\n'
        while sent < 1024**3:
            sent += 1 << 20
            yield bytes(1 << 20)

    host, port = server.url.removeprefix("http://").split(":")
    started = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = "PUT /datastore/label?image=a%2Fcase+00.png&tag=imil HTTP/1.1\r\nHost: x\r\n"
        head += "Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        connection.settimeout(0.001)
        answer = b""
        for chunk in chunks():
            connection.settimeout(20)
            connection.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            connection.settimeout(0.001)
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
            connection.settimeout(20)
            while b"}" not in answer:
                answer += connection.recv(65536)
            break
    assert answer.startswith(b"HTTP/1.1 413"), answer
    assert b"8 MB" in answer
    assert sent < 128 << 20
    assert time.monotonic() - started < 15


def test_the_official_client_is_told_why_its_file_is_refused(server: Server, tmp_path: Path) -> None:
    big = tmp_path / "big.nii"
    big.write_bytes(bytes(12 << 20))
    with pytest.raises(MONAILabelClientException) as caught:
        server.client("ann").save_label("a/case 00.png", str(big), "imil", {"run": 1, "round": 1})
    assert "413" in caught.value.msg
    assert "8 MB" in caught.value.msg


def test_a_large_json_body_is_refused(server: Server) -> None:
    refused(server.post("/train/classifier", data=b" " * (2 << 20), headers={"content-type": "application/json"}), 413)


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

    task = client.train_start("classifier", {})
    assert task["status"] in ("SUBMITTED", "RUNNING")
    time.sleep(0.5)
    refused(open_round.post("/train/classifier", json={}), 409, "DELETE /train/")
    open_round.wait_until("completed")
    open_round.wait_for_task("train")
    assert client.train_status()["status"] == "DONE"
    done = open_round.run()
    assert done["epoch"] == done["epochs"] == SETTINGS["epochs"]
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
