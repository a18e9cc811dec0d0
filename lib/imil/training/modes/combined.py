"""Modes by name, alone or several at once: ``propagate``, ``propagate+counterfactual``."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from imil.errors import BadInput, NotFound
from imil.settings import FEEDBACK, RunSettings, mode_names
from imil.training.batches import Batch
from imil.training.draws import Draws
from imil.training.edits import IMAGE_EDITS
from imil.training.insight import Insight
from imil.training.modes.base import MODES, FeedbackMode, FeedbackView
from imil.training.modes.fromedit import mode_of_edit
from imil.training.modes.renormalising import renormalise
from imil.training.modes.rewinding import rewind


def mode_classes(feedback: str) -> list[type[FeedbackMode]]:
    """The classes that the setting ``feedback`` names, in its order.

    Raises:
        NotFound: if there is no mode of one of the names.
    """
    return [_mode_class(name) for name in mode_names(feedback)]


def _mode_class(name: str) -> type[FeedbackMode]:
    if name in MODES:
        return MODES[name]
    if name in IMAGE_EDITS:
        return mode_of_edit(name)
    known = ", ".join(dict.fromkeys([*FEEDBACK, *MODES, *IMAGE_EDITS]))
    raise NotFound(f"There is no feedback mode {name!r}; the modes are {known}; several are joined by +.")


class CombinedMode:
    """All modes of a setting at once, as one.

    Images are edited by one after the other, penalties are added up. See `FeedbackMode` for the methods.

    Args:
        modes: classes, see `mode_classes`.

    Raises:
        BadInput: if a mode learns and there is no insight.
    """

    def __init__(
        self,
        modes: Sequence[type[FeedbackMode]],
        view: FeedbackView,
        settings: RunSettings,
        insight: Insight | None = None,
    ) -> None:
        if insight is None and any(mode.learns for mode in modes):
            raise BadInput(f"The feedback mode {settings.feedback} needs what was learnt from the round's answers.")
        self._rewind = settings.rewind if any(mode.rewinds for mode in modes) else 0.0
        self._modes = [mode(view, settings, insight) for mode in modes]

    def begin(self, network: nn.Module, start: Callable[[], nn.Module], images: Iterable[Tensor]) -> None:
        """Called once after a round, before the epoch that follows: rewind the network if a mode wants that.

        Args:
            network: what is trained; changed in place.
            start: gives the network as it was before the first epoch.
            images: the un-edited training images, normalised, batch by batch.
        """
        if self._rewind:
            rewind(network, start(), self._rewind)
            # The old ones fade only after some epochs, and the network is evaluated after each.
            renormalise(network, images)

    def edit(self, draws: Draws, random: np.random.Generator) -> Draws:
        """The draws, edited by each mode in turn."""
        for mode in self._modes:
            draws = mode.edit(draws, random)
        return draws

    def penalty(self, network: nn.Module, batch: Batch) -> Tensor | None:
        """The sum of all penalties; None if there is none."""
        penalties = [penalty for mode in self._modes if (penalty := mode.penalty(network, batch)) is not None]
        return None if not penalties else sum(penalties[1:], penalties[0])

    def finish(self, network: nn.Module, images: Iterable[Tensor]) -> None:
        """Let each mode end its work."""
        for mode in self._modes:
            mode.finish(network, images)


def learn(
    modes: Sequence[type[FeedbackMode]], view: FeedbackView, network: nn.Module, settings: RunSettings, seed: int
) -> dict[str, Any]:
    """What all learning modes together find out; see `FeedbackMode.learn`."""
    found: dict[str, Any] = {}
    for mode in modes:
        for name, value in mode.learn(view, network, settings, seed).items():
            # Sentences and seconds add up; everything else belongs to one mode alone.
            found[name] = found[name] + value if name in ("notes", "seconds") and name in found else value
    return found
