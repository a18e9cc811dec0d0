"""A real server, a proxy in front of it that misbehaves, and clients: fixtures and what their tests have in common."""

import itertools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from IMILLib.client import Client
from IMILLib.errors import ServerError
from IMILLib.records import Answer, Case
from PIL import Image

from imil.study import Study, create_study
from tests.monailabel_app.server_process import Server, serve, stop
from tests.reviewable import open_round
from tests.slicer_module.bad_server import BadServer

SECRET = "s3cret-T0ken.abc_~+/="
SHAPE = (37, 53)
NAMES = [
    "tb/plain.png",
    "tb/Bild #1 + 50% ä&b=c?.png",
    "normal/日本 (2); 'x'.png",
    "normal/100%25 %20.png",
    *(f"tb/turn {order}{signs}.nii.gz" for order in range(2) for signs in range(4)),
    "normal/deep.png",
    "normal/a.nrrd",
]


def make_odd_study(folder: Path) -> Study:
    """Images with names that have to be quoted, and in each of the 8 ways to lie in a plane."""
    random = np.random.default_rng(0)
    for name in NAMES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 4000, SHAPE).astype(np.uint16)
        if path.suffix == ".png":
            Image.fromarray(pixels if "deep" in name else (pixels >> 4).astype(np.uint8)).save(path)
            continue
        image = SimpleITK.GetImageFromArray(pixels[None])
        image.SetSpacing((0.3, 0.8, 2.0))
        if "turn" in name:
            order, signs = int(name[8]), list(itertools.product((1, -1), repeat=2))[int(name[9])]
            turn = np.eye(3)
            turn[:2, :2] = np.diag(signs)[[1, 0] if order else [0, 1]]
            image.SetDirection(tuple(turn.ravel()))
        SimpleITK.WriteImage(image, str(path))
    return create_study(folder, "folders")


@pytest.fixture(scope="session")
def odd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with images whose names have to be quoted, and that lie in space in every way."""
    folder = tmp_path_factory.mktemp("client")
    make_odd_study(folder / "Studie ä #1").store.close()
    running = serve(folder / "Studie ä #1", folder / "server.log")
    yield running
    stop(running)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this computer's environment says about proxies and certificates is left out of it."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def odd_study(odd_server: Server) -> Iterator[Study]:
    """The server's study with a fresh round over all training images."""
    opened = Study.open(odd_server.study)
    open_round(opened)
    yield opened
    opened.store.close()


@pytest.fixture
def proxy(odd_server: Server) -> Iterator[BadServer]:
    """The same server, behind a proxy."""
    with BadServer(odd_server.url) as running:
        yield running


Make = Callable[..., Client]


@pytest.fixture
def connect(odd_server: Server) -> Iterator[Make]:
    """Makes clients of that server, or another address; they're closed at the end."""
    made: list[Client] = []

    def make(url: str = odd_server.url, reader: str = "Ada", token: str = "", seconds: float = 10.0) -> Client:
        made.append(Client(url, reader, token, (seconds, seconds)))
        return made[-1]

    yield make
    for client in made:
        client.close()


def answer_to(case: Case, **changes: Any) -> Answer:
    fields = {
        "case_id": case.id,
        "run": case.run,
        "round": case.round,
        "reader": "Ada",
        "action": "grid",
        "cells": (1, 6),
        "misleading": (3,),
        "new_label": "",
        "rationale": 'I looked at "the hilum" — ü\nand more',
        "seconds": 4.25,
        "key": str(uuid.uuid4()),
        "replace": False,
    }
    return Answer(**(fields | changes))


def fails(kind: str, call: Callable[[], object], *words: str) -> str:
    """The sentence; fails unless the call fails in this way."""
    with pytest.raises(ServerError) as caught:
        call()
    sentence = str(caught.value)
    assert caught.value.kind == kind, sentence
    assert sentence.endswith((".", "?")), sentence
    assert "\n" not in sentence
    for clumsy in ("Traceback", "HTTPConnectionPool", "urllib3", "object at", "Errno", SECRET):
        assert clumsy not in sentence
    for word in words:
        assert word in sentence
    return sentence
