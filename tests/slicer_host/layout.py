"""slicer.app.layoutManager(): views made and arranged from MRML's own layout descriptions."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from slicer_host.plotview import qMRMLPlotWidget
from slicer_host.sliceview import qMRMLSliceWidget

BACKGROUND = "background-color: #7474a5;"  # of Slicer's 3D views


class qSlicerLayoutManager(QtCore.QObject):
    """Follows vtkMRMLLayoutNode. 3D views are an empty area here; a table view can't be shown."""

    layoutChanged = QtCore.Signal(int)

    def __init__(self, viewport: QtWidgets.QWidget, application_logic: slicer.vtkSlicerApplicationLogic) -> None:
        super().__init__(viewport)
        self._viewport = viewport
        self._box = QtWidgets.QVBoxLayout(viewport)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._application_logic = application_logic
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._slices: dict[str, qMRMLSliceWidget] = {}
        self._plots: dict[str, qMRMLPlotWidget] = {}
        self._slice_logics = vtk.vtkCollection()
        self._arrangement: QtWidgets.QWidget | None = None
        self._shown = ""
        application_logic.SetSliceLogics(self._slice_logics)
        application_logic.SetViewLogics(vtk.vtkCollection())

    def setMRMLScene(self, scene: slicer.vtkMRMLScene) -> None:
        self._logic.SetMRMLScene(scene)
        node = self._logic.GetLayoutNode()
        self._tag = node.AddObserver("ModifiedEvent", lambda *_: self._arrange())
        self._scene_tag = scene.AddObserver(scene.EndBatchProcessEvent, lambda *_: self._arrange())

    def mrmlScene(self) -> slicer.vtkMRMLScene:
        return self._logic.GetMRMLScene()

    def layoutLogic(self) -> slicer.vtkMRMLLayoutLogic:
        return self._logic

    def viewport(self) -> QtWidgets.QWidget:
        return self._viewport

    layout = QtCore.Property(int, lambda self: self._logic.GetLayoutNode().GetViewArrangement())

    def setLayout(self, layout: int) -> None:
        """A vtkMRMLLayoutNode.SlicerLayout... constant."""
        self._logic.GetLayoutNode().SetViewArrangement(layout)

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(self._slices)

    def sliceWidget(self, name: str) -> qMRMLSliceWidget | None:
        return self._slices.get(name)

    def mrmlSliceLogics(self) -> vtk.vtkCollection:
        return self._slice_logics

    plotViewCount = QtCore.Property(int, lambda self: len(self._plots))
    threeDViewCount = QtCore.Property(int, lambda self: 0)
    tableViewCount = QtCore.Property(int, lambda self: 0)

    def plotWidget(self, index: int) -> qMRMLPlotWidget | None:
        widgets = list(self._plots.values())
        return widgets[index] if 0 <= index < len(widgets) else None

    def threeDWidget(self, index: int) -> None:
        raise NotImplementedError("The Slicer host has no 3D views.")

    def tableWidget(self, index: int) -> None:
        raise NotImplementedError("The Slicer host has no table views.")

    def resetSliceViews(self) -> None:
        for widget in self._slices.values():
            widget.fitSliceToBackground()

    def setRenderPaused(self, paused: bool) -> None:
        for view in [w.sliceView() for w in self._slices.values()] + [w.plotView() for w in self._plots.values()]:
            view.pauseRender() if paused else view.resumeRender()

    def _arrange(self) -> None:
        node = self._logic.GetLayoutNode()
        description = node.GetCurrentLayoutDescription() or ""
        if description == self._shown or self.mrmlScene().IsBatchProcessing():
            return
        self._shown = description
        kept = [*self._slices.values(), *self._plots.values()]
        for widget in kept:
            widget.hide()
            widget.setParent(self._viewport)
        if self._arrangement is not None:
            self._box.removeWidget(self._arrangement)
            self._arrangement.deleteLater()
        self._arrangement = self._build(ElementTree.fromstring(description)) if description else None
        if self._arrangement is not None:
            self._box.addWidget(self._arrangement)
            self._arrangement.show()
        self.layoutChanged.emit(node.GetViewArrangement())

    def _build(self, element: ElementTree.Element) -> QtWidgets.QWidget:
        if element.tag == "view":
            widget = self._view(element.get("class", ""), element.get("singletontag", ""))
            widget.show()
            return widget
        kind = element.get("type", "horizontal")
        if kind not in ("horizontal", "vertical"):
            raise NotImplementedError(f"The Slicer host can't show a layout of type '{kind}'.")
        orientation = QtCore.Qt.Horizontal if kind == "horizontal" else QtCore.Qt.Vertical
        splitter = QtWidgets.QSplitter(orientation)
        splitter.setHandleWidth(1)
        for item in element:
            splitter.addWidget(self._build(item[0]))
        splitter.setSizes([1000] * len(element))
        return splitter

    def _view(self, kind: str, tag: str) -> QtWidgets.QWidget:
        node = self.mrmlScene().GetSingletonNode(tag, kind)
        if kind == "vtkMRMLSliceNode":
            return self._slices.get(tag) or self._make_slice(tag, node)
        if kind == "vtkMRMLPlotViewNode":
            if tag not in self._plots:
                self._plots[tag] = qMRMLPlotWidget(self._viewport)
                self._plots[tag].setMRMLPlotViewNode(node)
            return self._plots[tag]
        if kind == "vtkMRMLViewNode":
            # Without a parent it would come up as a window of its own, and take the keyboard.
            empty = QtWidgets.QFrame(self._viewport)
            empty.styleSheet = BACKGROUND
            return empty
        raise NotImplementedError(f"The Slicer host can't show views of {kind}.")

    def _make_slice(self, tag: str, node: slicer.vtkMRMLSliceNode) -> qMRMLSliceWidget:
        widget = qMRMLSliceWidget(self._viewport)
        widget.objectName = f"qMRMLSliceWidget{tag}"
        widget.sliceLogic().SetMRMLApplicationLogic(self._application_logic)
        widget.setMRMLSliceNode(node)
        self._slice_logics.AddItem(widget.sliceLogic())
        self._slices[tag] = widget
        return widget
