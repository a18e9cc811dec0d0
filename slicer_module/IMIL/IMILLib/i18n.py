"""Translation of visible texts: Slicer's own where there is Slicer, the text itself elsewhere."""

from __future__ import annotations

import string
import sys
import threading

try:
    from slicer.i18n import getContext, translate
except ImportError:

    def getContext(sourceFile: str) -> str:  # noqa: N802, N803 - Slicer's names
        """There is no translation here, and so no context."""
        return ""

    def translate(context: str, text: str) -> str:
        """The text itself: there is nobody here who could translate it."""
        return text


__all__ = ["_"]


def _(text: str) -> str:
    """The text in Slicer's language.

    Slicer's own `tr` does the same, but asks Qt, which belongs to the main thread. What a worker thread has to say
    stays in English.
    """
    if threading.current_thread() is not threading.main_thread():
        return text
    translated = translate(getContext(sys._getframe(1).f_code.co_filename), text)
    return translated if _fields(translated) == _fields(text) else text


def _fields(text: str) -> set[str]:
    """The names in braces: a translation that changed one would fail when it's filled in."""
    return {name for _before, name, _form, _conversion in string.Formatter().parse(text) if name is not None}
