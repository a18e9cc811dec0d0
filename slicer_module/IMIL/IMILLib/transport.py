"""HTTP with limits: on time, also for answers that trickle, on size, and on where a token goes."""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from .errors import ServerError
from .failures import broken_off, failure, refusal
from .i18n import _

TOTAL = 10.0
"""A whole answer may take this many times as long as the longest silence in it."""
_MAX_REDIRECTS = 3
_CHUNK = 1 << 16
_FAILURES = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)
"""What the layers below raise; ValueError comes from a TLS connection that is closed while somebody reads."""
_thread = threading.local()
"""``call``: the `_Call` that this thread is in."""


@dataclass(eq=False)
class _Call:
    """A request under way.

    Attributes:
        silence: seconds without a byte before it's given up.
        until: when it's given up in any case, by `time.monotonic`.
        sock: what the answer comes from, once there is one.
        broken_off: from outside, by another thread.
    """

    silence: float
    until: float
    sock: socket.socket | None = None
    broken_off: bool = False


class _TimedReader(io.RawIOBase):
    """Reads from a socket until the call's time is over. The socket's own time limit starts anew with each byte."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, call: _Call) -> None:
        super().__init__()
        self._raw, self._sock, self._call = raw, sock, call

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._call.broken_off:
            raise ConnectionAbortedError("broken off")
        left = self._call.until - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out")
        self._sock.settimeout(min(self._call.silence, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        call: _Call = _thread.call
        call.sock = sock
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock, call))


class _PlainConnection(urllib3.connection.HTTPConnection):
    response_class = _Response


class _SecureConnection(urllib3.connection.HTTPSConnection):
    response_class = _Response


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _PlainPool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    """Connections of the kinds above, which trust what the operating system trusts."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._options = {} if context is None else {"ssl_context": context}
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, **self._options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options, **self._options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _Bearer(requests.auth.AuthBase):
    """The token as a header, or nothing. It's always set, so that no password from a .netrc file is sent instead."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Transport:
    """Requests to one server, from any thread.

    Args:
        url: the server's address, without a slash at the end.
        token: sent to this server only, as a bearer token; may be empty.
        timeout: seconds to wait for a connection, and for each further piece of an answer.
    """

    def __init__(self, url: str, token: str, timeout: tuple[float, float]) -> None:
        self.url = url
        self._token = token
        self._timeout = timeout
        self._lock = threading.Lock()
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._calls: list[_Call] = []
        self._closed = False
        self._context = _trust() if url.startswith("https:") else None
        host = urlsplit(url).hostname or ""
        own = host in ("localhost", "::1") or host.startswith("127.")
        # A proxy can't reach this computer's own servers.
        self._proxies = {"no_proxy": host} if own else None

    def send(
        self, method: str, path: str, *, limit: int, patience: float = 0.0, again: bool = True, **options: Any
    ) -> bytes:
        """The body of a successful answer.

        Args:
            method: GET, POST, ...
            path: begins with a slash.
            limit: the largest answer in bytes.
            patience: seconds to wait for the answer, if the server may need longer for this than usual.
            again: whether the request may be sent once more if the connection broke; a kept connection that the
                server has closed meanwhile is noticed only then.
            options: as `requests.request` takes them.

        Raises:
            ServerError: if there is none, or none that's successful.
        """
        silence = max(self._timeout[1], patience)
        call = _Call(silence, time.monotonic() + TOTAL * silence)
        with self._lock:
            self._refuse_if_closed()
            self._calls.append(call)
        try:
            return self._answer(call, method, self.url + path, limit, again, options)
        except ServerError:
            if call.broken_off:
                raise self._was_closed() from None
            raise
        finally:
            _thread.call = None
            with self._lock:
                self._calls.remove(call)

    def interrupt(self) -> None:
        """Break off what is under way, in whatever thread. A connection that is just being made isn't waited for."""
        with self._lock:
            calls = list(self._calls)
        for call in calls:
            call.broken_off = True
            if call.sock is not None:
                with contextlib.suppress(OSError):  # it's closed already
                    # Not SSLSocket's own, which changes the object that another thread is reading from.
                    socket.socket.shutdown(call.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Break off what is under way, and close all connections for good."""
        with self._lock:
            self._closed = True
            sessions, self._sessions = self._sessions, []
        self.interrupt()
        for session in sessions:
            session.close()

    def _answer(self, call: _Call, method: str, url: str, limit: int, again: bool, options: dict[str, Any]) -> bytes:
        for _redirect in range(_MAX_REDIRECTS + 1):
            status, headers, content = self._exchange(call, method, url, limit, again, options)
            if 200 <= status < 300:
                return content
            if status >= 400:
                raise refusal(status, content, self.url, self._token)
            url = self._redirected(status, headers.get("Location", ""), method, url)
            options = {name: value for name, value in options.items() if name != "params"}
        raise ServerError("nonsense", _("The server at {url} sends requests round in circles.").format(url=self.url))

    def _exchange(
        self, call: _Call, method: str, url: str, limit: int, again: bool, options: dict[str, Any]
    ) -> tuple[int, Any, bytes]:
        _thread.call = call
        try:
            with self._session().request(
                method,
                url,
                timeout=(self._timeout[0], call.silence),
                proxies=self._proxies,
                stream=True,
                allow_redirects=False,
                **options,
            ) as response:
                return response.status_code, response.headers, self._body(response, limit)
        except _FAILURES as error:
            problem = failure(error, self.url)
            if again and problem.kind == "nonsense" and not call.broken_off:
                return self._exchange(call, method, url, limit, False, options)
            raise problem from None

    def _body(self, response: requests.Response, limit: int) -> bytes:
        announced = response.headers.get("Content-Length", "")
        length = int(announced) if announced.isdecimal() else None
        if length is not None and length > limit:
            raise self._too_large(limit)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise ServerError(
                "nonsense", _("The server at {url} packs its answers although not asked to.").format(url=self.url)
            )
        parts: list[bytes] = []
        size = 0
        for part in response.raw.stream(_CHUNK, decode_content=False):
            size += len(part)
            if size > limit:
                raise self._too_large(limit)
            parts.append(part)
        if length is not None and size < length:
            raise broken_off(self.url)
        return b"".join(parts)

    def _too_large(self, limit: int) -> ServerError:
        return ServerError(
            "too_large",
            _("The server at {url} sends more than {limit} MB for one answer, which can't be right.").format(
                url=self.url, limit=limit >> 20
            ),
        )

    def _redirected(self, status: int, location: str, method: str, url: str) -> str:
        """Where to go on. Only inside the same server: a token and a patient's image are for nobody else."""
        target = urljoin(url, location)
        same = _origin(target) == _origin(url)
        if location and same and (method == "GET" or status in (307, 308)):
            return target
        parts = urlsplit(target)
        raise ServerError(
            "address",
            _("The server at {url} sends requests on to {target}; if that is right, enter it as the address.").format(
                url=self.url, target=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
            ),
        )

    def _session(self) -> requests.Session:
        session = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.auth = _Bearer(self._token)
            session.headers["Accept-Encoding"] = "identity"
            for scheme in _POOLS:
                session.mount(f"{scheme}://", _Adapter(self._context))
            with self._lock:
                self._refuse_if_closed()
                self._sessions.append(session)
            self._local.session = session
        return session

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise self._was_closed()

    def _was_closed(self) -> ServerError:
        return ServerError("refused", _("The connection to {url} was closed.").format(url=self.url))


def _trust() -> ssl.SSLContext | None:
    """What the operating system trusts; requests adds its own list. None where a variable names what to trust."""
    if os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE"):
        return None
    # Not Python's own default context: with urllib3 1, that one fails for hosts that are named by their address.
    context: ssl.SSLContext = create_urllib3_context()
    context.load_default_certs()
    return context


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme, 0)
    try:
        port = parts.port or default
    except ValueError:
        port = -1
    return parts.scheme, (parts.hostname or "").lower(), port
