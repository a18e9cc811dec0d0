"""The settings of the benchmark: what the radiographs look like, where the shortcut is, and how the model is trained.

They are frozen, and were calibrated on seeds from 100 on, before any feedback mode was looked at: a model trained and
tested with the marker independent of the class is right in at least 90 % of the test images, one trained with a
shortcut of 0.95 or 1 in at most 77 %. At 0.9 the training images have so many counter-examples that the latter can't be
had (80 to 86 %). `imil.experiments.refocus.calibration` measures that again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from imil.errors import BadInput, NotFound
from imil.phantom import PhantomSettings
from imil.settings import RunSettings

CLEAN_AT_LEAST, CONFOUNDED_AT_MOST = 0.90, 0.77
"""Accuracies that a setting must keep for every seed to be of use."""
SHORTCUTS = (0.9, 0.95, 1.0)
"""P(marker | tb) in training that there are; P(marker | normal) is one minus it."""
REPORTED_SHORTCUTS = (0.95, 1.0)
CLEAN = 0.5
"""The shortcut of the clean arm: the marker says nothing about the class."""
READERS_TARGET = 0.70
"""Gap closed that the best mode is to reach with readers who make mistakes."""
TRAINING: dict[str, Any] = {
    "network": "imil_resnet8",
    "image_size": 64,
    "epochs": 40,
    "imil_epochs": (28,),
    "num_outliers": 20,
    "grid_size": 4,
    "selection": "class_balanced",
    "insight": "go_on",
    "optimizer": "adamw",
    "lr": 0.003,
    "weight_decay": 1e-4,
    "schedule": "restarts",
    "batch_size": 32,
    "device": "cpu",
}
"""How every model is trained, the feedback aside. On the CPU, so that the same seed gives the same numbers anywhere."""
OWN_TRAINING: dict[str, Any] = {"network": "resnet18", "image_size": 224, "lr": 0.001, "device": "auto"}
"""What differs for a user's own radiographs."""


@dataclass(frozen=True)
class Size:
    """How many images there are of each kind."""

    train: int = 530
    test: int = 2000


@dataclass(frozen=True)
class Setting:
    """One world in which a shortcut is learnt.

    Attributes:
        name: lower-case letters and underscores; also names folders.
        title: as it stands in tables.
        description: what's special about it, in a sentence.
        phantom: the radiographs, without a shortcut.
        marked: whether there are markers at all; if not, strengths of the shortcut don't apply.
        placed: whether the marker has a place, so that a cell can hold it.
        in_lung: whether it lies inside the lungs, so that a lung mask can't tell it from disease.
        target: gap closed that the best mode is to reach, as a mean over seeds; None where none is set.
    """

    name: str
    title: str
    description: str
    phantom: PhantomSettings
    marked: bool = True
    placed: bool = True
    in_lung: bool = False
    target: float | None = None

    def shortcuts(self, wanted: Sequence[float]) -> tuple[float | None, ...]:
        """Those of the wanted strengths that apply; a single None where there are no markers."""
        return tuple(wanted) if self.marked else (None,)

    def drawn_with(self, shortcut: float | None) -> PhantomSettings:
        """The radiographs with a shortcut of that strength."""
        return replace(self.phantom, shortcut=shortcut)


_PHANTOM = PhantomSettings(size=TRAINING["image_size"], registered=True, lesion_contrast=1.0)

SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("corner", "Corner", "A lead letter in an upper corner; images are registered.", _PHANTOM, target=0.90),
        Setting(
            "unregistered",
            "Not registered",
            "A ring anywhere outside the lungs; patients are turned, shifted and of different size.",
            replace(_PHANTOM, registered=False, marker="ring", place="outside", lesion_contrast=0.95),
            target=0.90,
        ),
        Setting(
            "lung",
            "In the lung, one place",
            "A faint patch at one place in the right lung; images are registered.",
            replace(_PHANTOM, marker="patch", place="lung", lesion_contrast=1.1),
            in_lung=True,
            target=0.80,
        ),
        Setting(
            "lung_random",
            "In the lung, anywhere",
            "A tube-like line anywhere inside a lung; images are registered.",
            replace(_PHANTOM, marker="tube", place="lung_random", lesion_contrast=1.4),
            in_lung=True,
            target=0.80,
        ),
        Setting(
            "unregistered_lung",
            "Not registered, in the lung",
            "A lead letter anywhere inside a lung; patients are turned, shifted and of different size.",
            replace(_PHANTOM, registered=False, place="lung_random", lesion_contrast=1.2),
            in_lung=True,
            target=0.75,
        ),
        Setting(
            "none",
            "No shortcut",
            "No markers at all; the reader nevertheless calls a few harmless cells misleading.",
            _PHANTOM,
            marked=False,
            placed=False,
        ),
        Setting(
            "exposure",
            "Exposure",
            "A brighter film instead of a marker: a shortcut without a place, which no cell can hold.",
            replace(_PHANTOM, marker="exposure"),
            placed=False,
        ),
    )
}


_OWN: dict[str, str] = {
    "corner": "A lead letter in an upper corner.",
    "unregistered": "A ring anywhere outside the lungs.",
    "lung": "A faint patch at one place of the film.",
    "lung_random": "A tube-like line anywhere inside a lung.",
    "none": "No markers at all; the reader nevertheless calls a few harmless cells misleading.",
    "exposure": "A brighter film instead of a marker: a shortcut without a place, which no cell can hold.",
}
"""Settings that make sense on a user's own radiographs, which stand as they stand."""


def training_settings(seed: int, changes: Mapping[str, Any] | None = None) -> RunSettings:
    """How a model of the benchmark is trained."""
    return RunSettings(**(TRAINING | dict(changes or {}) | {"seed": seed}))


def choose_settings(wanted: Sequence[str]) -> list[Setting]:
    """The settings of those names, in the order of `SETTINGS`; all if none is named.

    Raises:
        NotFound: if there is none of a name.
    """
    for name in wanted:
        if name not in SETTINGS:
            raise NotFound(f"There is no setting {name!r}; the settings are {', '.join(SETTINGS)}.")
    return [setting for setting in SETTINGS.values() if not wanted or setting.name in wanted]


def choose_own(wanted: Sequence[str]) -> list[Setting]:
    """As `choose_settings`, for markers on a user's own radiographs; no figures to reach are set for these.

    Raises:
        NotFound: if there is none of a name.
    """
    for name in wanted:
        if name not in _OWN:
            raise NotFound(f"There is no setting {name!r} for your own images; the settings are {', '.join(_OWN)}.")
    chosen = choose_settings(wanted or list(_OWN))
    return [replace(setting, description=_OWN[setting.name], target=None) for setting in chosen]


def check_shortcuts(shortcuts: Sequence[float]) -> tuple[float, ...]:
    """The strengths, rising.

    Raises:
        BadInput: if there is none, one twice, or one that the settings aren't calibrated for.
    """
    for shortcut in shortcuts:
        if shortcut not in SHORTCUTS:
            allowed = ", ".join(f"{one:g}" for one in SHORTCUTS)
            raise BadInput(f"The settings aren't calibrated for a shortcut of {shortcut:g}; choose from {allowed}.")
    if not shortcuts or len(set(shortcuts)) != len(shortcuts):
        raise BadInput(f"The shortcuts are {list(shortcuts)}; name at least one, and each once, as in 0.95,1.0.")
    return tuple(sorted(shortcuts))
