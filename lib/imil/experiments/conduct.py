"""Carrying out a design: whatever isn't done yet is trained, then all results are read."""

from collections import Counter
from typing import Any

from imil.experiments.folder import ExperimentFolder, read_result
from imil.experiments.measures import evaluation_of
from imil.experiments.panels import PanelReply
from imil.experiments.plan import Design, tasks
from imil.experiments.results import NOBODY, ArmResult, Outcome
from imil.experiments.schedule import Backend, Progress, alone, carry_out
from imil.metrics.agreement import agreement
from imil.report.data import versions

SAMPLES = 50
"""Most training images that are kept with an outcome to be shown."""


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
        with alone(folder):
            _read_results(plan, folder)  # a damaged one is told about now rather than after hours
            plan.study.pixels(plan.settings.image_size)  # made once here, instead of by all at the same time
            carry_out(tasks(plan, folder), backend, progress)
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


def _read_results(plan: Design, folder: ExperimentFolder) -> dict[str, list[ArmResult]]:
    """By arm, the results that are there, in the order of the seeds."""
    paths = {arm.name: [folder.result(arm.name, seed) for seed in plan.seeds] for arm in plan.arms}
    return {name: [read_result(path) for path in found if path.is_file()] for name, found in paths.items()}


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
