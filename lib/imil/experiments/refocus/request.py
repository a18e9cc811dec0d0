"""From the options of the benchmark to what is trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imil.errors import BadInput
from imil.experiments.refocus.arms import choose_arms
from imil.experiments.refocus.plan import SEEDS, Plan
from imil.experiments.refocus.presets import (
    OWN_TRAINING,
    REPORTED_SHORTCUTS,
    Size,
    check_shortcuts,
    choose_own,
    choose_settings,
)
from imil.experiments.refocus.sources import read_own
from imil.settings import resolve

QUICK_SIZE = Size(test=1000)
QUICK_SETTINGS = ("corner", "lung_random")
QUICK_SHORTCUTS = (1.0,)
QUICK_ARMS = ("blackout", "propagate", "counterfactual")
QUICK_SEEDS = (0,)
"""What a quick trial has, so that it ends within five minutes on two processors."""


def plan_of(
    *,
    quick: bool = False,
    settings: Sequence[str] = (),
    shortcuts: Sequence[float] = (),
    arms: Sequence[str] = (),
    seeds: Sequence[int] = (),
    images: Path | None = None,
    training: Mapping[str, Any] | None = None,
) -> Plan:
    """The plan for what is asked; whatever is left empty has its default, or that of a quick trial.

    Args:
        quick: a trial.
        settings: names; see `imil.experiments.refocus.presets`.
        shortcuts: strengths.
        arms: names or patterns; see `imil.experiments.refocus.arms`.
        seeds: all different.
        images: folder of a user's own radiographs; None for drawn ones.
        training: how a model is trained on these, where it differs from the default.

    Raises:
        NotFound: if there is no such setting or arm.
        BadInput: if a strength, the seeds, the images or the training can't be used.
    """
    if images is None and training:
        raise BadInput(
            f"The setting {next(iter(training))} can be changed for your own images only (--images): the drawn "
            "ones are calibrated for one way to train."
        )
    names = settings or (QUICK_SETTINGS if quick else ())
    return Plan(
        settings=tuple(choose_settings(names) if images is None else choose_own(names)),
        arms=tuple(choose_arms(arms or (QUICK_ARMS if quick else ()))),
        shortcuts=check_shortcuts(shortcuts or (QUICK_SHORTCUTS if quick else REPORTED_SHORTCUTS)),
        seeds=tuple(seeds) or (QUICK_SEEDS if quick else SEEDS),
        size=(QUICK_SIZE if quick else Size()) if images is None else _own_size(images),
        training={} if images is None else _checked(OWN_TRAINING | dict(training or {})),
        images=images,
    )


def _own_size(folder: Path) -> Size:
    splits = [case.split for case in read_own(folder)[0]]
    return Size(splits.count("train"), splits.count("test"))


def _checked(training: dict[str, Any]) -> dict[str, Any]:
    """Settings of a run, with values of the right kind and in their range."""
    resolve(**training)
    return training
