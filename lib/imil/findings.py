"""What a round's answers taught, as readers and clients get it: JSON values and sentences. Knows no torch.

`imil.insights` makes the summary that is kept in the store when a round was learnt from; here it's told as it stands
after the readers' corrections.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from imil.casefeedback import Correction, CorrectionAction
from imil.errors import BadInput
from imil.findingwords import sentences
from imil.grid import Grid
from imil.store import InsightRecord, RecordedCorrection

LabelOf = Callable[[str], str]
"""The class that an image is trained as, by its id."""


def described(
    record: InsightRecord, corrections: Sequence[RecordedCorrection], label_of: LabelOf, *, is_open: bool
) -> dict[str, Any]:
    """The insight as it stands, as JSON values; docs/reference/rest.md has the fields.

    Args:
        record: what was learnt.
        corrections: all corrections of it, in the order they came.
        label_of: asked for images in which nothing was found, but a reader says that there is something.
        is_open: whether it can be corrected now.
    """
    summary = record.summary
    standing = stands(summary, corrections)
    images = _images(summary, standing, label_of)
    facts: dict[str, Any] = {
        "run": record.run,
        "round": record.round,
        "insight": record.id,
        "feedback": record.feedback,
        "open": is_open,
        "time": record.time.isoformat(timespec="seconds"),
        "seconds": record.seconds,
        "grid_size": summary["grid_size"],
        "grid_cells_swapped": [cell for cell in summary["cells_swapped"] if cell not in standing.vetoed_cells],
        "grid_cells_vetoed": sorted(standing.vetoed_cells),
        "cells": summary["cells"],
        "looks": summary["looks"],
        "classes": _classes(summary, images),
        "heat_in": summary["heat_in"],
        "images": images,
        "corrections": [_correction(entry) for entry in corrections],
        "notes": summary["notes"],
    }
    return facts | {"sentences": sentences(facts)}


@dataclass(frozen=True)
class Standing:
    """What readers' corrections come to.

    Attributes:
        vetoed_cells: cells that aren't swapped, though they were to be.
        images: by id, the correction that holds.
    """

    vetoed_cells: frozenset[int]
    images: Mapping[str, Correction]


def stands(summary: Mapping[str, Any], corrections: Sequence[Correction]) -> Standing:
    """What the corrections come to, in the order they were made."""
    vetoed: set[int] = set()
    images: dict[str, Correction] = {}
    for entry in corrections:
        if not entry.case_id:
            named = set(entry.cells) & set(summary["cells_swapped"])
            vetoed = vetoed | named if entry.action == "veto" else vetoed - named
        elif entry.action == "restore":
            images.pop(entry.case_id, None)
        else:
            images[entry.case_id] = entry
    return Standing(frozenset(vetoed), images)


def checked(
    sent: Correction, summary: Mapping[str, Any], known: Sequence[Correction], trained: Collection[str]
) -> Correction:
    """The correction with its cells sorted.

    Args:
        sent: what a reader sent.
        summary: of the insight that it's about.
        known: earlier corrections of it.
        trained: ids of the images that are trained with.

    Raises:
        BadInput: if it makes no sense for this insight; the sentence says what does.
    """
    if sent.action not in get_args(CorrectionAction):
        raise BadInput(f"There is no action {sent.action!r}; the actions are {', '.join(get_args(CorrectionAction))}.")
    size = int(summary["grid_size"])
    cells = Grid.square(size, (size, size)).check_cells(sent.cells)
    if sent.case_id:
        _check_image(sent, cells, summary, known, trained)
    else:
        _check_swapped(sent, cells, summary)
    return replace(sent, cells=cells)


def _check_swapped(sent: Correction, cells: tuple[int, ...], summary: Mapping[str, Any]) -> None:
    swapped = summary["cells_swapped"]
    if sent.action == "correct":
        raise BadInput("The action correct needs an image; cells of all images can be vetoed or restored.")
    if not cells:
        raise BadInput(f"The action {sent.action} names neither an image nor cells; name one of them.")
    strange = next((cell for cell in cells if cell not in swapped), None)
    if strange is not None:
        allowed = f"those that were to be are {', '.join(map(str, swapped))}" if swapped else "no cell was to be"
        raise BadInput(f"The cell {strange} isn't swapped between images: {allowed}.")


def _check_image(
    sent: Correction,
    cells: tuple[int, ...],
    summary: Mapping[str, Any],
    known: Sequence[Correction],
    trained: Collection[str],
) -> None:
    if not summary["looks"]:
        raise BadInput(f"Nothing was looked for in single images, so {sent.case_id!r} can't be corrected; name cells.")
    if sent.case_id not in trained:
        raise BadInput(f"The image {sent.case_id!r} isn't trained with, so there is nothing to correct in it.")
    if bool(cells) != (sent.action == "correct"):
        problem = "needs the cells that hold it" if sent.action == "correct" else f"takes no cells ({list(cells)})"
        raise BadInput(f"The action {sent.action} of an image {problem}.")
    found = any(image["id"] == sent.case_id for image in summary["images"])
    if sent.action == "veto" and not found and sent.case_id not in stands(summary, known).images:
        raise BadInput(
            f"Nothing was found in {sent.case_id!r}, so there is nothing to veto; to add a find, correct it."
        )


def _images(summary: Mapping[str, Any], standing: Standing, label_of: LabelOf) -> list[dict[str, Any]]:
    images = [_with(image, standing.images.get(image["id"])) for image in summary["images"]]
    found = {image["id"] for image in images}
    added = [
        _with(_unfound(case_id, label_of(case_id), summary), correction)
        for case_id, correction in sorted(standing.images.items())
        if case_id not in found and correction.action == "correct"
    ]
    return images + added


def _with(image: Mapping[str, Any], correction: Correction | None) -> dict[str, Any]:
    corrected = correction is not None and correction.action == "correct"
    cells = list(correction.cells) if correction is not None and corrected else image["cells"]
    vetoed = correction is not None and correction.action == "veto"
    return {**image, "cells": cells, "vetoed": vetoed, "corrected": corrected}


def _unfound(case_id: str, label: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    queued = case_id in summary["queued"]
    return {"id": case_id, "label": label, "queued": queued, "score": None, "influence": None, "cells": []}


def _classes(summary: Mapping[str, Any], images: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if not summary["looks"]:
        return []
    classes = []
    for entry in summary["classes"]:
        found = sum(image["label"] == entry["name"] and not image["vetoed"] for image in images)
        share = found / entry["images"] if entry["images"] else None
        classes.append({"name": entry["name"], "images": entry["images"], "found": found, "share": share})
    return classes


def _correction(entry: RecordedCorrection) -> dict[str, Any]:
    return {
        "id": entry.id,
        "reader": entry.reader,
        "action": entry.action,
        "image": entry.case_id,
        "cells": list(entry.cells),
        "time": entry.time.isoformat(timespec="seconds"),
    }
