"""The experiments by name, and the arms that each of them has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from imil.errors import BadInput, NotFound
from imil.experiments.arms import MAIN, PANEL, Arm
from imil.settings import RunSettings

REPEATS = 5
"""How often an epoch has each fed-back image in the control that merely draws them more often."""
OUTLIERS = (5, 10, 20, 40)
GRIDS = (2, 4, 8)
COMBINATIONS = ("union", "intersection", "majority", "staple")
SELECTIONS = {
    "highest_confidence": "the most confident mispredictions",
    "least_confident": "the least confident cases",
    "out_of_fold": "the mispredictions of models trained on the other folds",
    "class_balanced": "the hardest cases of each class",
    "random": "random images",
}
PRESET = "paper"
"""The preset that experiments have if none is named."""
QUICK: dict[str, Any] = {
    "network": "imil_small",
    "image_size": 64,
    "epochs": 12,
    "imil_epochs": (8,),
    "num_outliers": 12,
    "fill": "least_confident",
    "optimizer": "adamw",
    "lr": 0.001,
    "weight_decay": 0.01,
    "batch_size": 16,
}
"""What a quick trial of an experiment changes in that preset, so that it ends in minutes on two processors."""
TRANSFORMER = "vit_small_patch16_224"
SMALL_TRANSFORMER = "vit_tiny_patch16_224"

BASELINE = Arm("baseline", "Baseline", "baseline", "Training goes on without feedback.", versus="")
AUGMENTATIONS = (
    Arm(
        "affine",
        "Rotations, shifts, zooms",
        "augmentation",
        "Every image is turned, shifted and zoomed a little at each draw, from the first epoch on.",
        settings={"augmentation": "affine"},
        from_start=True,
    ),
    Arm(
        "cutmix",
        "CutMix",
        "augmentation",
        "A box of each image comes from another one, and labels are mixed by area, from the first epoch on.",
        settings={"augmentation": "cutmix"},
        from_start=True,
    ),
    Arm(
        "cutout",
        "CutOut",
        "augmentation",
        "A square of each image is blacked out at a random place at each draw, from the first epoch on.",
        settings={"augmentation": "cutout"},
        from_start=True,
    ),
    Arm(
        "mixup",
        "MixUp",
        "augmentation",
        "Each image is blended with another one, and so are their labels, from the first epoch on.",
        settings={"augmentation": "mixup"},
        from_start=True,
    ),
)
IMIL = Arm("imil", "IMIL", "imil", "The cells that the reader didn't choose are blacked out.", asks=MAIN)


@dataclass(frozen=True)
class Experiment:
    """A question, and the arms that answer it.

    Attributes:
        name: as typed after ``imil experiment``.
        title: heading of its report.
        question: what it asks, in a sentence; also the command's help.
        arms: makes the arms for the experiment's settings and its single readers (arm name and title).
        new_answers: whether its arms queue different cases, so that only a simulated reader can answer.
    """

    name: str
    title: str
    question: str
    arms: Callable[[RunSettings, Mapping[str, str]], list[Arm]]
    new_answers: bool = True


def controls(suffix: str = "", *, versus: str = "baseline", title: str = "", **settings: Any) -> list[Arm]:
    """The controls at equal budget for the IMIL arm with these settings.

    Args:
        suffix: ends the arms' names, e.g. ``_10``.
        versus: the arm they are compared with.
        title: ends their titles, e.g. ``, 10 images``.
        settings: of the IMIL arm that they control.
    """
    control = Arm("", "", "control", "", versus, settings, asks=MAIN)
    return [
        replace(
            control,
            name=f"random_images{suffix}",
            title=f"Random images{title}",
            description="As IMIL, but the images are drawn at random.",
            settings=settings | {"selection": "random"},
        ),
        replace(
            control,
            name=f"random_cells{suffix}",
            title=f"Random cells{title}",
            description="As IMIL, but as many cells of each image are drawn at random.",
            cells="random",
        ),
        replace(
            control,
            name=f"wrong_cells{suffix}",
            title=f"Wrong cells{title}",
            description="As IMIL, but exactly the cells that weren't chosen are kept.",
            cells="opposite",
        ),
        replace(
            control,
            name=f"cutout_same{suffix}",
            title=f"CutOut on as many images{title}",
            description="A random square of the same images is blacked out at each draw, instead of by the cells.",
            settings=settings | {"feedback": "cutout"},
        ),
        replace(
            control,
            name=f"repeated{suffix}",
            title=f"Drawn more often{title}",
            description=f"The same images stay as they are, but each epoch has them {REPEATS} times.",
            settings=settings | {"feedback": "unedited", "feedback_repeat": REPEATS},
        ),
        replace(
            control,
            name=f"same_steps{suffix}",
            title=f"No feedback, equally many steps{title}",
            description="As many further draws of random training images as 'drawn more often' has.",
            asks="",
            repeats=REPEATS,
        ),
    ]


def _compare(settings: RunSettings, readers: Mapping[str, str]) -> list[Arm]:
    single = [
        Arm(name, f"IMIL + {title}", "readers", f"As IMIL, with the cells of {title} alone.", asks=name)
        for name, title in readers.items()
    ]
    together = [
        Arm(
            f"readers_{how}",
            f"IMIL + all readers ({how if how != 'staple' else 'STAPLE'})",
            "readers",
            f"As IMIL, with the cells of all {len(readers)} readers, combined by {how}.",
            settings={"combine": how},
            asks=PANEL,
        )
        for how in COMBINATIONS
        if len(readers) > 1
    ]
    return [BASELINE, *AUGMENTATIONS, IMIL, *single, *together, *controls()]


def _outliers(settings: RunSettings, _: Mapping[str, str]) -> list[Arm]:
    return [BASELINE, *_levels({f"_{n}": (f", {n} images", {"num_outliers": n}) for n in OUTLIERS})]


def _grid(settings: RunSettings, _: Mapping[str, str]) -> list[Arm]:
    return [BASELINE, *_levels({f"_{n}": (f", {n} x {n} cells", {"grid_size": n}) for n in GRIDS})]


def _timing(settings: RunSettings, _: Mapping[str, str]) -> list[Arm]:
    late, last = (*settings.imil_epochs, 0)[0], settings.epochs
    early, second = max(1, late // 2), (late + last) // 2
    if not early < late < second < last:
        raise BadInput(
            f"Early, late and second rounds don't fit between epoch {late} and {last}; the experiment timing needs an "
            "IMIL epoch from 2 on, with at least two epochs after it."
        )
    half = max(1, settings.num_outliers // 2)
    return [
        BASELINE,
        *_levels(
            {
                "_late": (f", after epoch {late}", {"imil_epochs": (late,)}),
                "_early": (f", after epoch {early}", {"imil_epochs": (early,)}),
                "_twice": (
                    f", {half} after epoch {late} and {half} after {second}",
                    {"imil_epochs": (late, second), "num_outliers": half},
                ),
            }
        ),
    ]


def _networks(settings: RunSettings, _: Mapping[str, str]) -> list[Arm]:
    transformer = SMALL_TRANSFORMER if settings.network == "imil_small" else TRANSFORMER
    arms: list[Arm] = []
    for short, network in (("cnn", settings.network), ("vit", transformer)):
        chosen, title, versus = {"network": network}, f", {network}", f"baseline_{short}"
        arms.append(replace(BASELINE, name=versus, title=f"Baseline{title}", settings=chosen))
        arms += _levels({f"_{short}": (title, chosen)}, versus=versus)
    return arms


def _selection(settings: RunSettings, _: Mapping[str, str]) -> list[Arm]:
    levels = {f"_{name}": (f", {words}", {"selection": name}) for name, words in SELECTIONS.items()}
    # Random images are a level of their own here, not a control of each level.
    return [BASELINE, *_levels(levels, random_images=False)]


def _levels(
    levels: Mapping[str, tuple[str, Mapping[str, Any]]], *, versus: str = "baseline", random_images: bool = True
) -> list[Arm]:
    """For each level (by suffix: end of the titles, settings) the IMIL arm and its controls."""
    arms: list[Arm] = []
    for suffix, (title, settings) in levels.items():
        imil = replace(IMIL, name=f"imil{suffix}", title=f"IMIL{title}", versus=versus, settings=settings)
        checks = controls(suffix, versus=versus, title=title, **settings)
        arms += [imil, *(arm for arm in checks if random_images or not arm.name.startswith("random_images"))]
    return arms


EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "compare",
            "Feedback against augmentations and controls",
            "Feedback against augmentations and controls: the paper's Table 1 and Figures 3 to 5 for any study.",
            _compare,
            new_answers=False,
        ),
        Experiment("outliers", "Number of fed-back images", "How many images should a reader see?", _outliers),
        Experiment("grid", "Size of the grid", "How fine should the reader's grid be?", _grid),
        Experiment("timing", "When to ask", "Ask early or late, and in one round or in two of half the size?", _timing),
        Experiment("networks", "Networks", "Does feedback do the same to a CNN and to a transformer?", _networks),
        Experiment("selection", "Which images to ask about", "Which images are worth a reader's time?", _selection),
    )
}


def choose(arms: Sequence[Arm], wanted: Sequence[str]) -> list[Arm]:
    """The arms whose names are wanted, with the baselines that they are compared with.

    Args:
        arms: those of the experiment.
        wanted: names, or patterns with ``*`` such as ``imil*``; empty for all.

    Raises:
        NotFound: if a name or pattern fits no arm.
    """
    if not wanted:
        return list(arms)
    for pattern in wanted:
        if not any(fnmatchcase(arm.name, pattern) for arm in arms):
            names = ", ".join(arm.name for arm in arms)
            raise NotFound(f"There is no arm {pattern!r}; the arms of this experiment are {names}.")
    chosen = {arm.name for arm in arms if any(fnmatchcase(arm.name, pattern) for pattern in wanted)}
    chosen |= {arm.versus for arm in arms if arm.name in chosen}
    return [arm for arm in arms if arm.name in chosen]
