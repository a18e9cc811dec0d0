"""Studies whose round is open without any training: for tests and benchmarks of what comes after.

Store and study are the real ones; the run has no checkpoint, so it can be reviewed, but not trained on.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from imil.settings import resolve
from imil.store import EpochMetrics, QueuedCase
from imil.study import Study, create_study

EPOCH = 2
HeatMap = Callable[[int], npt.NDArray[np.float32]]


def hot_corner(number: int, size: int = 32) -> npt.NDArray[np.float32]:
    """A heat map with one hot quarter, another one for each of four numbers in a row."""
    heat = np.full((size, size), 0.05, np.float32)
    row, col = divmod(number % 4, 2)
    half = size // 2
    heat[row * half : (row + 1) * half, col * half : (col + 1) * half] = 1.0
    return heat


def open_round(
    study: Study, cases: Sequence[str] = (), *, heat_map: HeatMap = hot_corner, grid_size: int = 4, **settings: object
) -> int:
    """Open round 1 of a new run over these training images (by default all). Returns the run's number."""
    chosen = {"network": "imil_small", "image_size": 32, "epochs": 4, "imil_epochs": [EPOCH], "device": "cpu"}
    resolved = resolve("paper", **(chosen | {"grid_size": grid_size} | settings))
    run = study.store.create_run(resolved.model_dump(mode="json"), study.classes)
    for epoch in range(1, EPOCH + 1):
        metrics = [
            EpochMetrics(run.id, epoch, split, 1 / epoch, 0.5 + epoch / 10, 0.5 + epoch / 8, 0.3 / epoch, 0.5, 0.1)
            for split in ("train", "test")
        ]
        study.store.record_epoch(run.id, epoch, metrics)
    by_id = {case.id: case for case in study.cases}
    names = list(cases) or [case.id for case in study.cases if case.split == "train"]
    queue = [_queued(by_id[name].label, name, number, study.classes, heat_map) for number, name in enumerate(names)]
    study.store.open_round(run.id, EPOCH, "0" * 64, queue)
    return run.id


def grey_study(folder: Path, *, per_class: int = 8, shape: tuple[int, int] = (48, 64), seed: int = 0) -> Study:
    """A study of two classes of grey noise, ``per_class`` PNG images each, of ``shape`` (rows, cols)."""
    random = np.random.default_rng(seed)
    for name in ("normal", "tb"):
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            pixels = random.integers(60, 190, shape, np.uint8)
            Image.fromarray(pixels).save(folder / name / f"case {number:03}.png", compress_level=1)
    return create_study(folder, "folders")


def _queued(label: str, name: str, number: int, classes: Sequence[str], heat_map: HeatMap) -> QueuedCase:
    wrong = next(other for other in classes if other != label)
    confidence = 0.95 - 0.3 * number / 1000
    rest = (1 - confidence) / (len(classes) - 1)
    return QueuedCase(
        case_id=name,
        label=label,
        prediction=wrong,
        confidence=confidence,
        probabilities=tuple(confidence if other == wrong else rest for other in classes),
        reason="misprediction",
        heatmap=heat_map(number),
        method="gradcam",
        layer="blocks.3",
    )
