import math
import uuid
from dataclasses import replace

import numpy as np
import pytest

from imil.answers import check_cells, check_form, check_reader
from imil.errors import BadInput
from imil.grid import Grid
from imil.store import Action, Answer

GRID = Grid.square(4, (10, 13))
PLAIN = Answer("a.png", 1, 1, "ann", Action.GRID, cells=(1,), key="6f1c1e3e-8b0e-4f3b-9a63-0d8a1f0f9c11")


@pytest.mark.parametrize(("given_name", "kept"), [(" ann ", "ann"), ("Dr. Ann-Marie O'Hara", "Dr. Ann-Marie O'Hara")])
def test_a_reader_has_a_name(given_name: str, kept: str) -> None:
    assert check_reader(given_name) == kept


@pytest.mark.parametrize("name", ["", "   ", "\t", "a" * 101, "ann\nbob", "a\x00", "\ud800", None, 7])
def test_a_reader_without_a_proper_name_is_refused(name: object) -> None:
    with pytest.raises(BadInput, match="reader's name"):
        check_reader(name)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"action": "burn"}, "no action 'burn'; the actions are grid, skip, relabel, exclude, undo"),
        ({"key": ""}, "isn't a UUID"),
        ({"key": "1234"}, "isn't a UUID"),
        ({"key": None}, "isn't a UUID"),
        ({"rationale": "a" * 2001}, "2001 characters; at most 2000"),
        ({"rationale": "a\x00b"}, "isn't text"),
        ({"rationale": "\ud800"}, "isn't text"),
        ({"seconds": -1}, "from 0 to 86400"),
        ({"seconds": 86_401}, "from 0 to 86400"),
        ({"seconds": math.nan}, "from 0 to 86400"),
        ({"seconds": math.inf}, "from 0 to 86400"),
        ({"seconds": "5"}, "from 0 to 86400"),
        ({"seconds": True}, "from 0 to 86400"),
        ({"new_label": "tb"}, "grid takes no new_label"),
        ({"action": "relabel"}, "relabel needs a new_label"),
        ({"reader": " "}, "reader's name"),
    ],
)
def test_an_answer_of_the_wrong_form_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        check_form(replace(PLAIN, **changes))


def test_an_answer_gets_its_one_form() -> None:
    key = uuid.uuid4()
    found = check_form(replace(PLAIN, reader=" ann ", action="grid", key=key.hex.upper()))
    assert (found.reader, found.action, found.key) == ("ann", Action.GRID, str(key))


def test_cells_come_from_the_answer_or_the_mask() -> None:
    sent = replace(PLAIN, cells=(5, 1, 5), misleading=(2,))
    mask = GRID.mask((1, 5), (2,))
    for found in (
        check_cells(sent, None, GRID),
        check_cells(sent, mask, GRID),
        check_cells(replace(PLAIN, cells=()), mask, GRID),
    ):
        assert (found.cells, found.misleading) == ((1, 5), (2,))


@pytest.mark.parametrize(
    ("changes", "mask", "reason"),
    [
        ({"cells": (16,)}, None, "Cell 16 doesn't exist"),
        ({"cells": (-1,)}, None, "Cell -1 doesn't exist"),
        ({"cells": (1.5,)}, None, "isn't a whole number"),
        ({"cells": (1,), "misleading": (1,)}, None, "both as relevant and as misleading"),
        ({"cells": ()}, None, "at least one cell that matters"),
        ({"cells": (), "misleading": (3,)}, None, "at least one cell that matters"),
        ({"cells": ()}, GRID.mask(()), "at least one cell that matters"),
        ({"cells": (1,)}, GRID.mask((2,)), r"mask shows cells \[2\], the answer lists cells \[1\]"),
        ({"cells": (1,)}, GRID.mask(()), r"mask shows cells \[\], the answer lists cells \[1\]"),
        ({"cells": (1,)}, GRID.mask((1,), (2,)), r"misleading \[2\]"),
        ({"cells": (1,)}, np.zeros((13, 10), np.uint8), "mask is 13 x 10 pixels"),
        ({"cells": (1,)}, np.full((10, 13), 3, np.uint8), "value 3"),
        ({"cells": (1,)}, np.eye(10, 13, dtype=np.uint8), "only in part"),
        ({"action": Action.UNDO}, None, "undo takes no cells"),
    ],
)
def test_impossible_cells_are_refused(changes: dict[str, object], mask: np.ndarray | None, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        check_cells(replace(PLAIN, **changes), mask, GRID)


@pytest.mark.parametrize("action", [Action.SKIP, Action.EXCLUDE, Action.RELABEL])
def test_other_actions_may_come_with_cells_or_without(action: Action) -> None:
    assert check_cells(replace(PLAIN, action=action, cells=()), GRID.mask(()), GRID).cells == ()
    assert check_cells(replace(PLAIN, action=action), None, GRID).cells == (1,)
