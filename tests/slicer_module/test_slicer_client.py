"""The Slicer module's client against a real server, straight and through a proxy that misbehaves."""

import itertools
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from IMILLib.client import Client
from IMILLib.errors import ServerError
from IMILLib.grid import CellGrid
from IMILLib.images import read_heat_map, read_picture, write_mask
from IMILLib.records import Answer, Case
from PIL import Image

from imil import images
from imil.study import Study, create_study
from tests.monailabel_app.server_process import Server, serve, stop
from tests.reviewable import hot_corner, open_round
from tests.slicer_module.bad_server import BadServer, Certificate, make_certificate

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
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
def study(server: Server) -> Iterator[Study]:
    """The server's study with a fresh round over all training images."""
    opened = Study.open(server.study)
    open_round(opened)
    yield opened
    opened.store.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[BadServer]:
    with BadServer(server.url) as running:
        yield running


Make = Callable[..., Client]


@pytest.fixture
def connect(server: Server) -> Iterator[Make]:
    """Clients that are closed at the end; impatient ones, so that tests are quick."""
    made: list[Client] = []

    def make(url: str = server.url, reader: str = "Ada", token: str = "", seconds: float = 10.0) -> Client:
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


# -- what works --------------------------------------------------------------------------------------------------------


def test_info(connect: Make, study: Study) -> None:
    info = connect().info()
    assert (info.name, info.study, info.labels) == ("IMIL", "Studie ä #1", ("normal", "tb"))
    status = info.status
    assert (status.state, status.round, status.reviewed, status.queued) == ("awaiting_review", 1, 0, len(queued(study)))
    assert info.settings["epochs"]["minimum"] == 1
    assert info.presets["quick"]["network"] == "imil_small"
    assert [entry["epoch"] for entry in info.history] == [1, 2]
    assert set(info.history[0]["test"]) >= {"loss", "accuracy", "auroc", "ece"}
    assert info.scores == ()


def queued(study: Study) -> list[str]:
    run = study.store.latest_run()
    assert run is not None
    return [entry.case_id for entry in study.store.queue(run.id, 1)]


def test_every_case_by_name_with_image_heat_map_and_exact_mask(connect: Make, study: Study) -> None:
    """Names that must be quoted, and each flip and transposition: rows and columns are the server's, to the pixel."""
    client = connect()
    names = queued(study)
    assert len(names) >= 8
    for number, name in enumerate(names):
        (case,) = client.next_cases(name)
        assert (case.id, case.shape, case.answer) == (name, SHAPE, None)
        path = study.image_path(name)
        content = client.image(name)
        assert content == path.read_bytes()
        picture = read_picture(content, name)
        heat_map = read_heat_map(client.heat_map(case), case.shape)
        hot = CellGrid(case.row_edges, case.col_edges)
        top, left = divmod(int(np.argmax(hot_corner(number)[::16, ::16])), 2)
        assert heat_map[5 + 25 * top, 8 + 35 * left] > 0.9
        assert heat_map[5 + 25 * (1 - top), 8 + 35 * (1 - left)] < 0.2
        answer = answer_to(case, cells=(number % 16, 15 - number % 16), misleading=())
        mask = hot.mask(answer.cells)
        receipt = client.submit(answer, write_mask(mask, picture.geometry))
        assert (receipt.remaining, receipt.total, receipt.repeated) == (len(names) - number - 1, len(names), False)
        saved = study.folder / "back.nii.gz"
        saved.write_bytes(_label(client, name))
        np.testing.assert_array_equal(images.read_mask(saved, SHAPE), mask)
        saved.unlink()


def _label(client: Client, name: str) -> bytes:
    import requests

    return requests.get(f"{client.url}/datastore/label", {"label": name, "tag": "imil"}, timeout=30).content


def test_an_answer_arrives_with_all_its_parts_and_once(connect: Make, study: Study) -> None:
    client = connect()
    case = client.next_cases()[0]
    picture = read_picture(client.image(case.id), case.id)
    answer = answer_to(case)
    mask = write_mask(CellGrid(case.row_edges, case.col_edges).mask(answer.cells, answer.misleading), picture.geometry)
    first, second = client.submit(answer, mask), client.submit(answer, mask)
    assert (first.event, first.remaining) == (second.event, second.remaining)
    assert [first.repeated, second.repeated] == [False, True]
    run = study.store.latest_run()
    assert run is not None
    (event,) = study.store.events(run.id)
    assert (event.reader, event.cells, event.misleading, event.seconds) == ("Ada", (1, 6), (3,), 4.25)
    assert event.rationale == answer.rationale
    again = client.next_cases(case.id)[0].answer
    assert again is not None
    assert (again.action, again.cells, again.misleading, again.rationale) == ("grid", (1, 6), (3,), answer.rationale)
    fails("conflict", lambda: client.submit(answer_to(case), mask), "replace")
    assert client.submit(answer_to(case, replace=True), mask).remaining == first.remaining


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "skip"},
        {"action": "exclude", "rationale": "unfit"},
        {"action": "relabel", "new_label": "normal", "rationale": "wrong"},
    ],
    ids=lambda fields: fields["action"],
)
def test_answers_without_cells(connect: Make, study: Study, fields: dict[str, Any]) -> None:
    client = connect()
    case = next(case for case in client.next_cases(ahead=20) if case.label == "tb")
    picture = read_picture(client.image(case.id), case.id)
    empty = write_mask(np.zeros(case.shape, np.uint8), picture.geometry)
    receipt = client.submit(answer_to(case, cells=(), misleading=(), **fields), empty)
    assert receipt.remaining == len(queued(study)) - 1


def test_cases_ahead_queue_and_release(connect: Make, study: Study) -> None:
    ada, ben = connect(), connect(reader="Ben")
    cases = ada.next_cases(ahead=2)
    assert [case.position for case in cases] == [1, 2, 3]
    assert ben.next_cases()[0].position == 4
    queue = ada.queue()
    assert (queue.run, queue.round, queue.state) == (cases[0].run, 1, "awaiting_review")
    assert (queue.total, queue.reviewed, queue.epoch) == (len(queue.rows), 0, 2)
    assert [row.holder for row in queue.rows[:5]] == ["Ada", "Ada", "Ada", "Ben", ""]
    assert queue.rows[0].probabilities == cases[0].probabilities
    fails("conflict", lambda: ben.next_cases(cases[1].id), "'Ada'")
    fails("missing", lambda: ben.next_cases("no/such case.png"), "no/such case.png")
    fails("rejected", lambda: ben.next_cases(ahead=21), "21")
    ada.release()
    assert [row.holder for row in ada.queue().rows[:4]] == ["", "", "", "Ben"]
    ben.release()


def test_refusals_are_the_servers_own_sentences(connect: Make, study: Study) -> None:
    client = connect()
    case = client.next_cases()[0]
    fails("rejected", lambda: client.submit(answer_to(case), b""), "empty")
    fails("rejected", lambda: client.submit(answer_to(case), b"no mask"), "label")
    fails("conflict", lambda: client.submit(answer_to(case, action="skip", cells=(), misleading=(), round=7), b""), "7")
    fails("missing", lambda: client.image("no/such.png"), "no/such.png")
    fails("rejected", lambda: client.train({"new_run": True, "epoch": 3}), "'epoch'", "epochs")
    fails("conflict", lambda: client.train({}), "answer the others")
    fails("rejected", lambda: connect(reader=" ").next_cases(), "client_id")
    client.release()


def test_how_training_ended(connect: Make, proxy: BadServer, study: Study) -> None:
    client = connect(proxy.url)
    assert client.training_problem() == ""  # there was none
    client.stop_training()
    proxy.mode, proxy.status = "status", 200
    for body, told in (
        (b'{"status":"ERROR","details":["a","b","c "," the disk is full"]}', "b\nc\nthe disk is full"),
        (b'{"status":"ERROR","details":[7,"x",null]}', "x"),
        (b'{"status":"ERROR","details":null}', ""),
        (b'{"status":"DONE","details":["done"]}', ""),
        (b"[]", ""),
    ):
        proxy.body = body
        assert client.training_problem() == told


@pytest.mark.slow
def test_training_starts_stops_and_tells_how_it_failed(connect: Make, study: Study) -> None:
    client = connect(seconds=30)
    quick = {
        "new_run": True,
        "network": "imil_small",
        "image_size": 32,
        "epochs": 4,
        "imil_epochs": [],
        "device": "cpu",
    }
    # The process starts, and fails only then.
    client.train(quick | {"target_layer": "no.such.layer", "heatmap": "gradcam", "device": "cuda:7"})
    deadline = time.monotonic() + 60
    while not (problem := client.training_problem()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "cuda" in problem
    client.stop_training()


# -- what doesn't ------------------------------------------------------------------------------------------------------


def test_addresses_that_cannot_be() -> None:
    for url in (
        "",
        "   ",
        "ftp://host",
        "http://",
        "http://a b",
        "http://host:99999",
        "http://host:0",
        "://x",
        "http://[1",
    ):
        fails("address", lambda url=url: Client(url))
    for url in ("http://host/?x=1", "http://host/#/", "http://*", "http://.host", "file:///etc/passwd"):
        fails("address", lambda url=url: Client(url))
    sentence = fails("address", lambda: Client("http://ada:hunter2@host"))
    assert "hunter2" not in sentence


def test_addresses_are_completed() -> None:
    for text, url in (
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        (" host ", "http://host"),
        ("HTTPS://imil.example.org/", "https://imil.example.org"),
        ("http://host:8000/imil//", "http://host:8000/imil"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("localhost:8000", "http://localhost:8000"),
    ):
        assert Client(text).url == url


def test_nobody_there(connect: Make, proxy: BadServer) -> None:
    proxy.mode = "refuse"
    fails("refused", connect(proxy.url).info, proxy.url, "imil serve")
    fails("unknown_host", connect("http://no-such-host.invalid").info, "no-such-host.invalid")


def test_a_host_that_swallows_everything(connect: Make) -> None:
    """A listener that accepts nothing: its waiting line is full, so a connection is neither made nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", port))
        started = time.monotonic()
        fails("timeout", connect(f"http://127.0.0.1:{port}", seconds=0.5).info, "can't be reached")
        assert time.monotonic() - started < 3
        for connection in waiting:
            connection.close()


def test_a_server_that_thinks_too_long(connect: Make, proxy: BadServer) -> None:
    proxy.mode, proxy.seconds = "delay", 30
    started = time.monotonic()
    fails("timeout", connect(proxy.url, seconds=0.5).info, "in time")
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("mode", ["trickle", "trickle headers"])
def test_an_answer_that_trickles_ends_in_time(connect: Make, proxy: BadServer, mode: str) -> None:
    proxy.mode, proxy.seconds = mode, 0.1
    started = time.monotonic()
    fails("timeout", connect(proxy.url, seconds=0.2).info)
    assert time.monotonic() - started < 4  # 10 times the longest silence


def test_half_an_answer(connect: Make, proxy: BadServer, study: Study) -> None:
    client = connect(proxy.url)
    case = client.next_cases()[0]
    proxy.mode, proxy.cut_after = "cut", 100
    fails("nonsense", client.info, "broke off")
    fails("nonsense", lambda: client.image(case.id), "broke off")
    fails("nonsense", lambda: client.heat_map(case), "broke off")
    proxy.cut_after = 0
    fails("nonsense", client.info, "broke off")
    proxy.mode = "drop"
    fails("nonsense", client.info, "broke off")


@pytest.mark.parametrize("mode", ["garbage", "html", "broken json", "wrong types", "packed"])
def test_nonsense(connect: Make, proxy: BadServer, study: Study, mode: str) -> None:
    client = connect(proxy.url)
    case = client.next_cases()[0]
    proxy.mode = mode
    for call in (
        client.info,
        client.next_cases,
        client.queue,
        lambda: client.submit(answer_to(case, action="skip"), b""),
    ):
        fails("nonsense", call)
    proxy.mode = "pass"
    assert client.info().name == "IMIL"


def test_images_that_arrive_as_something_else_are_found_when_read(
    connect: Make, proxy: BadServer, study: Study
) -> None:
    client = connect(proxy.url)
    case = client.next_cases()[0]
    for mode in ("html", "wrong types"):
        proxy.mode = mode
        with pytest.raises(ValueError, match=r"can't be shown.*\.$"):
            read_picture(client.image(case.id), case.id)
        with pytest.raises(ValueError, match=r"can't be shown.*\.$"):
            read_heat_map(client.heat_map(case), case.shape)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"7", b'"x"', b"{}", b"[" * 100_000, b"\xff\xfe", b"1" * 5000])
def test_json_that_is_no_description(connect: Make, proxy: BadServer, body: bytes) -> None:
    proxy.mode, proxy.status, proxy.body = "status", 200, body
    with pytest.raises(ServerError) as caught:
        connect(proxy.url).info()
    assert caught.value.kind in ("nonsense", "not_imil")


def test_too_large_answers_are_not_read(connect: Make, proxy: BadServer) -> None:
    client = connect(proxy.url)
    proxy.mode, proxy.cut_after, proxy.seconds = "announce", 300 << 20, 5
    started = time.monotonic()
    fails("too_large", lambda: client.image("x"), "256 MB")
    fails("too_large", client.info, "64 MB")
    assert time.monotonic() - started < 2
    proxy.mode = "endless"
    fails("too_large", client.queue, "64 MB")


def test_statuses(connect: Make, proxy: BadServer) -> None:
    client = connect(proxy.url)
    proxy.mode = "status"
    for status, kind in ((400, "rejected"), (404, "missing"), (409, "conflict"), (413, "too_large"), (422, "rejected")):
        proxy.status, proxy.body = status, b'{"detail":"The value 7 is wrong; use 8."}'
        assert fails(kind, client.queue) == "The value 7 is wrong; use 8."
        for body in (b"", b"<html>", b'{"detail": [1]}', b"[]"):
            proxy.body = body
            fails(kind, client.queue, str(status))
    for status in (500, 502, 503, 504, 507):
        proxy.status, proxy.body = status, b"<html>Bad gateway</html>"
        fails("server", client.queue, str(status))
    proxy.status, proxy.body = 503, b'{"detail":"The disk is full."}'
    assert fails("server", client.queue) == "The disk is full."
    proxy.body = b'{"detail":"two\\nlines\\u0000 and ' + b"x" * 9000 + b'."}'
    assert len(fails("server", client.queue, "two lines")) < 1000


def test_offline_kinds() -> None:
    kinds = ("refused", "unknown_host", "timeout", "server", "nonsense")
    assert all(ServerError(kind, "").offline for kind in kinds)
    others = ("address", "certificate", "token", "not_imil", "older", "too_large", "conflict", "missing", "rejected")
    assert not any(ServerError(kind, "").offline for kind in others)


# -- other servers -----------------------------------------------------------------------------------------------------


def test_other_kinds_of_server(connect: Make, proxy: BadServer, server: Server) -> None:
    fails("not_imil", connect(f"{server.url}/somewhere").info, "check address and port")
    client = connect(proxy.url)
    proxy.mode, proxy.status = "status", 200
    proxy.body = b'{"status": "ok"}'
    fails("not_imil", client.info, "check address and port")
    proxy.body = b'{"name": "DeepEdit", "trainers": {}, "strategies": {"random": {}}, "labels": []}'
    fails("not_imil", client.info, "'DeepEdit'", "imil serve")
    proxy.body = (
        b'{"name": "IMIL", "trainers": {}, "labels": [], "strategies": {"imil_outlier": {"run": {"state": "none"}}}}'
    )
    fails("older", client.info, "older")


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_token(connect: Make, proxy: BadServer, server: Server) -> None:
    proxy.mode, proxy.token = "token", SECRET
    assert connect(proxy.url, token=SECRET).info().name == "IMIL"
    assert connect(proxy.url, token=f" {SECRET}\n").info().name == "IMIL"
    fails("token", connect(proxy.url).info, "asks for a token")
    fails("token", connect(proxy.url, token="other").info, "doesn't accept")
    proxy.status = 403
    fails("token", connect(proxy.url, token="other").info, "doesn't allow")
    for bad in ("two words", "line\nbreak", "ü", "null\0"):
        fails("token", lambda bad=bad: Client(proxy.url, token=bad))
    assert not any(SECRET in seen.path or SECRET.encode() in seen.body for seen in proxy.seen)
    assert SECRET not in server.log.read_text()


def test_a_token_repeated_by_the_server_is_not_shown(connect: Make, proxy: BadServer) -> None:
    proxy.mode, proxy.status = "status", 400
    proxy.body = f'{{"detail":"What is {SECRET}?"}}'.encode()
    assert fails("rejected", connect(proxy.url, token=SECRET).queue) == "What is ***?"


def test_no_password_of_the_computer_is_sent(
    connect: Make, proxy: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password hunter2\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    connect(proxy.url).info()
    connect(proxy.url, token=SECRET).info()
    assert [seen.headers.get("Authorization") for seen in proxy.seen] == [None, f"Bearer {SECRET}"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_to_other_hosts_are_not_followed(
    connect: Make, proxy: BadServer, server: Server, study: Study, status: int
) -> None:
    with BadServer(server.url) as other:
        proxy.mode, proxy.target, proxy.status = "redirect", other.url, status
        client = connect(proxy.url, token=SECRET)
        fails("address", client.info, other.url)
        fails("address", client.queue, other.url)
        fails("address", lambda: client.image("x"), other.url)
        proxy.target = other.url.replace("http://", "http://ada:hunter2@")
        assert "hunter2" not in fails("address", client.info, other.url)
        proxy.target = other.url.replace("http://127.0.0.1", "https://127.0.0.1")
        fails("address", client.info, "https://")
        assert other.seen == []


def test_redirects_inside_the_server_are_followed(connect: Make, proxy: BadServer, study: Study) -> None:
    client = connect(proxy.url, token=SECRET)
    proxy.mode, proxy.target, proxy.only = "redirect", "", "/info/"
    proxy.target = f"{proxy.url}/."  # the same path, differently written
    fails("nonsense", client.info, "circles")
    assert len(proxy.seen) == 4
    proxy.mode = "pass"
    proxy.seen.clear()
    with BadServer(proxy.url) as outer:
        outer.mode, outer.target, outer.only = "redirect", f"{outer.url}/behind", "/activelearning"
        outer.status = 307
        fails("missing", connect(outer.url).queue, "HTTP 404")  # it was sent on with its body, to where nothing is
        assert [seen.path for seen in proxy.seen] == ["/behind/activelearning/imil_queue"]
        assert b"Ada" in proxy.seen[0].body


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path, "127.0.0.1")


def trust(monkeypatch: pytest.MonkeyPatch, certificate: Certificate, variable: str = "REQUESTS_CA_BUNDLE") -> None:
    monkeypatch.setenv(variable, str(certificate.certificate))


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_tls_with_a_trusted_certificate(
    connect: Make,
    server: Server,
    study: Study,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """SSL_CERT_FILE stands for the operating system's own list, which OpenSSL reads in the same way."""
    trust(monkeypatch, certificate, variable)
    with BadServer(server.url, certificate) as proxy:
        proxy.mode, proxy.token = "token", SECRET
        client = connect(proxy.url, token=SECRET)
        assert client.info().name == "IMIL"
        case = client.next_cases()[0]
        assert client.image(case.id) == (server.study / case.id).read_bytes()
        proxy.mode, proxy.cut_after = "cut", 10
        fails("nonsense", client.info, "broke off")
        proxy.mode, proxy.seconds = "trickle", 0.1
        fails("timeout", connect(proxy.url, seconds=0.2).info)
        proxy.mode = "refuse"
        fails("refused", client.info)


def test_tls_with_an_unknown_certificate(connect: Make, certificate: Certificate) -> None:
    with BadServer(certificate=certificate) as proxy:
        fails("certificate", connect(proxy.url, token=SECRET).info, "isn't trusted", "REQUESTS_CA_BUNDLE")
        assert proxy.seen == []


def test_tls_with_a_certificate_for_another_name(
    connect: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hosts in (("imil.example.org",), ("10.0.0.1", "localhost")):
        other = make_certificate(tmp_path, *hosts)
        trust(monkeypatch, other)
        with BadServer(certificate=other) as proxy:
            fails("certificate", connect(proxy.url, token=SECRET).info, "another name")
            assert proxy.seen == []


@pytest.mark.parametrize(("days", "word"), [((-9, -2), "expired"), ((2, 9), "isn't valid yet")])
def test_tls_with_a_certificate_out_of_time(
    connect: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: tuple[int, int], word: str
) -> None:
    old = make_certificate(tmp_path, "127.0.0.1", days=days)
    trust(monkeypatch, old)
    with BadServer(certificate=old) as proxy:
        fails("certificate", connect(proxy.url, token=SECRET).info, word)
        assert proxy.seen == []


def test_tls_and_plain_mixed_up(connect: Make, proxy: BadServer, certificate: Certificate) -> None:
    fails("certificate", connect(proxy.url.replace("http:", "https:")).info, "begins with http://")
    with BadServer(certificate=certificate) as secure:
        fails("nonsense", connect(secure.url.replace("https:", "http:")).info)


def test_tls_where_the_variable_names_no_file(connect: Make, certificate: Certificate, monkeypatch: Any) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
    with BadServer(certificate=certificate) as proxy:
        fails("certificate", connect(proxy.url).info, "REQUESTS_CA_BUNDLE")


# -- connections -------------------------------------------------------------------------------------------------------


def test_proxies_of_the_environment(connect: Make, proxy: BadServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """This computer's own servers are asked directly; others by the proxy, whose failure is told as its own."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert connect(proxy.url).info().name == "IMIL"
    assert connect(proxy.url.replace("127.0.0.1", "localhost")).info().name == "IMIL"
    fails("refused", connect("http://imil.example.org").info, "proxy")
    fails("refused", connect("https://imil.example.org").info, "proxy")


def test_kept_connections_that_the_server_closed_are_opened_again(
    connect: Make, proxy: BadServer, study: Study
) -> None:
    client = connect(proxy.url)
    client.info()
    for _ in range(3):
        proxy.cut_connections()
        assert client.queue().round == 1
    # A connection that ends without an answer is tried once more, but a request to train isn't.
    proxy.mode = "drop"
    proxy.seen.clear()
    fails("nonsense", client.queue)
    assert len(proxy.seen) == 2
    proxy.seen.clear()
    fails("nonsense", lambda: client.train({"epoch": 1}))
    assert len(proxy.seen) == 1


def test_one_connection_is_kept_for_each_thread(connect: Make, proxy: BadServer) -> None:
    client = connect(proxy.url)
    failures: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(5):
                client.info()
        except ServerError as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert len(proxy.seen) == 15
    assert proxy.connections == 3


@pytest.mark.parametrize("mode", ["delay", "trickle", "endless"])
@pytest.mark.parametrize("secure", [False, True])
def test_closing_breaks_off_what_is_under_way(
    connect: Make,
    server: Server,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    secure: bool,
) -> None:
    trust(monkeypatch, certificate)
    with BadServer(server.url, certificate if secure else None) as proxy:
        client = connect(proxy.url, seconds=20)
        client.info()
        proxy.mode, proxy.seconds = mode, 5
        caught: list[ServerError] = []

        def ask() -> None:
            try:
                client.image("tb/plain.png")
            except ServerError as error:
                caught.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        while len(proxy.seen) < 2:
            time.sleep(0.01)
        time.sleep(0.2)
        started = time.monotonic()
        client.close()
        thread.join(5)
        assert not thread.is_alive()
        assert time.monotonic() - started < 1
        (error,) = caught
        assert "closed" in str(error) or error.kind == "too_large"
        fails("refused", client.info, "closed")
        client.close()


def test_interrupting_breaks_off_but_does_not_close(connect: Make, proxy: BadServer) -> None:
    client = connect(proxy.url, seconds=20)
    proxy.mode, proxy.seconds = "delay", 10
    caught: list[ServerError] = []

    def ask() -> None:
        try:
            client.info()
        except ServerError as error:
            caught.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    while len(proxy.seen) < 2:
        time.sleep(0.01)
    client.interrupt()
    for thread in threads:
        thread.join(2)
    assert [error.kind for error in caught] == ["refused", "refused"]
    proxy.mode = "pass"
    assert client.info().name == "IMIL"
