"""The few qMRML and qSlicer widgets that a module's .ui file may name; anything else isn't there, and fails by name."""

from __future__ import annotations

import slicer
from PySide6 import QtCore, QtWidgets


class qMRMLWidget(QtWidgets.QWidget):
    """A widget that knows the scene; usual as the root of a module's .ui file."""

    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: slicer.vtkMRMLScene | None = None

    def mrmlScene(self) -> slicer.vtkMRMLScene | None:
        return self._scene

    def setMRMLScene(self, scene: slicer.vtkMRMLScene | None) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qSlicerWidget(qMRMLWidget):
    """The same in the application's own hierarchy."""


WIDGETS = (qMRMLWidget, qSlicerWidget)
