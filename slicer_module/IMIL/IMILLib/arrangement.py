"""Which views Slicer shows: changed for a case or a plot, and put back afterwards."""

from __future__ import annotations

import slicer


class Arrangement:
    """Remembers the layout it found, and puts it back unless somebody has chosen another one meanwhile."""

    def __init__(self) -> None:
        self._found: int | None = None
        self._chosen: int | None = None

    def show(self, layout: int) -> None:
        """Change to a layout: a ``SlicerLayout...`` constant of ``vtkMRMLLayoutNode``."""
        manager = slicer.app.layoutManager()
        if manager is None:
            return
        if self._chosen is None or manager.layout != self._chosen:
            self._found = manager.layout
        self._chosen = layout
        if manager.layout != layout:
            manager.setLayout(layout)

    def restore(self) -> None:
        """Back to the layout that was found."""
        manager = slicer.app.layoutManager()
        found, chosen = self._found, self._chosen
        self._found = self._chosen = None
        if manager is not None and found is not None and manager.layout == chosen:
            manager.setLayout(found)
