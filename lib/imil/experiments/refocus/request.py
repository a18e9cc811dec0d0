"""From the options of the benchmark to what is trained."""

from collections.abc import Sequence

from imil.experiments.refocus.arms import choose_arms
from imil.experiments.refocus.plan import SEEDS, Plan
from imil.experiments.refocus.presets import REPORTED_SHORTCUTS, Size, check_shortcuts, choose_settings

QUICK_SIZE = Size(test=1000)
QUICK_SETTINGS = ("corner", "lung_random")
QUICK_SHORTCUTS = (1.0,)
QUICK_ARMS = ("blackout", "propagate", "counterfactual", "counterfactual_wrong_cells")
QUICK_SEEDS = (0, 1)
"""What a quick trial has, so that it ends within five minutes on two processors."""


def plan_of(
    *,
    quick: bool = False,
    settings: Sequence[str] = (),
    shortcuts: Sequence[float] = (),
    arms: Sequence[str] = (),
    seeds: Sequence[int] = (),
) -> Plan:
    """The plan for what is asked; whatever is left empty has its default, or that of a quick trial.

    Raises:
        NotFound: if there is no such setting or arm.
        BadInput: if a strength or the seeds can't be used.
    """
    return Plan(
        settings=tuple(choose_settings(settings or (QUICK_SETTINGS if quick else ()))),
        arms=tuple(choose_arms(arms or (QUICK_ARMS if quick else ()))),
        shortcuts=check_shortcuts(shortcuts or (QUICK_SHORTCUTS if quick else REPORTED_SHORTCUTS)),
        seeds=tuple(seeds) or (QUICK_SEEDS if quick else SEEDS),
        size=QUICK_SIZE if quick else Size(),
    )
