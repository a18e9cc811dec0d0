"""The server before anything is trained, and what it refuses at any time. A round is in test_server_round.py."""

import http.client
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from monailabel.client.client import MONAILabelClientException

from imil.settings import RunSettings
from imil.study import Study
from tests.monailabel_app.server_process import IMAGES_PER_CLASS, Server, refused

pytestmark = pytest.mark.xdist_group("monailabel_app")


# -- before anything is trained --------------------------------------------------------------------------------------


def test_info_describes_everything_before_the_first_run(server: Server) -> None:
    info = server.client().info()
    assert set(info["strategies"]) == {"imil_outlier", "imil_queue", "imil_insight", "random"}
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
        "reopen",
        "more_cases",
        *RunSettings.model_fields,
    }
    assert trainer["config"]["preset"] == ["", "imil", "paper", "quick"]
    assert trainer["config"]["imil_epochs"] == "70"
    assert trainer["config"]["fill"] == ["none", "least_confident", "out_of_fold"]
    assert set(trainer["presets"]) == {"imil", "paper", "quick"}


@pytest.mark.parametrize(
    ("request_body", "status", "words"),
    [
        ({"epoch": 3}, 400, ["'epoch'", "epochs"]),
        ({"epochs": 5, "imil_epochs": [9]}, 400, ["imil_epochs", "9"]),
        ({"preset": "fast"}, 400, ["'fast'", "imil, paper, quick"]),
        ({"preset": ["paper", "quick"]}, 400, ["preset"]),
        ({"new_run": "yes"}, 400, ["new_run", "'yes'"]),
        ({"pretrained": "../secret.pt"}, 400, ["pretrained", "../secret.pt", "weights"]),
        ({"pretrained": "/etc/passwd"}, 400, ["pretrained", "/etc/passwd"]),
        ({"pretrained": ".."}, 400, ["pretrained"]),
        ({"pretrained": "missing.pt"}, 400, ["missing.pt"]),
        ({"batch_size": 0}, 400, ["batch_size", "0"]),
        ({"feedback": "heal"}, 404, ["'heal'", "propagate"]),
        ({"more_cases": "5"}, 400, ["more_cases", "'5'", "whole number"]),
        ({"more_cases": -1}, 400, ["more_cases", "-1"]),
        ({"more_cases": 5, "reopen": True}, 400, ["reopen and more_cases contradict"]),
        ({"reopen": 1}, 400, ["reopen", "true or false"]),
        ({"continue_early": True}, 409, []),
        ({"reopen": True}, 409, ["no run yet"]),
        ({"more_cases": 3}, 409, ["no run yet"]),
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
