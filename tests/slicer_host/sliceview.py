"""qMRMLSliceWidget: MRML's real slice logic, displayable managers and interactor style, drawn into a Qt widget."""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from slicer_host.qmrml import qMRMLWidget
from slicer_host.viewport import VTKView

# Those that qMRMLSliceView registers itself, then those of the modules that slicer-core has.
MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
)
BAR_COLORS = {"Red": "#f34a33", "Yellow": "#edd54c", "Green": "#6eb04b"}


def register_managers(application_logic: slicer.vtkSlicerApplicationLogic) -> None:
    """Makes the displayable managers of 2D views known to MRML's factory."""
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    factory.SetMRMLApplicationLogic(application_logic)
    for name in MANAGERS:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)


class _Picture:
    """The slice image as a 2D actor behind everything else, as ctkVTKSliceView's light box draws it."""

    def __init__(self, renderer: vtk.vtkRenderer) -> None:
        self.mapper = vtk.vtkImageMapper()
        self.mapper.SetColorWindow(255)
        self.mapper.SetColorLevel(127.5)
        self.actor = vtk.vtkActor2D()
        self.actor.SetMapper(self.mapper)
        self.actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer = renderer

    def connect(self, connection: vtk.vtkAlgorithmOutput | None) -> None:
        self.mapper.SetInputConnection(connection)
        shown = self.renderer.HasViewProp(self.actor)
        if connection and not shown:
            self.renderer.AddViewProp(self.actor)
        elif shown and not connection:
            self.renderer.RemoveViewProp(self.actor)


class qMRMLSliceView(VTKView):
    """The view proper. Its interactor, render window and displayable managers are VTK's and MRML's own."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        window = self.renderWindow()
        window.SetAlphaBitPlanes(1)
        window.SetMultiSamples(0)
        window.SetNumberOfLayers(2)
        self._renderer, self._overlay = vtk.vtkRenderer(), vtk.vtkRenderer()
        self._overlay.SetLayer(1)
        self._overlay.InteractiveOff()
        for renderer in (self._renderer, self._overlay):
            renderer.GetActiveCamera().ParallelProjectionOn()
            window.AddRenderer(renderer)
        self._picture = _Picture(self._renderer)
        self._connection: vtk.vtkAlgorithmOutput | None = None
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self._managers = factory.InstantiateDisplayableManagers(self._renderer)
        self._managers.AddObserver("UpdateEvent", lambda *_: self.scheduleRender())
        self.interactor().SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetDisplayableManagers(self._managers)
        self._style.SetInteractor(self.interactor())
        self._node: slicer.vtkMRMLSliceNode | None = None
        self.renderWindow().Render()

    def interactorObserver(self) -> slicer.vtkMRMLSliceViewInteractorStyle:
        return self._style

    def mrmlSliceNode(self) -> slicer.vtkMRMLSliceNode | None:
        return self._node

    def setMRMLSliceNode(self, node: slicer.vtkMRMLSliceNode | None) -> None:
        self._node = node
        self._managers.SetMRMLDisplayableNode(node)

    def displayableManagerByClassName(self, name: str) -> slicer.vtkMRMLAbstractDisplayableManager | None:
        return self._managers.GetDisplayableManagerByClassName(name)

    def setImageDataConnection(self, connection: vtk.vtkAlgorithmOutput | None) -> None:
        if connection is not self._connection:
            self._connection = connection
            self._picture.connect(connection)

    def convertDeviceToXYZ(self, xy: list[int]) -> list[float]:
        xyz = [0.0, 0.0, 0.0]
        self.displayableManagerByClassName("vtkMRMLCrosshairDisplayableManager").ConvertDeviceToXYZ(*xy, xyz)
        return xyz


class qMRMLSliceControllerWidget(qMRMLWidget):
    """The coloured bar over the view, with the view's name; the logic belongs to it, as in Slicer."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._logic = slicer.vtkMRMLSliceLogic()
        self._bar = QtWidgets.QLabel(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._bar)
        self.setFixedHeight(20)

    def setMRMLSliceNode(self, node: slicer.vtkMRMLSliceNode) -> None:
        self._logic.SetMRMLScene(node.GetScene())
        self._logic.SetSliceNode(node)
        self._bar.text = f"  {node.GetLayoutLabel()}"
        color = BAR_COLORS.get(node.GetLayoutName(), "#cccccc")
        self._bar.styleSheet = f"background-color: {color}; color: black; font-weight: bold;"

    def sliceLogic(self) -> slicer.vtkMRMLSliceLogic:
        return self._logic

    def mrmlSliceNode(self) -> slicer.vtkMRMLSliceNode | None:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> slicer.vtkMRMLSliceCompositeNode | None:
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()
        self._logic.SnapSliceOffsetToIJK()

    def setSliceViewSize(self, width: int, height: int) -> None:
        """In device pixels."""
        self._logic.ResizeSliceNode(width, height)


class qMRMLSliceWidget(qMRMLWidget):
    """Controller and view, kept together as in Slicer."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller, self._view = qMRMLSliceControllerWidget(self), qMRMLSliceView(self)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._controller)
        layout.addWidget(self._view, 1)
        self._view.interactorObserver().SetSliceLogic(self.sliceLogic())
        self._view.VTKWidget()._resized.connect(self._on_resized)
        self._tags: list[tuple[vtk.vtkObject, int]] = []

    def setMRMLSliceNode(self, node: slicer.vtkMRMLSliceNode) -> None:
        self._view.setMRMLSliceNode(node)
        self._controller.setMRMLSliceNode(node)
        self.setMRMLScene(node.GetScene())
        logic, scene = self.sliceLogic(), node.GetScene()
        self._tags = [
            (logic, logic.AddObserver("ModifiedEvent", self._on_logic)),
            (scene, scene.AddObserver(scene.StartBatchProcessEvent, lambda *_: self._view.setRenderEnabled(False))),
            (scene, scene.AddObserver(scene.EndBatchProcessEvent, self._on_batch_ended)),
        ]
        self._on_resized()

    def _on_logic(self, caller: object, event: str) -> None:
        self._view.setImageDataConnection(self.sliceLogic().GetImageDataConnection())
        # Slicer's connection to scheduleRender is queued.
        QtCore.QTimer.singleShot(0, self._view.scheduleRender)

    def _on_batch_ended(self, caller: object, event: str) -> None:
        self._view.setRenderEnabled(True)
        self._on_resized()

    def _on_resized(self) -> None:
        if self.mrmlSliceNode():
            self._controller.setSliceViewSize(*self._view.renderWindow().GetSize())

    def sliceView(self) -> qMRMLSliceView:
        return self._view

    def sliceController(self) -> qMRMLSliceControllerWidget:
        return self._controller

    def sliceLogic(self) -> slicer.vtkMRMLSliceLogic:
        return self._controller.sliceLogic()

    def mrmlSliceNode(self) -> slicer.vtkMRMLSliceNode | None:
        return self._controller.mrmlSliceNode()

    def mrmlSliceCompositeNode(self) -> slicer.vtkMRMLSliceCompositeNode | None:
        return self._controller.mrmlSliceCompositeNode()

    def interactorStyle(self) -> vtk.vtkInteractorObserver:
        return self._view.interactor().GetInteractorStyle()

    def fitSliceToBackground(self) -> None:
        self._controller.fitSliceToBackground()

    @property
    def sliceOrientation(self) -> str:
        return self.mrmlSliceNode().GetOrientation()

    def setSliceOrientation(self, orientation: str) -> None:
        self.mrmlSliceNode().SetOrientation(orientation)
