"""What a failed request means, in a sentence for the person who waits for it."""

from __future__ import annotations

import errno
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import requests
import urllib3

from .errors import ServerError
from .i18n import _

_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL})
_EXPIRED, _NOT_YET = 10, 9
_OTHER_HOST = frozenset({62, 64})
"""OpenSSL's codes: the certificate's names, or addresses, don't include the host's."""
_MAX_DETAIL = 500
_KINDS = {
    401: "token",
    403: "token",
    404: "missing",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    429: "conflict",
}


def failure(error: BaseException, url: str) -> ServerError:
    """The error to raise for a request to ``url`` that brought no complete answer."""
    causes = list(_causes(error))
    for find in (_of_certificate, _of_proxy, _of_name, _of_network, _of_time, _of_protocol):
        found = find(causes, url)
        if found is not None:
            return found
    return ServerError(
        "nonsense", _("The request to {url} failed ({reason}).").format(url=url, reason=type(error).__name__)
    )


def refusal(status: int, content: bytes, url: str, token: str) -> ServerError:
    """The error to raise for an answer with a status of 400 or more."""
    told = detail(content, token)
    if status in (401, 403):
        return ServerError("token", _token_sentence(status, url, token))
    if status >= 500:
        return ServerError("server", told or _failed_itself(status, url))
    kind = _KINDS.get(status, "rejected")
    if told:
        return ServerError(kind, told)
    return ServerError(
        kind, _("The server at {url} refused the request (HTTP {status}).").format(url=url, status=status)
    )


def detail(content: bytes, token: str = "") -> str:
    """The sentence in an error's JSON, fit to be shown; empty if there is none."""
    try:
        told = json.loads(content)["detail"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    if not isinstance(told, str):
        return ""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in told).split())
    if token:
        text = text.replace(token, "***")  # a server that repeats it must not bring it onto the screen
    if len(text) > _MAX_DETAIL:
        return f"{text[:_MAX_DETAIL]} ..."
    return text if text.endswith((".", "?", "!")) else ""  # what other software says, such as "Not Found"


def broken_off(url: str) -> ServerError:
    """The error for an answer that ended too early."""
    return ServerError(
        "nonsense",
        _("The server at {url} broke off before its answer was complete; try again.").format(url=url),
    )


def _token_sentence(status: int, url: str, token: str) -> str:
    if not token:
        return _("The server at {url} asks for a token; enter the one its administrator gave you.").format(url=url)
    if status == 403:
        return _("The token is known at {url}, but doesn't allow this; ask its administrator.").format(url=url)
    return _("The server at {url} doesn't accept the token; enter it again, or ask for a new one.").format(url=url)


def _failed_itself(status: int, url: str) -> str:
    if status in (502, 503, 504):
        return _("The server at {url} isn't ready (HTTP {status}); try again in a minute.").format(
            url=url, status=status
        )
    return _("The server at {url} failed (HTTP {status}); its log says why.").format(url=url, status=status)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that it was raised from, or wraps."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or any(current is other for other in seen):
            continue
        seen.append(current)
        yield current
        waiting += [getattr(current, "reason", None), *current.args, current.__cause__, current.__context__]


def _of_certificate(causes: list[BaseException], url: str) -> ServerError | None:
    host = urlsplit(url).hostname
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError) or type(cause).__name__ == "CertificateError":
            return ServerError("certificate", _certificate_sentence(cause, str(host)))
        if isinstance(cause, OSError) and "TLS CA certificate bundle" in str(cause):
            return ServerError(
                "certificate",
                _("The file of trusted certificates that REQUESTS_CA_BUNDLE names doesn't exist; mend the variable."),
            )
    tls = [cause for cause in causes if isinstance(cause, ssl.SSLError) and not isinstance(cause, socket.timeout)]
    if not tls or isinstance(tls[0], (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return None
    reason = (tls[0].reason or str(tls[0])).replace("_", " ").lower()
    return ServerError(
        "certificate",
        _(
            "No secure connection to {host} can be made ({reason}); if it has no certificate, its address begins with http://."
        ).format(host=host, reason=reason),
    )


def _certificate_sentence(cause: BaseException, host: str) -> str:
    code = getattr(cause, "verify_code", 0)
    if code == _EXPIRED:
        sentence = _("The certificate of {host} has expired; its administrator must renew it.")
    elif code == _NOT_YET:
        sentence = _("The certificate of {host} isn't valid yet; check this computer's date, or ask its administrator.")
    elif code in _OTHER_HOST or "doesn't match" in str(cause):
        sentence = _("The certificate shown at {host} was issued for another name; use the name it was issued for.")
    else:
        sentence = _(
            "The certificate of {host} isn't trusted on this computer: it is self-signed or its issuer is unknown; "
            "ask for the issuer's certificate and let the variable REQUESTS_CA_BUNDLE name its file."
        )
    return sentence.format(host=host)


def _of_proxy(causes: list[BaseException], url: str) -> ServerError | None:
    if not any(isinstance(cause, (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError)) for cause in causes):
        return None
    return ServerError(
        "refused",
        _(
            "The proxy in front of {url} doesn't let the request through; check the proxy, or name the host in the "
            "variable NO_PROXY."
        ).format(url=url),
    )


def _of_name(causes: list[BaseException], url: str) -> ServerError | None:
    if not any(isinstance(cause, socket.gaierror) for cause in causes):
        return None
    return ServerError(
        "unknown_host",
        _("There is no computer named {host} in this network; check the address.").format(host=urlsplit(url).hostname),
    )


def _of_time(causes: list[BaseException], url: str) -> ServerError | None:
    if any(isinstance(cause, requests.exceptions.ConnectTimeout) for cause in causes):
        return ServerError(
            "timeout",
            _("{url} can't be reached: no reply in time; check the address and the network.").format(url=url),
        )
    kinds = (socket.timeout, TimeoutError, requests.exceptions.Timeout, urllib3.exceptions.TimeoutError)
    if any(isinstance(cause, kinds) for cause in causes):
        return ServerError(
            "timeout", _("The server at {url} didn't answer in time; it may be busy, try again.").format(url=url)
        )
    return None


def _of_network(causes: list[BaseException], url: str) -> ServerError | None:
    for cause in causes:
        if isinstance(cause, ConnectionRefusedError):
            return ServerError("refused", _("Nothing answers at {url}; is `imil serve` running there?").format(url=url))
        if isinstance(cause, OSError) and cause.errno in _NO_WAY:
            return ServerError(
                "refused", _("There is no way to {url} from this computer; check the network.").format(url=url)
            )
    return None


def _of_protocol(causes: list[BaseException], url: str) -> ServerError | None:
    for cause in causes:
        if isinstance(cause, requests.exceptions.InvalidURL):
            return ServerError("address", _("{url} is no address of a server.").format(url=url))
        if isinstance(cause, (ConnectionError, http.client.IncompleteRead, ssl.SSLError)):
            return broken_off(url)  # among them RemoteDisconnected, which is a BadStatusLine, too
        if isinstance(cause, http.client.HTTPException):
            return ServerError(
                "nonsense",
                _("What answers at {url} is no web server; if it uses TLS, its address begins with https://.").format(
                    url=url
                ),
            )
    if any(isinstance(cause, urllib3.exceptions.ProtocolError) for cause in causes):
        return broken_off(url)
    return None
