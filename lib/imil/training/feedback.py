"""Feedback modes: what is done to an image with the cells that a reader chose.

A mode is a MONAI dictionary transform that joins by name::

    @register_feedback("dim")
    class Dimd(FeedbackMode):
        def change(self, image, grid, cells, misleading, random):
            ...

and is then available as the setting ``feedback=dim``. ``cutout`` and ``unedited`` don't look at the cells: they are
controls, which tell what the cells are worth. `AppliedFeedback` holds what a run's readers have said about its
training data, ready for `imil.training.batches`.
"""

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import Tensor

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput, NotFound
from imil.grid import Grid
from imil.training.augmentation import CutOut, squares
from imil.training.batches import TrainingData


class FeedbackMode(MapTransform):
    """Base of the modes. Changes a copy; the original is never altered.

    The data is a mapping with the image, float (C, H, W), under each of ``keys``, and with ``cells`` and ``misleading``
    (cell numbers) and ``grid_size``. The grid's edges are laid on the image as it is, see `imil.grid`.

    A mode that draws random numbers takes them from the generator under ``random``. Training makes one for each draw of
    each case from the run's seed, so that a resumed run draws the same. Where there is none, a new one is seeded from
    torch's global random numbers, which a `DataLoader` seeds anew for each worker process and each epoch.

    Args:
        keys: where the images are.
        black: the pixel value that stands for black, in the scale of the images.
        allow_missing_keys: skip keys that aren't there.
    """

    deterministic: ClassVar[bool] = False
    """True where `change` draws no random numbers: torch's global ones are then left alone."""

    def __init__(self, keys: KeysCollection = "image", black: float = 0.0, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.black = black

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A shallow copy of ``data`` with changed images.

        Raises:
            BadInput: if a cell doesn't exist, no cell is relevant, or an image isn't (C, H, W).
        """
        changed = dict(data)
        random = data.get("random")
        if random is None:
            random = self._new_generator()
        for key in self.key_iterator(changed):
            image = torch.as_tensor(changed[key])
            if image.ndim != 3:
                raise BadInput(f"The image has shape {tuple(image.shape)}; feedback needs (channels, rows, columns).")
            grid = Grid.square(int(data["grid_size"]), (image.shape[-2], image.shape[-1]))
            cells, misleading = grid.check_cells(data["cells"]), grid.check_cells(data.get("misleading", ()))
            changed[key] = self.change(image, grid, cells, misleading, random)
        return changed

    def _new_generator(self) -> np.random.Generator:
        return np.random.default_rng(0 if self.deterministic else int(torch.randint(2**62, ())))

    @abstractmethod
    def change(
        self,
        image: Tensor,
        grid: Grid,
        cells: tuple[int, ...],
        misleading: tuple[int, ...],
        random: np.random.Generator,
    ) -> Tensor:
        """A changed copy of ``image``, float (C, H, W), of the same shape, dtype and device.

        All that is random comes from ``random``, which is made anew for each draw of each case.
        """


FEEDBACK_MODES: dict[str, type[FeedbackMode]] = {}
"""The modes by name; add to it with `register_feedback`."""


def register_feedback(name: str) -> Callable[[type[FeedbackMode]], type[FeedbackMode]]:
    """Class decorator: makes a mode available under ``name``."""

    def add(mode: type[FeedbackMode]) -> type[FeedbackMode]:
        FEEDBACK_MODES[name] = mode
        return mode

    return add


def create_feedback_mode(name: str, *, black: float = 0.0) -> FeedbackMode:
    """The mode of that name.

    Raises:
        NotFound: if there is none of that name.
    """
    if name not in FEEDBACK_MODES:
        raise NotFound(f"There is no feedback mode {name!r}; the modes are {', '.join(sorted(FEEDBACK_MODES))}.")
    return FEEDBACK_MODES[name](black=black)


@register_feedback("blackout")
class Blackoutd(FeedbackMode):
    """Keeps the relevant cells and sets everything else to black (Rao et al., section 3.1, callback output).

    Cells marked as misleading count as not selected. An answer without a relevant cell would leave a black image, so it
    is refused.
    """

    deterministic = True

    def change(
        self,
        image: Tensor,
        grid: Grid,
        cells: tuple[int, ...],
        misleading: tuple[int, ...],
        random: np.random.Generator,
    ) -> Tensor:
        if not cells:
            raise BadInput(
                "No relevant cell is selected, so blackout would leave nothing; select one or skip the case."
            )
        keep = torch.from_numpy(grid.mask(cells, misleading) == 1).to(image.device)
        return torch.where(keep, image, torch.full_like(image, self.black))


@register_feedback("cutout")
class CutOutd(FeedbackMode):
    """Sets a square at a random place to black, another one at each draw; the cells aren't looked at.

    A control for blackout: the same images are changed, but chance says where. The square is that of
    `imil.training.augmentation.CutOut`.
    """

    def change(
        self,
        image: Tensor,
        grid: Grid,
        cells: tuple[int, ...],
        misleading: tuple[int, ...],
        random: np.random.Generator,
    ) -> Tensor:
        rows, cols = image.shape[-2:]
        centre = torch.from_numpy(random.integers(0, (rows, cols))).to(image.device)
        return image.masked_fill(squares(centre[None], CutOut().side(rows, cols), rows, cols), self.black)


@register_feedback("unedited")
class Uneditedd(FeedbackMode):
    """Leaves the image as it is; the cells aren't looked at. A control, see the setting ``feedback_repeat``."""

    deterministic = True

    def change(
        self,
        image: Tensor,
        grid: Grid,
        cells: tuple[int, ...],
        misleading: tuple[int, ...],
        random: np.random.Generator,
    ) -> Tensor:
        return image.clone()


class AppliedFeedback:
    """What the readers said, laid on one set of training data.

    Attributes:
        labels: int64 (N,), the labels to train with: the data's own, or a reader's new one.
        kept: bool (N,), False for excluded cases.
        changes_image: bool (N,), True for cases whose image is changed by grid cells.
        counts: how many cases are changed in each way: ``grid``, ``relabel``, ``exclude``.

    Raises:
        BadInput: if feedback names an unknown case, class or action, has impossible cells, or excludes every case.
    """

    def __init__(
        self,
        feedback: Mapping[str, CaseFeedback],
        data: TrainingData,
        classes: Sequence[str],
        mode: FeedbackMode,
    ) -> None:
        self.mode = mode
        self.labels: npt.NDArray[np.int64] = data.labels.copy()
        self.kept: npt.NDArray[np.bool_] = np.ones(len(data), np.bool_)
        self.changes_image: npt.NDArray[np.bool_] = np.zeros(len(data), np.bool_)
        self.counts = {"grid": 0, "relabel": 0, "exclude": 0}
        self._cases: dict[int, CaseFeedback] = {}
        positions = {case_id: index for index, case_id in enumerate(data.ids)}
        for case in feedback.values():
            if case.case_id not in positions:
                raise BadInput(f"There is feedback on {case.case_id!r}, which isn't in the training data.")
            self._add(positions[case.case_id], case, classes, data.image_size)
        if not self.kept.any():
            raise BadInput(f"The feedback excludes all {len(data)} training cases; at least one must stay.")

    def change(self, index: int, image: Tensor, random: np.random.Generator) -> Tensor:
        """The changed copy of the image, float32 (1, S, S) in [0, 1], of the case at ``index``.

        ``random`` belongs to this draw of this case alone.
        """
        case = self._cases[index]
        data: dict[Hashable, Any] = {
            "image": image,
            "cells": case.cells,
            "misleading": case.misleading,
            "grid_size": case.grid_size,
            "random": random,
        }
        changed: Tensor = self.mode(data)["image"]
        return changed

    def _add(self, index: int, case: CaseFeedback, classes: Sequence[str], image_size: int) -> None:
        if case.action not in self.counts:
            raise BadInput(
                f"The action {case.action!r} of {case.case_id!r} changes no case; known are grid, relabel, exclude."
            )
        if case.action == "relabel":
            if case.new_label not in classes:
                raise BadInput(
                    f"The new label {case.new_label!r} of {case.case_id!r} isn't a class; there are "
                    f"{', '.join(classes)}."
                )
            self.labels[index] = list(classes).index(case.new_label)
        elif case.action == "exclude":
            self.kept[index] = False
        else:
            self.changes_image[index] = True
        self._cases[index] = case
        self.counts[case.action] += 1
        if case.action == "grid":
            # Made once on nothing, so that impossible cells are found before training starts rather than in its middle.
            self.change(index, torch.zeros(1, image_size, image_size), np.random.default_rng(0))
