import csv
import resource

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from imil.errors import ImilError
from imil.training.logs import COLUMNS, TrainingLogs
from imil.training.results import EpochResult, SplitResult


def result(epoch: int, accuracy: float = 0.5) -> EpochResult:
    train = SplitResult(loss=0.7, accuracy=accuracy, auroc=float("nan"), ece=0.1, brier=0.4, seconds=2.0)
    return EpochResult(epoch, 0.001, 30, {"train": train, "test": train})


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_one_row_for_each_epoch_and_split(tmp_path):
    with TrainingLogs(tmp_path / "run", tensorboard=False) as logs:
        logs.write(result(1))
        logs.write(result(2))
    written = rows(tmp_path / "run")
    assert tuple(written[0]) == COLUMNS
    assert [(row["epoch"], row["split"]) for row in written] == [
        ("1", "train"), ("1", "test"), ("2", "train"), ("2", "test"),
    ]  # fmt: skip
    assert written[0]["accuracy"] == "0.5"
    assert written[0]["auroc"] == "nan"
    assert written[0]["lr"] == "0.001"


def test_images_a_second():
    assert result(1).images_per_second == 15


def test_a_resume_drops_later_epochs_and_a_torn_row(tmp_path):
    with TrainingLogs(tmp_path, tensorboard=False) as logs:
        for epoch in (1, 2, 3):
            logs.write(result(epoch))
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("4,train,0.7,0.")
    with TrainingLogs(tmp_path, last_epoch=2, tensorboard=False) as logs:
        logs.write(result(3, accuracy=0.75))
    assert [(row["epoch"], row["accuracy"]) for row in rows(tmp_path) if row["split"] == "test"] == [
        ("1", "0.5"), ("2", "0.5"), ("3", "0.75"),
    ]  # fmt: skip


def test_a_torn_row_that_looks_whole_is_dropped(tmp_path):
    with TrainingLogs(tmp_path, tensorboard=False) as logs:
        logs.write(result(1))
    path = tmp_path / "metrics.csv"
    path.write_text(path.read_text()[:-2])
    TrainingLogs(tmp_path, last_epoch=1, tensorboard=False).close()
    assert [row["split"] for row in rows(tmp_path)] == ["train"]


def test_tensorboard_shows_each_epoch_once_after_a_resume(tmp_path):
    for last_epoch, accuracies in ((0, {1: 0.1, 2: 0.2, 3: 0.3}), (1, {2: 0.6, 3: 0.7})):
        with TrainingLogs(tmp_path, last_epoch=last_epoch) as logs:
            for epoch, accuracy in accuracies.items():
                logs.write(result(epoch, accuracy))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    shown = [(event.step, round(event.value, 3)) for event in events.Scalars("accuracy/test")]
    assert shown == [(1, 0.1), (2, 0.6), (3, 0.7)]


def test_a_full_disk_is_said(tmp_path):
    logs = TrainingLogs(tmp_path, tensorboard=False)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (180, limits[1]))
    try:
        logs.write(result(1))
        with pytest.raises(ImilError, match=r"training log .* can't be written: File too large"):
            logs.write(result(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
