"""The open round of a running server, over plain MONAI Label HTTP calls; needs nothing of MONAI Label here."""

import json
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote_plus

import requests

from imil import images
from imil.errors import BadInput, Conflict, ImilError, NotFound, TooLarge
from imil.grid import Grid
from imil.readers import ReaderCase, Reading
from imil.review import CaseMasks, Masks, OpenCase, Receipt, grey_levels

STRATEGY = "imil_outlier"
INSIGHT = "imil_insight"
ANSWER_TAG = "imil"
CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
MAX_DOWNLOAD_BYTES = 256 * 1024 * 1024


def _no_masks(_: str) -> CaseMasks:
    return CaseMasks()


class Client(Protocol):
    """What is needed of a MONAI Label client; ``monailabel.client.MONAILabelClient`` fits."""

    def get_server_url(self) -> str: ...

    def info(self) -> dict[str, Any]: ...

    def next_sample(self, strategy: str, params: dict[str, Any]) -> dict[str, Any]: ...

    def save_label(self, image_id: str, label_in: str, tag: str, params: dict[str, Any]) -> dict[str, Any]: ...


class HttpClient:
    """A small client with the calls of a review. Errors of the server arrive as the exceptions it raised itself.

    Args:
        url: where the server listens, e.g. ``http://127.0.0.1:8000``.
        client_id: the reader's name.
    """

    def __init__(self, url: str, client_id: str) -> None:
        self._url = url.rstrip("/")
        self._client_id = client_id

    def get_server_url(self) -> str:
        return self._url

    def info(self) -> dict[str, Any]:
        return dict(_request("GET", f"{self._url}/info/").json())

    def next_sample(self, strategy: str, params: dict[str, Any]) -> dict[str, Any]:
        url = f"{self._url}/activelearning/{quote_plus(strategy)}"
        return dict(_request("POST", url, json=params | {"client_id": self._client_id}).json())

    def train(self, request: dict[str, Any]) -> None:
        """Start or continue a training; see ``POST /train/classifier``."""
        _request("POST", f"{self._url}/train/classifier", json=request)

    def more_cases(self, count: int) -> None:
        """Add cases to the open round; `info` tells ``training`` until they are there."""
        self.train({"more_cases": count})

    def reopen(self) -> None:
        """Take answers to the round again, instead of training on with what was learnt from it."""
        self.train({"reopen": True})

    def insight(self) -> dict[str, Any]:
        """What the newest round taught, see ``POST /activelearning/imil_insight``; empty if there is nothing."""
        return self.next_sample(INSIGHT, {})

    def veto(self, image: str = "", cells: Sequence[int] = ()) -> dict[str, Any]:
        """Do nothing to what was found in an image, or don't swap these cells; the insight as it then stands."""
        return self._correct("veto", image, cells)

    def correct(self, image: str, cells: Sequence[int]) -> dict[str, Any]:
        """In this image it's in these cells; the insight as it then stands."""
        return self._correct("correct", image, cells)

    def restore(self, image: str = "", cells: Sequence[int] = ()) -> dict[str, Any]:
        """Take back what was said about an image, or these cells; the insight as it then stands."""
        return self._correct("restore", image, cells)

    def _correct(self, action: str, image: str, cells: Sequence[int]) -> dict[str, Any]:
        known = self.insight()
        if not known:
            raise BadInput("The newest run has learnt nothing from a round yet, so there is nothing to correct.")
        sent = {"run": known["run"], "round": known["round"], "action": action, "image": image, "cells": list(cells)}
        return self.next_sample(INSIGHT, sent | {"key": str(uuid.uuid4())})

    def train_status(self) -> dict[str, Any]:
        """MONAI Label's own description of the training task: ``status`` and ``details``, the last lines of its log."""
        return dict(_request("GET", f"{self._url}/train/").json())

    def save_label(self, image_id: str, label_in: str, tag: str, params: dict[str, Any]) -> dict[str, Any]:
        label = Path(label_in)
        answer = _request(
            "PUT",
            f"{self._url}/datastore/label",
            params={"image": image_id, "tag": tag},
            data={"params": json.dumps(params | {"client_id": self._client_id})},
            files={"label": (label.name, label.read_bytes())},
        )
        return dict(answer.json())


class RemoteRounds:
    """A `imil.review.ReviewSource` over HTTP.

    Args:
        client: the connection; it carries the reader's name.
        masks: where a simulated reader gets ground truth from; a server doesn't hand it out.
    """

    def __init__(self, client: Client, masks: Masks = _no_masks) -> None:
        self._client = client
        self._masks = masks
        self._folder = tempfile.TemporaryDirectory(prefix="imil-review-")

    def close(self) -> None:
        """Remove the downloaded files."""
        self._folder.cleanup()

    def status(self) -> dict[str, Any]:
        """The state of the run, as ``GET /info/`` tells it.

        Raises:
            BadInput: if the server isn't one of IMIL's.
        """
        strategies = self._client.info().get("strategies", {})
        if STRATEGY not in strategies:
            raise BadInput(
                f"The server at {self._client.get_server_url()} has no strategy {STRATEGY}; start it with `imil serve`."
            )
        return dict(strategies[STRATEGY]["run"])

    def next_case(self) -> OpenCase | None:
        """The next case for this reader with its image and heat map; None when there is none."""
        sample = self._client.next_sample(STRATEGY, {})
        if not sample:
            return None
        case_id, cam = sample["id"], sample["cam"]
        image_path = self._download("image", {"image": case_id}, "image" + "".join(Path(case_id).suffixes))
        map_path = self._download("label", {"label": case_id, "tag": cam["tag"]}, "cam.nii.gz")
        image = images.read_image(image_path)
        masks = self._masks(case_id)
        grid = Grid(sample["grid"]["rows"], sample["grid"]["cols"], *image.pixels.shape)
        if [grid.row_edges, grid.col_edges] != [sample["grid"]["row_edges"], sample["grid"]["col_edges"]]:
            raise BadInput(
                f"The server's grid doesn't fit the image {case_id!r} that it sent; use the same version of IMIL."
            )
        return OpenCase(
            run=sample["run"],
            round=sample["round"],
            position=sample["position"],
            total=sample["total"],
            case=ReaderCase(
                id=case_id,
                image=grey_levels(image),
                heatmap=images.read_image(map_path).pixels,
                grid=grid,
                label=sample["label"],
                prediction=sample["prediction"],
                confidence=sample["confidence"],
                probabilities=tuple(sample["probabilities"]),
                classes=tuple(sample["classes"]),
                lesion_mask=masks.lesion,
                lung_mask=masks.lung,
                misleading_mask=masks.misleading,
            ),
            image_path=image_path,
        )

    def submit(self, opened: OpenCase, reading: Reading, *, seconds: float, key: str) -> Receipt:
        """Send an answer with its mask, in the image's geometry."""
        mask_path = Path(self._folder.name) / "mask.nii.gz"
        images.write_mask(mask_path, opened.case.grid.mask(reading.cells, reading.misleading), opened.image_path)
        params = {
            "run": opened.run,
            "round": opened.round,
            "action": str(reading.action),
            "cells": list(reading.cells),
            "misleading": list(reading.misleading),
            "new_label": reading.new_label,
            "rationale": reading.rationale,
            "seconds": seconds,
            "key": key,
        }
        answer = self._client.save_label(opened.case.id, str(mask_path), ANSWER_TAG, params)
        return Receipt(remaining=answer["remaining"], total=answer["total"])

    def _download(self, what: str, params: dict[str, str], name: str) -> Path:
        response = _request("GET", f"{self._client.get_server_url()}/datastore/{what}", params=params, stream=True)
        path = Path(self._folder.name) / name
        size = 0
        with path.open("wb") as file:
            for part in response.iter_content(1 << 20):
                size += len(part)
                if size > MAX_DOWNLOAD_BYTES:
                    raise TooLarge(
                        f"The server sends more than {MAX_DOWNLOAD_BYTES} bytes for {what}; that's no case of ours."
                    )
                file.write(part)
        return path


def _request(method: str, url: str, **options: Any) -> requests.Response:
    try:
        response = requests.request(method, url, timeout=(CONNECT_SECONDS, READ_SECONDS), **options)
    except requests.RequestException as error:
        raise BadInput(f"No answer from {url} ({type(error).__name__}); is the server running there?") from None
    if response.ok:
        return response
    raise _error_for(response.status_code)(_sentence(response))


def _error_for(status: int) -> type[ImilError]:
    return next((kind for kind in (NotFound, Conflict, TooLarge) if kind.status == status), BadInput)


def _sentence(response: requests.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The server answered {response.url} with status {response.status_code}."
