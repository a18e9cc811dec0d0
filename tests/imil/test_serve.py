"""What `imil serve` checks before it becomes the server."""

import json
import socket
import sys
from pathlib import Path

import pytest
from PIL import Image

from imil.errors import BadInput, Conflict
from imil.serve import free_port, is_loopback, server_command
from imil.study import create_study


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        for number in range(4):
            path = tmp_path / "study" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (16, 16), 40 * number + (name == "b")).save(path)
    create_study(tmp_path / "study", "folders")
    return tmp_path / "study"


def test_the_command_names_study_host_and_port(study: Path) -> None:
    port = free_port("127.0.0.1", 0)
    command = server_command(study, port=port, conf={"max_upload_mb": "8"})
    assert command[:3] == [sys.executable, "-m", "monailabel_app"]
    assert command[3:] == [str(study), "--host", "127.0.0.1", "--port", str(port), "--conf", "max_upload_mb", "8"]


def test_port_zero_takes_a_free_one(study: Path) -> None:
    command = server_command(study, port=0)
    assert int(command[command.index("--port") + 1]) > 0


def test_a_taken_port_is_named(study: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Conflict, match=rf"port {port} on 127.0.0.1 is taken.*--port"):
            server_command(study, port=port)


def test_bad_addresses_are_refused() -> None:
    with pytest.raises(BadInput, match="port 70000"):
        free_port("127.0.0.1", 70_000)
    with pytest.raises(BadInput, match=r"'no\.such\.host\.invalid'"):
        free_port("no.such.host.invalid", 0)
    with pytest.raises(BadInput, match=r"Can't listen.*192\.0\.2\.1"):
        free_port("192.0.2.1", 0)


def test_what_is_no_study_is_refused(tmp_path: Path, study: Path) -> None:
    with pytest.raises(BadInput, match="imil study create"):
        server_command(tmp_path)
    info = study / ".imil" / "study.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"version": 99}))
    with pytest.raises(BadInput, match="newer version"):
        server_command(study)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.0.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_loopback_addresses_are_known(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
