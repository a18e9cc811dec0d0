"""Translation of visible texts: Slicer's own where there is Slicer, the text itself elsewhere."""

from __future__ import annotations

try:
    from slicer.i18n import tr as _
except ImportError:

    def _(text: str) -> str:
        """The text itself: there is nobody here who could translate it."""
        return text


__all__ = ["_"]
