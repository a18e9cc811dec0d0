"""Batches for training and prediction, made straight from the uint8 pixel cache.

The order of an epoch depends on the run's seed and the epoch's number alone, and so do the random numbers of the
augmentation, case by case. A run that is resumed at an epoch's start therefore needs no sampler state, and a run with
feedback sees the cases in the same order as one without (less the excluded ones, and with further draws in between).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from imil.errors import BadInput
from imil.training.draws import Draws

if TYPE_CHECKING:
    from imil.training.augmentation import Augmentation
    from imil.training.feedback import AppliedFeedback
    from imil.training.mixing import Mixing

(
    ORDER_STREAM,
    AUGMENTATION_STREAM,
    TORCH_STREAM,
    FEEDBACK_STREAM,
    MIXING_STREAM,
    FURTHER_STREAM,
    LEARNING_STREAM,
) = range(7)
"""Which random numbers of an epoch: the order of the cases, the augmentation, torch's global generator, the feedback
mode, the mixing of images, which cases are drawn further and where, what is learnt from a round."""


class Batch(TypedDict):
    """``image`` float32 (B, 1, S, S), normalised; ``label`` and ``index`` int64 (B,); index points into the data.

    Where images are mixed, ``target``, float32 (B, classes), is what to train with: the share of each class.
    ``penalised``, float32 (B, 1, S, S) in [0, 1], is there where a feedback mode says where the model isn't to look.
    """

    image: Tensor
    label: Tensor
    index: Tensor
    target: NotRequired[Tensor]
    penalised: NotRequired[Tensor]


def epoch_seed(seed: int, epoch: int, stream: int, *number: int) -> int:
    """A seed below 2**63 for one stream of random numbers of one epoch; the same on every machine.

    ``number`` tells apart the parts of an epoch that have random numbers of their own, such as its batches.
    """
    return int(np.random.SeedSequence([seed, epoch, stream, *number]).generate_state(1, np.uint64)[0]) >> 1


@dataclass(frozen=True)
class TrainingData:
    """Cases by reference to shared pixels. Nothing is copied.

    Attributes:
        ids: N case ids.
        pixels: uint8 (M, S, S), M >= N, usually a read-only memory map of the whole study; never written to.
        rows: int64 (N,), the row of ``pixels`` that holds each case.
        labels: int64 (N,), class indices.

    Raises:
        BadInput: if the four don't belong together, or there is no case.
    """

    ids: tuple[str, ...]
    pixels: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if not self.ids:
            raise BadInput("There is no case in this part of the data; at least one is needed.")
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3:
            raise BadInput(
                f"The pixels are {self.pixels.dtype} of shape {self.pixels.shape}; needed is uint8 (cases, rows, "
                "columns)."
            )
        if not len(self.ids) == len(self.rows) == len(self.labels):
            raise BadInput(
                f"There are {len(self.ids)} ids, {len(self.rows)} rows and {len(self.labels)} labels; as many of each "
                "are needed."
            )
        if self.rows.min() < 0 or self.rows.max() >= len(self.pixels):
            raise BadInput(f"The rows run from {self.rows.min()} to {self.rows.max()} of {len(self.pixels)} images.")
        if self.labels.min() < 0:
            raise BadInput(f"The label {self.labels.min()} isn't a class index; indices start at 0.")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def image_size(self) -> int:
        """Side of the square images in pixels."""
        return int(self.pixels.shape[-1])

    def subset(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> "TrainingData":
        """The cases at ``indices``, in that order, on the same pixels."""
        chosen = np.asarray(indices, np.int64)
        return TrainingData(
            tuple(self.ids[index] for index in chosen), self.pixels, self.rows[chosen], self.labels[chosen]
        )


class Batches:
    """One epoch of batches; can be iterated again and gives the same each time.

    Feedback is applied by its mode to a whole batch, on pixels in [0, 1], before augmentation and normalisation.
    Excluded cases are left out. A single case left over for the last batch joins the one before it, because batch
    normalisation can't train on one value per channel.

    Further draws of cases are put at random places among the others, which keep their order. Each draw of a case has
    its own augmentation.

    Args:
        data: the cases.
        batch_size: cases in a batch.
        seed: the run's seed.
        epoch: the epoch's number, from 1.
        shuffle: a new order each epoch; otherwise the data's own order.
        mean, std: normalisation of pixels in [0, 1].
        feedback: the changes to make, or None; it says how often its cases are drawn.
        augmentation: random changes to make to each image, or None.
        mixing: mixes the images of a batch in pairs, after the augmentation; or None.
        extra: number of further draws, each of any case that isn't excluded. Without ``shuffle`` there are no further
            draws.
        device: where the tensors go.

    Attributes:
        order: int64, the index of the case at each place of the epoch.
    """

    def __init__(
        self,
        data: TrainingData,
        batch_size: int,
        seed: int,
        epoch: int,
        *,
        mean: float = 0.0,
        std: float = 1.0,
        shuffle: bool = True,
        feedback: "AppliedFeedback | None" = None,
        augmentation: "Augmentation | None" = None,
        mixing: "Mixing | None" = None,
        extra: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.data = data
        self.mean, self.std = mean, std
        self.feedback = feedback
        self.augmentation = augmentation
        self.mixing = mixing
        self.device = torch.device(device)
        self._seed, self._epoch = seed, epoch
        kept = np.arange(len(data))
        if shuffle:
            kept = np.random.default_rng(epoch_seed(seed, epoch, ORDER_STREAM)).permutation(len(data))
        if feedback is not None:
            kept = kept[feedback.kept[kept]]
        # A draw has a number: below len(data) that of its case, from there on its place among the further draws.
        self._case_of, self._order = np.arange(len(data)), kept
        if shuffle:
            self._add_further_draws(kept, extra)
        self.order = self._case_of[self._order]
        self._draws: Tensor | None = None
        if augmentation is not None:
            generator = np.random.default_rng(epoch_seed(seed, epoch, AUGMENTATION_STREAM))
            self._draws = torch.from_numpy(generator.random((len(self._case_of), augmentation.draws), np.float32))
        self._edges = batch_edges(len(self.order), batch_size)

    def _add_further_draws(self, kept: npt.NDArray[np.int64], extra: int) -> None:
        generator = np.random.default_rng(epoch_seed(self._seed, self._epoch, FURTHER_STREAM))
        repeated = kept[:0] if self.feedback is None else self._repeated(self.feedback)
        if not len(repeated) and not extra:
            return
        further = np.concatenate([repeated, generator.choice(kept, extra)])
        numbers = len(self._case_of) + generator.permutation(len(further))
        self._case_of = np.concatenate([self._case_of, further])
        self._order = np.insert(kept, generator.integers(0, len(kept) + 1, len(further)), numbers)

    @staticmethod
    def _repeated(feedback: "AppliedFeedback") -> npt.NDArray[np.int64]:
        """The fed-back cases that are drawn further, as often as they are."""
        fed_back, count = feedback.fed_back, (feedback.repeat - 1) * len(feedback.fed_back)
        if not feedback.balanced:
            return np.tile(fed_back, feedback.repeat - 1)
        by_class = [fed_back[feedback.labels[fed_back] == label] for label in np.unique(feedback.labels[fed_back])]
        # Each class has the same number of draws, whatever its number of cases; one more where they don't divide.
        return np.concatenate(
            [np.resize(cases, (count + turn) // len(by_class)) for turn, cases in enumerate(by_class)] or [fed_back]
        )

    def __len__(self) -> int:
        return len(self._edges) - 1

    def __iter__(self) -> Iterator[Batch]:
        for number, (start, end) in enumerate(pairwise(self._edges)):
            yield self._batch(number, self._order[start:end])

    def _batch(self, number: int, draws: npt.NDArray[np.int64]) -> Batch:
        indices = self._case_of[draws]
        gathered = torch.from_numpy(np.asarray(self.data.pixels[self.data.rows[indices]]))
        labels = self.data.labels if self.feedback is None else self.feedback.labels
        images = self._to_device(gathered).to(torch.float32).div_(255.0).unsqueeze_(1)
        drawn = Draws(indices, images, self._to_device(torch.from_numpy(labels[indices])))
        if self.feedback is not None and self.feedback.mode is not None:
            generator = np.random.default_rng(epoch_seed(self._seed, self._epoch, FEEDBACK_STREAM, number))
            drawn = self.feedback.mode.edit(drawn, generator)
        if self.augmentation is not None and self._draws is not None:
            self._augment(drawn, self._draws[draws].to(self.device))
        batch: Batch = {"image": drawn.images, "label": drawn.labels, "index": torch.from_numpy(indices)}
        if drawn.target is not None:
            batch["target"] = drawn.target
        if drawn.penalised is not None:
            batch["penalised"] = drawn.penalised
        if self.mixing is not None:
            seed = epoch_seed(self._seed, self._epoch, MIXING_STREAM, number)
            batch["image"], batch["target"] = self.mixing(drawn.images, batch["label"], seed)
        batch["image"].sub_(self.mean).div_(self.std)
        return batch

    def _augment(self, drawn: Draws, numbers: Tensor) -> None:
        assert self.augmentation is not None
        if drawn.penalised is None:
            drawn.images = self.augmentation(drawn.images, numbers)
            return
        both = self.augmentation(torch.cat([drawn.images, drawn.penalised], 1), numbers)
        drawn.images, drawn.penalised = both[:, :1].contiguous(), both[:, 1:].contiguous()

    def _to_device(self, tensor: Tensor) -> Tensor:
        if self.device.type == "cuda":
            # From pinned memory the copy runs beside the computation of the batch before.
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)


def batch_edges(count: int, batch_size: int) -> list[int]:
    """Where batches start and end: ``[0, batch_size, ..., count]``, without a last batch of one if there are others."""
    edges = [*range(0, count, batch_size), count]
    if len(edges) > 2 and edges[-1] - edges[-2] == 1:
        del edges[-2]
    return edges
