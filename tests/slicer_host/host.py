"""The public face of the host: a stand-in for the desktop Slicer application, one per process.

    from slicer_host.host import start
    host = start()                      # `import slicer, qt, ctk, vtk` work from here on
    host.load_module(Path("slicer_module/IMIL/IMIL.py"))
    host.open("IMIL")                   # slicer.util.selectModule: setup() at the first time, then enter()
    host.click(button)                  # real Qt events; also press(key), hold, release, type_text
    host.click_view(x, y)               # on the Red slice view, in its own pixels (origin bottom left, as VTK counts);
                                        # also drag_view(points), move_view, leave_view, wheel_view
    host.slice_widget("Red")            # slicer.app.layoutManager().sliceWidget("Red")
    host.wait_until(lambda: condition, seconds=10)
    host.errors                         # what failed without raising; empty when all is well
    host.screenshot(Path("window.png"))
    host.census()                       # nodes, observers, threads, widgets: for finding leaks
    host.quit()                         # what happens when the user quits Slicer; the host can be used again after it
    host.reset()                        # between tests: no modules, an empty scene, default settings and layout

The host's other files import Qt and VTK: import them after start() only, which prepares the process for both.
"""

from __future__ import annotations

import gc
import sys
import threading
import types
from collections.abc import Callable
from functools import cache
from pathlib import Path

from slicer_host import environment


@cache
def start() -> Host:
    """Starts the application, once per process; later calls return the same host.

    Raises:
        RuntimeError: in one sentence, if off-screen rendering or a system library is missing.
    """
    environment.prepare()
    environment.check_rendering()
    from slicer_host import ctkwidgets, pythonqt

    pythonqt.install()
    ctkwidgets.install()
    from slicer_host.userinput import UserInput

    # The mouse and the keyboard need Qt, which may be imported from here on only.
    return type("Host", (Host, UserInput), {"__doc__": Host.__doc__})()


class Host:
    """The running application. See the file's first lines for the usual calls, `userinput` for mouse and keys."""

    def __init__(self) -> None:
        from slicer_host import errors

        self.errors: list[str] = errors.Errors()
        self.errors.install()
        self._make_application()

    def _make_application(self) -> None:
        import slicer

        from slicer_host import translation, uiloader

        slicer.modules = types.ModuleType("slicer.modules")
        translation.install()
        import slicer.util

        from slicer_host import application, layout, modules, qmrml, scriptedbase, sliceview, window

        for cls in (*qmrml.WIDGETS, modules.qSlicerScriptedLoadableModule, modules.qSlicerScriptedLoadableModuleWidget):
            setattr(slicer, cls.__name__, cls)
        uiloader.install()
        self.app = application.qSlicerApplication()
        slicer.app, slicer.mrmlScene = self.app, self.app.mrmlScene()
        base = types.ModuleType("slicer.ScriptedLoadableModule")
        for cls in scriptedbase.CLASSES:
            cls.__module__ = base.__name__
            setattr(base, cls.__name__, cls)
        base.__all__ = [cls.__name__ for cls in scriptedbase.CLASSES]
        slicer.ScriptedLoadableModule = sys.modules[base.__name__] = base
        logic = self.app.applicationLogic()
        self._logics = modules.make_logics(slicer.mrmlScene, logic)
        for name, module_logic in self._logics.items():
            self.app.moduleManager()._add(modules.qSlicerLoadableModule(name, module_logic))
        self._logics["Colors"].AddDefaultColorNodes()
        sliceview.register_managers(logic)
        self.window = window.qSlicerMainWindow()
        manager = layout.qSlicerLayoutManager(self.window.centralWidget(), logic)
        self.app.setLayoutManager(manager)
        manager.setMRMLScene(slicer.mrmlScene)
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
        self.window.show()
        self.idle(0.05)

    # Modules

    def load_module(self, path: Path) -> object:
        """Loads a scripted module (the path of its .py file) and returns the qSlicerScriptedLoadableModule."""
        from slicer_host.modules import qSlicerScriptedLoadableModule

        module = qSlicerScriptedLoadableModule(Path(path).resolve())
        module._load()
        self.app.moduleManager()._add(module)
        return module

    def open(self, name: str) -> object:
        """Chooses the module in the module list, and returns its Python widget."""
        import slicer.util

        slicer.util.selectModule(name)
        self.process_events()
        return slicer.util.getModuleWidget(name)

    def leave(self) -> None:
        """Shows no module: the present one's exit() runs."""
        self.window.moduleSelector().selectModule("")
        self.process_events()

    def reload(self, name: str) -> object:
        """What the developer's Reload button does; returns the new Python widget."""
        import slicer.util

        slicer.util.reloadScriptedModule(name)
        self.process_events()
        return slicer.util.getModuleWidget(name)

    def unload(self, name: str) -> None:
        """Leaves the module if it is shown, and unloads it: cleanup() runs."""
        if self.window.moduleSelector().selectedModule == name:
            self.leave()
        self.app.moduleManager()._remove(name)
        self.process_events()

    def scripted_modules(self) -> list[str]:
        """Names of the modules that load_module has loaded."""
        import slicer

        manager = self.app.moduleManager()
        names = manager.factoryManager().loadedModuleNames()
        return [name for name in names if isinstance(manager.module(name), slicer.qSlicerScriptedLoadableModule)]

    # The application's life

    def close_scene(self) -> None:
        """File > Close scene."""
        import slicer

        slicer.mrmlScene.Clear(0)
        self.process_events()

    def quit(self) -> None:
        """The user quits: the panel is left, aboutToQuit is emitted, every scripted module is unloaded."""
        self.leave()
        self.app.aboutToQuit.emit()
        for name in self.scripted_modules():
            self.unload(name)
        self.process_events()

    def reset(self) -> None:
        """Makes the application as it was at the start; errors that come up meanwhile are collected as always."""
        import slicer

        self.leave()
        for name in self.scripted_modules():
            self.unload(name)
        # A module whose cleanup() failed is still connected.
        self.app.moduleManager()._forget_slots()
        self.close_scene()
        self.app.settings().clear()
        self.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView)
        self.window._resize_to_default()
        self.activate()

    def activate(self) -> None:
        """Give the main window the keyboard: one that a test showed and left, or another's end, may have taken it."""
        for widget in self.app.topLevelWidgets():
            if widget is not self.window and widget.isVisible():
                widget.close()
        self.window.activateWindow()
        self.idle(0.02)

    # The event loop

    def process_events(self) -> None:
        from slicer_host import eventloop

        eventloop.process_events()

    def idle(self, seconds: float) -> None:
        """Lets the application run, the main thread keeping Python's lock as in Slicer."""
        from slicer_host import eventloop

        eventloop.idle(seconds)

    def wait_until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        """Runs the application until the condition holds.

        Raises:
            TimeoutError: if it doesn't within `seconds`.
        """
        from slicer_host import eventloop

        if not eventloop.wait_until(condition, seconds):
            raise TimeoutError(f"The condition didn't become true within {seconds:g} s.")

    # Views and pictures

    def screenshot(self, path: Path) -> None:
        """Writes the whole window as a PNG."""
        self.idle(0.05)
        if not self.window.grab().save(str(path)):
            raise OSError(f"The picture can't be written to {path}.")

    def census(self) -> dict[str, int]:
        """How many things there are: `nodes` in the scene, `observers`, Python `threads`, `widgets`."""
        import slicer

        from slicer_host import counting

        gc.collect()
        return {
            "nodes": slicer.mrmlScene.GetNumberOfNodes(),
            "observers": counting.observers(self),
            "threads": threading.active_count(),
            "widgets": len(self.app.allWidgets()),
        }
