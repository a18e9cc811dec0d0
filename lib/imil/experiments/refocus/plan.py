"""What is trained for the benchmark: all tasks, and the conditions under which their results belong together."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from imil.errors import BadInput
from imil.experiments.folder import Conditions, ExperimentFolder
from imil.experiments.refocus.arms import BASELINE, CLEAN_ARM, Arm
from imil.experiments.refocus.presets import (
    CLEAN,
    REPORTED_SHORTCUTS,
    SETTINGS,
    TRAINING,
    Setting,
    Size,
    training_settings,
)
from imil.experiments.refocus.sources import DrawnRadiographs, OwnRadiographs, Source, own_digest
from imil.experiments.refocus.tasks import ArmTask, DrawTest, DrawTraining, Trunk
from imil.experiments.schedule import Task
from imil.settings import RunSettings

NAME = "refocus"
SEEDS = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Attributes:
        settings, arms: see `imil.experiments.refocus.presets` and `imil.experiments.refocus.arms`.
        shortcuts: strengths.
        seeds: all different.
        size: number of images.
        training: what differs from the benchmark's own way to train.
        images: folder of a user's own radiographs, see `imil.experiments.refocus.sources.OwnRadiographs`; None for
            drawn ones.
    """

    settings: tuple[Setting, ...]
    arms: tuple[Arm, ...]
    shortcuts: tuple[float, ...] = REPORTED_SHORTCUTS
    seeds: tuple[int, ...] = SEEDS
    size: Size = field(default_factory=Size)
    training: Mapping[str, Any] = field(default_factory=dict)
    images: Path | None = None

    def __post_init__(self) -> None:
        repeated = [seed for seed, count in Counter(self.seeds).items() if count > 1]
        if repeated or not self.seeds:
            raise BadInput(f"The seeds are {list(self.seeds)}; name at least one, and each once, as in 0,1,2,3,4.")

    @property
    def conditions(self) -> Conditions:
        """What must be the same for all results in a folder; settings, arms and seeds may come later."""
        values = {"training images": self.size.train, "test images": self.size.test, **TRAINING, **self.training}
        values.pop("device", None)
        values |= {name: asdict(setting)["phantom"] for name, setting in SETTINGS.items()}
        images = "drawn" if self.images is None else own_digest(self.images)
        return Conditions(NAME, images, values, "simulated readers")

    @property
    def device(self) -> str:
        """The setting ``device``."""
        return training_settings(0, self.training).device

    def source(self, setting: Setting) -> Source:
        """Where the images of a setting come from."""
        if self.images is None:
            return DrawnRadiographs(setting, self.size)
        return OwnRadiographs(setting, self.images, training_settings(0, self.training).image_size)

    def worlds(self) -> Iterator[tuple[Setting, float | None]]:
        """Each setting with each of its strengths."""
        for setting in self.settings:
            for shortcut in setting.shortcuts(self.shortcuts):
                yield setting, shortcut

    def arms_of(self, setting: Setting) -> list[Arm]:
        """The arms that make sense in a setting: without markers nothing is to be cleaned."""
        return [arm for arm in self.arms if setting.marked or arm.name != CLEAN_ARM]

    def settings_of(self, arm: Arm, seed: int) -> RunSettings:
        """How an arm is trained."""
        return training_settings(seed, {**self.training, **arm.settings})


def result_path(folder: ExperimentFolder, setting: str, shortcut: float | None, arm: str, seed: int) -> Path:
    """Where the result of an arm and seed is, or will be. All strengths of a setting share the clean arm."""
    strength = strength_name(None if arm == CLEAN_ARM else shortcut)
    return folder.path / "results" / setting / strength / arm / f"seed-{seed}.json"


def strength_name(shortcut: float | None) -> str:
    """The strength as it stands in names of files and tasks."""
    return "any" if shortcut is None else f"{shortcut:g}"


def tasks(plan: Plan, folder: ExperimentFolder) -> list[Task]:
    """All tasks of a plan, those that others need first; those that are done are among them."""
    found: dict[str, Task] = {}
    for setting, shortcut in plan.worlds():
        for seed in plan.seeds:
            for task in _World(plan, folder, setting, shortcut, seed).tasks():
                found.setdefault(task.key, task)
    return list(found.values())


@dataclass(frozen=True)
class _World:
    """The tasks of one setting, shortcut and seed."""

    plan: Plan
    folder: ExperimentFolder
    setting: Setting
    shortcut: float | None
    seed: int

    def tasks(self) -> Iterator[Task]:
        test = DrawTest(self._key("test", None), self._drawn("test", None), self.plan.source(self.setting), self.seed)
        training = self._training(self.shortcut)
        trunk = Trunk(
            self._key("shared", self.shortcut),
            self.folder.work / self._key("shared", self.shortcut),
            training.path,
            self.plan.settings_of(_plain(self.plan), self.seed),
            (training.key,),
        )
        yield from (test, training, trunk)
        for arm in self.plan.arms_of(self.setting):
            if arm.name == CLEAN_ARM:
                clean = self._training(CLEAN)
                yield clean
                yield self._arm(arm, None, clean, test, None)
            else:
                yield self._arm(arm, self.shortcut, training, test, trunk)

    def _arm(
        self, arm: Arm, shortcut: float | None, training: DrawTraining, test: DrawTest, trunk: Trunk | None
    ) -> ArmTask:
        key = self._key(arm.name, shortcut)
        return ArmTask(
            key=key,
            folder=self.folder.work / key,
            trunk=None if trunk is None else trunk.folder,
            training=training.path,
            test=test.path,
            settings=self.plan.settings_of(arm, self.seed),
            arm=arm,
            setting=self.setting.name,
            shortcut=shortcut,
            result=result_path(self.folder, self.setting.name, shortcut, arm.name, self.seed),
            needs=(training.key, test.key) if trunk is None else (training.key, test.key, trunk.key),
        )

    def _training(self, shortcut: float | None) -> DrawTraining:
        key, path = self._key("images", shortcut), self._drawn("images", shortcut)
        return DrawTraining(key, path, self.plan.source(self.setting), shortcut, self.seed)

    def _drawn(self, kind: str, shortcut: float | None) -> Path:
        return self.folder.work / "images" / f"{self._key(kind, shortcut)}.npz"

    def _key(self, what: str, shortcut: float | None) -> str:
        return f"{self.setting.name}-{strength_name(shortcut)}-{what}-seed-{self.seed}"


def _plain(plan: Plan) -> Arm:
    return next(arm for arm in plan.arms if arm.name == BASELINE)
