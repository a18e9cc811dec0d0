"""The files that show a run's course: ``metrics.csv`` and TensorBoard events.

Both can be taken up again after a kill: what was written for epochs after the last checkpoint is dropped first, so that
each epoch is there once.
"""

import csv
import os
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from imil.errors import ImilError
from imil.training.results import EpochResult

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

COLUMNS = ("epoch", "split", "loss", "accuracy", "auroc", "ece", "brier", "lr", "seconds")
"""Columns of ``metrics.csv``; one row for each epoch and split. Seconds are of the split: training or evaluation."""


class TrainingLogs:
    """Appends each epoch to ``folder/metrics.csv`` and to ``folder/tensorboard/``.

    Args:
        folder: the run's folder, made where it's missing.
        last_epoch: the epoch that training goes on from, 0 for a new run; rows of later epochs are dropped.
        tensorboard: whether to write TensorBoard events too.

    Raises:
        ImilError: if the files can't be written.
    """

    def __init__(self, folder: Path, last_epoch: int = 0, *, tensorboard: bool = True) -> None:
        self._folder = folder
        self._last_epoch = last_epoch
        self._tensorboard = tensorboard
        self._writer: SummaryWriter | None = None
        path = folder / "metrics.csv"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _rewrite(path, [row for row in _read(path) if int(row[0]) <= last_epoch])
            self._file: TextIOWrapper = path.open("a", encoding="utf-8", newline="")
        except OSError as error:
            raise _failure(path, error) from error

    def __enter__(self) -> "TrainingLogs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, result: EpochResult) -> None:
        """Add one epoch.

        Raises:
            ImilError: if the disk is full or the folder is gone.
        """
        rows = []
        for split, metrics in result.metrics.items():
            values = {"epoch": result.epoch, "split": split, "lr": f"{result.lr:.6g}"} | {
                name: f"{value:.6g}" for name, value in asdict(metrics).items()
            }
            rows.append([values[column] for column in COLUMNS])
        try:
            csv.writer(self._file, lineterminator="\n").writerows(rows)
            self._file.flush()
            if self._tensorboard:
                self._write_events(result)
        except OSError as error:
            raise _failure(self._folder, error) from error

    def close(self) -> None:
        """Close both files; `write` can't be called any more."""
        self._file.close()
        if self._writer is not None:
            self._writer.close()

    def _write_events(self, result: EpochResult) -> None:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # a second to import, so only when it's written to

            self._writer = SummaryWriter(str(self._folder / "tensorboard"), purge_step=self._last_epoch + 1)
        for split, metrics in result.metrics.items():
            for name, value in asdict(metrics).items():
                self._writer.add_scalar(f"{name}/{split}", value, result.epoch)
        self._writer.add_scalar("lr", result.lr, result.epoch)
        self._writer.flush()


def _read(path: Path) -> list[list[str]]:
    """The whole rows of an earlier log. A last row that a kill cut short lacks its line end, and is left out."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    rows = csv.reader(text[: text.rfind("\n") + 1].splitlines())
    return [row for row in rows if len(row) == len(COLUMNS) and row[0].isdecimal()]


def _rewrite(path: Path, rows: list[list[str]]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _failure(path: Path, error: OSError) -> ImilError:
    return ImilError(
        f"The training log {path} can't be written: {error.strerror or error}; make room or check the folder's "
        "permissions, then train again to go on from the last checkpoint."
    )
