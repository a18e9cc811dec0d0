"""The radiographs of one setting, shortcut and seed, with all that is known about them, in files.

Each test image is there twice, with the marker and without, and alike in all else: what the model makes of the
difference is what it makes of the marker.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imil.errors import BadInput
from imil.experiments.refocus.sources import Arrays, Flags, Pixels
from imil.files import replacing
from imil.training.batches import TrainingData


@dataclass(frozen=True)
class TrainingPart:
    """Training images with their truth.

    Attributes:
        data: what a model is trained with.
        lesion, lung, marker: uint8 (N, S, S), not 0 where it is; ``marker`` is empty where the marker has no place.
        marked: bool (N,), the images that have the marker.
        classes: class names.
    """

    data: TrainingData
    lesion: Pixels
    lung: Pixels
    marker: Pixels
    marked: Flags
    classes: tuple[str, ...]


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


def write(path: Path, arrays: Arrays) -> None:
    """Write what a source gave, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)


def read_training(path: Path) -> TrainingPart:
    """Training images of a source.

    Raises:
        BadInput: if the file is damaged.
    """
    found = _read(path)
    data = _as_data("train", found["pixels"], found["labels"])
    classes = tuple(str(name) for name in found["classes"])
    return TrainingPart(data, found["lesion"], found["lung"], found["marker"], found["marked"], classes)


def read_test(path: Path) -> TestPart:
    """Test images of a source.

    Raises:
        BadInput: if the file is damaged.
    """
    return as_test_part(_read(path))


def as_test_part(found: Arrays) -> TestPart:
    """Test images as a source gave them."""
    without = _as_data("test", found["without"], found["labels"])
    if "with" not in found:
        return TestPart(without, np.zeros(len(without), np.bool_), None, None)
    marked = found["marked"]
    mixed = np.where(marked[:, None, None], found["with"], found["without"])
    with_marker = _as_data("test", found["with"], found["labels"])
    return TestPart(_as_data("test", mixed, found["labels"]), marked, with_marker, without)


def _as_data(kind: str, pixels: Pixels, labels: npt.NDArray[np.int64]) -> TrainingData:
    ids = tuple(f"{kind}-{number:04d}" for number in range(1, len(labels) + 1))
    return TrainingData(ids, pixels, np.arange(len(labels)), labels)


def _read(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as found:
            return dict(found)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise BadInput(
            f"The images in {path} can't be read ({error}); delete the file to have it drawn again."
        ) from error
