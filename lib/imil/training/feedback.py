"""What readers have said, laid on one set of training data, with the mode that makes use of it."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput
from imil.settings import RunSettings
from imil.training.batches import LEARNING_STREAM, TrainingData, epoch_seed
from imil.training.insight import Insight
from imil.training.modes import CombinedMode, FeedbackView, learn, mode_classes


class AppliedFeedback:
    """Feedback laid on training data.

    Args:
        feedback: by case id, what holds now.
        data: the training data.
        classes: class names.
        settings: the run's; ``feedback`` names the mode.
        mean, std: normalisation of pixels in [0, 1].
        device: where images go.

    Attributes:
        view: the data as it's trained with, for a mode.
        labels: int64 (N,), the labels to train with: the data's own, or a reader's new one.
        kept: bool (N,), False for excluded cases.
        fed_back: int64 (F,), the positions of the cases with grid cells, rising.
        counts: how many cases are changed in each way: ``grid``, ``relabel``, ``exclude``.
        repeat: how often a fed-back case is drawn in an epoch; ``balanced``: whether its further draws take turns
            between the classes.

    Raises:
        BadInput: if feedback names an unknown case, class or action, has impossible cells, or excludes every case.
        NotFound: if there is no such mode.
    """

    def __init__(
        self,
        feedback: Mapping[str, CaseFeedback],
        data: TrainingData,
        classes: Sequence[str],
        settings: RunSettings,
        *,
        mean: float = 0.0,
        std: float = 1.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.settings = settings
        self.counts = {"grid": 0, "relabel": 0, "exclude": 0}
        self.labels: npt.NDArray[np.int64] = data.labels.copy()
        self.kept: npt.NDArray[np.bool_] = np.ones(len(data), np.bool_)
        self._cases: dict[int, CaseFeedback] = {}
        self._classes = list(classes)
        positions = {case_id: index for index, case_id in enumerate(data.ids)}
        for case in feedback.values():
            if case.case_id not in positions:
                raise BadInput(f"There is feedback on {case.case_id!r}, which isn't in the training data.")
            self._add(positions[case.case_id], case)
        if not self.kept.any():
            raise BadInput(f"The feedback excludes all {len(data)} training cases; at least one must stay.")
        self.view = FeedbackView(
            data, self.labels, self.kept, self._cases, tuple(classes), mean, std, torch.device(device)
        )
        for index in self._cases:
            self.view.masks(index)  # refuses impossible cells before training starts rather than in its middle
        self._modes = mode_classes(settings.feedback)
        self.repeat = settings.feedback_repeat or max(mode.repeat for mode in self._modes)
        self.balanced = any(mode.balanced for mode in self._modes)
        self._mode: CombinedMode | None = None

    @property
    def fed_back(self) -> npt.NDArray[np.int64]:
        """See the class."""
        return self.view.fed_back

    @property
    def learns(self) -> bool:
        """Whether something is to be learnt from the answers before they are used: there are any, and the mode does."""
        return bool(self._cases) and any(mode.learns for mode in self._modes)

    @property
    def mode(self) -> CombinedMode | None:
        """What changes training; None if no case has cells.

        Raises:
            BadInput: if `use` must be called first.
        """
        if self._mode is None and self._cases:
            self.use(None)
        return self._mode

    def learn(self, network: nn.Module, epoch: int) -> Insight:
        """What the answers teach about the whole training set, by the network as it was when the round was opened.

        Raises:
            BadInput: if there is nothing to learn from; the sentence says what the reader could do.
        """
        seed = epoch_seed(self.settings.seed, epoch, LEARNING_STREAM)
        sizes = sorted({case.grid_size for case in self._cases.values()})
        if len(sizes) != 1:
            raise BadInput(f"The answers have grids of {', '.join(map(str, sizes))} cells a side; one size is needed.")
        chosen, misled = self._shares(sizes[0])
        found = learn(self._modes, self.view, network, self.settings, seed)
        return Insight(self.settings.feedback, self.view.data.ids, sizes[0], chosen, misled, **found)

    def use(self, insight: Insight | None) -> None:
        """Make the mode ready, with what was learnt.

        Raises:
            BadInput: if the mode learns and there is no insight, or it's about other data.
        """
        if insight is not None and insight.case_ids != self.view.data.ids:
            raise BadInput("What was learnt is about other training cases than these.")
        self._mode = CombinedMode(self._modes, self.view, self.settings, insight)

    def _shares(self, size: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """For each cell the share of fed-back images in which it was called relevant, and misleading."""
        shares = np.zeros((2, size * size), np.float32)
        for case in self._cases.values():
            shares[0, list(case.cells)] += 1
            shares[1, list(case.misleading)] += 1
        shares /= len(self._cases)
        return shares[0], shares[1]

    def _add(self, index: int, case: CaseFeedback) -> None:
        if case.action not in self.counts:
            raise BadInput(
                f"The action {case.action!r} of {case.case_id!r} changes no case; known are grid, relabel, exclude."
            )
        if case.action == "relabel":
            if case.new_label not in self._classes:
                raise BadInput(
                    f"The new label {case.new_label!r} of {case.case_id!r} isn't a class; there are "
                    f"{', '.join(self._classes)}."
                )
            self.labels[index] = self._classes.index(case.new_label)
        elif case.action == "exclude":
            self.kept[index] = False
        else:
            self._cases[index] = case
        self.counts[case.action] += 1
