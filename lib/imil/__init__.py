"""IMIL: interactive medical image learning. A reader corrects where a classifier looks, while it trains.

Names are loaded when they're first used, so that ``import imil`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imil.callback import IMIL as IMIL
    from imil.grid import Grid as Grid
    from imil.settings import RunSettings as RunSettings
    from imil.settings import resolve as resolve

__version__ = "0.1.0"

_HOMES = {
    "IMIL": "imil.callback",
    "Grid": "imil.grid",
    "RunSettings": "imil.settings",
    "resolve": "imil.settings",
}
__all__ = ["IMIL", "Grid", "RunSettings", "__version__", "resolve"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'imil' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
