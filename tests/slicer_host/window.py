"""The main window: module panel at the left, the views at the right, a status bar."""

from __future__ import annotations

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from slicer_host.ctkwidgets import ctkCollapsibleButton
from slicer_host.modules import guarded

Qt = QtCore.Qt
SIZE = QtCore.QSize(1280, 720)
PANEL_WIDTH = 430  # what Slicer's panel has by itself at this window size


class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    """The list of modules; choosing one opens its panel."""

    moduleSelected = QtCore.Signal(str)

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__("Module Selection", parent)
        self.objectName = "ModuleSelectorToolBar"
        self.addWidget(QtWidgets.QLabel(" Modules: ", self))
        self._list = QtWidgets.QComboBox(self)
        self._list.setMinimumWidth(220)
        self._list.activated.connect(lambda index: self.selectModule(self._list.itemData(index)))
        self.addWidget(self._list)
        self._selected = ""

    def selectModule(self, name: str) -> None:
        """Unknown names change nothing, as in Slicer."""
        module = slicer.app.moduleManager().module(name) if name else None
        if name and module is None:
            return
        if name != self._selected:
            self._selected = name
            self._show(module)
            self.moduleSelected.emit(name)

    def _show(self, module: object) -> None:
        title = module.title if module is not None else ""
        if title and self._list.findText(title) < 0:
            self._list.addItem(title, module.name)
        self._list.setCurrentIndex(self._list.findText(title) if title else -1)

    selectedModule = QtCore.Property(str, lambda self: self._selected)


class qSlicerModulePanel(QtWidgets.QWidget):
    """Shows one module's widget in a vertical scroll area under the help section.

    As in Slicer nothing scrolls sideways: a module that needs more width makes the panel wider.
    """

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.objectName = "ModulePanel"
        self._current: QtWidgets.QWidget | None = None
        help_section = ctkCollapsibleButton("Help && Acknowledgement", self)
        help_section.setCollapsed(True)
        self._content = QtWidgets.QWidget()
        inner = QtWidgets.QVBoxLayout(self._content)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(help_section)
        inner.addStretch(1)
        self._scroll = QtWidgets.QScrollArea(self)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self._scroll.setFrameShape(QtWidgets.QFrame.NoFrame)
        self._scroll.setWidget(self._content)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._scroll)

    def setModule(self, name: str) -> None:
        """Leaves the module that is shown, and enters this one; an empty name shows none."""
        if self._current is not None:
            self._current.exit()
            self._current.removeEventFilter(self)
            self._content.layout().removeWidget(self._current)
            self._current.hide()
            self._current.setParent(None)
            self._current = None
            self.setMinimumWidth(0)
        if name:
            widget = slicer.app.moduleManager().module(name).widgetRepresentation()
            widget.layout().setContentsMargins(0, 0, 0, 0)
            widget.setSizePolicy(QtWidgets.QSizePolicy.Ignored, widget.sizePolicy.verticalPolicy())
            widget.installEventFilter(self)
            self._content.layout().insertWidget(1, widget, 1)
            self._current = widget
            widget.show()
            widget.enter()

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        if watched is self._current and event.type() in (QtCore.QEvent.Resize, QtCore.QEvent.LayoutRequest):
            self.setMinimumWidth(watched.minimumSizeHint.width() + self._scroll.verticalScrollBar().sizeHint.width())
        return False


class qSlicerMainWindow(QtWidgets.QMainWindow):
    """1280 x 720 device-independent pixels."""

    initialWindowShown = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__()
        self.objectName = "qSlicerMainWindow"
        self.windowTitle = f"3D Slicer {slicer.app.applicationVersion}"
        self._selector = qSlicerModuleSelectorToolBar(self)
        self.addToolBar(self._selector)
        self._dock = QtWidgets.QDockWidget("Module Panel", self)
        self._dock.objectName = "PanelDockWidget"
        self._dock.setFeatures(QtWidgets.QDockWidget.NoDockWidgetFeatures)
        self._dock.setTitleBarWidget(QtWidgets.QWidget(self._dock))
        self._panel = qSlicerModulePanel(self._dock)
        self._dock.setWidget(self._panel)
        self.addDockWidget(Qt.LeftDockWidgetArea, self._dock)
        self._selector.moduleSelected.connect(self._panel.setModule)
        views = QtWidgets.QWidget(self)
        views.objectName = "CentralWidget"
        self.setCentralWidget(views)
        self.statusBar().showMessage("")
        self._resize_to_default()

    def _resize_to_default(self) -> None:
        self.resize(SIZE.width(), SIZE.height())
        self.resizeDocks([self._dock], [PANEL_WIDTH], Qt.Horizontal)

    def moduleSelector(self) -> qSlicerModuleSelectorToolBar:
        return self._selector

    def modulePanel(self) -> qSlicerModulePanel:
        return self._panel

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:
        """Closing the window quits the application, without asking."""
        guarded(lambda: self._selector.selectModule(""))
        event.accept()
