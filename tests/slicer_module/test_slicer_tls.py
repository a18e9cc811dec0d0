"""The client's connections: certificates, proxies, kept connections, and breaking off."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from IMILLib.errors import ServerError

from imil.study import Study
from tests.monailabel_app.server_process import Server
from tests.slicer_module.bad_server import BadServer, Certificate, make_certificate
from tests.slicer_module.clients import SECRET, Make, fails


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path, "127.0.0.1")


def trust(monkeypatch: pytest.MonkeyPatch, certificate: Certificate, variable: str = "REQUESTS_CA_BUNDLE") -> None:
    monkeypatch.setenv(variable, str(certificate.certificate))


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_tls_with_a_trusted_certificate(
    connect: Make,
    odd_server: Server,
    odd_study: Study,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """SSL_CERT_FILE stands for the operating system's own list, which OpenSSL reads in the same way."""
    trust(monkeypatch, certificate, variable)
    with BadServer(odd_server.url, certificate) as proxy:
        proxy.mode, proxy.token = "token", SECRET
        client = connect(proxy.url, token=SECRET)
        assert client.info().name == "IMIL"
        case = client.next_cases()[0]
        assert client.image(case.id) == (odd_server.study / case.id).read_bytes()
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
    connect: Make, proxy: BadServer, odd_study: Study
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
    odd_server: Server,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    secure: bool,
) -> None:
    trust(monkeypatch, certificate)
    with BadServer(odd_server.url, certificate if secure else None) as proxy:
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
