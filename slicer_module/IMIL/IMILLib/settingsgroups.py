"""Settings by what they are about, and which of them have an effect beside the others. No Qt."""

from __future__ import annotations

from typing import Any, Callable

from .guidance import learns, modes
from .i18n import _
from .settingsform import Field

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
"""Settings that may be other ones when training is continued after a round: what becomes of its answers."""
_GROUPS = {
    "rounds": (
        "epochs",
        "imil_epochs",
        "num_outliers",
        "selection",
        "fill",
        "folds",
        "requeue",
        "grid_size",
        "heatmap",
        "target_layer",
    ),
    "feedback": GIVEN_ANEW,
    "model": ("network", "pretrained", "image_size", "augmentation", "class_weights"),
    "optimisation": ("optimizer", "lr", "momentum", "weight_decay", "schedule", "batch_size", "accumulate"),
    "readers": ("readers_per_case", "combine", "lease_seconds"),
}
_NEEDS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "randomise_with": lambda values: "randomise" in modes(str(values.get("feedback"))),
    "penalty": lambda values: not {"rrr", "cam_align"}.isdisjoint(modes(str(values.get("feedback")))),
    "propagate_by": lambda values: "propagate" in modes(str(values.get("feedback"))),
    "propagate_tolerance": lambda values: "propagate" in modes(str(values.get("feedback"))),
    "decoys": lambda values: "counterfactual" in modes(str(values.get("feedback"))),
    "rewind": lambda values: bool({"propagate", "counterfactual"} & set(modes(str(values.get("feedback"))))),
    "insight": lambda values: learns(str(values.get("feedback"))),
    "folds": lambda values: "out_of_fold" in (values.get("selection"), values.get("fill")),
    "momentum": lambda values: values.get("optimizer") == "sgd",
}


def grouped(fields: tuple[Field, ...]) -> list[tuple[str, list[Field]]]:
    """The fields by group, each with its title; those that no group names come last."""
    titles = {
        "rounds": _("Rounds"),
        "feedback": _("Feedback"),
        "model": _("Model and images"),
        "optimisation": _("Optimisation"),
        "readers": _("Readers"),
    }
    by_name = {field.name: field for field in fields}
    groups = [
        (titles[group], [by_name.pop(name) for name in names if name in by_name]) for group, names in _GROUPS.items()
    ]
    return [(title, found) for title, found in [*groups, (_("Other"), list(by_name.values()))] if found]


def has_effect(name: str, values: dict[str, Any]) -> bool:
    """Whether a setting does anything beside these values of all settings."""
    needed = _NEEDS.get(name)
    return needed is None or needed(values)
