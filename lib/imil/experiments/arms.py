"""The arms of the experiments: what is trained, and what it's compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Group = Literal["baseline", "augmentation", "imil", "readers", "control"]
Cells = Literal["chosen", "random", "opposite"]

MAIN = "main"
"""The experiment's own reader, or all of its recorded readers together."""
PANEL = "panel"
"""All single readers together; the arm's setting ``combine`` says how."""


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
        asks: who gives feedback: nobody (empty), `MAIN`, `PANEL`, or the name of a single reader's arm (``reader_1``).
        cells: the cells that the reader chose, as many random ones, or exactly those not chosen.
        from_start: trained from the first epoch with its own settings, instead of from the shared weights.
        repeats: nobody is asked, but each epoch after the round has as many further draws as drawing the queued cases
            this often would add; 0 or 1: none.
    """

    name: str
    title: str
    group: Group
    description: str
    versus: str = "baseline"
    settings: Mapping[str, Any] = field(default_factory=dict)
    asks: str = ""
    cells: Cells = "chosen"
    from_start: bool = False
    repeats: int = 0
