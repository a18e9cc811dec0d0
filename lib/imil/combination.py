"""How several readers' answers become one piece of feedback for each case.

What happens to a case (its image is changed, it's excluded, it gets this or that new label) is what most of its readers
chose; of equal numbers, what was chosen first. Its cells are those of the readers who chose that, combined by one of:

| method         | a cell counts if                                                                                |
|----------------|-------------------------------------------------------------------------------------------------|
| `union`        | any of them chose it                                                                            |
| `intersection` | all of them chose it                                                                            |
| `majority`     | at least half of them chose it: what half of the readers want to keep isn't blacked out         |
| `staple`       | one of them chose it, and STAPLE finds it at least as probable as not, see `imil.staple`        |

Cells that misled the model are combined by the same rule, less those that matter.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, get_args

import numpy as np
import numpy.typing as npt

from imil.casefeedback import CaseFeedback, FeedbackAction
from imil.errors import BadInput
from imil.settings import Combine
from imil.staple import staple

BoolArray = npt.NDArray[np.bool_]


class Reply(Protocol):
    """One reader's answer to one case; `imil.store.Event` is one.

    ``action`` is ``grid``, ``relabel``, ``exclude`` or ``skip``; ``cells`` matter, ``misleading`` misled the model
    (numbers as in `imil.grid`); ``new_label`` goes with ``relabel``.
    """

    @property
    def case_id(self) -> str: ...
    @property
    def reader(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def grid_size(self) -> int: ...
    @property
    def cells(self) -> tuple[int, ...]: ...
    @property
    def misleading(self) -> tuple[int, ...]: ...
    @property
    def new_label(self) -> str: ...


@dataclass(frozen=True)
class Combination:
    """What the answers of one round come to.

    Attributes:
        method: how cells were combined.
        feedback: by case id, in the order of the ids.
        without_cells: cases whose readers chose cells, of which the method left none that matters. There's nothing to
            show in them, so they train on as they were.
    """

    method: Combine
    feedback: dict[str, CaseFeedback]
    without_cells: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """A sentence about the cases without cells; empty if there are none."""
        if not self.without_cells:
            return ""
        count = len(self.without_cells)
        cases = "1 case trains" if count == 1 else f"{count} cases train"
        return (
            f"{cases} on unchanged, because combine={self.method} leaves none of the cells that their readers chose: "
            f"{', '.join(self.without_cells)}."
        )


@dataclass(frozen=True)
class _Vote:
    """The decision about one case, and the answers of those who made it."""

    action: FeedbackAction
    new_label: str
    answers: tuple[Reply, ...]


def combine_round(answers: Sequence[Reply], method: Combine = "union") -> dict[str, CaseFeedback]:
    """By case id, in the order of the ids, one piece of feedback for each case that the answers change.

    Args:
        answers: those in effect in one round, the oldest first; one for each case and reader.
        method: see the top of this module.

    Raises:
        BadInput: for an unknown method or action, two answers of one reader to a case, or a cell outside of the grid.
    """
    return combine_answers(answers, method).feedback


def combine_answers(answers: Sequence[Reply], method: Combine = "union") -> Combination:
    """As `combine_round`, with the cases that the method leaves without cells."""
    if method not in get_args(Combine):
        raise BadInput(f"There is no way to combine cells {method!r}; allowed are {', '.join(get_args(Combine))}.")
    votes = {case: _vote(said) for case, said in sorted(_by_case(answers).items())}
    relevant, misleading = _combined(votes, method)
    feedback: dict[str, CaseFeedback] = {}
    without: list[str] = []
    for case_id, vote in votes.items():
        if vote is None:
            continue
        if vote.action == "exclude":
            feedback[case_id] = CaseFeedback(case_id, "exclude")
            continue
        cells = relevant[case_id]
        if vote.action == "grid" and not cells:
            without.append(case_id)
            continue
        wrong = misleading[case_id] - cells
        size = vote.answers[0].grid_size
        feedback[case_id] = CaseFeedback(
            case_id, vote.action, size, tuple(sorted(cells)), tuple(sorted(wrong)), vote.new_label
        )
    return Combination(method, feedback, tuple(without))


def _by_case(answers: Sequence[Reply]) -> dict[str, list[Reply]]:
    by_case: dict[str, list[Reply]] = defaultdict(list)
    for answer in answers:
        if any(other.reader == answer.reader for other in by_case[answer.case_id]):
            raise BadInput(
                f"There are two answers of {answer.reader!r} to {answer.case_id!r}; pass the one that is in effect."
            )
        by_case[answer.case_id].append(answer)
    return by_case


def _vote(answers: Sequence[Reply]) -> _Vote | None:
    """What most readers chose, of equal numbers what was chosen first; None if all skipped the case."""
    said = [answer for answer in answers if answer.action != "skip"]
    if not said:
        return None
    counts = Counter((answer.action, answer.new_label) for answer in said)
    # Of equal counts, max returns the first, and a Counter keeps the order in which its keys came.
    choice = max(counts, key=counts.__getitem__)
    chosen = tuple(answer for answer in said if (answer.action, answer.new_label) == choice)
    for action in get_args(FeedbackAction):
        if choice[0] == action:
            return _Vote(action, choice[1], chosen)
    raise BadInput(
        f"The action {str(choice[0])!r} of {answers[0].case_id!r} can't be combined; known are grid, relabel, exclude "
        "and skip."
    )


def _combined(votes: dict[str, _Vote | None], method: Combine) -> tuple[dict[str, set[int]], dict[str, set[int]]]:
    """By case id, the cells that matter and those that misled the model."""
    # STAPLE compares the same readers over cases, so cases go together by who decided, and what.
    groups: dict[tuple[FeedbackAction, int, tuple[str, ...]], list[str]] = defaultdict(list)
    for case_id, vote in votes.items():
        if vote is not None and vote.action != "exclude":
            readers = tuple(sorted(answer.reader for answer in vote.answers))
            groups[vote.action, vote.answers[0].grid_size, readers].append(case_id)
    relevant: dict[str, set[int]] = {}
    misleading: dict[str, set[int]] = {}
    for (_, size, readers), cases in groups.items():
        said = np.zeros((2, len(readers), len(cases), size * size), np.bool_)
        for column, case_id in enumerate(cases):
            vote = votes[case_id]
            assert vote is not None
            for answer in vote.answers:
                row = readers.index(answer.reader)
                said[0, row, column, _checked(answer, answer.cells)] = True
                said[1, row, column, _checked(answer, answer.misleading)] = True
        for found, cells in ((relevant, _chosen(said[0], method)), (misleading, _chosen(said[1], method))):
            found.update(
                {case_id: set(np.flatnonzero(row).tolist()) for case_id, row in zip(cases, cells, strict=True)}
            )
    return relevant, misleading


def _checked(answer: Reply, cells: Sequence[int]) -> list[int]:
    for cell in cells:
        if not 0 <= cell < answer.grid_size**2:
            raise BadInput(
                f"{answer.reader!r} chose cell {cell} of {answer.case_id!r}, whose grid is {answer.grid_size} x "
                f"{answer.grid_size}; its cells are 0 to {answer.grid_size**2 - 1}."
            )
    return list(cells)


def _chosen(said: BoolArray, method: Combine) -> BoolArray:
    """Of what the readers said, bool (readers, cases, cells), the cells that count, bool (cases, cells)."""
    if method == "staple":
        return (staple(said) >= 0.5) & said.any(axis=0)  # a cell that nobody chose never counts
    votes = said.sum(axis=0)
    needed = {"union": 1.0, "intersection": float(len(said)), "majority": max(1.0, len(said) / 2)}[method]
    chosen: BoolArray = votes >= needed
    return chosen
