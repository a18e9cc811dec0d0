"""What one arm with one seed came to, and its file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from imil.errors import BadInput
from imil.experiments.refocus.measures import Measures
from imil.files import write_text


@dataclass(frozen=True)
class ArmResult:
    """One training.

    Attributes:
        setting, shortcut, arm, seed: which one; ``shortcut`` is None where it doesn't apply.
        measures: see `imil.experiments.refocus.measures.measure`.
        finder: see `imil.experiments.refocus.measures.finder_quality`; empty where no finder was at work.
        fed_back: number of images with feedback that was used.
        misleading: number of these in which a cell was called misleading.
        refused: why the mode couldn't learn from the answers, as a sentence; training then went on without feedback.
        steps: optimizer steps in all, the shared part of the training included.
        seconds: of this arm's own part, with what was learnt at the round; ``learning`` is what that took.
        weights_sha256: of the trained weights.
    """

    setting: str
    shortcut: float | None
    arm: str
    seed: int
    measures: Measures
    finder: Measures = field(default_factory=dict)
    fed_back: int = 0
    misleading: int = 0
    refused: str = ""
    steps: int = 0
    seconds: float = 0.0
    learning: float = 0.0
    weights_sha256: str = ""


def write_result(path: Path, result: ArmResult) -> None:
    """Write one result, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(asdict(result), indent=2, allow_nan=False) + "\n")


def read_result(path: Path) -> ArmResult:
    """Read one result.

    Raises:
        BadInput: if the file is damaged.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, Mapping):
            raise TypeError("it isn't a JSON object")
        result = ArmResult(**found)
        if not isinstance(result.measures["accuracy"], float):
            raise TypeError("it has no accuracy")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(f"The result {path} is damaged ({error}); delete it to have it made again.") from error
    return result
