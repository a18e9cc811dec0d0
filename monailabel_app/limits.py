"""A limit on the size of requests, applied before a byte of a body is kept."""

import asyncio
import contextlib

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEGABYTE = 1024 * 1024
MAX_UPLOAD_BYTES = 64 * MEGABYTE
"""Largest request that carries a file (multipart): a mask of 8000 x 8000 pixels, uncompressed."""
MAX_JSON_BYTES = MEGABYTE
"""Largest request without a file."""
LINGER_SECONDS = 5.0
"""For how long the rest of a refused body is read and thrown away, so that clients which send it all before they read
see the answer rather than a broken connection."""


class BodyLimit:
    """ASGI middleware: answers 413 when a body is announced, or turns out, to be over the limit."""

    def __init__(
        self, app: ASGIApp, max_upload_bytes: int = MAX_UPLOAD_BYTES, max_json_bytes: int = MAX_JSON_BYTES
    ) -> None:
        self.app = app
        self.max_upload_bytes = max_upload_bytes
        self.max_json_bytes = max_json_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_upload = headers.get("content-type", "").lower().startswith("multipart/")
        limit = self.max_upload_bytes if is_upload else self.max_json_bytes
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            error = _too_large(limit, f"is {int(announced)} bytes")
            response = JSONResponse({"detail": error.detail}, error.status_code, error.headers)
            await response(scope, receive, _lingering(send, receive))
            return
        await self._count(scope, receive, send, limit)

    async def _count(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        size = 0

        async def counted_receive() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise _too_large(limit, "is larger")
            return message

        async def checked_send(message: Message) -> None:
            await (_lingering(send, receive) if size > limit else send)(message)

        await self.app(scope, counted_receive, checked_send)


def _too_large(limit: int, problem: str) -> HTTPException:
    # An HTTPException, because FastAPI turns every other error met while it reads a body into a 400.
    sentence = (
        f"The request {problem}; at most {limit} bytes ({limit // MEGABYTE} MB) are accepted: send a smaller file."
    )
    return HTTPException(413, sentence, {"connection": "close"})


def _lingering(send: Send, receive: Receive) -> Send:
    """A ``send`` that reads on for a while after the whole answer has gone out, before it ends the exchange."""

    async def send_and_drain(message: Message) -> None:
        if message["type"] != "http.response.body" or message.get("more_body", False):
            await send(message)
            return
        await send({**message, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body", "body": b""})

    return send_and_drain
