"""The newest model on one image: `classifier` gives probabilities, `cam` a heat map."""

import os
import tempfile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from imil import images
from imil.errors import BadInput, Conflict
from imil.explain import METHODS
from imil.store import Run
from imil.study import Study
from monailabel_app.datastore import write_heat_map

if TYPE_CHECKING:
    from imil.models import Model


class NewestModel:
    """The model of the newest run, loaded again when training has written a new checkpoint. One caller at a time."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.lock = Lock()
        self._loaded: tuple[tuple[Path, int], Any] | None = None

    def get(self) -> "tuple[Run, Model]":
        """The newest run and its model.

        Raises:
            Conflict: if nothing has been trained yet.
        """
        # Only when a model is asked for: training code takes seconds to import.
        from imil.runs import checkpoint_path, load_model

        run = self.study.store.latest_run()
        path = checkpoint_path(self.study, run.id) if run else None
        if run is None or path is None or not path.is_file():
            raise Conflict("There is no trained model yet; start training and wait for its first epoch.")
        version = (path, path.stat().st_mtime_ns)
        if self._loaded is None or self._loaded[0] != version:
            self._loaded = version, load_model(path)
        return run, self._loaded[1]


class _ModelTask(InferTask):
    def __init__(self, kind: InferType, description: str, model: NewestModel, config: dict[str, Any]) -> None:
        super().__init__(type=kind, labels=model.study.classes, dimension=2, description=description, config=config)
        self._model = model

    def is_valid(self) -> bool:
        return True

    def _pixels(self, request: dict[str, Any], size: int) -> npt.NDArray[np.uint8]:
        """The image as the network gets it, uint8 (1, size, size)."""
        return images.read_square(request["path"], size, request["image"])[np.newaxis]


class ClassifierInfer(_ModelTask):
    """Class probabilities of an image."""

    def __init__(self, model: NewestModel) -> None:
        super().__init__(InferType.CLASSIFICATION, "Class probabilities by the newest model", model, {})

    def __call__(self, request: dict[str, Any]) -> tuple[None, dict[str, Any]]:
        """No file, and ``prediction``, ``confidence``, ``probabilities`` by class, ``run`` and ``epoch``."""
        with self._model.lock:
            run, model = self._model.get()
            probabilities = model.predict(self._pixels(request, model.settings.image_size))[0]
        best = int(probabilities.argmax())
        return None, {
            "prediction": model.classes[best],
            "confidence": float(probabilities[best]),
            "probabilities": dict(zip(model.classes, map(float, probabilities), strict=True)),
            "run": run.id,
            "epoch": model.epoch,
        }


class CamInfer(_ModelTask):
    """A heat map of an image: NIfTI, float32 in [0, 1], in the image's geometry."""

    def __init__(self, model: NewestModel) -> None:
        config = {"method": list(METHODS), "class": ["", *model.study.classes], "layer": ""}
        super().__init__(
            InferType.OTHERS, "Heat map by the newest model, of the predicted or a chosen class", model, config
        )

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The heat map's file, which the caller removes, and ``method``, ``class``, ``layer``, ``run`` and ``epoch``.

        Raises:
            BadInput, NotFound: if the request's ``method``, ``class`` or ``layer`` doesn't exist.
        """
        method, name, layer = (_text(request, field) for field in ("method", "class", "layer"))
        path = request["path"]
        with self._model.lock:
            run, model = self._model.get()
            if name and name not in model.classes:
                raise BadInput(f"There is no class {name!r}; the classes are {', '.join(model.classes)}.")
            maps = model.heat_maps(
                self._pixels(request, model.settings.image_size),
                [model.classes.index(name)] if name else None,
                method=method,
                layer=layer,
            )
        handle, name_of_file = tempfile.mkstemp(prefix="imil-", suffix=".nii.gz")
        os.close(handle)
        file = Path(name_of_file)
        write_heat_map(file, maps.maps[0], images.read_size(path), path)
        explained = model.classes[int(maps.classes[0])]
        return str(file), {
            "method": maps.method,
            "class": explained,
            "layer": maps.layer,
            "run": run.id,
            "epoch": model.epoch,
        }


def _text(request: dict[str, Any], field: str) -> str:
    value = request.get(field) or ""
    # MONAI Label's config lists the choices, and simple clients send the whole list back: the first is the default.
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, str):
        raise BadInput(f"The field {field} is {value!r}; it must be a text.")
    return value
