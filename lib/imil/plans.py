"""Requests to train, and what each of them leads to.

The states and the moves between them are in `imil.store.NEXT_STATES`; here is which request makes which move:

| the newest run is | start        | with continue_early | with reopen | with more_cases | with new_run |
|-------------------|--------------|---------------------|-------------|-----------------|--------------|
| (there is none)   | start        | refused             | refused     | refused         | start        |
| training, killed  | resume       | refused             | see below   | refused         | start        |
| awaiting_review   | continue, if all is reviewed | continue | refused | adds cases     | start        |
| awaiting_approval | approve      | refused             | reopen      | refused         | start        |
| failed            | resume       | refused             | see below   | refused         | start        |
| completed         | refused      | refused             | refused     | refused         | start        |

A round whose answers are learnt from (see `imil.training.insight`) is closed only when training goes on. Until then,
also where learning was killed or failed, it can be reopened.

While a process trains on the study, every request is refused. ``without_feedback`` is about the comparison run alone:
it starts one from the newest run that has opened a round, resumes it, or is refused when there is a completed one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from imil.errors import BadInput, Conflict
from imil.grid import Grid
from imil.roundfeedback import feedback_of
from imil.settings import PRESETS, RunSettings, resolve
from imil.store import IMIL, WITHOUT_FEEDBACK, RoundInfo, Run, RunState, Store
from imil.study import Study
from imil.training.requirements import shortcoming
from imil.trainlock import is_held_elsewhere

GIVEN_ANEW = (
    "feedback",
    "feedback_repeat",
    "randomise_with",
    "penalty",
    "propagate_by",
    "propagate_tolerance",
    "decoys",
    "rewind",
    "insight",
)
"""Settings that may be other ones from a round on: what becomes of its answers."""
MAX_MORE_CASES = 10_000
"""Most cases that may be added to a round at once."""
_FLAGS = ("new_run", "continue_early", WITHOUT_FEEDBACK, "reopen", "more_cases")


@dataclass(frozen=True)
class StartRequest:
    """A request to train.

    Attributes:
        new_run: start afresh, whatever the newest run's state.
        continue_early: go on although some cases of the round lack answers.
        without_feedback: train the comparison: the same run from its first round on, without feedback.
        reopen: take answers to the round again, instead of training on with what was learnt from it.
        more_cases: add so many cases to the open round; 0 for none. ``selection`` may be another one for these.
        settings: all settings; or single ones by name, ``preset`` among them; None for those of the run or the preset
            ``imil``. Those in `GIVEN_ANEW` may be other ones than the run's where a round is continued.
    """

    new_run: bool = False
    continue_early: bool = False
    without_feedback: bool = False
    reopen: bool = False
    more_cases: int = 0
    settings: RunSettings | Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Plan:
    """What a request leads to, see `Plans.plan`. It holds as long as nobody else moves the run.

    Attributes:
        run_id: the run to go on with; None for ``start`` and ``without_feedback``, which make a new one.
        settings: those that the run has from then on; ``changed`` has the values of those that it hadn't before. For
            ``more_cases`` their ``selection`` is that of these cases only.
        state: the state that run was in; ``round`` its round, for plans that are about one.
        early: the round may be closed with cases unanswered.
        more: number of cases to add, for ``more_cases``.
        parent: run to branch from at ``epoch``, for ``without_feedback``.
        newest: the newest run of that kind there was (0: none), for a plan that makes a new one.
    """

    kind: Literal["start", "resume", "continue", "approve", "reopen", "more_cases", "without_feedback"]
    run_id: int | None
    settings: RunSettings
    state: RunState | None = None
    round: int = 0
    early: bool = False
    changed: Mapping[str, Any] = field(default_factory=dict)
    more: int = 0
    parent: int | None = None
    epoch: int = 0
    newest: int = 0


class Plans:
    """The rules for training on one study. Holds no state of its own."""

    def __init__(self, study: Study) -> None:
        self._study = study

    @property
    def _store(self) -> Store:
        return self._study.store

    def plan(self, request: StartRequest) -> Plan:
        """What the request leads to now. Nothing is written.

        Raises:
            BadInput: if flags contradict each other, a setting isn't allowed, or it differs from those of the run that
                goes on.
            Conflict: if the study's state doesn't allow it, or a round's answers are too few for the feedback mode; the
                sentence says what does.
        """
        _check_flags(request)
        if is_held_elsewhere(self._study.state_dir):
            raise Conflict("Another process is training on this study; wait until it stops, or stop it.")
        if request.without_feedback:
            return self._plan_comparison(request)
        run = self._store.latest_run()
        if request.new_run or (run is None and not _about_a_round(request)):
            settings = _new_settings(request.settings)
            self._check_grid(settings)
            return Plan("start", None, settings, newest=run.id if run else 0)
        if run is None:
            raise Conflict("There is no run yet, so there is nothing to continue; start one.")
        if request.reopen:
            return self._plan_reopening(request, run)
        if request.more_cases:
            return self._plan_more_cases(request, run)
        return self._plan_next(request, run)

    def begin(self, plan: Plan, *, learns: bool = False) -> Run:
        """Make the move of a plan, in one transaction. Hold the train lock.

        The run is in state training then; after ``reopen`` and ``more_cases`` it is awaiting review.

        Args:
            plan: what `plan` gave.
            learns: the feedback mode learns from the round's answers, so that the round stays open while it does.

        Raises:
            Conflict: if somebody moved the run since the plan was made. Nothing is written then.
        """
        if plan.kind in ("start", "without_feedback"):
            return self._create(plan)
        if plan.run_id is None or plan.state is None:
            raise BadInput(f"A plan to {plan.kind} needs the run to go on with, and its state.")
        if plan.kind == "continue":
            leave = self._store.start_learning if learns else self._store.close_round
            leave(plan.run_id, plan.round, plan.early, plan.changed)
        elif plan.kind == "approve":
            self._store.close_learnt_round(plan.run_id, plan.round, plan.state)
        elif plan.kind == "reopen":
            self._store.reopen_round(plan.run_id, plan.round, plan.state)
        elif plan.kind == "resume":
            self._store.set_state(plan.run_id, RunState.TRAINING, expect=plan.state)
        return self._store.run(plan.run_id)

    def _create(self, plan: Plan) -> Run:
        parent = None if plan.parent is None else self._store.run(plan.parent)
        return self._store.create_run(
            plan.settings.model_dump(mode="json"),
            self._study.classes if parent is None else parent.classes,
            kind=IMIL if parent is None else WITHOUT_FEEDBACK,
            parent=plan.parent,
            epoch=plan.epoch,
            newest=plan.newest,
        )

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

    def _plan_next(self, request: StartRequest, run: Run) -> Plan:
        if run.state is RunState.COMPLETED:
            raise Conflict(f'Run {run.id} is completed; send "new_run": true for another.')
        if run.state is RunState.AWAITING_REVIEW:
            return self._plan_continue(request, run)
        if request.continue_early:
            raise Conflict(f"Run {run.id} is {run.state}, not awaiting_review; there is no round to close early.")
        kind: Literal["approve", "resume"] = "approve" if run.state is RunState.AWAITING_APPROVAL else "resume"
        settings = _same_settings(request.settings, run)
        return Plan(kind, run.id, settings, run.state, run.round if kind == "approve" else 0)

    def _plan_continue(self, request: StartRequest, run: Run) -> Plan:
        info = self._round(run)
        if info.reviewed < info.queued and not request.continue_early:
            raise Conflict(
                f"{info.reviewed} of {info.queued} cases of round {run.round} of run {run.id} are reviewed; answer "
                'the others, or send "continue_early": true to go on with what is there.'
            )
        present, settings = resolve(**run.settings), _same_settings(request.settings, run, may_change=GIVEN_ANEW)
        changed = {
            name: value
            for name, value in settings.model_dump(mode="json").items()
            if getattr(settings, name) != getattr(present, name)
        }
        self._check_answers(run, settings)
        return Plan("continue", run.id, settings, run.state, run.round, request.continue_early, changed)

    def _check_answers(self, run: Run, settings: RunSettings) -> None:
        """Raises Conflict if the feedback mode could make nothing of the answers there are."""
        feedback = feedback_of(self._store, run.id, with_open=True)
        labels = {case.id: case.label for case in self._study.cases if case.split == "train"}
        labels |= {case_id: said.new_label for case_id, said in feedback.items() if said.action == "relabel"}
        known = [said for said in feedback.values() if said.case_id in labels]  # others may have left the manifest
        problem = shortcoming(known, labels, run.classes, settings)
        if problem is not None:
            raise Conflict(problem)

    def _plan_reopening(self, request: StartRequest, run: Run) -> Plan:
        info = self._round(run) if run.round else None
        if info is None or info.closed:
            raise Conflict(
                f"Run {run.id} is {run.state} and has no round to reopen; its answers can only be changed before "
                "training goes on with them."
            )
        if run.state is RunState.AWAITING_REVIEW:
            raise Conflict(f"Round {run.round} of run {run.id} is open for answers already.")
        return Plan("reopen", run.id, _same_settings(request.settings, run), run.state, run.round)

    def _plan_more_cases(self, request: StartRequest, run: Run) -> Plan:
        if run.state is not RunState.AWAITING_REVIEW:
            how = '; send "reopen": true first' if run.state is RunState.AWAITING_APPROVAL else ""
            raise Conflict(f"Run {run.id} is {run.state}, not awaiting_review; there is no round to add cases to{how}.")
        settings = _same_settings(request.settings, run, may_change=("selection",))
        return Plan("more_cases", run.id, settings, run.state, run.round, more=request.more_cases)

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

    def _round(self, run: Run) -> RoundInfo:
        return self._store.rounds(run.id)[run.round - 1]


def _about_a_round(request: StartRequest) -> bool:
    return bool(request.continue_early or request.reopen or request.more_cases)


def _check_flags(request: StartRequest) -> None:
    flags = [name for name in _FLAGS if getattr(request, name)]
    if len(flags) > 1:
        raise BadInput(f"{flags[0]} and {flags[1]} contradict each other; send only one of them.")
    more = request.more_cases
    if isinstance(more, bool) or not isinstance(more, int) or not 0 <= more <= MAX_MORE_CASES:
        raise BadInput(f"The field more_cases is {more!r}; it must be a whole number from 1 to {MAX_MORE_CASES}.")


def _new_settings(given: RunSettings | Mapping[str, Any] | None) -> RunSettings:
    return given if isinstance(given, RunSettings) else resolve(**(given or {}))


def _same_settings(
    given: RunSettings | Mapping[str, Any] | None, run: Run, *, may_change: tuple[str, ...] = ()
) -> RunSettings:
    """The run's settings, with those changed that may be.

    Raises:
        BadInput: if the request names others, because a run keeps those it began with.
    """
    present = resolve(**run.settings)
    if given is None:
        return present
    if not isinstance(given, RunSettings):
        given = _asked_for(dict(given), present)
    for name in RunSettings.model_fields:
        old, new = getattr(present, name), getattr(given, name)
        if old == new or name in may_change:
            continue
        if name in GIVEN_ANEW:
            raise BadInput(
                f"The setting {name} can't be {new!r} now: run {run.id} goes on with {old!r}; it can be given anew "
                "when training is continued after a round's review."
            )
        raise BadInput(
            f"The setting {name} can't be {new!r}: run {run.id} began with {old!r} and keeps its settings; leave "
            'it out to go on, or send "new_run": true for another run.'
        )
    return given


def _asked_for(single: dict[str, Any], present: RunSettings) -> RunSettings:
    preset = single.pop("preset", "")
    if preset and preset not in PRESETS:
        resolve(preset)  # raises, with the names of the presets
    whole = resolve(preset).model_dump() if preset else present.model_dump()
    # A preset says nothing about what may have been given anew since the run began with it.
    kept = {name: getattr(present, name) for name in GIVEN_ANEW}
    return resolve(**(whole | kept | single))
