"""A reader's correction of what a round taught, as it comes over HTTP."""

import uuid
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from imil.casefeedback import CorrectionAction
from imil.errors import BadInput
from imil.store import InsightCorrection

_OTHERS = frozenset({"client_id", "strategy", "user"})
"""The reader's name, and what MONAI Label's own clients and server add."""


class CorrectionParams(BaseModel):
    """What ``POST /activelearning/imil_insight`` may hold beside ``client_id``.

    Attributes:
        run: the run and ``round`` of the insight.
        action: veto, correct or restore.
        image: the image it's about; empty for cells that are swapped in all images.
        cells: where the thing is, for correct; without an image, the cells that are meant.
        key: the client's own UUID for it; without one, a repeated request can't be recognised as such.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    run: int
    round: int
    action: str
    image: str = ""
    cells: list[int] = []
    key: str = ""


def correction_of(request: dict[str, Any], reader: str) -> InsightCorrection | None:
    """The correction in a request; None if it only asks for the insight.

    Raises:
        BadInput: one sentence with the first thing that's wrong.
    """
    fields = {name: value for name, value in request.items() if name not in _OTHERS}
    if not fields:
        return None
    try:
        sent = CorrectionParams(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            names = ", ".join(CorrectionParams.model_fields)
            raise BadInput(f"The request holds an unknown field {name!r}; the fields are {names}.") from None
        if first["type"] == "missing":
            raise BadInput(f"The request lacks {name!r}, which a correction of the insight needs.") from None
        reason = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
        raise BadInput(f"The field {name} can't be {first['input']!r}: {reason}.") from None
    return InsightCorrection(
        action=cast(CorrectionAction, sent.action),
        case_id=sent.image,
        cells=tuple(sent.cells),
        run=sent.run,
        round=sent.round,
        reader=reader,
        key=sent.key or str(uuid.uuid4()),
    )
