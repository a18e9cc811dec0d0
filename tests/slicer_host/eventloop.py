"""Qt's event loop as desktop Slicer runs it: the main thread keeps Python's lock while Qt works and waits.

PySide6 releases the lock in `exec` and `processEvents`, so that Python threads run freely. PythonQt doesn't: in Slicer
a Python thread advances only while Python code in the main thread lets it. So the loop is entered by ctypes.PyDLL,
which keeps the lock, through the symbols of the very libraries that PySide6 has loaded.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

import PySide6
import shiboken6
from PySide6 import QtCore, QtWidgets

PROCESS_EVENTS = "_ZN16QCoreApplication13processEventsE6QFlagsIN10QEventLoop17ProcessEventsFlagEE"
RUN_LOOP = "_ZN10QEventLoop4execE6QFlagsINS_17ProcessEventsFlagEE"
RUN_DIALOG = "_ZN7QDialog4execEv"
POLL_MS = 10


@cache
def _symbol(library: str, name: str, *arguments: type) -> Callable[..., int]:
    path = Path(PySide6.__file__).parent / "Qt" / "lib" / f"lib{library}.so.6"
    function = getattr(ctypes.PyDLL(str(path)), name)
    function.argtypes = arguments
    function.restype = ctypes.c_int
    return function


def process_events() -> None:
    """Handles what is waiting, and returns; keeps Python's lock."""
    _symbol("Qt6Core", PROCESS_EVENTS, ctypes.c_int)(0)


def run_dialog(dialog: QtWidgets.QDialog) -> int:
    """QDialog::exec: shows the dialog until it is closed, and returns its result; keeps Python's lock."""
    return _symbol("Qt6Widgets", RUN_DIALOG, ctypes.c_void_p)(shiboken6.getCppPointer(dialog)[0])


def run(loop: QtCore.QEventLoop) -> None:
    """Runs the event loop until its quit() is called; keeps Python's lock."""
    _symbol("Qt6Core", RUN_LOOP, ctypes.c_void_p, ctypes.c_int)(shiboken6.getCppPointer(loop)[0], 0)


def idle(seconds: float) -> None:
    """Lets the application run for this long, without any Python code of the host's own."""
    loop, timer = QtCore.QEventLoop(), QtCore.QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(loop.quit)
    timer.start(round(seconds * 1000))
    run(loop)


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    """Runs the application until the condition holds (asked every 10 ms); False if it doesn't within `seconds`.

    Asking is Python code in the main thread, so other Python threads get a chance each time, as they do from the timers
    of a module.
    """
    if condition():
        return True
    loop, deadline, poll = QtCore.QEventLoop(), QtCore.QTimer(), QtCore.QTimer()
    outcome: list[object] = [False]

    def ask() -> None:
        try:
            outcome[0] = condition()
        except BaseException as error:  # noqa: BLE001 - raised again below, outside of the slot
            outcome[0] = error
        if outcome[0]:
            loop.quit()

    deadline.setSingleShot(True)
    deadline.timeout.connect(loop.quit)
    poll.timeout.connect(ask)
    deadline.start(round(seconds * 1000))
    poll.start(POLL_MS)
    run(loop)
    poll.stop()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return bool(outcome[0])
