"""qt.QUiLoader that knows the custom widgets of the host, as Slicer's knows those of its designer plugins."""

from __future__ import annotations

import qt
from PySide6 import QtCore, QtUiTools, QtWidgets

from slicer_host import ctkwidgets, qmrml


class QUiLoader(QtUiTools.QUiLoader):
    """A .ui file that names a widget class which the host doesn't have can't be loaded."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        for cls in (*ctkwidgets.WIDGETS, *qmrml.WIDGETS):
            self.registerCustomWidget(cls)

    def load(self, device: QtCore.QIODevice, parent: QtWidgets.QWidget | None = None) -> QtWidgets.QWidget:
        widget = super().load(device, parent)
        if widget is None:
            raise NotImplementedError(f"The Slicer host can't make the widgets of this .ui file: {self.errorString()}")
        return widget


def install() -> None:
    """Puts it into `qt`."""
    qt.QUiLoader = QUiLoader
