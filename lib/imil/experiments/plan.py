"""From a study and a question to the trainings that answer it; everything that can be refused is refused here."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imil.errors import BadInput
from imil.experiments.arms import MAIN, PANEL, Arm
from imil.experiments.catalogue import Experiment, choose
from imil.experiments.folder import Conditions, ExperimentFolder
from imil.experiments.measures import EvaluationPlan, plan_evaluation
from imil.experiments.panels import Panel, RecordedPanel
from imil.experiments.results import NOBODY
from imil.experiments.schedule import Task
from imil.experiments.trainings import ArmTask, Trunk
from imil.files import sha256_of
from imil.grid import Grid
from imil.settings import RunSettings
from imil.study import Study

AFTER_TRUNK = frozenset(
    {
        "imil_epochs",
        "num_outliers",
        "grid_size",
        "feedback",
        "feedback_repeat",
        "extra_draws",
        "selection",
        "fill",
        "folds",
        "requeue",
        "heatmap",
        "target_layer",
        "readers_per_case",
        "combine",
        "lease_seconds",
    }
)
"""Settings that make no difference before the first round."""


@dataclass(frozen=True)
class Design:
    """An experiment on a study, ready to be carried out.

    Attributes:
        settings: those of the baseline; the seed is replaced by each of ``seeds``.
        preset: name of the preset they came from.
        arms: those to be trained, the baselines first.
        left_out: arms that can't be, by name: why, as a sentence.
        panel: who answers; None if no arm asks anybody.
    """

    experiment: Experiment
    study: Study
    settings: RunSettings
    preset: str
    seeds: tuple[int, ...]
    arms: tuple[Arm, ...]
    left_out: dict[str, str]
    panel: Panel | None
    evaluation: EvaluationPlan

    @property
    def conditions(self) -> Conditions:
        """What must be the same for all results in a folder."""
        settings = self.settings.model_dump(mode="json", exclude={"seed", "device"})
        reader = NOBODY if self.panel is None else self.panel.identity
        return Conditions(self.experiment.name, study_digest(self.study), settings, reader)

    def arm_settings(self, arm: Arm, seed: int) -> RunSettings:
        """All settings of an arm with a seed."""
        values = self.settings.model_dump() | dict(arm.settings) | {"seed": seed}
        if "selection" in arm.settings and values["fill"] == "out_of_fold":
            values["fill"] = "none"  # it goes with the experiment's own selection only
        return RunSettings(**values)


def design(
    study: Study,
    experiment: Experiment,
    settings: RunSettings,
    *,
    preset: str,
    seeds: Sequence[int],
    arms: Sequence[str] = (),
    panel: Panel | None,
) -> Design:
    """Plan an experiment.

    Args:
        study: the study.
        experiment: the question.
        settings: of the baseline.
        preset: where they came from, for the report.
        seeds: all different.
        arms: names or patterns; empty for all.
        panel: who answers; None if nobody can.

    Raises:
        BadInput: if the study, the seeds or the settings can't be used for it.
        NotFound: if there is no such arm.
    """
    _check_seeds(seeds)
    evaluation = plan_evaluation(study)
    _check_training(study)
    chosen = choose(experiment.arms(settings, {} if panel is None else panel.singles), arms)
    left_out = {} if panel is None else {arm.name: why for arm in chosen if (why := _cant_ask(arm, panel))}
    kept = tuple(arm for arm in chosen if arm.name not in left_out)
    plan = Design(experiment, study, settings, preset, tuple(seeds), kept, left_out, panel, evaluation)
    for arm in kept:
        _check_arm(plan, arm)
    return plan


def tasks(plan: Design, folder: ExperimentFolder) -> list[Task]:
    """All trainings of a design, trunks before the arms that need them; those that are done are among them."""
    trunks: dict[str, Trunk] = {}
    arms: list[ArmTask] = []
    for seed in plan.seeds:
        for arm in plan.arms:
            settings = plan.arm_settings(arm, seed)
            trunk = None
            if not arm.from_start and settings.imil_epochs:
                trunk = _trunk(plan, folder, settings)
                known = trunks.get(trunk.key, trunk)
                trunks[trunk.key] = trunk = replace(known, stops=tuple(sorted({*known.stops, *trunk.stops})))
            arms.append(_arm_task(plan, folder, arm, settings, trunk))
    return [*trunks.values(), *arms]


def study_digest(study: Study) -> str:
    """A hash of the study's images, labels, patients, splits and masks, 64 hex digits."""
    digest = hashlib.sha256()
    for case in study.cases:
        masks = [sha256_of(study.folder / mask) if mask else "" for mask in case.masks]
        row = [case.id, case.label, case.patient, case.split, study.sha256(case.id), *masks]
        digest.update((json.dumps(row) + "\n").encode())
    return digest.hexdigest()


def needs_reader(experiment: Experiment, settings: RunSettings, arms: Sequence[str]) -> bool:
    """Whether any of the wanted arms asks somebody. Arms of single readers, who aren't known yet, do."""
    if any(re.fullmatch(r"reader_\d+", name) for name in arms):
        return True
    known = experiment.arms(settings, {"reader_1": "", "reader_2": ""})
    return any(arm.asks or arm.repeats for arm in choose(known, arms))


def _trunk(plan: Design, folder: ExperimentFolder, settings: RunSettings) -> Trunk:
    relevant = settings.model_dump(mode="json", exclude=set(AFTER_TRUNK) | {"seed", "device"})
    name = hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:8]
    key = f"shared-{name}-seed-{settings.seed}"
    # Further draws come after an arm's own first round, which may be earlier than the trunk's last stop.
    plain = settings.model_copy(update={"extra_draws": 0})
    return Trunk(key, plan.study.folder, folder.work / key, plain, settings.imil_epochs[:1])


def _arm_task(plan: Design, folder: ExperimentFolder, arm: Arm, settings: RunSettings, trunk: Trunk | None) -> ArmTask:
    key = f"{arm.name}-seed-{settings.seed}"
    return ArmTask(
        key=key,
        study=plan.study.folder,
        folder=folder.work / key,
        settings=settings,
        arm=arm,
        trunk=None if trunk is None else trunk.folder,
        panel=plan.panel if arm.asks or arm.repeats else None,
        evaluation=plan.evaluation,
        result=folder.result(arm.name, settings.seed),
        needs=() if trunk is None else (trunk.key,),
    )


def _check_seeds(seeds: Sequence[int]) -> None:
    if not seeds:
        raise BadInput("No seed is given; name some with --seeds, for instance 0,1,2,3,4.")
    repeated = [seed for seed, count in Counter(seeds).items() if count > 1]
    if repeated:
        raise BadInput(
            f"The seed {repeated[0]} is given {seeds.count(repeated[0])} times; the same training twice says nothing "
            "new, so give each seed once."
        )


def _check_training(study: Study) -> None:
    labels = {case.label for case in study.cases if case.split == "train"}
    for name in study.classes:
        if name not in labels:
            raise BadInput(
                f"The class {name!r} has no image in the split 'train' of {study.folder}, so it can't be learned."
            )


def _cant_ask(arm: Arm, panel: Panel) -> str:
    """Why the readers can't do what an arm asks of them; empty if they can."""
    if panel.fixed and arm.asks and arm.settings.get("selection") == "random":
        return "The recorded readers can't be asked about other images than those they answered."
    if arm.asks not in ("", MAIN, PANEL, *panel.singles):
        return f"There is no {arm.asks}."
    return ""


def _check_arm(plan: Design, arm: Arm) -> None:
    settings: Any = plan.arm_settings(arm, 0)
    if not (arm.asks or arm.repeats):
        return
    if not settings.imil_epochs:
        raise BadInput("The setting imil_epochs is empty, so nobody would be asked; give it an epoch, e.g. 70.")
    count = sum(case.split == "train" for case in plan.study.cases)
    rounds = len(settings.imil_epochs)
    if settings.num_outliers * rounds > count:
        times = "" if rounds == 1 else f" in each of {rounds} rounds"
        raise BadInput(
            f"The arm {arm.name} asks about {settings.num_outliers} images{times}, but {plan.study.folder} has only "
            f"{count} training images; lower num_outliers, or leave the arm out with --arms."
        )
    _check_grid(plan, settings)


def _check_grid(plan: Design, settings: RunSettings) -> None:
    """Refuse a grid that is too fine to be answered, or to be laid on what the network gets."""
    case, shape = min(plan.study.training_sizes().items(), key=lambda item: min(item[1]))
    try:
        Grid.square(settings.grid_size, shape)
    except BadInput as error:
        raise BadInput(f"The training image {case!r} is too small: {error}") from error
    recorded = plan.panel.grid_size if isinstance(plan.panel, RecordedPanel) else 0
    size = max(settings.grid_size, recorded)
    if size > settings.image_size:
        raise BadInput(
            f"A grid of {size} x {size} cells doesn't fit an image_size of {settings.image_size}: each cell needs at "
            "least one pixel; choose a larger image_size."
        )


def default_out(study: Path, experiment: str) -> Path:
    """The folder that an experiment on a study writes to where none is named."""
    return Path(f"{study.resolve().name}-{experiment}")
