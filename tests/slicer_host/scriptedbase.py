"""The classes that scripted modules derive from: what slicer.ScriptedLoadableModule offers to a module.

Written anew from the documented behaviour: attributes, names and life cycle are Slicer's. The developer section
("Reload & Test") isn't built, so developer mode is off.
"""

from __future__ import annotations

import importlib
import logging
import unittest
from pathlib import Path

import qt
import slicer


class ScriptedLoadableModule:
    """Describes the module; `parent` is the qSlicerScriptedLoadableModule."""

    def __init__(self, parent: object) -> None:
        super().__init__()
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories = []
        parent.dependencies = []
        parent.contributors = []
        parent.helpText = ""
        parent.acknowledgementText = ""
        for suffix in (".svg", ".png"):
            icon = Path(self.resourcePath(f"Icons/{self.moduleName}{suffix}"))
            if icon.is_file():
                parent.icon = qt.QIcon(str(icon))
                break
        if not hasattr(slicer, "selfTests"):
            slicer.selfTests = {}
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, filename: str) -> str:
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        app = slicer.app
        where = app.documentationBaseUrl + docPage if docPage else app.moduleDocumentationUrl(self.moduleName)
        return f'<p>For more information see the <a href="{where}">online documentation</a>.</p>'

    def runTest(self, msec: int = 100, **options: object) -> None:
        module = importlib.import_module(self.__module__)
        if not hasattr(module, f"{self.moduleName}Test"):
            raise AssertionError(f"Test case class not found: {self.__module__}.{self.moduleName}Test")
        case = getattr(module, f"{self.moduleName}Test")()
        case.messageDelay = msec
        case.runTest(**options)


class ScriptedLoadableModuleWidget:
    """The module's panel; `parent` is the qSlicerScriptedLoadableModuleWidget whose layout it fills in setup()."""

    def __init__(self, parent: object = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        if parent is None:
            self.parent = slicer.qMRMLWidget()
            self.parent.setLayout(qt.QVBoxLayout())
            self.parent.setMRMLScene(slicer.mrmlScene)
        self.layout = self.parent.layout()
        if parent is None:
            self.setup()
            self.parent.show()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename: str) -> str:
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def setup(self) -> None:
        """Builds the panel; overridden, and called by the override."""
        self.setupDeveloperSection()

    def setupDeveloperSection(self) -> None:
        """Nothing without developer mode."""

    def cleanup(self) -> None:
        """Called before the module is unloaded or reloaded."""

    def onReload(self) -> None:
        """Reads the module's file again and builds the panel anew."""
        slicer.util.reloadScriptedModule(self.moduleName)

    def _onModuleAboutToBeUnloaded(self, moduleName: str) -> None:
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    """Keeps the parameter node."""

    def __init__(self, parent: object = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> slicer.vtkMRMLScriptedModuleNode:
        """The first parameter node of this module in the scene, made if there is none."""
        if self.isSingletonParameterNode:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node is not None:
                # Closing the scene takes the attribute away.
                node.SetAttribute("ModuleName", self.moduleName)
                return node
        nodes = self.getAllParameterNodes()
        return nodes[0] if nodes else slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self) -> list[slicer.vtkMRMLScriptedModuleNode]:
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self) -> slicer.vtkMRMLScriptedModuleNode:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Runs inside the application; runTest() is overridden."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.enableScreenshots = False
        self.screenshotScaleFactor = 1.0

    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        for delay in (getattr(self, "messageDelay", None), msec, requestedDelay, 100):
            if delay is not None:
                slicer.util.delayDisplay(message, delay)
                return

    def runTest(self) -> None:
        logging.warning("No test is defined in %s", type(self).__name__)


CLASSES = (
    ScriptedLoadableModule,
    ScriptedLoadableModuleWidget,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
)
