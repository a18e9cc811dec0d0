"""What a reader has marked but not submitted, kept on disk, so that a closed or crashed Slicer costs nothing."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

MAX_BYTES = 1 << 20
"""A larger file isn't one of ours."""


@dataclass(frozen=True)
class Draft:
    """An unfinished answer: ``cells`` matter, ``misleading`` misled the model; ``seconds`` were spent on it so far."""

    cells: tuple[int, ...] = ()
    misleading: tuple[int, ...] = ()
    rationale: str = ""
    seconds: float = 0.0

    @property
    def empty(self) -> bool:
        return not (self.cells or self.misleading or self.rationale)


class Drafts:
    """A folder with one small file for each case that somebody has begun. A draft that can't be read counts as none.

    Args:
        folder: made when it's first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, place: tuple[object, ...], draft: Draft) -> None:
        """Keep a draft, or remove it if it's empty.

        Args:
            place: what identifies the case: server, reader, run, round, image.
            draft: replaces what was kept.

        Raises:
            OSError: if the folder can't be written.
        """
        if draft.empty:
            self.remove(place)
            return
        path = self._path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(asdict(draft)), encoding="utf-8")
        temporary.replace(path)

    def load(self, place: tuple[object, ...], num_cells: int) -> Draft | None:
        """The draft of a case with this many cells, or None."""
        path = self._path(place)
        try:
            if path.stat().st_size > MAX_BYTES:
                return None
            fields = json.loads(path.read_text(encoding="utf-8"))
            draft = Draft(
                cells=tuple(int(cell) for cell in fields["cells"]),
                misleading=tuple(int(cell) for cell in fields["misleading"]),
                rationale=str(fields["rationale"]),
                seconds=float(fields["seconds"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        marked = [*draft.cells, *draft.misleading]
        fits = all(0 <= cell < num_cells for cell in marked) and len(set(marked)) == len(marked)
        return draft if fits and 0 <= draft.seconds < 86_400 else None

    def remove(self, place: tuple[object, ...]) -> None:
        """Forget a draft, if there is one."""
        try:
            self._path(place).unlink()
        except FileNotFoundError:
            return

    def _path(self, place: tuple[object, ...]) -> Path:
        # Names come from servers and readers, so they aren't made part of a path.
        facts = json.dumps([str(part) for part in place])
        return self._folder / f"{hashlib.sha256(facts.encode()).hexdigest()[:40]}.json"
