"""The same app started by MONAI Label's own command, from a folder that isn't an installed package."""

import sys
from pathlib import Path

import pytest

from imil.serve import free_port
from tests.monailabel_app.server_process import make_study, start, stop

APP = Path(__file__).resolve().parents[2] / "monailabel_app"
pytestmark = pytest.mark.xdist_group("monailabel_app")


def test_start_server_serves_a_study_and_leaves_no_files(tmp_path: Path) -> None:
    make_study(tmp_path / "study")
    files_before = sorted(APP.iterdir())
    port = free_port("127.0.0.1", 0)
    command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(APP)]
    command += ["--studies", str(tmp_path / "study"), "--host", "127.0.0.1", "--port", str(port)]
    server = start(command, tmp_path / "study", port, tmp_path / "log", cwd=tmp_path)
    try:
        info = server.client().info()
        assert info["strategies"]["imil_outlier"]["run"]["state"] == "none"
        assert server.next_case("ann") == {}
        server.put_label({"id": "a/case 00.png", "run": 1, "round": 1}, "ann")
        assert "/datastore/label" in server.get("/logs/").text
        assert server.post("/train/classifier", json={"epoch": 1}).status_code == 400
    finally:
        stop(server)
    assert [path for path in sorted(APP.iterdir()) if path.name != "__pycache__"] == [
        path for path in files_before if path.name != "__pycache__"
    ]
