"""The trainings of the benchmark. Each is a task that any process can do; what it gives lies in files."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput
from imil.experiments.refocus import data as files
from imil.experiments.refocus.arms import LUNG_MASK, Arm
from imil.experiments.refocus.measures import Measures, finder_quality, measure
from imil.experiments.refocus.readers import answers, labels_of
from imil.experiments.refocus.results import ArmResult, write_result
from imil.experiments.refocus.sources import Source
from imil.experiments.refocus.unasked import nothing_learnt, register_lung_mask
from imil.experiments.resuming import ResumableTraining, stop_path
from imil.queueing import build_queue
from imil.settings import RunSettings
from imil.training.engine import TrainingEngine
from imil.training.insight import Insight
from imil.training.requirements import shortcoming


@dataclass(frozen=True)
class DrawTraining:
    """Draws the training images of a setting, shortcut and seed."""

    key: str
    path: Path
    source: Source
    shortcut: float | None
    seed: int
    needs: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        return self.path.is_file()

    def run(self, device: str, threads: int) -> None:
        """See `imil.experiments.schedule.Task.run`."""
        files.write(self.path, self.source.training(self.shortcut, self.seed))


@dataclass(frozen=True)
class DrawTest:
    """Draws the test images of a setting and seed."""

    key: str
    path: Path
    source: Source
    seed: int
    needs: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        return self.path.is_file()

    def run(self, device: str, threads: int) -> None:
        """See `imil.experiments.schedule.Task.run`."""
        files.write(self.path, self.source.test(self.seed))


@dataclass(frozen=True)
class Trunk:
    """Trains up to the round, without feedback; all arms but the clean one go on from there."""

    key: str
    folder: Path
    training: Path
    settings: RunSettings
    needs: tuple[str, ...] = ()

    @property
    def stop(self) -> int:
        """The epoch of the round."""
        return self.settings.imil_epochs[0]

    @property
    def done(self) -> bool:
        return stop_path(self.folder, self.stop).is_file()

    def run(self, device: str, threads: int) -> None:
        """See `imil.experiments.schedule.Task.run`."""
        part = files.read_training(self.training)
        training = ResumableTraining(part.classes, part.data, self.settings, self.folder, device, threads)
        training.train_to(self.stop)
        training.forget_progress()


@dataclass(frozen=True)
class ArmTask:
    """Trains one arm to the end, measures it and writes its result.

    Attributes:
        trunk: folder of the trunk that it goes on from; None to train from the first epoch.
        training, test: files with the images.
        settings: the arm's.
        shortcut: of the result; None where it doesn't apply.
    """

    key: str
    folder: Path
    trunk: Path | None
    training: Path
    test: Path
    settings: RunSettings
    arm: Arm
    setting: str
    shortcut: float | None
    result: Path
    needs: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        return self.result.is_file()

    def run(self, device: str, threads: int) -> None:
        """See `imil.experiments.schedule.Task.run`."""
        started = time.monotonic()
        part = files.read_training(self.training)
        if self.arm.name == LUNG_MASK:
            register_lung_mask(part.lung)
        training = ResumableTraining(part.classes, part.data, self.settings, self.folder, device, threads)
        round_ = Round(self.arm, part)
        if self.trunk is not None:
            training.go_on_from(stop_path(self.trunk, self.settings.imil_epochs[0]))
            round_.hold(training.engine)
        training.train_to(self.settings.epochs)
        seconds = time.monotonic() - started
        result = ArmResult(
            setting=self.setting,
            shortcut=self.shortcut,
            arm=self.arm.name,
            seed=self.settings.seed,
            measures=measure(training.engine.predict, files.read_test(self.test)),
            finder=round_.finder,
            fed_back=len(round_.feedback),
            misleading=sum(bool(case.misleading) for case in round_.feedback.values()),
            refused=round_.refused,
            steps=training.steps,
            seconds=round(seconds, 2),
            learning=round(round_.learning, 2),
            weights_sha256=training.engine.weights_sha256(),
        )
        write_result(self.result, result)
        shutil.rmtree(self.folder, ignore_errors=True)  # what is left there is of no more use


class Round:
    """The round of one arm, and what it gave.

    Args:
        arm: who is asked about what.
        part: the training images with their truth.

    Attributes:
        feedback: by case id, what is trained with; empty if nobody was asked, or the mode couldn't use it.
        refused, learning, finder: see `imil.experiments.refocus.results.ArmResult`.
    """

    def __init__(self, arm: Arm, part: files.TrainingPart) -> None:
        self._arm, self._part = arm, part
        self.feedback: dict[str, CaseFeedback] = {}
        self.refused = ""
        self.learning = 0.0
        self.finder: Measures = {}

    def hold(self, engine: TrainingEngine) -> None:
        """Queue cases, ask about them, learn from the answers, and set the feedback for the epochs that follow."""
        settings = engine.settings
        if not self._arm.reader:
            mode = self._arm.settings.get("feedback")
            if mode is not None:
                engine.set_feedback({}, 1, nothing_learnt(self._part.data, mode, settings.grid_size))
            return
        queue = build_queue(engine)
        said = answers(self._arm, queue.cases, self._part, grid_size=settings.grid_size, seed=settings.seed)
        if not said:
            self.refused = f"None of the {len(queue.cases)} queued images was answered with cells."
            return
        started = time.monotonic()
        try:
            insight = self._learnt(engine, said)
            engine.set_feedback(said, 1, insight)
        except BadInput as error:
            self.refused = str(error)
            return
        self.learning = time.monotonic() - started
        self.feedback = said
        if insight is not None:
            self.finder = finder_quality(insight, self._part, set(said))

    def _learnt(self, engine: TrainingEngine, said: dict[str, CaseFeedback]) -> Insight | None:
        labels = labels_of(said, self._part)
        lack = shortcoming(list(said.values()), labels, self._part.classes, engine.settings)
        if lack is not None:
            raise BadInput(lack)
        return engine.learn(said)
