"""The radiographs of one setting, shortcut and seed, with all that is known about them.

Each test image is there twice, with the marker and without, and alike in all else: what the model makes of the
difference is what it makes of the marker.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imil.errors import BadInput
from imil.experiments.refocus.presets import Setting, Size
from imil.files import replacing
from imil.phantom import CLASSES, Phantoms, generate
from imil.training.batches import TrainingData

TEST_SEEDS = 1_000_000
"""Added to a seed for the series that its test images come from."""

Pixels = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TrainingPart:
    """Training images with their truth.

    Attributes:
        data: what a model is trained with.
        lesion, lung, marker: uint8 (N, S, S), not 0 where it is; ``marker`` is empty where the marker has no place.
        marked: bool (N,), the images that have the marker.
    """

    data: TrainingData
    lesion: Pixels
    lung: Pixels
    marker: Pixels
    marked: Flags


@dataclass(frozen=True)
class TestPart:
    """Test images, each with and without the marker.

    Attributes:
        data: half of each class with the marker, drawn at random; the others without.
        marked: bool (N,), which these are.
        with_marker, without_marker: the same images with it on all, and on none; None where there are no markers.
    """

    __test__ = False  # not a test, whatever pytest makes of its name

    data: TrainingData
    marked: Flags
    with_marker: TrainingData | None
    without_marker: TrainingData | None


def write_training(path: Path, setting: Setting, shortcut: float | None, seed: int, size: Size) -> None:
    """Draw the training images and write them to a file, all or nothing."""
    drawn = generate(size.train, seed, setting.drawn_with(shortcut))
    arrays = {"lesion": drawn.lesion, "lung": drawn.lung, "marker": drawn.marker_mask, "marked": drawn.marker}
    _write(path, pixels=_bytes(drawn), labels=_labels(drawn), **arrays)


def read_training(path: Path) -> TrainingPart:
    """What `write_training` wrote.

    Raises:
        BadInput: if the file is damaged.
    """
    found = _read(path)
    data = _as_data("train", found["pixels"], found["labels"])
    return TrainingPart(data, found["lesion"], found["lung"], found["marker"], found["marked"])


def write_test(path: Path, setting: Setting, seed: int, size: Size) -> None:
    """Draw the test images and write them to a file, all or nothing."""
    series = seed + TEST_SEEDS
    if not setting.marked:
        drawn = generate(size.test, series, setting.phantom)
        _write(path, without=_bytes(drawn), labels=_labels(drawn))
        return
    # With a shortcut of 1 all of class "tb" have the marker and no others, with 0 the other way round. Everything else
    # about a picture, its marker's place as well, comes from random numbers that don't depend on that.
    one, other = (generate(size.test, series, setting.drawn_with(shortcut)) for shortcut in (1.0, 0.0))
    first = one.marker[:, None, None]
    _write(
        path,
        **{"with": np.where(first, _bytes(one), _bytes(other)), "without": np.where(first, _bytes(other), _bytes(one))},
        labels=_labels(one),
        marked=half_of_each_class(_labels(one), series),
    )


def read_test(path: Path) -> TestPart:
    """What `write_test` wrote.

    Raises:
        BadInput: if the file is damaged.
    """
    found = _read(path)
    without = _as_data("test", found["without"], found["labels"])
    if "with" not in found:
        return TestPart(without, np.zeros(len(without), np.bool_), None, None)
    marked = found["marked"]
    mixed = np.where(marked[:, None, None], found["with"], found["without"])
    with_marker = _as_data("test", found["with"], found["labels"])
    return TestPart(_as_data("test", mixed, found["labels"]), marked, with_marker, without)


def half_of_each_class(labels: npt.NDArray[np.int64], seed: int) -> Flags:
    """Half of the cases of each class, drawn at random, bool (N,); of an odd number the smaller half."""
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        cases = np.flatnonzero(labels == label)
        chosen[random.permutation(cases)[: len(cases) // 2]] = True
    return chosen


def _bytes(drawn: Phantoms) -> Pixels:
    """Pixels as the cache of a study has them."""
    return np.round(drawn.pixels * 255).astype(np.uint8)


def _labels(drawn: Phantoms) -> npt.NDArray[np.int64]:
    return np.array([CLASSES.index(label) for label in drawn.labels], np.int64)


def _as_data(kind: str, pixels: Pixels, labels: npt.NDArray[np.int64]) -> TrainingData:
    ids = tuple(f"{kind}-{number:04d}" for number in range(1, len(labels) + 1))
    return TrainingData(ids, pixels, np.arange(len(labels)), labels)


def _write(path: Path, **arrays: npt.NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as found:
            return dict(found)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise BadInput(
            f"The images in {path} can't be read ({error}); delete the file to have it drawn again."
        ) from error
