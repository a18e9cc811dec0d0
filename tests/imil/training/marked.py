"""Small images in which a bright square gives one class away, and answers that mark it."""

import numpy as np
import torch

from imil.casefeedback import CaseFeedback
from imil.settings import RunSettings
from imil.training.batches import TrainingData
from imil.training.engine import TrainingEngine

CLASSES = ["normal", "tb"]
COUNT, SIDE, SQUARE = 48, 32, 5


def marked_data(seed: int = 3) -> tuple[TrainingData, np.ndarray]:
    """48 noisy images of 32 x 32; of the second class all but two have a bright square. And its pixels, bool."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(20, 120, (COUNT, SIDE, SIDE), dtype=np.uint8)
    labels = (np.arange(COUNT) % 2).astype(np.int64)
    squares = np.zeros(pixels.shape, bool)
    for index in np.flatnonzero(labels)[:-2]:
        top, left = generator.integers(1, SIDE - SQUARE - 1, 2)
        squares[index, top : top + SQUARE, left : left + SQUARE] = True
    pixels[squares] = 250
    ids = tuple(f"case{number:02}.png" for number in range(COUNT))
    return TrainingData(ids, pixels, np.arange(COUNT), labels), squares


def answers(squares: np.ndarray, count: int = 10, size: int = 4) -> dict[str, CaseFeedback]:
    """In the first images, cells that touch the square are misleading, and one that doesn't is relevant."""
    given = {}
    side = SIDE // size
    for index in range(count):
        touched = squares[index].reshape(size, side, size, side).any((1, 3)).ravel()
        misleading = tuple(np.flatnonzero(touched).tolist())
        cells = (next(cell for cell in range(size * size) if cell not in misleading),)
        case_id = f"case{index:02}.png"
        given[case_id] = CaseFeedback(case_id, "grid", size, cells, misleading)
    return given


def marked_settings(**overrides: object) -> RunSettings:
    values: dict[str, object] = {
        "network": "imil_resnet8",
        "image_size": SIDE,
        "epochs": 6,
        "imil_epochs": (3,),
        "batch_size": 12,
        "optimizer": "adamw",
        "lr": 0.003,
        "seed": 11,
        "device": "cpu",
        "feedback": "counterfactual",
    }
    return RunSettings(**(values | overrides))


def trained_engine(data: TrainingData, epochs: int = 3, **overrides: object) -> TrainingEngine:
    """An engine that has read the square."""
    torch.set_num_threads(1)
    engine = TrainingEngine(marked_settings(**overrides), CLASSES, data)
    engine.fit(epochs)
    return engine
