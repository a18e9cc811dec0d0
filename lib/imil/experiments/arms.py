"""The arms of the experiments: what is trained, and what it's compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Group = Literal["baseline", "augmentation", "imil", "readers", "control"]


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        name: lower-case letters, digits and underscores; also names files.
        title: as it stands in tables.
        group: what it is for.
        description: what is done, in a sentence.
        versus: name of the arm it is compared with; empty for a baseline.
        settings: what differs from the experiment's settings.
    """

    name: str
    title: str
    group: Group
    description: str
    versus: str = "baseline"
    settings: Mapping[str, Any] = field(default_factory=dict)
