"""A tiny network and tiny data on which the engine trains in milliseconds."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn

from imil.networks import network_names, register_network
from imil.settings import RunSettings, resolve
from imil.training.batches import TrainingData

NETWORK = "tiny_for_training_tests"

if NETWORK not in network_names():

    @register_network(NETWORK)
    def network(num_classes: int, in_chans: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(in_chans, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, num_classes),
        )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums run in one order only if the number of threads is fixed."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def data() -> TrainingData:
    """33 images of 16 x 16 in a cache of 40; the second class is brighter at the top left."""
    generator = np.random.default_rng(5)
    pixels = generator.integers(0, 120, (40, 16, 16), dtype=np.uint8)
    rows = generator.permutation(40)[:33].astype(np.int64)
    labels = (np.arange(33) % 2).astype(np.int64)
    pixels[rows[labels == 1], :8, :8] += 100
    pixels.flags.writeable = False
    return TrainingData(tuple(f"case{number:02}.png" for number in range(33)), pixels, rows, labels)


def tiny_settings(**overrides: object) -> RunSettings:
    values: dict[str, object] = {
        "network": NETWORK,
        "image_size": 16,
        "epochs": 6,
        "imil_epochs": (3,),
        "batch_size": 8,
        "lr": 0.01,
        "seed": 11,
        "device": "cpu",
    }
    return resolve("paper", **(values | overrides))


@pytest.fixture
def tiny() -> Callable[..., RunSettings]:
    """Makes settings for the tiny network with single ones replaced."""
    return tiny_settings


@pytest.fixture
def settings() -> RunSettings:
    return tiny_settings()
