"""Where the radiographs of the benchmark come from: drawn by a program, or a user's own with markers put on.

A source gives named arrays, which `imil.experiments.refocus.data` keeps in files:

- training: ``pixels`` uint8 (N, S, S), ``labels`` int64 (N,), the masks ``lesion``, ``lung`` and ``marker`` uint8
  (N, S, S), and ``marked`` bool (N,);
- test: ``without`` uint8 (M, S, S), ``labels``; where there are markers also ``with``, the same images with the marker,
  and ``marked``, the half of each class that has it where it's to be independent of the class;
- both: ``classes``, the class names; the marker goes with the second one.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from imil.cases import MANIFEST, Case, class_names, read_manifest
from imil.errors import BadInput
from imil.experiments.refocus.presets import Setting, Size
from imil.files import sha256_of
from imil.images import read_mask, read_size, read_square, resize
from imil.phantom import CLASSES, Phantoms, generate
from imil.phantom.film import overexpose
from imil.phantom.marker import burn_in, draw_marker
from imil.phantom.series import OVEREXPOSED, SHOWS

Arrays = dict[str, npt.NDArray[Any]]
Flags = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]
TEST_SEEDS = 1_000_000
"""Added to a seed for the series that its test images, or their markers, come from."""
_MIDDLE = ((0.20, 0.80), (0.12, 0.88))
"""Rows and columns, as shares of the film, that stand for the lungs where there is no mask of them."""
_IN_MASK = 0.5
"""Share of a pixel from which a mask covers it."""


class Source(Protocol):
    """See the module."""

    def training(self, shortcut: float | None, seed: int) -> Arrays:
        """The training images with a shortcut of that strength; None for no markers."""
        ...

    def test(self, seed: int) -> Arrays:
        """The test images."""
        ...


@dataclass(frozen=True)
class DrawnRadiographs:
    """Radiographs drawn by a program; see `imil.phantom`."""

    setting: Setting
    size: Size

    def training(self, shortcut: float | None, seed: int) -> Arrays:
        """See `Source`."""
        drawn = generate(self.size.train, seed, self.setting.drawn_with(shortcut))
        masks = {"lesion": drawn.lesion, "lung": drawn.lung, "marker": drawn.marker_mask, "marked": drawn.marker}
        return {"pixels": _bytes(drawn), "labels": _labels(drawn), "classes": np.array(CLASSES), **masks}

    def test(self, seed: int) -> Arrays:
        """See `Source`."""
        series, setting = seed + TEST_SEEDS, self.setting
        if not setting.marked:
            drawn = generate(self.size.test, series, setting.phantom)
            return {"without": _bytes(drawn), "labels": _labels(drawn), "classes": np.array(CLASSES)}
        # With a shortcut of 1 all of class "tb" have the marker and no others, with 0 the other way round. Everything
        # else about a picture, its marker's place as well, comes from random numbers that don't depend on that.
        one, other = (generate(self.size.test, series, setting.drawn_with(shortcut)) for shortcut in (1.0, 0.0))
        first = one.marker[:, None, None]
        return {
            "with": np.where(first, _bytes(one), _bytes(other)),
            "without": np.where(first, _bytes(other), _bytes(one)),
            "labels": _labels(one),
            "classes": np.array(CLASSES),
            "marked": half_of_each_class(_labels(one), series),
        }


@dataclass(frozen=True)
class OwnRadiographs:
    """A user's own radiographs, on which markers are put.

    The markers are those of the drawn radiographs. Where the manifest names no mask of an image's lungs, the middle of
    the film stands for them.

    Attributes:
        setting: where the marker is, and what it looks like; nothing else of it is used.
        folder: has a ``manifest.csv`` with two classes, and images in the splits train and test.
        side: images are read at ``side`` x ``side`` pixels.
    """

    setting: Setting
    folder: Path
    side: int

    def training(self, shortcut: float | None, seed: int) -> Arrays:
        """See `Source`."""
        cases, classes = read_own(self.folder)
        found = self._read([case for case in cases if case.split == "train"], classes)
        labels = found["labels"]
        chances = np.random.default_rng([seed, 0]).random(len(labels))
        marked = np.zeros(len(labels), np.bool_)
        if shortcut is not None:
            marked = chances < np.where(labels == 1, shortcut, 1 - shortcut)
        with_marker, places = self._marked(found["pixels"], found["lung"], [seed, 1])
        chosen = marked[:, None, None]
        pixels = np.where(chosen, with_marker, found["pixels"])
        return found | {"pixels": pixels, "marker": np.where(chosen, places, 0).astype(np.uint8), "marked": marked}

    def test(self, seed: int) -> Arrays:
        """See `Source`."""
        cases, classes = read_own(self.folder)
        found = self._read([case for case in cases if case.split == "test"], classes)
        plain = {"without": found["pixels"], "labels": found["labels"], "classes": found["classes"]}
        if not self.setting.marked:
            return plain
        with_marker, _ = self._marked(found["pixels"], found["lung"], [seed + TEST_SEEDS, 1])
        return plain | {"with": with_marker, "marked": half_of_each_class(found["labels"], seed + TEST_SEEDS)}

    def _read(self, cases: list[Case], classes: list[str]) -> Arrays:
        """Pixels, labels, classes and the masks of lesions and lungs."""
        pixels = np.stack([read_square(self.folder / case.id, self.side, case.id) for case in cases])
        return {
            "pixels": pixels,
            "labels": np.array([classes.index(case.label) for case in cases], np.int64),
            "classes": np.array(classes),
            "lesion": np.stack([self._mask(case, case.lesion_mask) for case in cases]),
            "lung": np.stack([self._lungs(case) for case in cases]),
        }

    def _lungs(self, case: Case) -> Pixels:
        if case.lung_mask:
            return self._mask(case, case.lung_mask)
        lungs = np.zeros((self.side, self.side), np.uint8)
        rows, columns = (slice(round(first * self.side), round(end * self.side)) for first, end in _MIDDLE)
        lungs[rows, columns] = 1
        return lungs

    def _mask(self, case: Case, path: str) -> Pixels:
        if not path:
            return np.zeros((self.side, self.side), np.uint8)
        mask = read_mask(self.folder / path, read_size(self.folder / case.id, case.id))
        return (resize((mask != 0).astype(np.float32), self.side) >= _IN_MASK).astype(np.uint8)

    def _marked(self, pixels: Pixels, lungs: Pixels, seed: list[int]) -> tuple[Pixels, Pixels]:
        """All images with the marker, and where it shows; nowhere if it has no place."""
        marked, places = pixels.copy(), np.zeros_like(pixels)
        if not self.setting.marked:
            return marked, places
        for index in range(len(pixels)):
            random = np.random.default_rng([*seed, index])
            picture = pixels[index].astype(np.float32) / 255
            if self.setting.placed:
                phantom = self.setting.phantom
                stamp, (top, bottom, left, right) = draw_marker(
                    random, phantom.marker, phantom.place, picture, lungs[index]
                )
                burn_in(picture, stamp, (top, bottom, left, right), 1.0)
                places[index, top:bottom, left:right] = stamp > SHOWS
            else:
                overexpose(picture, random.uniform(*OVEREXPOSED))
            marked[index] = np.round(picture * 255)
        return marked, places


def read_own(folder: Path) -> tuple[list[Case], list[str]]:
    """The cases of a user's radiographs, and their two class names.

    Raises:
        BadInput: if there is no manifest, it can't be used, or it lacks what the benchmark needs.
    """
    cases = read_manifest(folder / MANIFEST)
    classes = class_names(cases)
    if len(classes) != 2:
        raise BadInput(
            f"{folder} has the classes {', '.join(classes)}; markers go with one of two classes, so make a "
            "manifest.csv with two."
        )
    for split in ("train", "test"):
        labels = {case.label for case in cases if case.split == split}
        for name in classes:
            if name not in labels:
                raise BadInput(
                    f"The class {name!r} has no image in the split {split!r} of {folder / MANIFEST}; mark some as "
                    f"{split} in its column split."
                )
    return cases, classes


def own_digest(folder: Path) -> str:
    """A hash of a user's radiographs, their labels, splits and masks, 64 hex digits."""
    digest = hashlib.sha256()
    for case in read_own(folder)[0]:
        files = [sha256_of(folder / name) if name else "" for name in (case.id, case.lesion_mask, case.lung_mask)]
        digest.update((json.dumps([case.id, case.label, case.split, *files]) + "\n").encode())
    return digest.hexdigest()


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
