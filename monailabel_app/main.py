"""The app that MONAI Label loads. It's found by ``--app monailabel_app`` and by `imil serve`."""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask

if importlib.util.find_spec("monailabel_app") is None:
    # MONAI Label loads this file by its path, which needn't be an installed package.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import imil
from imil.errors import BadInput, NotFound
from imil.rounds import Rounds
from imil.study import Study
from monailabel_app.datastore import CAM, ImilDatastore
from monailabel_app.infers import CamInfer, ClassifierInfer, NewestModel
from monailabel_app.limits import MAX_UPLOAD_BYTES, MEGABYTE
from monailabel_app.logs import move_logs
from monailabel_app.scoring import Metrics
from monailabel_app.strategies import ImilInsight, ImilOutlier, ImilQueue, RandomImage
from monailabel_app.trainers import ClassifierTrainer

UPLOAD_LIMIT = "max_upload_mb"
"""Name in ``--conf`` of the largest upload in megabytes."""


class ImilApp(MONAILabelApp):
    """One study, its rounds and its newest model behind MONAI Label's REST interface.

    Raises:
        BadInput: if the studies folder isn't a study, or a newer version made it.
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self.study = Study.open(Path(studies))
        self.rounds = Rounds(self.study)
        self._store = ImilDatastore(self.study, self.rounds)
        self._model = NewestModel(self.study)
        super().__init__(
            app_dir,
            studies,
            conf or {},
            name="IMIL",
            description="Interactive medical image learning: feedback on where a classifier looks, while it trains",
            version=imil.__version__,
            labels=self.study.classes,
        )
        # MONAI Label would score after every training and every image handed out.
        self._auto_update_scoring = False
        self._models_info = {name: task.info() for name, task in self._infers.items()}

    def init_datastore(self) -> Datastore:
        return self._store

    def init_infers(self) -> dict[str, InferTask]:
        return {"classifier": ClassifierInfer(self._model), "cam": CamInfer(self._model)}

    def init_trainers(self) -> dict[str, TrainTask]:
        return {"classifier": ClassifierTrainer(self.study, self.rounds)}

    def init_strategies(self) -> dict[str, Strategy]:
        return {
            "imil_outlier": ImilOutlier(self.rounds),
            "imil_queue": ImilQueue(self.rounds),
            "imil_insight": ImilInsight(self.rounds),
            "random": RandomImage(),
        }

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        return {"metrics": Metrics(self.study, self._model)}

    def _load_sessions(self, load: bool = False) -> None:
        """No sessions: they would keep uploaded images on the server."""

    def on_init_complete(self) -> None:
        """Called once while the server starts, never in the processes that train."""
        from monailabel.app import app

        from monailabel_app.server import install

        log_file = move_logs(Path(self.app_dir), self.study.state_dir)
        install(app, log_file, self._upload_limit())

    def _upload_limit(self) -> int:
        value = str(self.conf.get(UPLOAD_LIMIT, MAX_UPLOAD_BYTES // MEGABYTE))
        if not value.isdecimal() or int(value) < 1:
            raise BadInput(f"The value of --conf {UPLOAD_LIMIT} is {value!r}; it must be a whole number of megabytes.")
        return int(value) * MEGABYTE

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        strategy = _named(self._strategies, request.get("strategy") or "random", "strategy", "strategies")
        sample: dict[str, Any] | None = strategy(request, self._store)
        return sample or {}

    def infer(self, request: dict[str, Any], datastore: Any = None) -> dict[str, Any]:
        """Run a model on the image of the study named by ``image``, or on ``upload``.

        Args:
            request: ``upload``, if it's there, is the path of a file that the server itself received.
            datastore: not used.
        """
        task = _named(self._infers, request.get("model"), "model", "models")
        upload = request.get("upload")
        if isinstance(upload, Path):
            request = request | {"path": upload, "image": "the uploaded image"}
        else:
            request = request | {"path": Path(self._store.get_image_uri(str(request.get("image"))))}
        file, params = task(request)
        return {"label": file, "tag": CAM, "file": file, "params": params}

    def check_train_request(self, model: str, request: Mapping[str, Any]) -> None:
        """Raises what starting this training would raise; starts nothing."""
        _named(self._trainers, model, "trainer", "trainers").check(request)

    def reopen_round(self, model: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Open the round again whose answers were learnt from; the run's number, round and state."""
        reopened: dict[str, Any] = _named(self._trainers, model, "trainer", "trainers").reopen(request)
        return reopened

    def check_scoring_request(self, method: str, request: Mapping[str, Any]) -> None:
        """Raises what this scoring would raise; starts nothing."""
        _named(self._scoring_methods, method, "scoring method", "scoring methods").check(request)
        self._model.get()


def _named(tasks: Mapping[str, Any], name: Any, kind: str, kinds: str) -> Any:
    if name not in tasks:
        raise NotFound(f"There is no {kind} {name!r}; the {kinds} are {', '.join(tasks)}.")
    return tasks[name]
