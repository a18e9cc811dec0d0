"""One server process for all tests of the app."""

import sys
from collections.abc import Iterator

import pytest

from imil.serve import free_port
from tests.monailabel_app.server_process import SETTINGS, Server, make_study, start, stop


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    make_study(folder / "study")
    port = free_port("127.0.0.1", 0)
    call = f"serve(Path({str(folder / 'study')!r}), port={port}, conf={{'max_upload_mb': '8'}})"
    command = [sys.executable, "-c", f"from pathlib import Path; from imil.serve import serve; {call}"]
    running = start(command, folder / "study", port, folder / "server.log", cwd=folder)
    yield running
    stop(running)
    output = running.log.read_text()
    assert f"IMIL serves {running.study} at {running.url}" in output
    assert "Traceback" not in output


@pytest.fixture(scope="session")
def open_round(server: Server) -> Server:
    """The server with its first round open."""
    server.client("trainer").train_start("classifier", dict(SETTINGS))
    server.wait_until("awaiting_review")
    return server
