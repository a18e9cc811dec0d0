"""Feedback on the items of somebody's own map-style data set, for `imil.callback`."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput
from imil.training.edits import ImageEdit


class FeedbackDataset(Dataset[Any]):
    """A data set's own items, changed where a reader said so.

    The number of items stays the same, so that every sampler works: in the place of an excluded case stands the next
    case of the same class that isn't excluded (of any class if there is none).

    A mode that draws random numbers gets them from torch's global ones, see `imil.training.edits.ImageEdit`: with
    workers they differ by worker and epoch, and `torch.manual_seed` makes a training repeatable.

    Args:
        dataset: map-style; items are sequences ``(image, label, ...)`` or dictionaries.
        mode: what is done to an image.
        keys: where a dictionary has its image and label.
        transform: changes of an item after the feedback, or None.
        ids: a name for each case; by default its number with leading zeros.

    Attributes:
        ids: a name for each case.
        labels: int64 (N,), the labels to train with; read from the items when first asked for.

    Raises:
        BadInput: if the data set can't be indexed, is empty, or ``ids`` doesn't fit it.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        mode: ImageEdit,
        keys: tuple[str, str],
        *,
        transform: Callable[[Any], Any] | None = None,
        ids: Sequence[str] | None = None,
    ) -> None:
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise BadInput(f"The data set is a {type(dataset).__name__}; one with a length and an index is needed.")
        count = len(dataset)
        if count == 0:
            raise BadInput("The data set is empty; at least one item is needed.")
        if ids is not None and (len(ids) != count or len(set(ids)) != count):
            raise BadInput(f"There are {len(ids)} ids, {len(set(ids))} of them different, for {count} items.")
        width = len(str(count - 1))
        self.ids = [f"{index:0{width}}" for index in range(count)] if ids is None else list(ids)
        self._dataset = dataset
        self._mode = mode
        self._keys = keys
        self._transform = transform
        self._feedback: dict[int, CaseFeedback] = {}
        self._new_labels: dict[int, int] = {}
        self._stand_ins: dict[int, int] = {}
        self._labels: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Any:
        """The item as it is trained with."""
        index = range(len(self))[index]  # refuses what lies outside; counts from the end if negative
        index = self._stand_ins.get(index, index)
        item = self._dataset[index]
        if index in self._feedback:
            item = self._changed(item, self._feedback[index], index)
        return item if self._transform is None else self._transform(item)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """See the class. Goes once through the data set, unless `remember_labels` has been called."""
        if self._labels is None:
            self.remember_labels(np.array([self.plain(index)[1] for index in range(len(self))], np.int64))
        assert self._labels is not None
        return self._labels

    def remember_labels(self, labels: npt.NDArray[np.int64]) -> None:
        """Take the items' own labels, int64 (N,), from somebody who has just read them all."""
        self._labels = labels.copy()
        for index, label in self._new_labels.items():
            self._labels[index] = label

    def plain(self, index: int) -> tuple[Tensor, int]:
        """Image (C, H, W) and label as the data set itself gives them, without feedback or transform.

        Raises:
            BadInput: if the item isn't an image with a class index.
        """
        image, label = self._parts(self._dataset[index])
        if not isinstance(image, Tensor | np.ndarray) or image.ndim != 3:
            shape = f"has shape {tuple(image.shape)}" if hasattr(image, "shape") else f"is a {type(image).__name__}"
            raise BadInput(f"The image of item {index} {shape}; needed is a tensor or array (channels, rows, columns).")
        return torch.as_tensor(image), _class_index(label, index)

    def set_feedback(self, index: int, feedback: CaseFeedback, classes: Sequence[str]) -> None:
        """What a reader said about the case at ``index``; it takes the place of earlier feedback on it.

        Raises:
            BadInput: if the cells or the new label are impossible, or every case would be excluded. Nothing is changed.
        """
        if feedback.action == "grid":
            # Made once, to find impossible cells here and now. The generator leaves torch's random numbers alone.
            self._changed(self._dataset[index], feedback, index, np.random.default_rng(0))
        if feedback.action == "relabel" and feedback.new_label not in classes:
            raise BadInput(f"The new label {feedback.new_label!r} isn't a class; there are {', '.join(classes)}.")
        labels = self.labels
        if feedback.action == "exclude":
            self._exclude(index)
            return
        self._feedback[index] = feedback
        if feedback.action == "relabel":
            self._new_labels[index] = list(classes).index(feedback.new_label)
            labels[index] = self._new_labels[index]

    def _exclude(self, index: int) -> None:
        excluded = {*self._stand_ins, index}
        if len(excluded) == len(self):
            raise BadInput(f"The feedback excludes all {len(self)} training cases; at least one must stay.")
        for case in excluded:
            following = ((case + step) % len(self) for step in range(1, len(self)))
            kept = [other for other in following if other not in excluded]
            alike = [other for other in kept if self.labels[other] == self.labels[case]]
            self._stand_ins[case] = (alike or kept)[0]

    def _parts(self, item: Any) -> tuple[Any, Any]:
        try:
            if isinstance(item, dict):
                return item[self._keys[0]], item[self._keys[1]]
            return item[0], item[1]
        except (KeyError, IndexError, TypeError) as error:
            raise BadInput(
                f"An item of the data set is a {type(item).__name__} without image and label ({error}); needed is "
                f"(image, label) or a dictionary with {self._keys[0]!r} and {self._keys[1]!r}."
            ) from error

    def _changed(self, item: Any, feedback: CaseFeedback, index: int, random: np.random.Generator | None = None) -> Any:
        """A changed copy of the item, of the same kind."""
        image, label = self._parts(item)
        if feedback.action == "grid":
            data: dict[Hashable, Any] = {
                "image": image,
                "cells": feedback.cells,
                "misleading": feedback.misleading,
                "grid_size": feedback.grid_size,
                "random": random,
            }
            changed = self._mode(data)["image"]
            image = changed.numpy() if isinstance(image, np.ndarray) else changed
        else:
            label = _as_kind_of(label, self._new_labels[index])
        if isinstance(item, dict):
            return {**item, self._keys[0]: image, self._keys[1]: label}
        return type(item)((image, label, *item[2:])) if type(item) in (tuple, list) else (image, label, *item[2:])


class PlainDataset(Dataset[tuple[Tensor, int]]):
    """The images and labels of a `FeedbackDataset` without feedback and transform, for predicting."""

    def __init__(self, dataset: FeedbackDataset) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._dataset.plain(index)


def _class_index(label: Any, index: int) -> int:
    values = np.asarray(label)
    if values.size != 1 or values.dtype.kind not in "iub" or int(values.reshape(())) < 0:
        raise BadInput(f"The label of item {index} is {label!r}; needed is one whole number from 0, the class's index.")
    return int(values.reshape(()))


def _as_kind_of(label: Any, value: int) -> Any:
    if isinstance(label, Tensor):
        return torch.full_like(label, value)
    if isinstance(label, np.ndarray | np.generic):
        return np.full_like(label, value)
    return value
