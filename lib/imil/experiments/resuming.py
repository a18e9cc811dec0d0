"""A training whose progress lies in a folder, so that it can be killed at any moment and go on with the same bits."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from imil.settings import RunSettings
from imil.training import checkpoints
from imil.training.batches import TrainingData, batch_edges
from imil.training.engine import TrainingEngine
from imil.training.results import EpochResult

SAVE_SECONDS = 20.0
"""Training saves a checkpoint at most this often, and at every stop."""


def stop_path(folder: Path, epoch: int) -> Path:
    """Where a training keeps its state of one epoch."""
    return folder / f"epoch-{epoch}.pt"


class ResumableTraining:
    """An engine whose progress lies in a folder.

    Args:
        classes: class names.
        data: the training data.
        settings: all settings, the seed among them.
        folder: for checkpoints.
        device: the torch device to train on; ``auto`` for the setting's own.
        threads: of torch on the CPU. The same number gives the same weights.
    """

    def __init__(
        self,
        classes: Sequence[str],
        data: TrainingData,
        settings: RunSettings,
        folder: Path,
        device: str,
        threads: int,
    ) -> None:
        torch.set_num_threads(threads)
        self.settings = settings if device == "auto" else settings.model_copy(update={"device": device})
        self.folder = folder
        self.steps = 0
        self._saved = time.monotonic()
        self._classes, self._data = list(classes), data
        self.engine = TrainingEngine(self.settings, self._classes, self._data)

    def train_to(self, epoch: int) -> None:
        """Train up to and including ``epoch``, and keep the state at its end; take up what is there already."""
        stop = stop_path(self.folder, epoch)
        if stop.is_file():
            self.go_on_from(stop)
            return
        progress = self.folder / "checkpoint.pt"
        if progress.is_file():
            state = checkpoints.load(progress)
            if self.engine.epoch < state["epoch"] <= epoch:
                self._take(state)
        self.engine.fit(epoch, on_epoch=lambda result: self._finish_epoch(result, progress))
        checkpoints.save(stop, self._state())

    def go_on_from(self, path: Path) -> None:
        """Take up a kept state."""
        self._take(checkpoints.load(path))

    def restart_with(self, **settings: Any) -> None:
        """The same state under other settings."""
        state = self.engine.state_dict()
        self.settings = self.settings.model_copy(update=settings)
        self.engine = TrainingEngine(self.settings, self._classes, self._data, state=state)

    def forget_progress(self) -> None:
        """Remove what only an unfinished training needs."""
        (self.folder / "checkpoint.pt").unlink(missing_ok=True)

    def _take(self, state: Mapping[str, Any]) -> None:
        self.engine.load_state_dict(state)
        self.steps = int(state["steps"])

    def _state(self) -> dict[str, Any]:
        return self.engine.state_dict() | {"steps": self.steps}

    def _finish_epoch(self, result: EpochResult, path: Path) -> None:
        batches = len(batch_edges(result.images, self.settings.batch_size)) - 1
        self.steps += math.ceil(batches / self.settings.accumulate)
        if time.monotonic() - self._saved > SAVE_SECONDS:
            checkpoints.save(path, self._state())
            self._saved = time.monotonic()
