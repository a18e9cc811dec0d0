"""The rules of a study's runs: what may happen when, what follows, and what is asked of an answer.

The states and the moves between them are in `imil.store.NEXT_STATES`; here is which request makes which move:

| the newest run is | start        | with continue_early | with new_run |
|-------------------|--------------|---------------------|--------------|
| (there is none)   | start        | refused             | start        |
| training, killed  | resume       | refused             | start        |
| awaiting_review   | continue, if all is reviewed | continue | start   |
| failed            | resume       | refused             | start        |
| completed         | refused      | refused             | start        |

While a process trains on the study, every request is refused. ``without_feedback`` is about the comparison run alone:
it starts one from the newest run that has opened a round, resumes it, or is refused when there is a completed one.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from imil.answers import check_cells, check_form, check_reader
from imil.casefeedback import CaseFeedback
from imil.combination import Combination, combine_answers
from imil.errors import BadInput, Conflict
from imil.grid import Grid
from imil.runstatus import Status, shown_run, status_of
from imil.settings import PRESETS, RunSettings, resolve
from imil.store import (
    IMIL,
    WITHOUT_FEEDBACK,
    Action,
    Answer,
    Event,
    QueueEntry,
    Receipt,
    Reservation,
    RoundInfo,
    Run,
    RunState,
    Store,
)
from imil.study import Study
from imil.trainlock import is_held, is_held_elsewhere

__all__ = ["CaseFeedback", "Plan", "Rounds", "StartRequest", "Status"]


MAX_AHEAD = 20
"""Most cases that a reader may reserve beyond the one she is at."""


@dataclass(frozen=True)
class StartRequest:
    """A request to train.

    Attributes:
        new_run: start afresh, whatever the newest run's state.
        continue_early: go on although some cases of the round lack answers.
        without_feedback: train the comparison: the same run from its first round on, without feedback.
        settings: all settings; or single ones by name, ``preset`` among them; None for those of the run or the preset
            ``paper``.
    """

    new_run: bool = False
    continue_early: bool = False
    without_feedback: bool = False
    settings: RunSettings | Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Plan:
    """What a request leads to, see `Rounds.plan`. It holds as long as nobody else moves the run.

    Attributes:
        run_id: the run to go on with; None for ``start`` and ``without_feedback``, which make a new one.
        state: the state that run was in; ``round`` the round to close, for ``continue``.
        early: the round may be closed with cases unanswered.
        parent: run to branch from at ``epoch``, for ``without_feedback``.
        newest: the newest run of that kind there was (0: none), for a plan that makes a new one.
    """

    kind: Literal["start", "resume", "continue", "without_feedback"]
    run_id: int | None
    settings: RunSettings
    state: RunState | None = None
    round: int = 0
    early: bool = False
    parent: int | None = None
    epoch: int = 0
    newest: int = 0


class Rounds:
    """The rules over one study. Holds no state of its own: several may be used at once, in several processes."""

    def __init__(self, study: Study) -> None:
        self._study = study

    @property
    def _store(self) -> Store:
        return self._study.store

    # -- training ----------------------------------------------------------------------------------------------------

    def plan(self, request: StartRequest) -> Plan:
        """What the request leads to now. Nothing is written.

        Raises:
            BadInput: if flags contradict each other, a setting isn't allowed, or it differs from those of the run that
                goes on.
            Conflict: if the study's state doesn't allow it; the sentence says what does.
        """
        flags = [name for name in ("new_run", "continue_early", WITHOUT_FEEDBACK) if getattr(request, name)]
        if len(flags) > 1:
            raise BadInput(f"{flags[0]} and {flags[1]} contradict each other; send only one of them.")
        if is_held_elsewhere(self._study.state_dir):
            raise Conflict("Another process is training on this study; wait until it stops, or stop it.")
        if request.without_feedback:
            return self._plan_comparison(request)
        run = self._store.latest_run()
        if request.new_run or (run is None and not request.continue_early):
            settings = _new_settings(request.settings)
            self._check_grid(settings)
            return Plan("start", None, settings, newest=run.id if run else 0)
        return self._plan_next(request, run)

    def _check_grid(self, settings: RunSettings) -> None:
        """Raises BadInput if a training image is too small for the grid: it could be queued, but not answered."""
        sizes = self._study.training_sizes()
        if not sizes:
            return
        case, shape = min(sizes.items(), key=lambda item: min(item[1]))
        try:
            Grid.square(settings.grid_size, shape)
        except BadInput as error:
            raise BadInput(f"The training image {case!r} is too small: {error}") from None

    def _plan_next(self, request: StartRequest, run: Run | None) -> Plan:
        if run is None:
            raise Conflict("There is no run yet, so there is nothing to continue; start one.")
        if run.state is RunState.COMPLETED:
            raise Conflict(f'Run {run.id} is completed; send "new_run": true for another.')
        if run.state is RunState.AWAITING_REVIEW:
            info = self._round(run)
            if info.reviewed < info.queued and not request.continue_early:
                raise Conflict(
                    f"{info.reviewed} of {info.queued} cases of round {run.round} of run {run.id} are reviewed; answer "
                    'the others, or send "continue_early": true to go on with what is there.'
                )
            settings = _same_settings(request.settings, run)
            return Plan("continue", run.id, settings, run.state, run.round, early=request.continue_early)
        if request.continue_early:
            raise Conflict(f"Run {run.id} is {run.state}, not awaiting_review; there is no round to close early.")
        return Plan("resume", run.id, _same_settings(request.settings, run), run.state)

    def _plan_comparison(self, request: StartRequest) -> Plan:
        runs = self._store.runs()
        parent = next((run for run in reversed(runs) if run.kind == IMIL and run.round > 0), None)
        if parent is None:
            raise Conflict("No run has opened a round yet; the run without feedback branches from a run's first round.")
        settings = _same_settings(request.settings, parent)
        others = [run for run in runs if run.kind == WITHOUT_FEEDBACK]
        for run in (run for run in others if run.parent == parent.id):
            if run.state is RunState.COMPLETED:
                raise Conflict(
                    f"Run {run.id} is run {parent.id} without feedback, and completed; there is no need for more."
                )
            return Plan("resume", run.id, settings, run.state)
        epoch = self._store.rounds(parent.id)[0].epoch
        newest = others[-1].id if others else 0
        return Plan("without_feedback", None, settings, parent=parent.id, epoch=epoch, newest=newest)

    def begin(self, plan: Plan) -> Run:
        """Make the move of a plan, in one transaction; the run is in state training then. Hold the train lock.

        Raises:
            Conflict: if somebody moved the run since the plan was made. Nothing is written then.
        """
        if plan.kind in ("start", "without_feedback"):
            parent = None if plan.parent is None else self._store.run(plan.parent)
            return self._store.create_run(
                plan.settings.model_dump(mode="json"),
                self._study.classes if parent is None else parent.classes,
                kind=IMIL if parent is None else WITHOUT_FEEDBACK,
                parent=plan.parent,
                epoch=plan.epoch,
                newest=plan.newest,
            )
        if plan.run_id is None:
            raise BadInput(f"A plan to {plan.kind} needs the run to go on with.")
        if plan.kind == "continue":
            self._store.close_round(plan.run_id, plan.round, early=plan.early)
            return self._store.run(plan.run_id)
        return self._store.set_state(plan.run_id, RunState.TRAINING, expect=plan.state)

    def feedback(self, run_id: int, up_to_round: int | None = None) -> dict[str, CaseFeedback]:
        """What training is to change, by case id: the combined answers of all closed rounds up to one, itself included.

        Where a case was queued in several rounds, the last round that says anything about it counts. A closed round
        takes no more answers, so this never changes under a training run.
        """
        feedback: dict[str, CaseFeedback] = {}
        for combination in self.combinations(run_id, up_to_round).values():
            feedback |= combination.feedback
        return feedback

    def combinations(self, run_id: int, up_to_round: int | None = None) -> dict[int, Combination]:
        """By its number, what the answers of each closed round come to, up to a round, itself included.

        How several readers' cells are combined is the run's setting ``combine``.
        """
        by_round: dict[int, list[Event]] = defaultdict(list)
        for event in self._store.effective(run_id, up_to_round, closed_only=True):
            by_round[event.round].append(event)
        if not by_round:
            return {}
        method = RunSettings(**self._store.run(run_id).settings).combine
        return {number: combine_answers(events, method) for number, events in sorted(by_round.items())}

    # -- review ------------------------------------------------------------------------------------------------------

    def next_case(self, reader: str, run: int | None = None) -> QueueEntry | None:
        """The next case for a reader, reserved for the run's ``lease_seconds``; None when there is none for now.

        Args:
            reader: the reader's name.
            run: the run the reader believes to be under review; None for the newest.

        Raises:
            BadInput: if the name can't be.
            NotFound, Conflict: if ``run`` doesn't exist, or isn't the newest.
        """
        reader = check_reader(reader)
        newest = self._store.latest_run() if run is None else self._newest(run)
        if newest is None or newest.state is not RunState.AWAITING_REVIEW:
            return None
        return self._store.lease_next(newest.id, newest.round, reader, _lease_seconds(newest))

    def reserve(self, reader: str, image: str = "", ahead: int = 0) -> Reservation | None:
        """A case for a reader and the ones after it, all reserved anew for the run's ``lease_seconds``.

        Args:
            reader: the reader's name.
            image: the case to open; empty for the next one, as `next_case` gives it.
            ahead: how many cases to reserve beyond it, 0 to `MAX_AHEAD`; see `imil.store.Store.reserve`.

        Returns:
            None if there is no case for this reader for now; never None for a named image.

        Raises:
            BadInput: if the name or ``ahead`` can't be.
            NotFound: if the image doesn't exist, or isn't in the open round's queue.
            Conflict: if the image is named but no round is open, or other readers hold or have answered it.
        """
        reader = check_reader(reader)
        if isinstance(ahead, bool) or not isinstance(ahead, int) or not 0 <= ahead <= MAX_AHEAD:
            raise BadInput(f"The field ahead is {ahead!r}; it must be a whole number from 0 to {MAX_AHEAD}.")
        if image:
            self._study.case(image)
        run = self._store.latest_run()
        if run is not None and run.state is RunState.AWAITING_REVIEW:
            seconds = _lease_seconds(run)
            return self._store.reserve(run.id, run.round, reader, seconds, case_id=image, ahead=ahead)
        if image:
            state = "there is no run yet" if run is None else f"run {run.id} is {run.state}"
            raise Conflict(f"The image {image!r} can't be opened for review now: no round is open, {state}.")
        return None

    def release(self, reader: str) -> int:
        """Give back all cases of the open round that are reserved for a reader; how many there were.

        Raises:
            BadInput: if the name can't be.
        """
        reader = check_reader(reader)
        run = self._store.latest_run()
        return 0 if run is None else self._store.release(run.id, run.round, reader)

    def submit(self, answer: Answer, mask: npt.NDArray[np.uint8] | None = None, grid: Grid | None = None) -> Receipt:
        """Check an answer and record it.

        Args:
            answer: its cells may be empty where the mask shows them.
            mask: uint8 (rows, cols) of the image: 1 matters, 2 misled the model; None if the caller has only cells.
            grid: the run's grid over this image; None: over the mask, or where there is none any image.

        Returns:
            the receipt; the first one again for a known key.

        Raises:
            BadInput: if the answer can't be, whatever the state (see `imil.answers`).
            NotFound: if the run or image doesn't exist, or the image isn't in the round's queue.
            Conflict: if run or round aren't under review, or see `imil.store.Store.append`.
        """
        answer = check_form(answer)
        known = self._repeated(answer, mask)
        if known is not None:
            return known
        self._study.case(answer.case_id)
        run = self._newest(answer.run)
        if answer.round != run.round or run.state is not RunState.AWAITING_REVIEW:
            raise Conflict(
                f"The answer is for round {answer.round} of run {run.id}, which takes no answers now: the run is at "
                f"round {run.round}, {run.state}."
            )
        answer = check_cells(answer, mask, _grid(int(run.settings["grid_size"]), mask, grid))
        if answer.action is Action.RELABEL:
            self._check_label(answer, run)
        return self._store.append(answer, image_sha256=self._study.sha256(answer.case_id))

    def _repeated(self, answer: Answer, mask: npt.NDArray[np.uint8] | None) -> Receipt | None:
        """The first receipt, if the key is known. Comes before all questions of state, which may have moved on."""
        if not answer.cells and not answer.misleading and mask is not None and mask.any():
            run = self._store.run(answer.run)
            answer = check_cells(answer, mask, _grid(int(run.settings["grid_size"]), mask, None))
        return self._store.receipt(answer)

    def _check_label(self, answer: Answer, run: Run) -> None:
        entry = self._store.queue_entry(run.id, answer.round, answer.case_id)
        if answer.new_label not in run.classes or answer.new_label == entry.label:
            others = ", ".join(repr(name) for name in run.classes if name != entry.label)
            raise BadInput(
                f"The new label of {answer.case_id!r} can't be {answer.new_label!r}: it has the label {entry.label!r}; "
                f"allowed is {others}."
            )

    def _newest(self, run_id: int) -> Run:
        """The run, if it's the newest one of its kind that has rounds."""
        newest = self._store.latest_run()
        if newest is None or run_id != newest.id:
            self._store.run(run_id)  # raises NotFound
            raise Conflict(
                f"Run {run_id} takes no answers: only the newest run does, {newest.id if newest else 'none'}."
            )
        return newest

    # -- status ------------------------------------------------------------------------------------------------------

    def status(self, run_id: int | None = None) -> Status:
        """Where a run stands, see `imil.runstatus`. Raises NotFound if there is no such run."""
        return status_of(self._study.state_dir, self._study.classes, self._store, run_id)

    def shown_run(self) -> Run | None:
        """The run that `status` is about, or None before the first."""
        return shown_run(self._store, is_held(self._study.state_dir))

    def _round(self, run: Run) -> RoundInfo:
        return self._store.rounds(run.id)[run.round - 1]


def _new_settings(given: RunSettings | Mapping[str, Any] | None) -> RunSettings:
    return given if isinstance(given, RunSettings) else resolve(**(given or {}))


def _same_settings(given: RunSettings | Mapping[str, Any] | None, run: Run) -> RunSettings:
    """The run's settings; raises BadInput if the request names others, because a run keeps those it began with."""
    present = resolve(**run.settings)
    if given is None:
        return present
    if not isinstance(given, RunSettings):
        single = dict(given)
        preset = single.pop("preset", "")
        if preset and preset not in PRESETS:
            resolve(preset)  # raises, with the names of the presets
        whole = resolve(preset).model_dump() if preset else present.model_dump()
        given = resolve(**(whole | single))
    for name in RunSettings.model_fields:
        old, new = getattr(present, name), getattr(given, name)
        if old != new:
            raise BadInput(
                f"The setting {name} can't be {new!r}: run {run.id} began with {old!r} and keeps its settings; leave "
                'it out to go on, or send "new_run": true for another run.'
            )
    return present


def _lease_seconds(run: Run) -> float:
    return float(run.settings.get("lease_seconds", RunSettings.model_fields["lease_seconds"].default))


def _grid(size: int, mask: npt.NDArray[np.uint8] | None, grid: Grid | None) -> Grid:
    if grid is None:
        height, width = mask.shape if mask is not None else (size, size)
        return Grid(size, size, height, width)
    if (grid.rows, grid.cols) != (size, size):
        raise BadInput(f"The grid is {grid.rows} x {grid.cols} cells, but the run's grid is {size} x {size}.")
    return grid
