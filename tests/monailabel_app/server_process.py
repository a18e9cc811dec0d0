"""A real server process on a tiny study, and MONAI Label's own client to talk to it."""

import json
import os
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import requests
from monailabel.client import MONAILabelClient
from PIL import Image

from imil import images
from imil.grid import Grid
from imil.serve import free_port
from imil.study import Study, create_study
from tests.monailabel_app.preloaded import ForkedServer

HEIGHT, WIDTH = 40, 48
IMAGES_PER_CLASS = 16
SETTINGS = {
    "feedback": "blackout",
    "network": "imil_small",
    "image_size": 32,
    "epochs": 4,
    "imil_epochs": [2],
    "num_outliers": 12,
    "selection": "class_balanced",
    "grid_size": 4,
    "optimizer": "adamw",
    "batch_size": 8,
    "device": "cpu",
    "lease_seconds": 600,
}
START_SECONDS = 120


def make_study(folder: Path) -> Study:
    """A study of grey squares: a bright spot at the left is class a, at the right class b."""
    random = np.random.default_rng(0)
    for column, name in ((10, "a"), (34, "b")):
        (folder / name).mkdir(parents=True)
        for number in range(IMAGES_PER_CLASS):
            pixels = random.integers(60, 140, (HEIGHT, WIDTH), np.uint8)
            pixels[15:25, column - 5 : column + 5] += 60
            Image.fromarray(pixels).save(folder / name / f"case {number:02}.png")
    return create_study(folder, "folders")


@dataclass
class Server:
    """A running server. `client` is MONAI Label's own; `reader` its name there."""

    process: "subprocess.Popen[str] | ForkedServer"
    url: str
    study: Path
    log: Path
    readers: list[str] = field(default_factory=list)

    def client(self, reader: str = "") -> MONAILabelClient:
        return MONAILabelClient(self.url, tmpdir=str(self.log.parent), client_id=reader or None)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=60, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return requests.post(self.url + path, timeout=60, **options)

    def run(self) -> dict[str, Any]:
        return dict(self.get("/info/").json()["strategies"]["imil_outlier"]["run"])

    def next_case(self, reader: str) -> dict[str, Any]:
        return dict(self.client(reader).next_sample("imil_outlier", {}))

    def put_label(
        self, case: dict[str, Any], reader: str, content: bytes | None = None, *, tag: str = "imil", **params: Any
    ) -> requests.Response:
        """Send an answer; by default a skip with an empty label file."""
        return requests.put(
            f"{self.url}/datastore/label",
            params={"image": case["id"], "tag": tag},
            data={"params": json_params(case, reader, **params)},
            files={"label": ("label.nii.gz", content or b"")},
            timeout=60,
        )

    def wait_until(self, *states: str, seconds: float = 120) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            run = self.run()
            if run["state"] in states:
                return run
            task = self.get("/train/").json()
            assert task.get("status") != "ERROR", task["details"]
            time.sleep(0.2)
        raise AssertionError(f"still {run['state']} after {seconds} s: {self.get('/train/').json()}")

    def wait_for_task(self, kind: str, seconds: float = 120) -> dict[str, Any]:
        """Wait until MONAI Label's newest task of a kind (train, scoring) has ended."""
        deadline = time.monotonic() + seconds
        while (task := self.get(f"/{kind}/").json())["status"] in ("SUBMITTED", "RUNNING"):
            assert time.monotonic() < deadline, task
            time.sleep(0.2)
        return dict(task)


def json_params(case: dict[str, Any], reader: str, **params: Any) -> str:
    defaults = {"action": "skip", "key": str(uuid.uuid4()), "run": case["run"], "round": case["round"]}
    return json.dumps({"client_id": reader} | defaults | params)


def sentence(response: requests.Response) -> str:
    """The refusal's sentence."""
    detail = response.json()["detail"]
    assert isinstance(detail, str)
    assert "\n" not in detail
    assert "Traceback" not in detail
    return detail


def refused(response: requests.Response, status: int, *words: str) -> None:
    """Fails unless the request was refused with this status in a sentence with these words."""
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


def grid_of(case: dict[str, Any]) -> Grid:
    return Grid(
        case["grid"]["rows"], case["grid"]["cols"], case["grid"]["row_edges"][-1], case["grid"]["col_edges"][-1]
    )


def mask_file(server: Server, case: dict[str, Any], mask: np.ndarray, folder: Path, suffix: str = ".nii.gz") -> Path:
    path = folder / f"mask-{uuid.uuid4().hex}{suffix}"
    images.write_mask(path, mask.astype(np.uint8), server.study / case["id"])
    return path


def start(command: list[str], study: Path, port: int, log: Path, **options: Any) -> Server:
    """Start a server process by a command and wait until it answers."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, text=True, env=environment(), **options
        )
    return _answering(Server(process, f"http://127.0.0.1:{port}", study, log))


def serve(study: Path, log: Path, port: int = 0) -> Server:
    """Serve a study, by default on any free port, and wait until it answers; see `tests.monailabel_app.preloaded`."""
    port = port or free_port("127.0.0.1", 0)
    process = ForkedServer(study, port, log, environment())
    return _answering(Server(process, f"http://127.0.0.1:{port}", study, log))


def _answering(server: Server) -> Server:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert server.process.poll() is None, server.log.read_text()
        try:
            if server.get("/info/").ok:
                return server
        except requests.ConnectionError:
            time.sleep(0.1)
    stop(server)
    raise AssertionError(f"no answer after {START_SECONDS} s: {server.log.read_text()}")


def stop(server: Server) -> None:
    server.process.send_signal(signal.SIGINT)
    try:
        server.process.wait(20)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


def environment() -> dict[str, str]:
    root = Path(__file__).resolve().parents[2]
    paths = [str(root / "lib"), str(root), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path), "OMP_NUM_THREADS": "1"}
