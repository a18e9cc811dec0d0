"""A proxy in front of a real server that misbehaves on request: real sockets on 127.0.0.1, nothing is simulated."""

import contextlib
import datetime
import http.client
import http.server
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


@dataclass(frozen=True)
class Certificate:
    """Files with a certificate and its key. `certificate` is also its issuer: who trusts that file trusts it."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class BadServer:
    """A proxy for tests, to be used with ``with``. It listens on a port of its own: ``url``.

    ``mode`` may be changed at any time:

    ====================  ==============================================================================
    ``pass``              requests and answers pass unchanged
    ``refuse``            nothing listens on the port, open connections are cut
    ``delay``             answers come after ``seconds``
    ``trickle``           the answer's body comes byte by byte, one each ``seconds``
    ``trickle headers``   the answer's head comes byte by byte, one each ``seconds``
    ``cut``               the connection ends after ``cut_after`` bytes of the answer's body
    ``drop``              the connection ends when the request has been carried out, without an answer
    ``garbage``           what comes back isn't HTTP
    ``html``              200 with a web page
    ``broken json``       200 with half a JSON object, of full length
    ``wrong types``       JSON answers have texts for numbers and numbers for texts; other answers are zeros
    ``token``             401, or ``status``, unless the request has the bearer token ``token``
    ``status``            ``status`` with ``body``
    ``redirect``          ``status`` (307 if it isn't one) to ``target`` + the path
    ``endless``           200 with zeros that never end
    ``announce``          200 with a Content-Length of ``cut_after``, and no body
    ``packed``            the answer claims to be packed with gzip
    ====================  ==============================================================================

    A mode applies to paths that begin with ``only``. ``seen`` has all requests that arrived, ``connections`` counts how
    often somebody connected.

    Args:
        url: the server behind the proxy; may be empty where no request gets through.
        certificate: speaks TLS with this certificate, if given.
    """

    def __init__(self, url: str = "", certificate: Certificate | None = None) -> None:
        self.seconds = 1.0
        self.cut_after = 20
        self.token = ""
        self.status = 500
        self.body = b""
        self.target = ""
        self.only = ""
        self.seen: list[Seen] = []
        self.connections = 0
        self.behind = urlsplit(url)
        self.closing = threading.Event()
        self._context = _server_context(certificate)
        self._mode = "pass"
        self._listener: _Listener | None = None
        self._lock = threading.Lock()
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            self.port = chosen.getsockname()[1]
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"

    @property
    def mode(self) -> str:
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        if mode not in MODES:
            raise ValueError(f"There is no mode {mode!r}; the modes are {', '.join(MODES)}.")
        self._mode = mode
        if mode == "refuse":
            self._stop()
        elif self._listener is None:
            self._listen()

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def cut_connections(self) -> None:
        """Cut the connections that are open; new ones are taken."""
        if self._listener is not None:
            self._listener.cut()

    def _listen(self) -> None:
        with self._lock:
            self.closing.clear()
            self._listener = _Listener(self, self._context)
            threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()

    def _stop(self) -> None:
        with self._lock:
            listener, self._listener = self._listener, None
            self.closing.set()
            if listener is not None:
                listener.shutdown()
                listener.server_close()
                listener.cut()


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, owner: BadServer, context: ssl.SSLContext | None) -> None:
        self.owner = owner
        self._context = context
        self._open: list[socket.socket] = []
        super().__init__(("127.0.0.1", owner.port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._context is not None:
            # The handshake follows with the first read, in the connection's own thread.
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._open.append(connection)
        self.owner.connections += 1
        return connection, address

    def cut(self) -> None:
        for connection in self._open:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        self._open.clear()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is what many tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def answer(self) -> None:
        owner = self.server.owner
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        owner.seen.append(Seen(self.command, self.path, dict(self.headers), body))
        mode = owner.mode if self.path.startswith(owner.only) else "pass"
        MODES[mode](self, owner, lambda: self.forward(body))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815 - the names http.server asks for

    def forward(self, body: bytes) -> Reply:
        behind = self.server.owner.behind
        connection = http.client.HTTPConnection(str(behind.hostname), behind.port, timeout=120)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        connection.request(self.command, self.path, body or None, headers)
        response = connection.getresponse()
        kept = {name: value for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP}
        reply = Reply(response.status, kept, response.read())
        connection.close()
        return reply

    def head(self, reply: Reply, **extra: str) -> bytes:
        lines = [f"HTTP/1.1 {reply.status} {http.client.responses.get(reply.status, 'Strange')}"]
        headers = {"Content-Length": str(len(reply.body))} | reply.headers | extra
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def send(self, reply: Reply) -> None:
        self.wfile.write(self.head(reply) + reply.body)

    def hang_up(self) -> None:
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Quiet."""


Forward = Callable[[], Reply]


def _pass(handler: _Handler, _owner: BadServer, forward: Forward) -> None:
    handler.send(forward())


def _delay(handler: _Handler, owner: BadServer, forward: Forward) -> None:
    reply = forward()
    if not owner.closing.wait(owner.seconds):
        handler.send(reply)


def _trickle(handler: _Handler, owner: BadServer, forward: Forward) -> None:
    reply = forward()
    handler.wfile.write(handler.head(reply))
    _drip(handler, owner, reply.body)


def _trickle_head(handler: _Handler, owner: BadServer, forward: Forward) -> None:
    reply = forward()
    _drip(handler, owner, handler.head(reply))
    handler.wfile.write(reply.body)


def _drip(handler: _Handler, owner: BadServer, content: bytes) -> None:
    for byte in content:
        if owner.closing.wait(owner.seconds):
            return
        handler.wfile.write(bytes([byte]))


def _cut(handler: _Handler, owner: BadServer, forward: Forward) -> None:
    reply = forward()
    handler.wfile.write(handler.head(reply) + reply.body[: owner.cut_after])
    handler.hang_up()


def _drop(handler: _Handler, _owner: BadServer, forward: Forward) -> None:
    forward()
    handler.hang_up()


def _garbage(handler: _Handler, _owner: BadServer, _forward: Forward) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n\0\0\1\1 nothing that HTTP knows\r\n")
    handler.hang_up()


def _html(handler: _Handler, _owner: BadServer, _forward: Forward) -> None:
    handler.send(Reply(200, {"Content-Type": "text/html"}, b"<!doctype html><title>Sign in</title><p>Welcome."))


def _broken_json(handler: _Handler, _owner: BadServer, forward: Forward) -> None:
    reply = forward()
    handler.send(Reply(reply.status, reply.headers, reply.body[: len(reply.body) // 2]))


def _wrong_types(handler: _Handler, _owner: BadServer, forward: Forward) -> None:
    reply = forward()
    try:
        body = json.dumps(_swapped(json.loads(reply.body))).encode()
    except ValueError:
        body = bytes(len(reply.body))
    handler.send(Reply(reply.status, reply.headers, body))


def _swapped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _swapped(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_swapped(item) for item in value]
    return 7 if isinstance(value, str) else "seven"


def _needs_token(handler: _Handler, owner: BadServer, forward: Forward) -> None:
    if handler.headers.get("Authorization") == f"Bearer {owner.token}":
        handler.send(forward())
    else:
        status = owner.status if owner.status in (401, 403) else 401
        handler.send(Reply(status, {"WWW-Authenticate": "Bearer"}, b'{"detail":"Not authenticated"}'))


def _status(handler: _Handler, owner: BadServer, _forward: Forward) -> None:
    handler.send(Reply(owner.status, {"Content-Type": "application/json"}, owner.body))


def _redirect(handler: _Handler, owner: BadServer, _forward: Forward) -> None:
    status = owner.status if 300 <= owner.status < 400 else 307
    handler.send(Reply(status, {"Location": owner.target + handler.path}, b""))


def _endless(handler: _Handler, owner: BadServer, _forward: Forward) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    block = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    while not owner.closing.is_set():
        handler.wfile.write(block)


def _announce(handler: _Handler, owner: BadServer, _forward: Forward) -> None:
    handler.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {owner.cut_after}\r\n\r\n".encode())
    owner.closing.wait(owner.seconds)
    handler.hang_up()


def _packed(handler: _Handler, _owner: BadServer, forward: Forward) -> None:
    reply = forward()
    handler.wfile.write(handler.head(reply, **{"Content-Encoding": "gzip"}) + reply.body)


MODES: dict[str, Callable[[_Handler, BadServer, Forward], None]] = {
    "pass": _pass,
    "refuse": _pass,
    "delay": _delay,
    "trickle": _trickle,
    "trickle headers": _trickle_head,
    "cut": _cut,
    "drop": _drop,
    "garbage": _garbage,
    "html": _html,
    "broken json": _broken_json,
    "wrong types": _wrong_types,
    "token": _needs_token,
    "status": _status,
    "redirect": _redirect,
    "endless": _endless,
    "announce": _announce,
    "packed": _packed,
}


def make_certificate(folder: Path, *hosts: str, days: tuple[int, int] = (-1, 1)) -> Certificate:
    """A self-signed certificate for hosts or addresses, valid from and until so many days from now."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host) for host in hosts]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days[0]))
        .not_valid_after(now + datetime.timedelta(days[1]))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = Certificate(folder / f"{hosts[0]}.pem", folder / f"{hosts[0]}.key")
    files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
    return files


def _server_context(certificate: Certificate | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context
