"""What is compared: each feedback mode, its controls at the same budget, and what bounds them all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from imil.errors import NotFound

Group = Literal["reference", "mode", "control", "reader"]
Who = Literal["", "oracle", "careless", "sloppy"]
Cells = Literal["chosen", "random", "opposite"]

BASELINE, CLEAN_ARM = "baseline", "clean"
LUNG_MASK, REWOUND = "lung_mask", "rewound"
REPEATS = 5
"""How often an epoch has each fed-back image in the arms that draw it more often."""


@dataclass(frozen=True)
class Arm:
    """One way to go on after the round.

    Attributes:
        name: also names folders.
        title: as it stands in tables.
        group: what it's for.
        description: what is done, in a sentence.
        settings: what differs from the benchmark's settings.
        reader: who answers; empty for nobody.
        cells: the cells as the reader chose them, as many random ones, or exactly the wrong ones.
        control: for a control and a reader's arm, which one; else empty.
        mode: name of the mode's arm that it belongs to; its own for a mode, empty for references.
    """

    name: str
    title: str
    group: Group
    description: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    reader: Who = ""
    cells: Cells = "chosen"
    control: str = ""
    mode: str = ""


_REFERENCES = (
    Arm(BASELINE, "Baseline", "reference", "Training goes on without feedback."),
    Arm(
        CLEAN_ARM,
        "Clean",
        "reference",
        "Trained from the first epoch with the marker independent of the class: what feedback could reach at best.",
    ),
)
_MODES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "blackout": ("Blackout", "Cells that weren't chosen are black in the fed-back images.", {"feedback": "blackout"}),
    "blackout_repeated": (
        "Blackout, drawn more often",
        f"As blackout, and each epoch has the fed-back images {REPEATS} times.",
        {"feedback": "blackout", "feedback_repeat": REPEATS},
    ),
    "randomise": (
        "Randomise",
        "Cells that weren't chosen come from other images in the fed-back images, others at each draw.",
        {"feedback": "randomise"},
    ),
    "cutmix": ("Guided CutMix", "Chosen cells are put into other images, labels are mixed.", {"feedback": "cutmix"}),
    "mixup": ("Guided MixUp", "Chosen cells are blended into other images, labels are mixed.", {"feedback": "mixup"}),
    "rrr": (
        "Right for the right reasons",
        "Input gradients on cells that weren't chosen are penalised in the fed-back images.",
        {"feedback": "rrr"},
    ),
    "cam_align": (
        "Grad-CAM alignment",
        "Heat on cells that weren't chosen is penalised in the fed-back images.",
        {"feedback": "cam_align"},
    ),
    "propagate": (
        "Propagate",
        "Cells that (almost) no reader chose are swapped between all training images.",
        {"feedback": "propagate"},
    ),
    "propagate_influence": (
        "Propagate by influence",
        "As propagate, but only those cells whose swap moves the model's output.",
        {"feedback": "propagate", "propagate_by": "influence"},
    ),
    "counterfactual": (
        "Counterfactual",
        "What misled is found in all training images, taken off or swapped out, and added to any as a decoy.",
        {"feedback": "counterfactual"},
    ),
    "counterfactual+propagate": (
        "Counterfactual and propagate",
        "Both at once.",
        {"feedback": "counterfactual+propagate"},
    ),
}
CONTROLLED = ("propagate", "counterfactual")
"""Modes whose controls are among the default arms."""
_CONTROLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "random_images": (
        "random images",
        "As the mode, but the images that the reader sees are drawn at random.",
        {"settings": {"selection": "random"}},
    ),
    "random_cells": (
        "random cells",
        "As the mode, but as many cells of each image, of each kind, are drawn at random.",
        {"cells": "random"},
    ),
    "wrong_cells": (
        "wrong cells",
        "As the mode, but exactly the cells that weren't chosen count as chosen, and chosen ones as misleading.",
        {"cells": "opposite"},
    ),
}
_READERS: dict[str, tuple[str, str, Who]] = {
    "careless": (
        "careless reader",
        "As the mode, with a reader who overlooks the marker in half of the images.",
        "careless",
    ),
    "sloppy": (
        "sloppy reader",
        "As the mode, with a reader who gets 5 % of the cells wrong and calls 2.5 % misleading that aren't.",
        "sloppy",
    ),
}
_SHARED = (
    Arm(
        "cutout_same",
        "CutOut on as many images",
        "control",
        "A random square of the same images is blacked out at each draw; the cells aren't looked at.",
        {"feedback": "cutout"},
        "oracle",
        control="cutout_same",
    ),
    Arm(
        "repeated",
        "Drawn more often",
        "control",
        f"The same images stay as they are, but each epoch has them {REPEATS} times.",
        {"feedback": "unedited", "feedback_repeat": REPEATS},
        "oracle",
        control="repeated",
    ),
    Arm(
        REWOUND,
        "Rewound, no reader",
        "control",
        "The network goes back as far as in the modes that learn, and trains on; nobody is asked.",
        {"feedback": REWOUND},
        control=REWOUND,
    ),
    Arm(
        LUNG_MASK,
        "Lung mask, no reader",
        "control",
        "All outside of the lungs, widened a little, comes from other images at each draw; nobody is asked.",
        {"feedback": LUNG_MASK},
        control=LUNG_MASK,
    ),
)


def _mode(name: str) -> Arm:
    title, description, settings = _MODES[name]
    return Arm(name, title, "mode", description, settings, "oracle", mode=name)


def _controls(name: str) -> list[Arm]:
    title, _, settings = _MODES[name]
    found = []
    for control, (words, description, changes) in _CONTROLS.items():
        found.append(
            Arm(
                f"{name}_{control}",
                f"{title}, {words}",
                "control",
                description,
                settings | changes.get("settings", {}),
                "oracle",
                changes.get("cells", "chosen"),
                control,
                name,
            )
        )
    return found


def _readers(name: str) -> list[Arm]:
    title, _, settings = _MODES[name]
    return [
        Arm(f"{name}_{control}", f"{title}, {words}", "reader", description, settings, who, "chosen", control, name)
        for control, (words, description, who) in _READERS.items()
    ]


ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        *_REFERENCES,
        *(_mode(name) for name in _MODES),
        *_SHARED,
        *(arm for name in _MODES for arm in (*_controls(name), *_readers(name))),
    )
}
DEFAULT_ARMS: tuple[str, ...] = tuple(
    name for name, arm in ARMS.items() if arm.mode in ("", name) or arm.mode in CONTROLLED
)
"""All modes, and the controls of the two that learn; others' have to be asked for."""


def choose_arms(wanted: Sequence[str]) -> list[Arm]:
    """The arms whose names or patterns are wanted, with the references, in the order of `ARMS`.

    Args:
        wanted: names, or patterns with ``*`` such as ``counterfactual*``; empty for `DEFAULT_ARMS`.

    Raises:
        NotFound: if a name or pattern fits no arm.
    """
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name in ARMS):
            names = ", ".join(DEFAULT_ARMS)
            raise NotFound(
                f"There is no arm {pattern!r}; among the arms are {names}, and each mode's name with "
                f"{', '.join(f'_{name}' for name in (*_CONTROLS, *_READERS))}."
            )
    patterns = [BASELINE, CLEAN_ARM, *(wanted or DEFAULT_ARMS)]
    return [arm for arm in ARMS.values() if any(fnmatchcase(arm.name, pattern) for pattern in patterns)]
