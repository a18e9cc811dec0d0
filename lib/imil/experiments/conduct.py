"""Carrying out a design: whatever isn't done yet is trained, then all results are read."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from filelock import FileLock, Timeout

from imil.errors import Conflict, ImilError
from imil.experiments.folder import ExperimentFolder, read_result
from imil.experiments.measures import evaluation_of
from imil.experiments.panels import PanelReply
from imil.experiments.plan import Design, tasks
from imil.experiments.results import NOBODY, ArmResult, Outcome
from imil.experiments.trainings import Task
from imil.metrics.agreement import agreement
from imil.report.data import versions

POLL_SECONDS = 1.0
SAMPLES = 50
"""Most training images that are kept with an outcome to be shown."""

Progress = Callable[[int, int, Sequence[str]], None]
"""Told how many trainings are done, of how many, and which are running."""


class Backend(Protocol):
    """Where tasks run: `imil.experiments.processes.LocalProcesses`, or a Ray cluster."""

    @property
    def free(self) -> int:
        """How many more tasks can be started now."""
        ...

    def start(self, task: Task) -> None: ...

    def finished(self, timeout: float) -> list[str]:
        """Keys of the tasks that have ended since the last call; raises if one failed."""
        ...

    def close(self) -> None:
        """Stop what is still running."""
        ...


def conduct(plan: Design, folder: ExperimentFolder, backend: Backend, progress: Progress | None = None) -> Outcome:
    """Do all trainings of a design that aren't done yet, and gather the results.

    Args:
        plan: what to do.
        folder: claimed for it already; see `ExperimentFolder.claim`.
        backend: where the trainings run. It's closed at the end.
        progress: told whenever something begins or ends.

    Raises:
        ImilError: if a training fails; what was finished before stays, and isn't done again.
    """
    try:
        with _alone(folder):
            _read_results(plan, folder)  # a damaged one is told about now rather than after hours
            plan.study.pixels(plan.settings.image_size)  # made once here, instead of by all at the same time
            _run(tasks(plan, folder), backend, progress)
    finally:
        backend.close()
    return outcome_of(plan, folder)


def outcome_of(plan: Design, folder: ExperimentFolder) -> Outcome:
    """Read what the trainings of a design gave."""
    results = _read_results(plan, folder)
    return Outcome(
        experiment=plan.experiment.name,
        title=plan.experiment.title,
        study=plan.study.folder.resolve().name,
        source=plan.study.info.source,
        preset=plan.preset,
        settings=plan.settings.model_dump(mode="json"),
        seeds=list(plan.seeds),
        reader=NOBODY if plan.panel is None else plan.panel.description,
        arms=list(plan.arms),
        results=results,
        left_out=dict(plan.left_out),
        evaluation=evaluation_of(plan.study, plan.evaluation, plan.settings.image_size, _shown_samples(results)),
        versions=versions(),
        seconds=sum(result.seconds for arm in results.values() for result in arm),
        agreement=_agreement(plan, results),
        about_readers=() if plan.panel is None else plan.panel.about,
        recorded=plan.panel is not None and plan.panel.fixed,
        splits=dict(Counter(case.split for case in plan.study.cases)),
    )


@contextmanager
def _alone(folder: ExperimentFolder) -> Iterator[None]:
    """Refuse to train in a folder in which another process does; they would write the same checkpoints."""
    folder.work.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.work / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Conflict(
            f"Another process is carrying out the experiment in {folder.path}; wait until it stops, or stop it."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _read_results(plan: Design, folder: ExperimentFolder) -> dict[str, list[ArmResult]]:
    """By arm, the results that are there, in the order of the seeds."""
    paths = {arm.name: [folder.result(arm.name, seed) for seed in plan.seeds] for arm in plan.arms}
    return {name: [read_result(path) for path in found if path.is_file()] for name, found in paths.items()}


def _run(todo: Sequence[Task], backend: Backend, progress: Progress | None) -> None:
    done = {task.key for task in todo if task.done}
    # What is only there for others isn't needed any more once these are all done, even if its files were removed.
    for_others = {need for task in todo for need in task.needs}
    wanted = {need for task in todo if task.key not in done for need in task.needs}
    waiting = [task for task in todo if task.key not in done and task.key not in for_others - wanted]
    total = len(done) + len(waiting)
    running: list[str] = []
    while waiting or running:
        ready = [task for task in waiting if all(need in done for need in task.needs)]
        for task in ready[: backend.free]:
            backend.start(task)
            waiting.remove(task)
            running.append(task.key)
        if progress is not None:
            progress(len(done), total, running)
        if not running:
            stuck = ", ".join(task.key for task in waiting[:3])
            raise ImilError(f"The trainings {stuck} wait for others that don't exist.")
        for key in backend.finished(POLL_SECONDS):
            running.remove(key)
            done.add(key)
    if progress is not None:
        progress(total, total, [])


def _agreement(plan: Design, results: dict[str, list[ArmResult]]) -> dict[str, Any] | None:
    """How far the single readers agree about the cases that each of them answered; None where there are no two."""
    if plan.panel is None:
        return None
    replies = [
        # The same case with another seed is another question: the model was another.
        PanelReply(f"{result.seed}: {sample.case_id}", title, sample.action, sample.grid_size, sample.cells)
        for name, title in plan.panel.singles.items()
        for result in results.get(name, [])[: 1 if plan.panel.fixed else None]
        for sample in result.samples
    ]
    return agreement(replies) if len({reply.reader for reply in replies}) > 1 else None


def _shown_samples(results: dict[str, list[ArmResult]]) -> list[str]:
    """The fed-back cases of each arm's first seed, a few of each."""
    found = (sample.case_id for arm in results.values() for result in arm[:1] for sample in result.samples[:6])
    return list(dict.fromkeys(found))[:SAMPLES]
