"""The HTTP client: one method for each thing the module asks of an IMIL server."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import requests

from .errors import ServerError
from .i18n import _
from .insightrecords import Correction, Find, Insight
from .records import Answer, Case, Queue, Receipt, ServerInfo
from .serverinfo import STRATEGY
from .transport import Transport

MEGABYTE = 1 << 20
MAX_JSON_BYTES = 64 * MEGABYTE
MAX_FILE_BYTES = 256 * MEGABYTE
TRAIN_SECONDS = 75.0
"""The server waits up to half a minute for a training process to end before it answers."""
ANSWER_TAG, FIND_TAG = "imil", "find"
_PROBLEM_LINES = 3


class Client:
    """An IMIL server, as one reader sees it. Every call blocks, so they're for worker threads; any thread may call.

    All calls raise `ServerError`. TLS certificates are always verified, against what the operating system trusts or
    the file that REQUESTS_CA_BUNDLE names. The token is sent to this address only.

    Args:
        url: the server's address; ``http://`` is added where there is no scheme.
        reader: the reader's name, which each answer carries.
        token: a bearer token, if the server asks for one.
        timeout: seconds to wait for a connection, and for each further piece of an answer.

    Raises:
        ServerError: ``address`` if the address can't be one, ``token`` if the token can't be sent.
    """

    def __init__(self, url: str, reader: str = "", token: str = "", timeout: tuple[float, float] = (5.0, 30.0)) -> None:
        self.url = usable_url(url)
        self.reader = reader
        self._transport = Transport(self.url, _usable_token(token), timeout)

    def info(self) -> ServerInfo:
        """What the server is, and where its study stands."""
        try:
            reply = self._json("GET", "/info/")
        except ServerError as error:
            if error.kind in ("missing", "rejected"):
                raise self._not_imil() from None
            raise
        return ServerInfo.parse(reply)

    def next_cases(self, image: str = "", ahead: int = 0) -> list[Case]:
        """The reader's next case, and after it up to ``ahead`` others that are reserved for her as well.

        Args:
            image: open this case instead of the next one; ``conflict`` if somebody else has it.
            ahead: 0 to 20.

        Returns:
            The cases; none if there is nothing for this reader now.
        """
        asked: dict[str, Any] = {"image": image} if image else {}
        reply = self._ask(STRATEGY, **asked, **({"ahead": ahead} if ahead else {}))
        if not reply:
            return []
        others = reply.get("ahead") or []
        if not isinstance(others, list):
            raise _unusable(self.url)
        return [Case.parse(case) for case in [reply, *others]]

    def queue(self) -> Queue:
        """All cases of the last opened round."""
        return Queue.parse(self._ask("imil_queue"))

    def release(self) -> None:
        """Give back all of this reader's reservations."""
        self._ask(STRATEGY, release=True)

    def image(self, case_id: str) -> bytes:
        """The image file as the study has it."""
        return self._transport.send("GET", "/datastore/image", limit=MAX_FILE_BYTES, params={"image": case_id})

    def heat_map(self, case: Case) -> bytes:
        """The case's heat map: compressed NIfTI, float32 in [0, 1], of the image's size."""
        return self._label(case.id, case.cam_tag)

    def insight(self) -> Insight | None:
        """What the newest round that was learnt from has taught; None if there is nothing."""
        reply = self._ask("imil_insight")
        return Insight.parse(reply) if reply else None

    def correct(self, correction: Correction) -> Insight:
        """Send a veto or correction; what was learnt as it then stands. Sending it again does no harm."""
        return Insight.parse(self._ask("imil_insight", **correction.params()))

    def find(self, image: str) -> bytes:
        """Where something was found in an image: compressed NIfTI, uint8, of the image's size."""
        return self._label(image, FIND_TAG)

    def any_image(self) -> Find:
        """A random training image."""
        return Find.parse(self._ask("random"), 0)

    def submit(self, answer: Answer, mask: bytes, mask_name: str = "mask.nrrd") -> Receipt:
        """Send an answer. Sending it again under the same key does no harm.

        Args:
            answer: what the reader says.
            mask: the file with the mask; may be empty unless the action is ``grid``.
            mask_name: tells the mask's format by its suffix.
        """
        reply = self._json(
            "PUT",
            "/datastore/label",
            params={"image": answer.case_id, "tag": ANSWER_TAG},
            data={"params": json.dumps(answer.params())},
            files={"label": (mask_name, mask, "application/octet-stream")},
        )
        return Receipt.parse(reply)

    def train(self, request: dict[str, Any]) -> None:
        """Start training, or go on with it.

        Args:
            request: settings and flags, as ``POST /train/classifier`` takes them.
        """
        self._json("POST", "/train/classifier", patience=TRAIN_SECONDS, again=False, json=request)

    def stop_training(self) -> None:
        """Stop the training process and wait until it's gone."""
        self._json("DELETE", "/train/", patience=TRAIN_SECONDS)

    def training_problem(self) -> str:
        """The last lines of the last training, if it ended in an error; else empty."""
        try:
            task = self._json("GET", "/train/")
        except ServerError as error:
            if error.kind == "missing":
                return ""
            raise
        if not isinstance(task, dict) or task.get("status") != "ERROR":
            return ""
        lines = task.get("details")
        said = [line.strip() for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
        return "\n".join(line for line in said[-_PROBLEM_LINES:] if line)[:2000]

    def interrupt(self) -> None:
        """Break off the requests under way in other threads: they end with a ServerError. New ones can be made."""
        self._transport.interrupt()

    def close(self) -> None:
        """Close all connections for good, and break off the requests under way in other threads."""
        self._transport.close()

    def _label(self, image: str, tag: str) -> bytes:
        wanted = {"label": image, "tag": tag}
        return self._transport.send("GET", "/datastore/label", limit=MAX_FILE_BYTES, params=wanted)

    def _ask(self, strategy: str, **request: Any) -> dict[str, Any]:
        reply = self._json("POST", f"/activelearning/{strategy}", json={"client_id": self.reader, **request})
        if not isinstance(reply, dict):
            raise _unusable(self.url)
        return reply

    def _json(self, method: str, path: str, **options: Any) -> Any:
        content = self._transport.send(method, path, limit=MAX_JSON_BYTES, **options)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise _unusable(self.url, content) from None

    def _not_imil(self) -> ServerError:
        return ServerError(
            "not_imil",
            _("The server at {url} is not a MONAI Label server with IMIL; check address and port.").format(
                url=self.url
            ),
        )


def usable_url(text: str) -> str:
    """An address as it's used: with a scheme, without a slash at the end.

    Raises:
        ServerError: ``address``, with what is wrong.
    """
    url = text.strip()
    if not url:
        raise ServerError("address", _("Enter the server's address, for example http://127.0.0.1:8000."))
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme.lower() in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
        parts = None
    if parts is not None and "@" in parts.netloc:
        # It isn't repeated: it may hold a password.
        raise ServerError(
            "address", _("The address holds a user name; leave it out, and enter a token if one is needed.")
        )
    if not usable or parts is None or parts.query or parts.fragment:
        raise _bad_address(text)
    url = f"{parts.scheme.lower()}://{parts.netloc}{parts.path}".rstrip("/")
    try:
        requests.Request("GET", url).prepare()
    except (requests.RequestException, ValueError):
        raise _bad_address(text) from None
    return url


def _bad_address(text: str) -> ServerError:
    return ServerError(
        "address",
        _(
            "{text!r} is no address of a server; one looks like http://127.0.0.1:8000 or https://imil.example.org."
        ).format(text=text.strip()[:100]),
    )


def _usable_token(token: str) -> str:
    token = token.strip()
    if not all("!" <= letter <= "~" for letter in token):
        raise ServerError("token", _("The token holds a space or a special character; copy it again."))
    return token


def _unusable(url: str, content: bytes = b"") -> ServerError:
    if content.lstrip()[:1] == b"<":
        sentence = _("The server at {url} answers with a web page; check the address, or sign in to the network first.")
    else:
        sentence = _("The server at {url} sent an answer that can't be read; is it an IMIL server?")
    return ServerError("nonsense", sentence.format(url=url))
