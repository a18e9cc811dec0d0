"""The order in which arms are shown, and under which headings."""

from collections.abc import Sequence
from dataclasses import dataclass

from imil.experiments.arms import Arm, Group
from imil.experiments.results import Outcome

GROUP_TITLES: dict[Group, str] = {
    "baseline": "Baseline",
    "augmentation": "Augmentations",
    "imil": "IMIL",
    "readers": "Readers",
    "control": "Controls",
}
"""In the order of the tables."""
SIDE_BY_SIDE: tuple[Group, ...] = ("baseline", "augmentation", "imil")
"""What the paper's Figure 4 compares."""


@dataclass(frozen=True)
class Section:
    """Arms under one heading: those of a group or, where IMIL has several levels, a level with its controls.

    Attributes:
        level: what the titles of a level's arms end in, e.g. ``, 10 images``; empty for a group.
    """

    title: str
    group: Group
    arms: list[Arm]
    level: str = ""

    def short(self, arm: Arm) -> str:
        """The arm's title without what the heading says already."""
        return arm.title.removesuffix(self.level)


def sections(arms: Sequence[Arm]) -> list[Section]:
    """All arms, each once, in the order of the tables."""
    levels = [arm for arm in arms if arm.group == "imil"]
    if len(levels) < 2:
        return _by_group(arms)
    found, taken = [], set()
    for level in levels:
        ending = level_of(level, arms)
        own = [level, *(arm for arm in arms if arm.group == "control" and level_of(arm, arms) == ending)]
        taken |= {arm.name for arm in own}
        found.append(Section(level.title, "imil", own, level.title.removeprefix("IMIL")))
    rest = _by_group([arm for arm in arms if arm.name not in taken])
    before = [section for section in rest if section.group in SIDE_BY_SIDE]
    return [*before, *found, *(section for section in rest if section not in before)]


def level_of(arm: Arm, arms: Sequence[Arm]) -> str:
    """The ending that an arm's name shares with its IMIL arm, e.g. ``_10`` in ``random_cells_10``; may be empty."""
    endings = [other.name.removeprefix("imil") for other in arms if other.group == "imil"]
    return max((ending for ending in endings if arm.name.endswith(ending)), key=len, default="")


def main_arm(arms: Sequence[Arm]) -> Arm | None:
    """The IMIL arm that stands for the method where only one is shown: ``imil``, or the first."""
    found = [arm for arm in arms if arm.group == "imil"]
    return next((arm for arm in found if arm.name == "imil"), found[0] if found else None)


def present(outcome: Outcome) -> list[Arm]:
    """The arms with results."""
    return [arm for arm in outcome.arms if outcome.results.get(arm.name)]


def side_by_side(outcome: Outcome) -> list[Arm]:
    """Baselines, augmentations and IMIL: what the paper shows beside one another."""
    arms = [arm for arm in present(outcome) if arm.group in SIDE_BY_SIDE]
    return sorted(arms, key=lambda arm: SIDE_BY_SIDE.index(arm.group))


def _by_group(arms: Sequence[Arm]) -> list[Section]:
    found = [
        Section(title, group, [arm for arm in arms if arm.group == group]) for group, title in GROUP_TITLES.items()
    ]
    return [section for section in found if section.arms]
