"""IMIL for a training loop of your own: attach it to an ignite or MONAI trainer, give it a reader, train.

    from imil import IMIL
    from imil.readers import ConsoleReader

    imil = IMIL(reader=ConsoleReader(name="ada"), imil_epochs=[70], num_outliers=20, grid_size=4)
    train_set = imil.wrap(train_set)
    trainer = SupervisedTrainer(..., train_data_loader=DataLoader(train_set, batch_size=64, shuffle=True))
    imil.attach(trainer, network)
    trainer.run()

After each of the `imil_epochs` the whole training set is predicted, the reader sees the worst mispredictions, and from
the next epoch on their images are changed as the reader said. Selection, heat maps and feedback are the same code as
under the server. A run in which the reader changes nothing ends with the same weights as one without IMIL: the random
numbers of torch, numpy and Python are put back after each round.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput, Conflict
from imil.explain import heat_maps
from imil.grid import Grid
from imil.networks.modes import evaluation_mode
from imil.outliers import Pick, select
from imil.readers.base import Reader, ReaderCase, Reading
from imil.settings import Fill, mode_names
from imil.settings import Selection as SelectionName
from imil.training.edits import IMAGE_EDITS, ImageEdit, create_image_edit
from imil.training.itemfeedback import FeedbackDataset, PlainDataset
from imil.training.modes import MODES

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HistoryEntry:
    """One answer: after which epoch, to which case, what the model had said, and how long the reader took."""

    epoch: int
    case_id: str
    reader: str
    label: str
    prediction: str
    confidence: float
    reading: Reading
    seconds: float


class IMIL:
    """Interactive medical image learning as a callback (Rao et al., section 3.1).

    Args:
        reader: who reads the queued cases; see `imil.readers`.
        imil_epochs: after which epochs, counted from 1.
        num_outliers: cases queued in each round, at most.
        grid_size: cells along each side of the reader's grid.
        feedback: feedback mode, a name in `imil.training.edits.IMAGE_EDITS`; ``cutout`` draws from torch's random
            numbers at each item. Modes that need other images or the loss are for `imil train` and the server.
        black: the pixel value that stands for black, in the scale of the images as the data set gives them. If it
            normalises them by ``(x - mean) / std``, that's ``(0 - mean) / std``.
        fill: ``none``, or ``least_confident`` to fill up the queue when there are too few mispredictions.
        selection: which cases are queued, see `imil.outliers.select`; all but ``out_of_fold``.
        requeue: queue a case again that an earlier round had.
        heatmap, target_layer: heat-map method and layer, see `imil.explain.heat_maps`.
        classes: class names; their numbers if None.
        image_key, label_key: where a dictionary item has its image and label.
        batch_size, num_workers: for predicting the training set.
        seed: of the random selection.

    Attributes:
        history: the answers in the order in which they were given.
        case_feedback: what training does to which case, by case id.
        messages: a sentence for each round about how its queue was found.

    Raises:
        BadInput: for values that are out of range, or a feedback mode that needs more than single images.
        NotFound: for an unknown feedback mode.
    """

    def __init__(
        self,
        reader: Reader,
        imil_epochs: Sequence[int],
        num_outliers: int = 20,
        grid_size: int = 4,
        *,
        feedback: str = "blackout",
        black: float = 0.0,
        fill: Fill = "none",
        selection: SelectionName = "highest_confidence",
        requeue: bool = False,
        heatmap: str = "gradcam",
        target_layer: str = "",
        classes: Sequence[str] | None = None,
        image_key: str = "image",
        label_key: str = "label",
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        if any(epoch < 1 for epoch in imil_epochs):
            raise BadInput(f"The imil_epochs are {list(imil_epochs)}; epochs are counted from 1.")
        for name, value in (("fill", fill), ("selection", selection)):
            if value == "out_of_fold":
                raise BadInput(
                    f"{name}='out_of_fold' trains further models, which the callback can't; use 'least_confident'."
                )
        self.reader = reader
        self.imil_epochs = sorted(set(imil_epochs))
        self.num_outliers = num_outliers
        self.grid_size = grid_size
        self.classes = None if classes is None else list(classes)
        self.history: list[HistoryEntry] = []
        self.case_feedback: dict[str, CaseFeedback] = {}
        self.messages: list[str] = []
        self._mode = _image_edit(feedback, black)
        self._fill, self._selection, self._requeue = fill, selection, requeue
        self._heatmap, self._target_layer = heatmap, target_layer
        self._keys = (image_key, label_key)
        self._batch_size, self._num_workers, self._seed = batch_size, num_workers, seed
        self._queued: set[str] = set()
        self._dataset: FeedbackDataset | None = None

    # -- set-up --------------------------------------------------------------------------------------------------------

    def wrap(
        self, dataset: Dataset[Any], *, transform: Callable[[Any], Any] | None = None, ids: Sequence[str] | None = None
    ) -> FeedbackDataset:
        """The training set to give to the data loader: the same items, changed where a reader said so.

        Args:
            dataset: map-style; each item is a sequence ``(image, label, ...)`` or a dictionary. Images are tensors or
                arrays (channels, rows, columns); labels are whole numbers. An item must be the same at each call.
            transform: random changes of an item, made after the feedback. They belong here rather than into
                ``dataset``, so that the reader's cells fit the image, and predicting isn't random.
            ids: a name for each case; by default its number.

        Raises:
            BadInput: if the data set can't be indexed, is empty, or ``ids`` doesn't fit it.
        """
        self._dataset = FeedbackDataset(dataset, self._mode, self._keys, transform=transform, ids=ids)
        return self._dataset

    def attach(self, trainer: Engine, network: nn.Module) -> None:
        """Hold a round after each of the ``imil_epochs`` of an ignite engine or MONAI trainer.

        Raises:
            Conflict: if `wrap` hasn't been called; when training starts, `BadInput` for a data loader that would go on
                with old images, or epochs that will never come.
        """
        dataset = self._wrapped()
        trainer.add_event_handler(Events.STARTED, lambda engine: self._check(engine, dataset))
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: self._after_epoch(engine, network))

    # -- a round -------------------------------------------------------------------------------------------------------

    def hold_round(self, network: nn.Module, epoch: int) -> None:
        """Predict, select, ask the reader, and set the feedback. For training loops without ignite, call it yourself.

        Args:
            network: maps a batch of images to logits (B, classes).
            epoch: the epoch that has just ended, for the history.

        Raises:
            BadInput: if the network or the data give something else than a classifier's input and output, or the reader
                answers something impossible. `ReaderLeft` if the reader leaves; the answers so far are in force.
        """
        dataset = self._wrapped()
        with _random_state_kept(), evaluation_mode(network):
            probabilities = self._predict(network, dataset)
            picks = self._pick(dataset, probabilities)
            if not picks:
                return
            images = torch.stack([dataset.plain(pick.index)[0] for pick in picks])
            predicted = torch.from_numpy(probabilities[[pick.index for pick in picks]].argmax(1))
            maps = heat_maps(network, images, predicted, method=self._heatmap, layer=self._target_layer).maps
        for pick, image, heatmap in zip(picks, images, maps, strict=True):
            with _random_state_kept():
                self._read(dataset, pick, image, heatmap, probabilities[pick.index], epoch)

    def _after_epoch(self, engine: Engine, network: nn.Module) -> None:
        if engine.state.epoch in self.imil_epochs:
            self.hold_round(network, engine.state.epoch)

    def _predict(self, network: nn.Module, dataset: FeedbackDataset) -> npt.NDArray[np.float32]:
        loader = DataLoader(PlainDataset(dataset), self._batch_size, num_workers=self._num_workers)
        device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
        outputs: list[Tensor] = []
        given: list[Tensor] = []
        with torch.inference_mode():
            for images, labels in loader:
                given.append(labels)
                logits = network(images.to(device))
                if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[1] < 2:
                    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
                    raise BadInput(f"The network gives {shape}; IMIL needs logits (batch, at least 2 classes).")
                outputs.append(torch.softmax(logits.float(), dim=1).cpu())
        probabilities: npt.NDArray[np.float32] = torch.cat(outputs).numpy()
        dataset.remember_labels(torch.cat(given).numpy())
        self._check_classes(dataset, probabilities.shape[1])
        return probabilities

    def _check_classes(self, dataset: FeedbackDataset, count: int) -> None:
        if self.classes is None:
            self.classes = [str(number) for number in range(count)]
        if len(self.classes) != count:
            raise BadInput(f"There are {len(self.classes)} class names, but the network has {count} outputs.")
        if dataset.labels.max() >= count:
            raise BadInput(f"There is a label {dataset.labels.max()}, but the network has {count} outputs.")

    def _pick(self, dataset: FeedbackDataset, probabilities: npt.NDArray[np.float32]) -> list[Pick]:
        excluded = {case for case, feedback in self.case_feedback.items() if feedback.action == "exclude"}
        selection = select(
            dataset.ids,
            dataset.labels,
            probabilities,
            num_outliers=self.num_outliers,
            selection=self._selection,
            fill=self._fill,
            exclude=excluded | (set() if self._requeue else self._queued),
            seed=self._seed,
        )
        self.messages.append(selection.message)
        logger.info("IMIL: %s", selection.message)
        self._queued.update(dataset.ids[pick.index] for pick in selection.picks)
        return selection.picks

    def _read(
        self,
        dataset: FeedbackDataset,
        pick: Pick,
        image: Tensor,
        heatmap: npt.NDArray[np.float32],
        probabilities: npt.NDArray[np.float32],
        epoch: int,
    ) -> None:
        classes = tuple(self.classes or ())
        case = ReaderCase(
            id=dataset.ids[pick.index],
            image=_shown(image),
            heatmap=heatmap,
            grid=Grid.square(self.grid_size, (image.shape[-2], image.shape[-1])),
            label=classes[dataset.labels[pick.index]],
            prediction=classes[int(probabilities.argmax())],
            confidence=float(probabilities.max()),
            probabilities=tuple(float(value) for value in probabilities),
            classes=classes,
        )
        started = time.monotonic()
        reading = self.reader.read(case)
        seconds = time.monotonic() - started
        if reading.action != "skip":
            feedback = self._feedback(case.id, reading)
            dataset.set_feedback(pick.index, feedback, classes)
            self.case_feedback[case.id] = feedback
        self.history.append(
            HistoryEntry(
                epoch, case.id, self.reader.name, case.label, case.prediction, case.confidence, reading, seconds
            )
        )

    def _feedback(self, case_id: str, reading: Reading) -> CaseFeedback:
        if reading.action == "grid":
            return CaseFeedback(case_id, "grid", self.grid_size, reading.cells, reading.misleading)
        if reading.action == "relabel":
            return CaseFeedback(case_id, "relabel", new_label=reading.new_label)
        if reading.action == "exclude":
            return CaseFeedback(case_id, "exclude")
        raise BadInput(f"The reader's action is {reading.action!r}; allowed are grid, skip, relabel and exclude.")

    # -- checks --------------------------------------------------------------------------------------------------------

    def _wrapped(self) -> FeedbackDataset:
        if self._dataset is None:
            raise Conflict("The training set isn't wrapped yet; call wrap first and train with what it returns.")
        return self._dataset

    def _check(self, engine: Engine, dataset: FeedbackDataset) -> None:
        last = engine.state.max_epochs
        late = [epoch for epoch in self.imil_epochs if last is not None and epoch >= last]
        if late:
            raise BadInput(
                f"The imil_epochs have {late[0]}, but training ends after epoch {last}; at least one epoch must follow."
            )
        loader = engine.state.dataloader
        if not isinstance(loader, DataLoader):
            return
        if not _draws_from(loader, dataset):
            raise BadInput("The trainer's data loader doesn't draw from the data set that wrap returned; give it that.")
        if loader.num_workers and loader.persistent_workers:
            raise BadInput(
                "The data loader has persistent_workers=True, whose processes would keep the images as they were "
                "before the round; set it to False."
            )
        if loader.num_workers and engine.state.epoch_length != len(loader):
            raise BadInput(
                f"The trainer's epoch_length is {engine.state.epoch_length}, but the data loader has {len(loader)} "
                "batches, so its worker processes would outlive a round; leave epoch_length out, or use num_workers=0."
            )


def _image_edit(feedback: str, black: float) -> ImageEdit:
    """The edit of that name; refuses modes that need other images, the loss or the network."""
    names = mode_names(feedback)
    if len(names) > 1 or names[0] in MODES:
        raise BadInput(
            f"feedback={feedback!r} needs more than the single images that the callback changes; it takes one of "
            f"{', '.join(sorted(IMAGE_EDITS))}, all others are for imil train and the server."
        )
    return create_image_edit(feedback, black=black)


def _draws_from(loader: DataLoader[Any], dataset: FeedbackDataset) -> bool:
    """Whether the loader's data set is ours, or a subset of it."""
    inner: Any = loader.dataset
    while inner is not None and inner is not dataset:
        inner = getattr(inner, "dataset", None)
    return inner is dataset


def _shown(image: Tensor) -> npt.NDArray[np.float32]:
    """An image (C, H, W) as grey values (H, W) in [0, 1]: mean of the channels, stretched from minimum to maximum."""
    grey = image.detach().float().mean(dim=0)
    low, high = grey.min(), grey.max()
    stretched: npt.NDArray[np.float32] = ((grey - low) / (high - low).clamp_min(1e-12)).cpu().numpy()
    return stretched


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Puts the global random numbers of torch, numpy and Python back, so that a round leaves no trace in training."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002  (transforms still use the global state)
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=cuda):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002
