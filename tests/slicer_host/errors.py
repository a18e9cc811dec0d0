"""Collects what goes wrong without raising: exceptions in slots, observers and threads, complaints of Qt and VTK."""

from __future__ import annotations

import re
import sys
import threading
import traceback
from types import TracebackType

import vtk
from PySide6 import QtCore

# Said by the off-screen platform about itself, not about the module.
HARMLESS = re.compile(r"This plugin does not support|propagateSizeHints|Could not find .*font|QFontDatabase")
_kept: list[object] = []


class Errors(list[str]):
    """One entry for each problem, with its traceback if there is one."""

    def install(self) -> None:
        """Takes over Python's hooks, see `take_hooks`, and the messages of Qt and VTK."""
        self.take_hooks()
        QtCore.qInstallMessageHandler(self._on_qt)
        vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
        window = vtk.vtkOutputWindow()
        window.AddObserver("ErrorEvent", self._on_vtk)
        window.AddObserver("WarningEvent", self._on_vtk_warning)
        window.SetDisplayModeToNever()
        vtk.vtkOutputWindow.SetInstance(window)
        _kept.append(window)

    def take_hooks(self) -> None:
        """Takes sys.excepthook and the hooks for threads and destructors, which others may have taken meanwhile."""
        sys.excepthook = self._on_exception
        threading.excepthook = lambda found: self._on_exception(found.exc_type, found.exc_value, found.exc_traceback)
        sys.unraisablehook = lambda found: self._on_exception(found.exc_type, found.exc_value, found.exc_traceback)

    def _on_exception(
        self, kind: type[BaseException], error: BaseException | None, where: TracebackType | None
    ) -> None:
        text = "".join(traceback.format_exception(kind, error, where))
        print(text, file=sys.stderr)
        self.append(text)

    def _on_qt(self, kind: QtCore.QtMsgType, context: QtCore.QMessageLogContext, message: str) -> None:
        if kind in _QT_TALK or HARMLESS.search(message):
            return
        print(f"Qt: {message}", file=sys.stderr)
        self.append(f"Qt: {message}")

    def _on_vtk(self, caller: vtk.vtkObject, event: str, message: str) -> None:
        print(message, file=sys.stderr)
        self.append(message)

    _on_vtk.CallDataType = vtk.VTK_STRING

    def _on_vtk_warning(self, caller: vtk.vtkObject, event: str, message: str) -> None:
        print(message, file=sys.stderr)

    _on_vtk_warning.CallDataType = vtk.VTK_STRING


_QT_TALK = (QtCore.QtMsgType.QtDebugMsg, QtCore.QtMsgType.QtInfoMsg)
