"""Carries a run to its next stop: trains to the next IMIL epoch, queues the cases for the readers, or ends the run.

    study = Study.open(folder)
    plan = Rounds(study).plan(StartRequest(settings=resolve("quick")))
    run = advance(study, plan, progress=print)

Files of a run, in ``STUDY/.imil/runs/<run>/``: ``checkpoint.pt`` after each epoch, ``round-<n>.pt`` as it was when
round n was queued, ``round-<n>-insight.pt`` with what its answers taught (for feedback modes that learn),
``metrics.csv`` and ``tensorboard/``. The checkpoint is what a resumed run goes on from; the store
follows it, and is brought up to date where a kill came between the two.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imil import insights
from imil.casefeedback import CaseFeedback
from imil.errors import BadInput, Conflict, ImilError, NotFound
from imil.models import Model, load_model
from imil.queueing import build_queue, further_cases, out_of_fold_probabilities
from imil.rounds import Plan, Rounds
from imil.settings import RunSettings, Selection
from imil.store import EpochMetrics, InsightRecord, Run, RunState
from imil.study import Study
from imil.training import checkpoints
from imil.training.batches import TrainingData
from imil.training.engine import TrainingEngine
from imil.training.insight import Insight
from imil.training.logs import TrainingLogs
from imil.training.modes import mode_classes
from imil.training.results import EpochResult
from imil.trainlock import TrainLock

logger = logging.getLogger(__name__)

__all__ = [
    "Model",
    "Progress",
    "advance",
    "checkpoint_path",
    "evaluation_split",
    "load_model",
    "round_checkpoint_path",
    "split_data",
]


@dataclass(frozen=True)
class Progress:
    """What a run is doing now.

    Attributes:
        phase: ``"reading"`` images, ``"learning"`` from the answers, ``"training"``, ``"folds"``, ``"queue"``,
            ``"awaiting_review"``, ``"awaiting_approval"`` or ``"completed"``.
        epoch: last finished epoch of ``epochs``; ``stop`` is where this stretch of training ends.
        message: a sentence for people, may be empty.
        metrics: by split, the metrics of the epoch that has just ended.
    """

    run: int
    phase: str
    epoch: int
    epochs: int
    stop: int
    message: str = ""
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)


ProgressCallback = Callable[[Progress], None]


def checkpoint_path(study: Study, run_id: int) -> Path:
    """The state after a run's last finished epoch."""
    return study.run_dir(run_id) / "checkpoint.pt"


def round_checkpoint_path(study: Study, run_id: int, number: int) -> Path:
    """The state in which a run queued its round ``number``."""
    return study.run_dir(run_id) / f"round-{number}.pt"


def evaluation_split(study: Study) -> str:
    """The split that each epoch is measured on: ``val`` if there is one, else ``test``. Nothing is chosen by it."""
    return "val" if any(case.split == "val" for case in study.cases) else "test"


def split_data(study: Study, image_size: int, split: str) -> TrainingData:
    """The cases of one split, on the study's cached pixels.

    Raises:
        Conflict: if the split has no case.
    """
    rows = [row for row, case in enumerate(study.cases) if case.split == split]
    if not rows:
        raise Conflict(f"The study {study.folder} has no case in the split {split!r}; add some in its manifest.csv.")
    index = {name: number for number, name in enumerate(study.classes)}
    return TrainingData(
        tuple(study.cases[row].id for row in rows),
        study.pixels(image_size),
        np.array(rows, np.int64),
        np.array([index[study.cases[row].label] for row in rows], np.int64),
    )


def advance(study: Study, plan: Plan, progress: ProgressCallback | None = None) -> Run:
    """Do what ``plan`` says: train until the run awaits review or approval or is completed; add cases to a round.

    Returns:
        The run as it then stands. It's awaiting review again, with a message, if its answers have too little to learn
        from.

    Raises:
        ImilError: if the run can't go on; it's then in the state ``failed`` with that sentence, and can be resumed.
    """
    learns = plan.kind == "continue" and learns_from_answers(plan.settings)
    with TrainLock(study.state_dir):
        run = Rounds(study).begin(plan, learns=learns)
        if plan.kind == "reopen":
            return run
        try:
            stretch = _Advance(study, run, progress)
            if plan.kind == "more_cases":
                return stretch.add_cases(plan.more, plan.settings.selection)
            return stretch.until_next_stop()
        except Exception as error:
            reason = str(error) if isinstance(error, ImilError) else f"{type(error).__name__}: {error}"
            # What was stored before the error (an opened round, a completed run) stays as it is.
            if study.store.run(run.id).state is RunState.TRAINING:
                study.store.set_state(run.id, RunState.FAILED, message=reason)
            raise


def learns_from_answers(settings: RunSettings) -> bool:
    """Whether the feedback mode finds something out about all images from a round's answers, before it's used.

    Raises:
        NotFound: if there is no such mode.
    """
    return any(mode.learns for mode in mode_classes(settings.feedback))


class _Advance:
    """One stretch of a run, from the state it's in to its next stop."""

    def __init__(self, study: Study, run: Run, progress: ProgressCallback | None) -> None:
        self.study = study
        self.store = study.store
        self.run = run
        self.settings = RunSettings(**run.settings)
        self.progress = progress
        self.path = checkpoint_path(study, run.id)
        self._say("reading", epoch=run.epoch)
        split = evaluation_split(study)
        self.engine = TrainingEngine(
            self.settings,
            run.classes,
            split_data(study, self.settings.image_size, "train"),
            {split: split_data(study, self.settings.image_size, split)},
            state=self._saved_state(),
        )
        for note in self.engine.notes:
            logger.warning(note)

    def until_next_stop(self) -> Run:
        if self._is_being_learnt_from():
            self._learn()
            if self.run.state is not RunState.TRAINING:
                self._say(str(self.run.state), message=self.run.message)
                return self.run
        with TrainingLogs(self.path.parent, self.engine.epoch) as logs:
            while True:
                feedback = self._apply_feedback()
                self._say("training")
                self.engine.fit(self._stop(), on_epoch=lambda result: self._finish_epoch(result, logs))
                if self._stop() == self.settings.epochs:
                    return self._complete()
                self._open_round(feedback)
                self.run = self.store.run(self.run.id)
                if self.run.state is RunState.AWAITING_REVIEW:
                    self._say("awaiting_review", message=self.run.message)
                    return self.run

    def _saved_state(self) -> dict[str, Any] | None:
        """The checkpoint to go on from: the newest there is; a comparison run starts from its parent's first round."""
        if self.path.exists():
            state = checkpoints.load(self.path)
            if self.run.state is RunState.TRAINING:
                # A kill may have come after the checkpoint and before the store's row.
                self._record(int(state["epoch"]), state.get("last_metrics", {}))
            return state
        if self.run.round:
            # Somebody deleted a damaged one. From the first epoch, feedback would come too early.
            return checkpoints.load(round_checkpoint_path(self.study, self.run.id, self.run.round))
        if self.run.parent is not None:
            return checkpoints.load(round_checkpoint_path(self.study, self.run.parent, 1))
        return None

    def _stop(self) -> int:
        """The epoch that this stretch ends at."""
        opened, planned = self.run.round, self.settings.imil_epochs
        if self.run.kind != "imil" or opened >= len(planned):
            return self.settings.epochs
        return planned[opened]

    def _apply_feedback(self) -> Mapping[str, CaseFeedback]:
        if self.run.kind != "imil":
            return {}
        rounds = Rounds(self.study)
        for combination in rounds.combinations(self.run.id).values():
            if combination.message:
                logger.warning(combination.message)
                self._say("training", message=combination.message)
        feedback = rounds.feedback(self.run.id)
        self.engine.set_feedback(feedback, cursor=self.run.round, insight=self._insight())
        return feedback

    # -- what a round teaches ------------------------------------------------------------------------------------------

    def _is_being_learnt_from(self) -> bool:
        """Whether the last round is open: the run is training, so its answers are being learnt from."""
        return self.run.round > 0 and not self.store.rounds(self.run.id)[self.run.round - 1].closed

    def _learn(self) -> None:
        """Learn from the open round's answers, with the network as it was when the round was opened.

        Then the run waits for approval, is training with the round closed, or is back to review.
        """
        self._say("learning")
        number, feedback = self.run.round, Rounds(self.study).feedback(self.run.id, with_open=True)
        try:
            insight = self.engine.learn(feedback)
        except BadInput as error:
            self.store.reopen_round(self.run.id, number, RunState.TRAINING, str(error))
        else:
            if insight is None:  # not a cell was chosen
                self.store.close_learnt_round(self.run.id, number, RunState.TRAINING)
            else:
                insights.keep(self.study, self.run, insight, feedback, wait=self.settings.insight == "wait")
        self.run = self.store.run(self.run.id)

    def _insight(self) -> Insight | None:
        """What the feedback mode has learnt, with the readers' corrections; None for a mode that doesn't learn."""
        record = self.store.insight(self.run.id) if learns_from_answers(self.settings) else None
        if record is None:
            return None
        try:
            insight = insights.read(self.study, record)
        except NotFound:
            insight = self._learnt_again(record)
        return insights.corrected(self.study, record, insight)

    def _learnt_again(self, record: InsightRecord) -> Insight:
        """The insight whose file is gone: the same network learns from the same answers."""
        logger.warning("The file with what round %d taught is gone; it's found out again.", record.round)
        self._say("learning")
        state = checkpoints.load(round_checkpoint_path(self.study, self.run.id, record.round))
        engine = TrainingEngine(self.settings, self.run.classes, self.engine.train, state=state)
        insight = engine.learn(Rounds(self.study).feedback(self.run.id, record.round))
        if insight is None:
            raise BadInput(
                f"Nobody chose a cell in the rounds up to {record.round}, so there is nothing to learn from."
            )
        self.store.renew_insight_file(record.id, insights.write(self.study, self.run, record.round, insight))
        return insight

    def _finish_epoch(self, result: EpochResult, logs: TrainingLogs) -> None:
        metrics = {split: asdict(values) for split, values in result.metrics.items()}
        # The log first: a resumed run drops its rows after the checkpoint, but couldn't make up for missing ones.
        logs.write(result)
        checkpoints.save(self.path, self.engine.state_dict() | {"last_metrics": metrics})
        self._record(result.epoch, metrics)
        self._say("training", epoch=result.epoch, metrics=metrics)

    def _record(self, epoch: int, metrics: Mapping[str, Mapping[str, float]]) -> None:
        rows = [EpochMetrics(run=self.run.id, epoch=epoch, split=split, **values) for split, values in metrics.items()]
        if rows:
            self.store.record_epoch(self.run.id, epoch, rows)

    # -- rounds --------------------------------------------------------------------------------------------------------

    def add_cases(self, count: int, selection: Selection) -> Run:
        """Put up to ``count`` further cases into the round under review, chosen by the model that opened it."""
        number = self.run.round
        feedback = Rounds(self.study).feedback(self.run.id)
        queued = {entry.case_id for entry in self.store.queue(self.run.id, number)}
        other = selection if selection != self.settings.selection else None
        out_of_fold = self._out_of_fold(number, feedback, needed=other == "out_of_fold")
        self._say("queue", message="Choosing more cases for the reader")
        exclude = queued | self._not_to_be_queued(feedback)
        queue = further_cases(self.engine, count, exclude=exclude, out_of_fold=out_of_fold, selection=other)
        self.store.extend_round(self.run.id, number, queue.cases, queue.message)
        self.run = self.store.run(self.run.id)
        self._say("awaiting_review", message=self.run.message)
        return self.run

    def _open_round(self, feedback: Mapping[str, CaseFeedback]) -> None:
        number = self.run.round + 1
        out_of_fold = self._out_of_fold(number, feedback)
        self._say("queue", message="Choosing the cases for the reader")
        queue = build_queue(self.engine, exclude=self._not_to_be_queued(feedback), out_of_fold=out_of_fold)
        checkpoints.save(round_checkpoint_path(self.study, self.run.id, number), self.engine.state_dict())
        self.store.open_round(self.run.id, self.engine.epoch, self.engine.weights_sha256(), queue.cases, queue.message)

    def _out_of_fold(
        self, number: int, feedback: Mapping[str, CaseFeedback], *, needed: bool = False
    ) -> npt.NDArray[np.float32] | None:
        """Predictions by models of the other folds for round ``number``, if its queue needs them, or ``needed``."""
        if not (needed or self.settings.needs_folds):
            return None
        return out_of_fold_probabilities(
            self.engine,
            {case.id: case.patient for case in self.study.cases},
            self.path.parent / f"folds-{number}",
            feedback=feedback,
            insight=self._insight(),
            progress=lambda fold, total: self._say("folds", message=f"Model {fold} of {total} on the other folds"),
        )

    def _not_to_be_queued(self, feedback: Mapping[str, CaseFeedback]) -> set[str]:
        queued = set() if self.settings.requeue else self.store.queued_case_ids(self.run.id)
        return queued | {case for case, said in feedback.items() if said.action == "exclude"}

    def _complete(self) -> Run:
        self.store.set_state(self.run.id, RunState.COMPLETED, model_sha256=self.engine.weights_sha256())
        self.run = self.store.run(self.run.id)
        self._say("completed")
        return self.run

    def _say(
        self,
        phase: str,
        *,
        epoch: int | None = None,
        message: str = "",
        metrics: dict[str, dict[str, float]] | None = None,
    ) -> None:
        if self.progress is not None:
            now = self.engine.epoch if epoch is None else epoch
            self.progress(Progress(self.run.id, phase, now, self.settings.epochs, self._stop(), message, metrics or {}))
