"""What an answer must look like."""

import math
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from imil.errors import BadInput
from imil.grid import Grid
from imil.store import Action, Answer

MAX_NAME = 100
"""Longest name of a reader, in characters."""
MAX_RATIONALE = 2000
"""Longest rationale, in characters."""
MAX_SECONDS = 86_400
"""Longest time on one case: a day."""


def check_reader(name: str) -> str:
    """The reader's name without surrounding blanks.

    Raises:
        BadInput: if it's empty, longer than `MAX_NAME`, or holds a control character.
    """
    if not isinstance(name, str) or not name.strip():
        raise BadInput(f"The reader's name is {name!r}; an answer needs one, of 1 to {MAX_NAME} characters.")
    name = unicodedata.normalize("NFC", name.strip())
    if len(name) > MAX_NAME:
        raise BadInput(f"The reader's name has {len(name)} characters; at most {MAX_NAME} are allowed.")
    if not name.isprintable():
        raise BadInput(f"The reader's name {name!r} holds a control character; use letters, digits and signs only.")
    return name


def check_form(answer: Answer) -> Answer:
    """The answer with its parts in their one form, as far as they can be judged without the run.

    Raises:
        BadInput: if the reader, action, key, rationale, seconds or new label can't be.
    """
    if answer.action not in set(Action):
        raise BadInput(f"There is no action {answer.action!r}; the actions are {', '.join(Action)}.")
    action = Action(answer.action)
    if bool(answer.new_label) != (action is Action.RELABEL):
        problem = "needs a new_label" if action is Action.RELABEL else f"takes no new_label ({answer.new_label!r})"
        raise BadInput(f"The action {action} {problem}; new_label goes with relabel only.")
    _check_rationale(answer.rationale)
    seconds = answer.seconds
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SECONDS:
        raise BadInput(f"The seconds are {seconds!r}; a number from 0 to {MAX_SECONDS} (a day) is allowed.")
    if not math.isfinite(seconds):
        raise BadInput(f"The seconds are {seconds!r}; a finite number is needed.")
    return replace(answer, reader=check_reader(answer.reader), action=action, key=check_key(answer.key))


def check_cells(answer: Answer, mask: npt.NDArray[np.uint8] | None, grid: Grid) -> Answer:
    """The answer with its cells sorted; taken from the mask where the answer lists none.

    Args:
        answer: an answer of the right form.
        mask: uint8 of the grid's (height, width): 1 matters, 2 misled the model; or None if the caller has none.
        grid: the run's grid over this image.

    Raises:
        BadInput: if a cell doesn't exist or is marked twice, the mask isn't one of whole cells or disagrees with the
            cells, or the action needs other cells.
    """
    cells, misleading = grid.check_cells(answer.cells), grid.check_cells(answer.misleading)
    expected = grid.mask(cells, misleading)  # refuses a cell that is marked both ways
    if mask is not None:
        drawn = grid.cells_of(mask)
        if not cells and not misleading:
            cells, misleading = drawn
        elif not np.array_equal(mask, expected):
            raise BadInput(
                f"The mask and the cells disagree: the mask shows {_cells(*drawn)}, the answer lists "
                f"{_cells(cells, misleading)}; send both for the same cells."
            )
    if answer.action is Action.GRID and not cells:
        raise BadInput("The action grid needs at least one cell that matters; to say nothing about a case, use skip.")
    if answer.action is Action.UNDO and (cells or misleading):
        raise BadInput(f"The action undo takes no cells, but lists {_cells(cells, misleading)}.")
    return replace(answer, cells=cells, misleading=misleading)


def _check_rationale(rationale: str) -> None:
    if len(rationale) > MAX_RATIONALE:
        raise BadInput(f"The rationale has {len(rationale)} characters; at most {MAX_RATIONALE} are allowed.")
    # No database takes a NUL or half of a surrogate pair as text.
    bad = next((sign for sign in rationale if sign == "\0" or "\ud800" <= sign <= "\udfff"), "")
    if bad:
        raise BadInput(f"The rationale holds the character {bad!r}, which isn't text; leave it out.")


def check_key(key: str) -> str:
    """The key in its one form. Raises BadInput if it isn't a UUID."""
    try:
        return str(uuid.UUID(key))
    except (ValueError, AttributeError, TypeError):
        raise BadInput(f"The key {key!r} isn't a UUID; make a new one for each answer (uuid4).") from None


def _cells(cells: Sequence[int], misleading: Sequence[int]) -> str:
    text = f"cells {list(cells)}"
    return f"{text} and misleading {list(misleading)}" if misleading else text
