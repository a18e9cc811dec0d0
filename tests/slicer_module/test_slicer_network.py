"""What the client makes of servers that aren't there, misbehave, or are of another kind; and where a token goes."""

import socket
import time
from pathlib import Path

import pytest
from IMILLib.client import Client
from IMILLib.errors import ServerError
from IMILLib.images import read_heat_map, read_picture

from imil.study import Study
from tests.monailabel_app.server_process import Server
from tests.slicer_module.bad_server import BadServer
from tests.slicer_module.clients import SECRET, Make, answer_to, fails


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


def test_half_an_answer(connect: Make, proxy: BadServer, odd_study: Study) -> None:
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
def test_nonsense(connect: Make, proxy: BadServer, odd_study: Study, mode: str) -> None:
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
    connect: Make, proxy: BadServer, odd_study: Study
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


def test_other_kinds_of_server(connect: Make, proxy: BadServer, odd_server: Server) -> None:
    fails("not_imil", connect(f"{odd_server.url}/somewhere").info, "check address and port")
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


def test_token(connect: Make, proxy: BadServer, odd_server: Server) -> None:
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
    assert SECRET not in odd_server.log.read_text()


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
    connect: Make, proxy: BadServer, odd_server: Server, odd_study: Study, status: int
) -> None:
    with BadServer(odd_server.url) as other:
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


def test_redirects_inside_the_server_are_followed(connect: Make, proxy: BadServer, odd_study: Study) -> None:
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
