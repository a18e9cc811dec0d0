"""Scoring method `metrics`: how good the newest model is over one split, stored with its round."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from monailabel.interfaces.tasks.scoring import ScoringMethod

from imil.errors import BadInput
from imil.metrics import summary
from imil.study import Study
from monailabel_app.infers import NewestModel

SPLITS = ("test", "val", "train")


class Metrics(ScoringMethod):
    """Accuracy, AUROC, calibration error and Brier score."""

    def __init__(self, study: Study, model: NewestModel) -> None:
        super().__init__("Accuracy, AUROC, ECE and Brier score of the newest model over a split: test, val or train")
        self._study = study
        self._model = model

    def check(self, request: Mapping[str, Any]) -> str:
        """The split that the request names; test if it names none.

        Raises:
            BadInput: if there is no such split, or no case in it.
            Conflict: if nothing has been trained yet.
        """
        split = request.get("split") or SPLITS[0]
        if split not in SPLITS:
            raise BadInput(f"There is no split {split!r}; the splits are {', '.join(SPLITS)}.")
        if not any(case.split == split for case in self._study.cases):
            raise BadInput(f"The split {split!r} of this study has no case; choose another one.")
        return str(split)

    def __call__(self, request: Mapping[str, Any], datastore: Any) -> dict[str, Any]:
        """Predict the split, store the metrics and return them."""
        split = self.check(request)
        run, model = self._model.get()
        cases = [(row, case) for row, case in enumerate(self._study.cases) if case.split == split]
        pixels = self._study.pixels(model.settings.image_size)[[row for row, _ in cases]]
        labels = np.array([model.classes.index(case.label) for _, case in cases], np.int64)
        metrics = summary(model.predict(pixels), labels)
        self._study.store.save_score(run.id, run.round, model.epoch, split, metrics)
        # JSON has no NaN: a metric that is undefined for the split is null.
        shown = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        result = {"run": run.id, "round": run.round, "epoch": model.epoch, "split": split, "metrics": shown}
        print(json.dumps(result), flush=True)
        return result
