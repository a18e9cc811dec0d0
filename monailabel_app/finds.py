"""What a round's answers made the run find in each image, as masks for clients."""

from typing import Any

import numpy as np
import numpy.typing as npt

from imil.errors import NotFound
from imil.grid import Grid
from imil.rounds import Rounds
from imil.store import InsightRecord
from imil.study import Study

Mask = npt.NDArray[np.uint8]


class Finds:
    """The finds of the newest run's insight as it stands: as found, or as a reader corrected it.

    Of an image whose find a reader has vetoed, it's still what was found: clients are told of the veto elsewhere.
    """

    def __init__(self, study: Study, rounds: Rounds) -> None:
        self._study = study
        self._rounds = rounds
        self._cached: tuple[str, tuple[str, ...], Mask] | None = None

    def has(self, image_id: str) -> bool:
        """Whether something was found in the image."""
        return any(image["id"] == image_id for image in self._rounds.insight().get("images", ()))

    def info(self, image_id: str) -> dict[str, Any]:
        """What is known of the find in an image, as JSON values, and ``run``, ``round``, ``insight`` and ``grid_size``.

        Raises:
            NotFound: if nothing was found in it.
        """
        insight = self._rounds.insight()
        found = next((image for image in insight.get("images", ()) if image["id"] == image_id), None)
        if found is None:
            raise NotFound(f"Nothing was found in {image_id!r} by the newest run; there is no label 'find' of it.")
        return {name: insight[name] for name in ("run", "round", "insight", "grid_size")} | found

    def mask(self, info: dict[str, Any], size: tuple[int, int]) -> Mask:
        """Uint8 (rows, cols) of an image: 1 where something was found; ``info`` as `info` gave it.

        Raises:
            BadInput, NotFound: if the file with the finds is damaged or gone.
        """
        if info["corrected"]:
            return Grid.square(int(info["grid_size"]), size).mask(info["cells"])
        record = self._study.store.insight(int(info["run"]), int(info["round"]))
        if record is None:
            raise NotFound(f"What was found in {info['id']!r} was thrown away, as its round was reopened.")
        case_ids, finds = self._read(record)
        return enlarged(finds[case_ids.index(info["id"])], size)

    def _read(self, record: InsightRecord) -> tuple[tuple[str, ...], Mask]:
        """Case ids and finds; the last ones stay in memory, because the file has megabytes and clients ask often."""
        cached = self._cached
        if cached is None or cached[0] != record.file_sha256:
            from imil import insights

            insight = insights.read(self._study, record)
            cached = self._cached = (record.file_sha256, insight.case_ids, insight.finds)
        return cached[1:]


def enlarged(find: Mask, size: tuple[int, int]) -> Mask:
    """A find (F, F) over an image of ``size`` (rows, cols): each pixel has the value of the place that it lies in."""
    rows, cols = (
        (np.arange(length) * 2 + 1) * places // (2 * length) for length, places in zip(size, find.shape, strict=True)
    )
    return np.ascontiguousarray(find[np.ix_(rows, cols)])
