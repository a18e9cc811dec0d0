"""slicer.i18n: translation as in Slicer without a language pack, so every text comes back as it is."""

from __future__ import annotations

import inspect
import sys
import threading
import types
from pathlib import Path

import slicer


def translate(context: str, text: str) -> str:
    """The text in the application's language. Qt belongs to the main thread, so another one is refused."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(f"Translation of {text!r} was asked for in the thread {threading.current_thread().name}.")
    return slicer.app.translate(context, text)


def getContext(sourceFile: str) -> str:
    """The context's name: that of the source file, with its package's name if it is in one."""
    path = Path(sourceFile)
    return f"{path.parent.name}.{path.stem}" if (path.parent / "__init__.py").is_file() else path.stem


def tr(text: str) -> str:
    """The same with the calling file's context."""
    caller = inspect.currentframe().f_back
    return translate(getContext(inspect.getsourcefile(caller) or caller.f_code.co_filename), text)


def install() -> None:
    """Makes `slicer.i18n` importable."""
    module = types.ModuleType("slicer.i18n")
    module.translate, module.getContext, module.tr = translate, getContext, tr
    slicer.i18n = sys.modules["slicer.i18n"] = module
