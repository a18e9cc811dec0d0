"""The training engine: MONAI's `SupervisedTrainer` on cached pixels, stopped and resumed at epoch boundaries.

How the orchestrator uses it::

    engine = TrainingEngine(settings, classes, train, {"test": test})            # a new run
    engine = TrainingEngine(settings, classes, train, {"test": test}, state=checkpoints.load(path))   # a resumed one
    engine.set_feedback(feedback, cursor=1)          # {case id: CaseFeedback} of the rounds closed so far, their number
    engine.fit(70, on_epoch=lambda result: checkpoints.save(path, engine.state_dict()))
    engine.epoch                                     # 70
    engine.predict()                                 # float32 (N, classes) of the training data, un-edited
    engine.predict(other_data)
    engine.images([3, 8])                            # float32 (2, 1, S, S) normalised, un-edited: for heat maps
    engine.weights_sha256()
    engine.network, engine.device, engine.notes      # notes: sentences for the log, e.g. "amp is ignored on a CPU"

`on_epoch` gets an `EpochResult` after each epoch, when the engine's state is that of the finished epoch.

Epoch n is a pure function of the state after epoch n - 1: all that is random (order, augmentation, mixing, feedback
mode, dropout) draws from generators seeded by (seed, epoch). So a run that is stopped and resumed ends, on a CPU with
the same number of threads, with the same bits as one that never was.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ignite.engine import Events
from monai.engines import Workflow
from torch import Tensor, nn

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput, Conflict, ImilError
from imil.networks import create_network, normalisation
from imil.networks.modes import evaluation_mode
from imil.settings import RunSettings
from imil.training.allocation import keep_freed_memory
from imil.training.augmentation import create_augmentation
from imil.training.batches import TORCH_STREAM, Batches, TrainingData, epoch_seed
from imil.training.checkpoints import weights_sha256
from imil.training.feedback import AppliedFeedback
from imil.training.insight import Insight
from imil.training.mixing import MIXINGS, TargetLoss
from imil.training.modes import CombinedMode, mode_classes
from imil.training.optimisation import choose_device, create_optimizer, learning_rate_factor
from imil.training.results import EpochResult, RunningEpoch, SplitResult, diverged, softmax, split_result
from imil.training.trainer import PenalisedLoss, Trainer, create_trainer

STATE_VERSION = 1


class TrainingEngine:
    """A network in training.

    Args:
        settings: the run's settings; ``epochs`` sets the length of the learning-rate schedule.
        classes: class names; the position is the class index.
        train: the training data. Its pixels must be ``settings.image_size`` square.
        evaluate: data by split name, evaluated after each epoch.
        state: what `state_dict` gave, to go on from there.

    Raises:
        BadInput: if the settings can't be met (device, image size), or ``state`` belongs to another network or classes.
        NotFound: if the network, feedback mode or augmentation doesn't exist.
    """

    def __init__(
        self,
        settings: RunSettings,
        classes: Sequence[str],
        train: TrainingData,
        evaluate: Mapping[str, TrainingData] | None = None,
        *,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        keep_freed_memory()
        self.settings = settings
        self.classes = list(classes)
        self.train = train
        self.evaluate = dict(evaluate or {})
        self.notes: list[str] = []
        self.epoch = 0
        self.feedback_cursor = 0
        self._saved_cursor = 0
        for data in (train, *self.evaluate.values()):
            _check_data(data, settings, self.classes)
        self.device = choose_device(settings.device)
        mode_classes(settings.feedback)  # refuses a name that doesn't exist before anything is trained
        mixes = settings.augmentation in MIXINGS
        self._mixing = MIXINGS[settings.augmentation](len(self.classes)) if mixes else None
        self._augmentation = None if mixes else create_augmentation(settings.augmentation)
        self._feedback: AppliedFeedback | None = None
        self._mean, self._std = normalisation(settings.network, settings.pretrained)
        # A resumed run has its own weights.
        self.network: nn.Module = self._start_network(settings.pretrained if state is None else "").to(self.device)
        self.optimizer = create_optimizer(self.network, settings)
        factor = learning_rate_factor(settings.schedule, settings.epochs, settings.imil_epochs)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, factor)
        self._scaler = self._create_scaler()
        if state is not None:
            self.load_state_dict(state)

    def _start_network(self, pretrained: str | None = None) -> nn.Module:
        """The network as it is before the first epoch, on the CPU; with other pretrained weights if they are given."""
        torch.manual_seed(epoch_seed(self.settings.seed, 0, TORCH_STREAM))
        return create_network(
            self.settings.network,
            len(self.classes),
            pretrained=self.settings.pretrained if pretrained is None else pretrained,
            image_size=self.settings.image_size,
        )

    # -- feedback ------------------------------------------------------------------------------------------------------

    def set_feedback(
        self, feedback: Mapping[str, CaseFeedback], cursor: int, insight: Insight | None = None
    ) -> AppliedFeedback:
        """Change the training data from the next epoch on.

        Args:
            feedback: by case id, everything that holds now: it takes the place of what was set before.
            cursor: the number of the last round in it; saved with the state, so that a resume can't forget a round.
            insight: what `learn` gave for this feedback, with the readers' corrections; for a mode that learns.

        Returns:
            What was applied; ``counts`` has the number of cases by action.

        Raises:
            BadInput: if the feedback doesn't fit the training data, or the mode learns and there is no insight.
        """
        applied = self._applied(feedback)
        if insight is not None or applied.fed_back.size:
            applied.use(insight)
        self._feedback, self.feedback_cursor = applied, cursor
        return applied

    def learn(self, feedback: Mapping[str, CaseFeedback]) -> Insight | None:
        """What the feedback teaches about the whole training set, by the network as it is now.

        Nothing is changed. None if the mode of the settings doesn't learn, or no case has cells.

        Raises:
            BadInput: if there is nothing to learn from; the sentence says what the reader could do.
        """
        applied = self._applied(feedback)
        return applied.learn(self.network, self.epoch) if applied.learns else None

    def _applied(self, feedback: Mapping[str, CaseFeedback]) -> AppliedFeedback:
        return AppliedFeedback(
            feedback, self.train, self.classes, self.settings, mean=self._mean, std=self._std, device=self.device
        )

    # -- training ------------------------------------------------------------------------------------------------------

    def fit(self, until_epoch: int, on_epoch: Callable[[EpochResult], None] | None = None) -> None:
        """Train up to and including epoch ``until_epoch``; nothing happens if that's already done.

        Raises:
            BadInput: if ``until_epoch`` lies beyond the run's epochs.
            Conflict: if the state was saved with more rounds of feedback than have been set.
            ImilError: if the loss is no longer a finite number; or whatever ``on_epoch`` raises.
        """
        if until_epoch > self.settings.epochs:
            raise BadInput(f"Epoch {until_epoch} lies beyond the run's {self.settings.epochs} epochs; set more epochs.")
        if self.feedback_cursor < self._saved_cursor:
            raise Conflict(
                f"The checkpoint was trained with the feedback of round {self._saved_cursor}, but only that of round "
                f"{self.feedback_cursor} has been set; set it again before training on."
            )
        while self.epoch < until_epoch:
            self._fit_stretch(self._end_of_stretch(until_epoch), on_epoch)

    def _end_of_stretch(self, until_epoch: int) -> int:
        """Up to where all epochs have the same number of batches, which an ignite engine takes for granted."""
        change = self._extra_draws_start()
        return change if self.epoch < change < until_epoch else until_epoch

    def _extra_draws_start(self) -> int:
        """The epoch after which there are ``extra_draws``."""
        return self.settings.imil_epochs[0] if self.settings.imil_epochs else self.settings.epochs

    def _fit_stretch(self, until_epoch: int, on_epoch: Callable[[EpochResult], None] | None) -> None:
        loss = TargetLoss(weight=self._class_weights())
        penalised = PenalisedLoss(loss, self.network, self._mode)
        trainer = self._create_trainer(until_epoch, penalised)
        progress = RunningEpoch()

        @trainer.on(Events.EPOCH_STARTED)
        def start(engine: Workflow) -> None:
            self._begin_feedback(engine.state.epoch - 1)
            torch.manual_seed(epoch_seed(self.settings.seed, engine.state.epoch, TORCH_STREAM))
            progress.start()

        @trainer.on(Events.ITERATION_COMPLETED)
        def add(engine: Workflow) -> None:
            output = engine.state.output
            progress.add(output["pred"], output["label"], output["loss"])

        @trainer.on(Events.EPOCH_COMPLETED)
        def finish(engine: Workflow) -> None:
            lr = float(self.optimizer.param_groups[0]["lr"])
            train = progress.result(f"in epoch {engine.state.epoch} (learning rate {lr:g})")
            self.scheduler.step()
            self.epoch = engine.state.epoch
            if self.epoch == self.settings.epochs:
                self._finish_feedback()
            splits = {name: self._evaluate(data, loss) for name, data in self.evaluate.items()}
            if on_epoch is not None:
                on_epoch(EpochResult(self.epoch, lr, progress.images, {"train": train, **splits}))

        trainer.run()

    @property
    def _mode(self) -> CombinedMode | None:
        return None if self._feedback is None else self._feedback.mode

    def _begin_feedback(self, done: int) -> None:
        """Right after a round the feedback mode may change the network; ``done`` is the number of epochs so far."""
        if done in self.settings.imil_epochs and self._mode is not None:
            self._mode.begin(self.network, self._start_network, self._train_images())

    def _finish_feedback(self) -> None:
        if self._mode is not None:
            self._mode.finish(self.network, self._train_images())

    def _train_images(self) -> Iterator[Tensor]:
        """All training images, un-edited and normalised, batch by batch."""
        for batch in self._plain_batches(self.train, self.settings.batch_size):
            yield batch["image"]

    def _create_trainer(self, until_epoch: int, loss: PenalisedLoss) -> Trainer:
        return create_trainer(
            loss,
            self.optimizer,
            self._epoch_batches,
            done=self.epoch,
            until_epoch=until_epoch,
            device=self.device,
            scaler=self._scaler,
            accumulate=self.settings.accumulate,
        )

    def _class_weights(self) -> Tensor | None:
        """Inverse to each class's share of the cases trained on; a class without a case has weight 0.

        A case counts once, by its own label: however often it's drawn, and whatever it's mixed with.
        """
        if self.settings.class_weights == "none":
            return None
        labels = self.train.labels
        if self._feedback is not None:
            labels = self._feedback.labels[self._feedback.kept]
        counts = np.bincount(labels, minlength=len(self.classes))
        weights = np.where(counts > 0, len(labels) / (len(self.classes) * np.maximum(counts, 1)), 0.0)
        return torch.tensor(weights, dtype=torch.float32, device=self.device)

    def _epoch_batches(self, epoch: int) -> Batches:
        return Batches(
            self.train,
            self.settings.batch_size,
            self.settings.seed,
            epoch,
            mean=self._mean,
            std=self._std,
            feedback=self._feedback,
            augmentation=self._augmentation,
            mixing=self._mixing,
            extra=self.settings.extra_draws if epoch > self._extra_draws_start() else 0,
            device=self.device,
        )

    # -- prediction ----------------------------------------------------------------------------------------------------

    def predict(self, data: TrainingData | None = None) -> npt.NDArray[np.float32]:
        """Class probabilities (softmax), float32 (N, classes), of un-edited images in the data's order.

        Args:
            data: the cases; the training data if None.

        Raises:
            ImilError: if the network gives something other than finite numbers.
        """
        return softmax(self._logits(self.train if data is None else data))

    def images(self, indices: Sequence[int], data: TrainingData | None = None) -> Tensor:
        """Un-edited, normalised images as the network gets them, float32 (B, 1, S, S) on the engine's device."""
        chosen = (self.train if data is None else data).subset(indices)
        return next(iter(self._plain_batches(chosen, len(chosen))))["image"]

    def _plain_batches(self, data: TrainingData, batch_size: int) -> Batches:
        return Batches(data, batch_size, 0, 0, mean=self._mean, std=self._std, shuffle=False, device=self.device)

    def _logits(self, data: TrainingData) -> Tensor:
        autocast = torch.autocast(self.device.type, enabled=self._scaler is not None)
        with torch.inference_mode(), evaluation_mode(self.network), autocast:
            logits = torch.cat(
                [self.network(batch["image"]) for batch in self._plain_batches(data, self.settings.batch_size)]
            )
        logits = logits.float().cpu()
        if not torch.isfinite(logits).all():
            raise ImilError(diverged(f"when predicting after epoch {self.epoch}"))
        return logits

    def _evaluate(self, data: TrainingData, loss: nn.CrossEntropyLoss) -> SplitResult:
        started = time.perf_counter()
        logits = self._logits(data)
        weight = None if loss.weight is None else loss.weight.cpu()
        mean_loss = float(nn.functional.cross_entropy(logits, torch.from_numpy(data.labels), weight=weight))
        return split_result(mean_loss, softmax(logits), data.labels, started)

    # -- state ---------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything that training on needs, for `checkpoints.save`: tensors and plain values only.

        The tensors are the live ones: save or copy them before training on.
        """
        return {
            "version": STATE_VERSION,
            "epoch": self.epoch,
            "seed": self.settings.seed,
            "settings": self.settings.model_dump(mode="json"),
            "classes": list(self.classes),
            "feedback_cursor": self.feedback_cursor,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": None if self._scaler is None else self._scaler.state_dict(),
            "torch_rng": torch.get_rng_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state. `set_feedback` must be called again if the state's ``feedback_cursor`` isn't 0.

        Raises:
            BadInput: if the state is of a newer version, lacks something, or belongs to other classes or networks.
        """
        version = state.get("version")
        if version != STATE_VERSION:
            raise BadInput(f"The checkpoint has version {version!r}; this IMIL reads {STATE_VERSION}: update IMIL.")
        if list(state["classes"]) != self.classes:
            raise BadInput(
                f"The checkpoint is of the classes {', '.join(state['classes'])}, but the study has "
                f"{', '.join(self.classes)}."
            )
        network = state["settings"]["network"]
        if network != self.settings.network:
            raise BadInput(
                f"The checkpoint is of the network {network!r}, the settings ask for {self.settings.network!r}."
            )
        try:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scheduler.load_state_dict(state["scheduler"])
            if self._scaler is not None and state["scaler"] is not None:
                self._scaler.load_state_dict(state["scaler"])
            torch.set_rng_state(state["torch_rng"])
            self.epoch, self._saved_cursor = int(state["epoch"]), int(state["feedback_cursor"])
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise BadInput(f"The checkpoint doesn't fit the network {network!r}: {reason}.") from error

    def weights_sha256(self) -> str:
        """SHA-256 of the network's weights, 64 hex digits."""
        return weights_sha256(self.network.state_dict())

    def _create_scaler(self) -> torch.amp.GradScaler | None:
        if not self.settings.amp:
            return None
        if self.device.type != "cuda":
            self.notes.append(f"The setting amp is ignored on {self.device.type}: mixed precision needs a GPU.")
            return None
        return torch.amp.GradScaler(self.device.type)


def _check_data(data: TrainingData, settings: RunSettings, classes: Sequence[str]) -> None:
    if data.pixels.shape[1:] != (settings.image_size, settings.image_size):
        raise BadInput(
            f"The cached pixels are {data.pixels.shape[1]} x {data.pixels.shape[2]}, but image_size is "
            f"{settings.image_size}; make the cache at that size."
        )
    if data.labels.max() >= len(classes):
        raise BadInput(
            f"The label {data.labels.max()} isn't an index of the {len(classes)} classes {', '.join(classes)}."
        )
