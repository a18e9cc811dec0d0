"""What a round's answers teach about the whole training set: found once a round, stored, shown, corrected by readers.

An `Insight` is what a learning feedback mode found out (see `imil.training.modes.FeedbackMode.learn`), before anything
is done with it. A reader who looks at it may veto or correct any part: `corrected` gives what training then uses.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from imil.casefeedback import Correction
from imil.errors import BadInput
from imil.grid import Grid

STATE_VERSION = 1


def _nothing() -> npt.NDArray[np.float32]:
    return np.zeros(0, np.float32)


@dataclass(frozen=True)
class Insight:
    """See the module. N training cases, a grid of G x G cells, a map of finds of F x F places over the image.

    Attributes:
        feedback: the setting ``feedback`` it was made for.
        case_ids: the N training cases.
        grid_size: G.
        chosen: float32 (G * G,) in [0, 1], the share of fed-back images in which each cell was called relevant.
        misled: float32 (G * G,) in [0, 1], the share in which it was called misleading.
        cells: the cells that are swapped between all images; empty where no mode does so.
        influence: float32 (G * G,), mean absolute change of the model's log-odds when the cell is swapped for that of
            another image; empty where it wasn't measured.
        finds: uint8 (N, F, F), 1 where something like the marked misleading places was found; of a fed-back image
            where the reader marked it. Empty, (0, 0, 0), where no mode looks for anything.
        scores: float32 (N,) in [0, 1], how sure the finder is of its surest place in each image; may be empty.
        find_influence: float32 (N,), absolute change of the model's log-odds when what was found in an image is swapped
            out; 0 where nothing was found; may be empty.
        notes: sentences for the reader.
        seconds: what finding it out took.
    """

    feedback: str
    case_ids: tuple[str, ...]
    grid_size: int
    chosen: npt.NDArray[np.float32]
    misled: npt.NDArray[np.float32]
    cells: tuple[int, ...] = ()
    influence: npt.NDArray[np.float32] = field(default_factory=_nothing)
    finds: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0, 0), np.uint8))
    scores: npt.NDArray[np.float32] = field(default_factory=_nothing)
    find_influence: npt.NDArray[np.float32] = field(default_factory=_nothing)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def looks(self) -> bool:
        """Whether something was looked for in the images."""
        return len(self.finds) > 0

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        """The images in which something was found, bool (N,)."""
        if not self.looks:
            return np.zeros(len(self.case_ids), np.bool_)
        found: npt.NDArray[np.bool_] = self.finds.any(axis=(1, 2))
        return found

    def of_cases(self, case_ids: Sequence[str]) -> "Insight":
        """What it says about some of the cases, in that order. Raises BadInput if it's silent about one."""
        positions = {case_id: index for index, case_id in enumerate(self.case_ids)}
        try:
            chosen = [positions[case_id] for case_id in case_ids]
        except KeyError as error:
            raise BadInput(f"What was learnt says nothing about {error}.") from None
        parts = {
            name: values[chosen] for name in ("finds", "scores", "find_influence") if len(values := getattr(self, name))
        }
        return replace(self, case_ids=tuple(case_ids), **parts)

    def corrected(self, corrections: Iterable[Correction]) -> "Insight":
        """With a reader's vetoes and corrections, in the order they were made.

        Raises:
            BadInput: if one names an unknown case or cell.
        """
        positions = {case_id: index for index, case_id in enumerate(self.case_ids)}
        cells, finds = set(self.cells), self.finds.copy()
        for correction in corrections:
            if not correction.case_id:
                named = set(self._checked(correction)) & set(self.cells)
                cells = cells - named if correction.action == "veto" else cells | named
                continue
            if correction.case_id not in positions or not self.looks:
                raise BadInput(f"Nothing was looked for in {correction.case_id!r}, so it can't be corrected there.")
            index = positions[correction.case_id]
            finds[index] = self._places(correction, index)
        return replace(self, cells=tuple(sorted(cells)), finds=finds)

    def _checked(self, correction: Correction) -> tuple[int, ...]:
        return Grid.square(self.grid_size, (self.grid_size, self.grid_size)).check_cells(correction.cells)

    def _places(self, correction: Correction, index: int) -> npt.NDArray[np.uint8]:
        """Where the thing is in an image after a correction, (F, F)."""
        side = self.finds.shape[1]
        if correction.action == "veto":
            return np.zeros((side, side), np.uint8)
        if correction.action == "restore":
            return self.finds[index]
        return Grid.square(self.grid_size, (side, side)).mask(self._checked(correction))

    def state_dict(self) -> dict[str, Any]:
        """For `imil.training.checkpoints.save`: tensors and plain values only."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        tensors = {name: torch.from_numpy(value) for name, value in values.items() if isinstance(value, np.ndarray)}
        return {"version": STATE_VERSION, **values, **tensors}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Insight":
        """What `state_dict` gave.

        Raises:
            BadInput: if it's of another version, or lacks something.
        """
        if state.get("version") != STATE_VERSION:
            raise BadInput(f"The insight has version {state.get('version')!r}; this IMIL reads {STATE_VERSION}.")
        try:
            values = {one.name: state[one.name] for one in fields(cls)}
        except KeyError as error:
            raise BadInput(f"The insight lacks {error}; delete its file to have it found out again.") from error
        arrays = {name: value.numpy() for name, value in values.items() if isinstance(value, torch.Tensor)}
        return cls(**(values | arrays))
