"""Slicer's modules: the built-in logics, scripted modules loaded from their folder, and the module manager."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path

import slicer
import vtk
from PySide6 import QtGui, QtWidgets

from slicer_host.qmrml import qSlicerWidget

# Module name -> (class of its logic in slicer-core). Only these of Slicer's own modules are here, without their panels.
LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
}


class qSlicerLoadableModule:
    """A built-in module: it has a logic, but no panel here."""

    def __init__(self, name: str, logic: vtk.vtkObject) -> None:
        self.name = self.title = name
        self._logic = logic

    def logic(self) -> vtk.vtkObject:
        return self._logic

    def widgetRepresentation(self) -> None:
        raise NotImplementedError(f"The Slicer host has no panel for the module '{self.name}'.")


class qSlicerScriptedLoadableModuleWidget(qSlicerWidget):
    """The parent of a scripted module's panel."""

    def __init__(self, module: qSlicerScriptedLoadableModule) -> None:
        super().__init__()
        self._module = module
        self._python: object = None
        QtWidgets.QVBoxLayout(self)
        self._make()

    def _make(self) -> None:
        name = self._module.name
        self._python = getattr(sys.modules[name], f"{name}Widget")(self)
        setattr(slicer.modules, f"{name}Widget", self._python)

    def self(self) -> object:
        return self._python

    def setup(self) -> None:
        self._call("setup")

    def enter(self) -> None:
        self._call("enter")

    def exit(self) -> None:
        self._call("exit")

    def reload(self) -> None:
        """A new Python object of the module's present widget class, set up."""
        self._make()
        self.setup()

    def _call(self, method: str) -> None:
        """As in C++: an exception is printed, and life goes on."""
        function = getattr(self._python, method, None)
        if function is not None:
            guarded(function)


def guarded(function: Callable[[], object]) -> None:
    """Calls it; an exception goes to sys.excepthook, as where Slicer's C++ code calls Python."""
    try:
        function()
    except Exception:  # noqa: BLE001 - reported as Slicer does
        sys.excepthook(*sys.exc_info())


class qSlicerScriptedLoadableModule:
    """A scripted module. Its description has these attributes; another name is refused, as by PythonQt."""

    _KINDS = types.MappingProxyType(
        {
            "title": str,
            "categories": list,
            "dependencies": list,
            "contributors": list,
            "helpText": str,
            "acknowledgementText": str,
            "icon": QtGui.QIcon,
            "hidden": bool,
            "associatedNodeTypes": list,
            "widgetRepresentationCreationEnabled": bool,
        }
    )

    def __init__(self, path: Path) -> None:
        self.__dict__.update(path=str(path), name=path.stem, _widget=None, _instance=None, hidden=False)
        self.__dict__.update(associatedNodeTypes=[], widgetRepresentationCreationEnabled=True, icon=QtGui.QIcon())

    def __setattr__(self, name: str, value: object) -> None:
        kind = self._KINDS.get(name)
        if kind is None:
            raise AttributeError(f"Attribute '{name}' does not exist on qSlicerScriptedLoadableModule")
        if not isinstance(value, kind) and not (kind is list and isinstance(value, tuple)):
            raise ValueError(f"Property '{name}' does not accept {value!r}")
        self.__dict__[name] = value

    def _load(self) -> None:
        """Runs the module's file and makes the object that describes the module.

        Raises:
            Exception: whatever the module's file or its constructor raises.
        """
        folder = str(Path(self.path).parent)
        if folder not in sys.path:
            sys.path.append(folder)
        spec = importlib.util.spec_from_file_location(self.name, self.path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[self.name] = module
        spec.loader.exec_module(module)
        self.__dict__["_instance"] = getattr(module, self.name)(self)
        setattr(slicer.modules, f"{self.name}Instance", self._instance)

    def widgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget:
        """The panel's parent, made and set up at the first call."""
        if self._widget is None:
            self.__dict__["_widget"] = qSlicerScriptedLoadableModuleWidget(self)
            self._widget.setMRMLScene(slicer.mrmlScene)
            self._widget.setup()
        return self._widget

    def _unload(self) -> None:
        """Forgets the panel. Like Slicer it leaves what Python has imported."""
        if self._widget is not None:
            self._widget.deleteLater()
            self.__dict__["_widget"] = None
        for name in (f"{self.name}Widget", f"{self.name}Instance"):
            if hasattr(slicer.modules, name):
                delattr(slicer.modules, name)


class _FactoryManager:
    def __init__(self, modules: dict[str, object]) -> None:
        self._modules = modules

    def loadedModuleNames(self) -> tuple[str, ...]:
        return tuple(self._modules)


class qSlicerModuleManager:
    """Knows the modules by name. Its signals are connected by PythonQt's connect("signal(types)", f) only."""

    SIGNALS = ("moduleLoaded(QString)", "moduleAboutToBeUnloaded(QString)", "moduleUnloaded(QString)")

    def __init__(self) -> None:
        self._modules: dict[str, object] = {}
        self._slots: dict[str, list[Callable[[str], object]]] = {name: [] for name in self.SIGNALS}

    def connect(self, signal: str, slot: Callable[[str], object]) -> bool:
        self._slots[signal].append(slot)
        return True

    def disconnect(self, signal: str, slot: Callable[[str], object]) -> bool:
        if slot not in self._slots[signal]:
            return False
        self._slots[signal].remove(slot)
        return True

    def _emit(self, signal: str, name: str) -> None:
        for slot in list(self._slots[signal]):
            guarded(lambda slot=slot: slot(name))

    def _forget_slots(self) -> None:
        for slots in self._slots.values():
            slots.clear()

    def module(self, name: str) -> object | None:
        return self._modules.get(name)

    def factoryManager(self) -> _FactoryManager:
        return _FactoryManager(self._modules)

    def _add(self, module: object) -> None:
        self._modules[module.name] = module
        setattr(slicer.modules, module.name.lower(), module)
        self._emit("moduleLoaded(QString)", module.name)

    def _remove(self, name: str) -> None:
        """Unloads a scripted module: its widget's cleanup() runs."""
        module = self._modules.pop(name)
        self._emit("moduleAboutToBeUnloaded(QString)", name)
        delattr(slicer.modules, name.lower())
        module._unload()
        self._emit("moduleUnloaded(QString)", name)


def make_logics(
    scene: slicer.vtkMRMLScene, application_logic: slicer.vtkSlicerApplicationLogic
) -> dict[str, vtk.vtkObject]:
    """The logics of Slicer's own modules, registered in the application logic."""
    logics = {}
    for name, class_name in LOGICS.items():
        logic = getattr(slicer, class_name)()
        logic.SetMRMLApplicationLogic(application_logic)
        application_logic.SetModuleLogic(name, logic)
        logic.SetMRMLScene(scene)
        logics[name] = logic
    return logics
