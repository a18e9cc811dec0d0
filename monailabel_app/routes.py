"""IMIL's own routes, under MONAI Label's paths and with its permissions.

They are plain functions, not coroutines: FastAPI runs them in a worker thread.
"""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, BackgroundTasks, Depends, File, Form, UploadFile
from fastapi.responses import Response
from monailabel.config import settings
from monailabel.endpoints.datastore import download_label
from monailabel.endpoints.infer import ResultType, send_response
from monailabel.endpoints.logs import get_logs
from monailabel.endpoints.scoring import run_method
from monailabel.endpoints.train import run_model, stop
from monailabel.endpoints.user.auth import RBAC
from monailabel.interfaces.utils.app import app_instance
from monailabel.utils.async_tasks.task import AsyncTask

from imil.errors import BadInput, Conflict, ImilError, NotFound
from monailabel_app.uploads import received_file

logger = logging.getLogger(__name__)

MAX_LOG_LINES = 10_000
STOP_SECONDS = 30.0
"""For how long a training process that is ending is waited for."""
REFUSED: tuple[tuple[tuple[str, ...], str, ImilError], ...] = (
    (("PUT", "DELETE"), "/datastore/", BadInput("The images of a study are fixed; make a new study to change them.")),
    (
        ("PUT", "DELETE"),
        "/datastore/image",
        BadInput("The images of a study are fixed; make a new study to change them."),
    ),
    (
        ("PUT", "DELETE"),
        "/model/{model}",
        BadInput("Models come from training only; start one with POST /train/classifier."),
    ),
    (
        ("POST",),
        "/batch/infer/{model}",
        NotFound("There is no batch inference here; use POST /infer/classifier per image."),
    ),
    (("POST",), "/infer/wsi/{model}", NotFound("Whole-slide images aren't supported; use POST /infer/classifier.")),
    (("POST",), "/infer/wsi_v2/{model}", NotFound("Whole-slide images aren't supported; use POST /infer/classifier.")),
    (
        ("GET", "POST"),
        "/proxy/{path:path}",
        NotFound("This server forwards nothing; use /datastore/image."),
    ),
    (("GET",), "/logs/gpu", NotFound("GPU information isn't offered; run nvidia-smi on the server.")),
)
"""Endpoints of MONAI Label that make no sense for a study, or would change what must not change."""

_REQUIRED_FILE = File()
_OPTIONAL_FILE = File(None)
_PARAMS = Form("{}")
_USER = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))
_ANNOTATOR = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR))
_ADMIN = Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_ADMIN))


def checked_routes(log_file: Path) -> APIRouter:
    """The routes that go in front of MONAI Label's own."""
    router = APIRouter()
    for methods, path, error in REFUSED:
        router.add_api_route(path, _refuse(error), methods=list(methods), include_in_schema=False)
    router.put("/datastore/label", tags=["Datastore"], summary="Save an answer", dependencies=[_ANNOTATOR])(save_label)
    router.get("/datastore/label", tags=["Datastore"], summary="Heat map or mask", dependencies=[_USER])(get_label)
    router.post("/activelearning/{strategy}", tags=["ActiveLearning"], summary="The next image", dependencies=[_USER])(
        next_sample
    )
    router.post("/train/", include_in_schema=False, dependencies=[_ADMIN])(train_all)
    router.post("/train/{model}", tags=["Train"], summary="Start or continue a run", dependencies=[_ADMIN])(train)
    router.delete("/train/", tags=["Train"], summary="Stop training", dependencies=[_ADMIN])(stop_training)
    router.post("/infer/{model}", tags=["Infer"], summary="Classify an image", dependencies=[_USER])(infer)
    router.post("/scoring/{method}", tags=["Scoring"], summary="Score a split", dependencies=[_ANNOTATOR])(score)

    @router.get("/logs/", tags=["Others"], dependencies=[_ADMIN])
    def logs(lines: int = 300) -> Response:
        """The last lines of the server's log."""
        return get_logs(str(log_file), min(max(lines, 1), MAX_LOG_LINES), html=False, text=True, refresh=0)

    return router


def _refuse(error: ImilError) -> Callable[[], None]:
    def refuse() -> None:
        raise type(error)(str(error))

    return refuse


def save_label(
    image: str, label: UploadFile = _REQUIRED_FILE, params: str = _PARAMS, tag: str = "final"
) -> dict[str, Any]:
    """Save a reader's answer for one image of the open round."""
    with received_file(label.file) as path:
        receipt = app_instance().datastore().submit(image, path, tag, json_object(params))
    logger.info("Answer %d: %r, %d of %d cases left", receipt["event"], image, receipt["remaining"], receipt["total"])
    return receipt | {"image": image, "label": image}


def get_label(label: str, tag: str) -> Any:
    """The heat map (``cam``) of a queued image, or the last answer's mask (``imil``), as NIfTI."""
    return download_label(label, tag)


def next_sample(strategy: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """The next image by a strategy; for ``imil_outlier`` with all that a reader needs, and ``{}`` if there is none."""
    reply: dict[str, Any] = app_instance().next_sample((params or {}) | {"strategy": strategy})
    return reply


def train(
    model: str, params: dict[str, Any] | None = None, run_sync: bool = False, enqueue: bool = False
) -> dict[str, Any]:
    """Start a run, go on with a stopped one, or continue after a round. Answers with MONAI Label's task.

    To reopen a round takes no task: it's done by the time of the answer, which says where the run stands.
    """
    _refuse_task_options(run_sync=run_sync, enqueue=enqueue)
    request = params or {}
    app_instance().check_train_request(model, request)
    if request.get("reopen"):
        reopened: dict[str, Any] = app_instance().reopen_round(model, request)
        return reopened
    _wait_for_last_process()
    _refuse_second_task("train")
    app_instance().check_train_request(model, request)
    return run_model(model, request)


def train_all(
    params: dict[str, Any] | None = None, run_sync: bool = False, enqueue: bool = False
) -> dict[str, dict[str, Any]]:
    """The same as ``POST /train/classifier``, which is the only trainer."""
    model = "classifier"
    request = params or {}
    task = train(model, request.get(model, request), run_sync, enqueue)
    return {model: {"result": task, "detail": None}}


def stop_training() -> dict[str, Any] | None:
    """Kill the training process and wait until it's gone; the run can be resumed from its last epoch.

    Answers with MONAI Label's task, or null if there was none to stop.
    """
    task: dict[str, Any] | None = stop()
    deadline = time.monotonic() + STOP_SECONDS
    while task is not None and app_instance().rounds.status().training and time.monotonic() < deadline:
        time.sleep(0.02)
    return task


def score(method: str, params: dict[str, Any] | None = None, run_sync: bool = False) -> dict[str, Any]:
    """Compute and store the metrics of the newest run over a split. Answers with MONAI Label's task."""
    _refuse_task_options(run_sync=run_sync, enqueue=False)
    request = params or {}
    app_instance().check_scoring_request(method, request)
    _refuse_second_task("scoring")
    return run_method(method, request)


def infer(
    background_tasks: BackgroundTasks,
    model: str,
    image: str = "",
    session_id: str = "",
    params: str = _PARAMS,
    file: UploadFile | None = _OPTIONAL_FILE,
    output: ResultType | None = None,
) -> Any:
    """Classify an image of the study (by its id), or an uploaded one."""
    if session_id:
        raise BadInput("Sessions aren't offered; name an image of the study, or upload one as 'file'.")
    if output == ResultType.dicom_seg:
        raise BadInput("The output dicom_seg isn't offered; choose image, json or all.")
    instance = app_instance()
    request = json_object(params) | {"model": model, "image": image}
    if file is None:
        result = instance.infer(request)
    else:
        with received_file(file.file) as path:
            result = instance.infer(request | {"upload": path})
    return send_response(instance.datastore(), result, output, background_tasks)


def json_object(text: str) -> dict[str, Any]:
    """The object in a form field.

    Raises:
        BadInput: if it's no JSON object.
    """
    try:
        value = json.loads(text or "{}")
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadInput(f"The field params isn't valid JSON ({error}); send a JSON object.") from None
    if not isinstance(value, dict):
        raise BadInput(f"The field params holds a {type(value).__name__}; send a JSON object.")
    return value


def _refuse_task_options(*, run_sync: bool, enqueue: bool) -> None:
    if run_sync or enqueue:
        name = "run_sync" if run_sync else "enqueue"
        raise BadInput(f"The option {name} isn't offered: one task at a time runs beside the server.")


def _wait_for_last_process() -> None:
    """A process that has done its training takes seconds to end, and MONAI Label starts no other before."""
    deadline = time.monotonic() + STOP_SECONDS
    while _running("train") and time.monotonic() < deadline and not app_instance().rounds.status().training:
        time.sleep(0.05)


def _running(kind: str) -> bool:
    return AsyncTask.status(kind, check_if_running=True)[0] is not None


def _refuse_second_task(kind: str) -> None:
    """MONAI Label would refuse it too, but not in a sentence."""
    if _running(kind):
        raise Conflict(f"The last {kind} task is still running; wait until it ends, or stop it with DELETE /{kind}/.")
