"""What IMIL adds to MONAI Label's web application: errors as sentences, a limit on uploads, checked routes.

MONAI Label's endpoints stay as they are, but the next image, saving a label, starting a task and inference have routes
of our own under the same paths. They answer the same way, but check the request before anything is started or written,
and run in a worker thread, so that a slow request doesn't stop the others.
"""

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from monailabel.config import settings
from monailabel.interfaces.exception import MONAILabelException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from imil.errors import ImilError
from monailabel_app.limits import MAX_UPLOAD_BYTES, BodyLimit
from monailabel_app.routes import checked_routes

logger = logging.getLogger(__name__)


def install(app: FastAPI, log_file: Path, max_upload_bytes: int = MAX_UPLOAD_BYTES) -> None:
    """Add IMIL's error answers, upload limit and routes to MONAI Label's application.

    It's called while the application starts, before the first request, but after the middleware stack was built.

    Args:
        app: ``monailabel.app.app``.
        log_file: the server's log, shown by ``GET /logs/``.
        max_upload_bytes: largest request body for uploads.
    """
    if getattr(app.state, "imil_installed", False):
        return
    app.state.imil_installed = True
    app.add_exception_handler(ImilError, _answer_imil_error)
    app.add_exception_handler(MONAILabelException, _answer_monailabel_error)
    app.add_exception_handler(json.JSONDecodeError, _answer_broken_json)
    app.add_exception_handler(RequestValidationError, _answer_invalid_request)
    app.user_middleware[:] = [*_origins(app.user_middleware), Middleware(BodyLimit, max_upload_bytes=max_upload_bytes)]
    before = len(app.router.routes)
    app.include_router(checked_routes(log_file))
    # The first route that fits answers, so ours go to the front.
    app.router.routes[:0] = _take_from(app.router.routes, before)
    # Handlers and middleware are read when the stack is built; without one, the next request builds it.
    app.middleware_stack = None
    app.openapi_schema = None


def _origins(middleware: Sequence[Middleware]) -> list[Middleware]:
    """Let only those web pages in that MONAI_LABEL_CORS_ORIGINS names.

    MONAI Label lets every page in if it names none, so any page that a reader has open could read the study through
    the reader's browser.
    """
    origins = [str(origin).rstrip("/") for origin in settings.MONAI_LABEL_CORS_ORIGINS]
    # The processes that MONAI Label starts fail where this is set: they print their settings as JSON, and can't.
    os.environ.pop("MONAI_LABEL_CORS_ORIGINS", None)
    kept = [entry for entry in middleware if getattr(entry.cls, "__name__", "") != CORSMiddleware.__name__]
    if not origins:
        return kept
    allowed = Middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])
    return [allowed, *kept]


def _take_from(routes: list[Any], start: int) -> list[Any]:
    taken = routes[start:]
    del routes[start:]
    return taken


async def _answer_imil_error(request: Request, error: Exception) -> JSONResponse:
    status = error.status if isinstance(error, ImilError) else 500
    logger.info("%s %r: %d %r", request.method, request.url.path, status, str(error))
    return JSONResponse({"detail": str(error)}, status)


async def _answer_monailabel_error(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(getattr(error, "msg", error))}, 400)


async def _answer_broken_json(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": f"The request's params aren't valid JSON ({error}); send a JSON object."}, 400)


async def _answer_invalid_request(_request: Request, error: Exception) -> JSONResponse:
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    where = " ".join(str(part) for part in first.get("loc", ()))
    reason = str(first.get("msg", error))
    if first.get("type") == "json_invalid":
        return JSONResponse({"detail": f"The request's body isn't valid JSON ({reason}); send a JSON object."}, 400)
    return JSONResponse({"detail": f"The request's {where} can't be used: {reason[:1].lower()}{reason[1:]}."}, 422)
