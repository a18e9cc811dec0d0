"""What a feedback mode needs from readers, in words. No Qt."""

from __future__ import annotations

from .i18n import _

LEARNING = frozenset({"propagate", "counterfactual"})
"""Modes that learn from a round's answers what to do to all training images."""
CLASSWISE = LEARNING | {"randomise", "cutmix", "mixup"}
"""Modes that need answers to images of each class."""


def modes(feedback: str) -> list[str]:
    """The single modes of the setting ``feedback``."""
    return [name.strip() for name in feedback.split("+") if name.strip()]


def learns(feedback: str) -> bool:
    """Whether the round's answers are learnt from, and what they taught is shown, before training goes on."""
    return not LEARNING.isdisjoint(modes(feedback))


def needs_each_class(feedback: str) -> bool:
    """Whether answers to images of one class alone are too few."""
    return not CLASSWISE.isdisjoint(modes(feedback))


def what_to_mark(feedback: str) -> str:
    """What a reader should see to while she answers; empty for modes that take whatever she marks."""
    names, parts = modes(feedback), []
    if "counterfactual" in names:
        parts.append(
            _(
                "Mark what misled the model with the second brush, even if disease lies in the same cell. It's then "
                "looked for in all training images: two or three right cells are enough, a wrong one does harm."
            )
        )
    if "propagate" in names:
        parts.append(
            _(
                "Mark only cells that matter: those that hardly any reader chose are swapped between all training "
                "images."
            )
        )
    if needs_each_class(feedback):
        parts.append(_("Answer images of each class, those without disease too."))
    return " ".join(parts)
