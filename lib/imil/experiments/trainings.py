"""The trainings that an experiment is made of. Each is a task that any process can do; what it gives lies in files.

A trunk is the part of the training that arms share: up to the IMIL epoch. An arm goes on from there, asks its readers
at each of its IMIL epochs, and ends with a result. Both can be killed at any moment, and go on from their last
checkpoint with the same weights as if they had never stopped.
"""

import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from imil.casefeedback import CaseFeedback
from imil.combination import combine_answers
from imil.experiments.arms import MAIN, Arm
from imil.experiments.folder import write_result
from imil.experiments.measures import EvaluationPlan, measure
from imil.experiments.panels import Panel, PanelReply
from imil.experiments.results import ArmResult, QueuedSample
from imil.experiments.resuming import ResumableTraining, stop_path
from imil.queueing import Queue, out_of_fold_probabilities
from imil.readers.controls import opposite_cells, shuffled_cells
from imil.runs import split_data
from imil.settings import RunSettings
from imil.store.records import QueuedCase
from imil.study import Study


@dataclass(frozen=True)
class Trunk:
    """Trains to each of ``stops`` without feedback, and keeps the weights of those epochs."""

    key: str
    study: Path
    folder: Path
    settings: RunSettings
    stops: tuple[int, ...]
    needs: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        return all(stop_path(self.folder, stop).is_file() for stop in self.stops)

    def run(self, device: str, threads: int) -> None:
        """See `Task.run`."""
        training = Training(self.study, self.settings, self.folder, device, threads)
        for stop in self.stops:
            training.train_to(stop)
        training.forget_progress()


@dataclass(frozen=True)
class ArmTask:
    """Trains one arm with one seed to the end, and writes its result.

    Attributes:
        trunk: folder of the trunk that it goes on from; None to start from the first epoch.
        panel: who answers; None for an arm that asks nobody.
        evaluation: what is measured at the end.
        result: the file to write.
    """

    key: str
    study: Path
    folder: Path
    settings: RunSettings
    arm: Arm
    trunk: Path | None
    panel: Panel | None
    evaluation: EvaluationPlan
    result: Path
    needs: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        return self.result.is_file()

    def run(self, device: str, threads: int) -> None:
        """See `Task.run`."""
        started = time.monotonic()
        training = Training(self.study, self.settings, self.folder, device, threads)
        rounds = _Rounds(self, training)
        for position, stop in enumerate(self._stops()):
            if position == 0 and self.trunk is not None:
                training.go_on_from(stop_path(self.trunk, stop))
            else:
                training.train_to(stop)
            rounds.hold(stop)
        training.train_to(self.settings.epochs)
        write_result(self.result, self._result(training, rounds, time.monotonic() - started))
        shutil.rmtree(self.folder, ignore_errors=True)  # what is left there is of no more use

    def _stops(self) -> tuple[int, ...]:
        """The epochs at which the arm branches off or asks."""
        if self.arm.asks or self.arm.repeats:
            return self.settings.imil_epochs
        return self.settings.imil_epochs[:1] if self.trunk is not None else ()

    def _result(self, training: "Training", rounds: "_Rounds", seconds: float) -> ArmResult:
        engine = training.engine
        found = measure(engine, training.study, self.evaluation)
        size = self.settings.image_size
        maps = [case.heatmap for case in rounds.sampled]
        return ArmResult(
            arm=self.arm.name,
            seed=self.settings.seed,
            probabilities=found.probabilities,
            maps=found.maps,
            heatmap_inside=found.heatmap_inside,
            gradient_inside=found.gradient_inside,
            samples=tuple(rounds.samples),
            sample_maps=np.stack(maps).astype(np.float16) if maps else np.zeros((0, size, size), np.float16),
            images=len({sample.case_id for sample in rounds.samples}),
            steps=training.steps,
            epochs=engine.epoch,
            seconds=seconds,
            weights_sha256=engine.weights_sha256(),
            note=" ".join(rounds.notes),
        )


class Training(ResumableTraining):
    """A training on a study.

    Args:
        study: the study's folder.
        settings, folder, device, threads: see `ResumableTraining`.
    """

    def __init__(self, study: Path, settings: RunSettings, folder: Path, device: str, threads: int) -> None:
        self.study = Study.open(study)
        data = split_data(self.study, settings.image_size, "train")
        super().__init__(self.study.classes, data, settings, folder, device, threads)


class _Rounds:
    """The rounds of one arm, and what they gave."""

    def __init__(self, task: ArmTask, training: Training) -> None:
        self._task, self._training = task, training
        self._asked: set[str] = set()
        self._held = 0
        self._given: dict[str, CaseFeedback] = {}
        self.samples: list[QueuedSample] = []
        self.sampled: list[QueuedCase] = []
        self.notes: list[str] = []

    def hold(self, epoch: int) -> None:
        """Queue cases, ask about them, and set the feedback for the epochs that follow."""
        task, training = self._task, self._training
        if task.panel is None:
            return
        queue = self._queue(task.panel)
        self._held += 1
        self._asked |= {case.case_id for case in queue.cases}
        if not queue.cases:
            self.notes.append(queue.message)
        grid_size = task.settings.grid_size
        replies = task.panel.answers(training.study, task.arm.asks or MAIN, queue.cases, grid_size)
        combination = combine_answers(replies, task.settings.combine)
        if combination.message:
            self.notes.append(combination.message)
        given = _controlled(combination.feedback, task)
        whole = len(combination.feedback) - len(given)
        if whole:
            self.notes.append(
                f"{whole} of {len(combination.feedback)} cases train on unchanged: all of their cells were chosen, so "
                "there are no others."
            )
        self._given |= given
        if task.arm.repeats:
            training.restart_with(extra_draws=self._extra_draws(task.arm.repeats))
            return
        training.engine.set_feedback(self._given, cursor=self._held)
        self._note_samples(queue.cases, replies, given, self._held, epoch)

    def _extra_draws(self, repeats: int) -> int:
        """What drawing the queued cases this often adds to an epoch, less the cases that are left out of it."""
        actions = Counter(said.action for said in self._given.values())
        return max(0, (repeats - 1) * actions["grid"] - actions["exclude"])

    @property
    def _feedback(self) -> dict[str, CaseFeedback]:
        """What the arm trains with."""
        return {} if self._task.arm.repeats else self._given

    def _queue(self, panel: Panel) -> Queue:
        engine, settings = self._training.engine, self._training.settings
        out_of_fold = None
        if "out_of_fold" in (settings.fill, settings.selection) and not panel.fixed:
            # Before their first round, several arms want the same folds; those who wait find them done.
            shared = self._task.trunk if not self._held else None
            folder = (shared or self._task.folder) / f"folds-{engine.epoch}"
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_suffix(".lock")):
                out_of_fold = out_of_fold_probabilities(
                    engine,
                    {case.id: case.patient for case in self._training.study.cases},
                    folder,
                    feedback=self._feedback,
                )
        exclude = set() if settings.requeue else self._asked
        excluded = {case for case, said in self._feedback.items() if said.action == "exclude"}
        return panel.queue(engine, exclude | excluded, out_of_fold)

    def _note_samples(
        self,
        cases: list[QueuedCase],
        replies: list[PanelReply],
        given: Mapping[str, CaseFeedback],
        number: int,
        epoch: int,
    ) -> None:
        for case in cases:
            said = given.get(case.case_id)
            if said is None:
                continue
            theirs = [reply for reply in replies if reply.case_id == case.case_id]
            self.sampled.append(case)
            self.samples.append(
                QueuedSample(
                    case_id=case.case_id,
                    round=number,
                    epoch=epoch,
                    label=case.label,
                    prediction=case.prediction,
                    confidence=case.confidence,
                    reason=case.reason,
                    action=said.action,
                    grid_size=said.grid_size,
                    cells=said.cells,
                    misleading=said.misleading,
                    reader=", ".join(reply.reader for reply in theirs),
                    rationale=next((reply.rationale for reply in theirs if reply.rationale), ""),
                )
            )


def _controlled(feedback: Mapping[str, CaseFeedback], task: ArmTask) -> dict[str, CaseFeedback]:
    """The feedback as the arm uses it: as given, with random cells, or with those that weren't chosen."""
    if task.arm.cells == "chosen":
        return dict(feedback)
    changed: dict[str, CaseFeedback] = {}
    seed = task.settings.seed
    for case_id, said in feedback.items():
        if said.action != "grid":
            changed[case_id] = said
            continue
        other = shuffled_cells(said, seed) if task.arm.cells == "random" else opposite_cells(said, seed)
        if other is not None:
            changed[case_id] = other
    return changed
