"""A reader's answer as it comes over HTTP: the params and the mask of ``PUT /datastore/label``."""

import uuid
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from imil import images
from imil.errors import BadInput
from imil.store import Action, Answer

_STOCK_FIELDS = frozenset({"user", "label_info"})
"""What MONAI Label's own clients and server add; it means nothing here."""


class AnswerParams(BaseModel):
    """The object in the form field ``params``.

    Attributes:
        client_id: the reader's name.
        run: the run and ``round`` that the case was handed out in.
        action: grid, skip, relabel, exclude or undo.
        cells: cells that matter; ``misleading`` those that misled the model. Without either, the mask says which.
        new_label: the right class, for relabel.
        seconds: the reader's time on the case.
        key: the client's own UUID for this answer; without one, a repeated request can't be recognised as such.
        replace: replace this reader's earlier answer to the case.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    client_id: str
    run: int
    round: int
    action: str = Action.GRID.value
    cells: list[int] = []
    misleading: list[int] = []
    new_label: str = ""
    rationale: str = ""
    seconds: float = 0.0
    key: str = ""
    replace: bool = False

    @classmethod
    def parse(cls, params: dict[str, Any]) -> "AnswerParams":
        """The params, checked for names and types.

        Raises:
            BadInput: one sentence with the first thing that's wrong.
        """
        known = {name: value for name, value in params.items() if name not in _STOCK_FIELDS}
        if not known.get("client_id"):
            raise BadInput("The params don't name the reader; put your name into client_id.")
        try:
            return cls(**known)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            if first["type"] == "extra_forbidden":
                names = ", ".join(cls.model_fields)
                raise BadInput(f"The params hold an unknown field {name!r}; the fields are {names}.") from None
            if first["type"] == "missing":
                raise BadInput(
                    f"The params lack {name!r}; send the {name} that the case was handed out with."
                ) from None
            reason = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
            raise BadInput(f"The params' field {name} can't be {first['input']!r}: {reason}.") from None

    def answer(self, image_id: str) -> Answer:
        """The answer to one image, as `imil.rounds.Rounds.submit` takes and checks it."""
        return Answer(
            case_id=image_id,
            run=self.run,
            round=self.round,
            reader=self.client_id,
            action=cast(Action, self.action),
            cells=tuple(self.cells),
            misleading=tuple(self.misleading),
            new_label=self.new_label,
            rationale=self.rationale,
            seconds=self.seconds,
            key=self.key or str(uuid.uuid4()),
            replace=self.replace,
        )


def read_answer_mask(path: Path, size: tuple[int, int], action: str) -> npt.NDArray[np.uint8] | None:
    """The mask, or None where the file is empty and the action needs none.

    Raises:
        BadInput: if it can't be read, has another size than the image, or is missing from a grid answer.
    """
    if path.stat().st_size == 0:
        if action == Action.GRID:
            raise BadInput("The label file is empty; an answer with the action 'grid' needs its mask.")
        return None
    return images.read_mask(path, size, name="label")
