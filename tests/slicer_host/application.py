"""slicer.app: the application object, with the attributes of qSlicerApplication that the host stands in for."""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
from pathlib import Path

import slicer
from PySide6 import QtCore, QtWidgets

from slicer_host import eventloop
from slicer_host.layout import qSlicerLayoutManager
from slicer_host.modules import qSlicerModuleManager

DOCUMENTATION = "https://slicer.readthedocs.io/en/latest/"


class qSlicerApplication(QtWidgets.QApplication):
    """Its settings are ini files in a folder of this process, and its translations are none."""

    startupCompleted = QtCore.Signal()
    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self) -> None:
        super().__init__(["Slicer"])
        self._folder = tempfile.TemporaryDirectory(prefix="slicer-host-")
        settings = QtCore.QSettings
        settings.setDefaultFormat(settings.IniFormat)
        settings.setPath(settings.IniFormat, settings.UserScope, self._folder.name)
        self.setOrganizationName("NA-MIC")
        self.setApplicationName("Slicer")
        self.setApplicationVersion(".".join(importlib.metadata.version("slicer-core").split(".")[:2]) + ".0")
        self._settings = settings()
        self._module_manager = qSlicerModuleManager()
        self._layout_manager: qSlicerLayoutManager | None = None
        self._make_scene()

    def _make_scene(self) -> None:
        self._scene = slicer.vtkMRMLScene()
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self._scene.AddNode(crosshair)
        self._logic = slicer.vtkSlicerApplicationLogic()
        self._logic.SetTemporaryPath(self.temporaryPath)
        # Without a home folder the colour logic complains; this one is empty, so there are no colour tables from files.
        self._logic.SetHomeDirectory(self.slicerHome)
        self._made("home/share/ColorFiles")
        self._logic.SetShareDirectory("share")
        self._logic.SetMRMLScene(self._scene)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self._scene, True)

    def mrmlScene(self) -> slicer.vtkMRMLScene:
        return self._scene

    def applicationLogic(self) -> slicer.vtkSlicerApplicationLogic:
        return self._logic

    def moduleManager(self) -> qSlicerModuleManager:
        return self._module_manager

    def layoutManager(self) -> qSlicerLayoutManager | None:
        return self._layout_manager

    def setLayoutManager(self, manager: qSlicerLayoutManager) -> None:
        self._layout_manager = manager

    def settings(self) -> QtCore.QSettings:
        return self._settings

    def userSettings(self) -> QtCore.QSettings:
        return self._settings

    def testingEnabled(self) -> bool:
        """Whether Slicer was started for self-tests: never here, so message boxes do come up."""
        return False

    def mainWindow(self) -> QtWidgets.QMainWindow | None:
        return slicer.util.mainWindow()

    def moduleDocumentationUrl(self, moduleName: str) -> str:
        return f"{self.documentationBaseUrl}user_guide/modules/{moduleName.lower()}.html"

    def setRenderPaused(self, paused: bool) -> None:
        self._layout_manager.setRenderPaused(paused)

    def pauseRender(self) -> None:
        self.setRenderPaused(True)

    def resumeRender(self) -> None:
        self.setRenderPaused(False)

    @staticmethod
    def processEvents() -> None:
        eventloop.process_events()

    documentationBaseUrl = QtCore.Property(str, lambda self: DOCUMENTATION)
    temporaryPath = QtCore.Property(str, lambda self: self._made("RemoteIO"))
    slicerHome = QtCore.Property(str, lambda self: self._made("home"))
    slicerUserSettingsFilePath = QtCore.Property(str, lambda self: self._settings.fileName())
    majorVersion = QtCore.Property(int, lambda self: int(self.applicationVersion.split(".")[0]))
    minorVersion = QtCore.Property(int, lambda self: int(self.applicationVersion.split(".")[1]))
    platform = QtCore.Property(str, lambda self: "linux-amd64")
    os = QtCore.Property(str, lambda self: os.uname().sysname.lower())

    def _made(self, name: str) -> str:
        folder = Path(self._folder.name) / name
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)
