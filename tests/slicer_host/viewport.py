"""The widget that VTK draws into: an off-screen EGL window copied into a Qt widget, with Qt's events for VTK."""

from __future__ import annotations

import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from vtkmodules.util.numpy_support import vtk_to_numpy

from slicer_host.keysyms import key_symbol

Qt, QEvent = QtCore.Qt, QtCore.QEvent
BUTTONS = {Qt.LeftButton: "LeftButton", Qt.MiddleButton: "MiddleButton", Qt.RightButton: "RightButton"}
MOUSE = {
    QEvent.MouseButtonPress: "PressEvent",
    QEvent.MouseButtonRelease: "ReleaseEvent",
    QEvent.MouseButtonDblClick: "DoubleClickEvent",
}
WHEEL_STEP = 120


class ctkVTKOpenGLNativeWidget(QtWidgets.QWidget):
    """In the place of QVTKOpenGLNativeWidget: window and interactor are real VTK, only the copying is ours."""

    _resized = QtCore.Signal()

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._interactor.Initialize()
        # As in CTK: only the view renders the window, when it's time to.
        self._interactor.SetEnableRender(False)
        self._picture = QtGui.QImage()
        self._stale = True
        self._wheel = 0
        self._tag = self._window.AddObserver("EndEvent", self._on_rendered)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.StrongFocus)

    def _on_rendered(self, caller: object, event: str) -> None:
        self._stale = True

    @property
    def _ratio(self) -> float:
        """Device pixels per Qt pixel: 2.0 with 200 % scaling."""
        return self.devicePixelRatioF()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        if self._stale:
            self._picture = self._read()
            self._stale = False
        painter = QtGui.QPainter(self)
        painter.drawImage(self.rect, self._picture)
        painter.end()

    def _read(self) -> QtGui.QImage:
        width, height = self._window.GetSize()
        pixels = vtk.vtkUnsignedCharArray()
        self._window.GetPixelData(0, 0, width - 1, height - 1, 0, pixels, 0)
        rows = vtk_to_numpy(pixels).reshape(height, width, 3)[::-1].copy()
        return QtGui.QImage(rows.data, width, height, 3 * width, QtGui.QImage.Format_RGB888).copy()

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        width, height = (max(1, round(length * self._ratio)) for length in (self.width, self.height))
        self._window.SetSize(width, height)
        self._interactor.SetSize(width, height)
        self._interactor.InvokeEvent("ConfigureEvent")
        self._resized.emit()

    def event(self, event: QtCore.QEvent) -> bool:
        """Tells the interactor, then lets Qt go on, as QVTKOpenGLNativeWidget does."""
        if self._interactor.GetEnabled():
            self._forward(event)
        return super().event(event)

    def _forward(self, event: QtCore.QEvent) -> None:
        kind = event.type()
        if kind in MOUSE and event.button() in BUTTONS:
            self._place(event, event.pos(), repeat=int(kind == QEvent.MouseButtonDblClick))
            self._interactor.InvokeEvent(BUTTONS[event.button()] + MOUSE[kind])
        elif kind == QEvent.MouseMove:
            self._place(event, event.pos())
            self._interactor.InvokeEvent("MouseMoveEvent")
        elif kind in (QEvent.Enter, QEvent.Leave):
            self._interactor.InvokeEvent("EnterEvent" if kind == QEvent.Enter else "LeaveEvent")
        elif kind in (QEvent.KeyPress, QEvent.KeyRelease):
            self._key(event)
        elif kind == QEvent.Wheel:
            self._turn(event)

    def _place(self, event: QtGui.QInputEvent, at: QtCore.QPoint, repeat: int = 0) -> None:
        held = event.modifiers()
        x, y = int(at.x() * self._ratio), int(at.y() * self._ratio)
        control, shift = int(bool(held & Qt.ControlModifier)), int(bool(held & Qt.ShiftModifier))
        self._interactor.SetEventInformationFlipY(x, y, control, shift, "\0", repeat, None)
        self._interactor.SetAltKey(int(bool(held & Qt.AltModifier)))

    def _key(self, event: QtGui.QKeyEvent) -> None:
        held, text = event.modifiers(), event.text()
        code = text if text and text.isascii() else "\0"
        control, shift = int(bool(held & Qt.ControlModifier)), int(bool(held & Qt.ShiftModifier))
        symbol = key_symbol(event.key(), text)
        self._interactor.SetKeyEventInformation(control, shift, code, event.count(), symbol)
        self._interactor.SetAltKey(int(bool(held & Qt.AltModifier)))
        if event.type() == QEvent.KeyRelease:
            self._interactor.InvokeEvent("KeyReleaseEvent")
            return
        self._interactor.InvokeEvent("KeyPressEvent")
        if code != "\0":
            self._interactor.InvokeEvent("CharEvent")

    def _turn(self, event: QtGui.QWheelEvent) -> None:
        self._place(event, event.point(0).position().toPoint())
        self._wheel += event.angleDelta().y()
        if abs(self._wheel) >= WHEEL_STEP:
            self._interactor.InvokeEvent("MouseWheelForwardEvent" if self._wheel > 0 else "MouseWheelBackwardEvent")
            self._wheel = 0


class VTKView(QtWidgets.QWidget):
    """What CTK's views share: rendering that is scheduled, at most 60 times a second, and only while visible."""

    MAXIMUM_UPDATE_RATE = 60.0

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._widget = ctkVTKOpenGLNativeWidget(self)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._widget)
        self.setMinimumSize(50, 50)
        self._enabled = True
        self._paused = 0
        self._since = QtCore.QElapsedTimer()
        self._request = QtCore.QTimer(self)
        self._request.setSingleShot(True)
        self._request.timeout.connect(self._on_request)
        self._widget._resized.connect(self.forceRender)
        self._rendering = False
        self._render_tag = self.interactor().AddObserver("RenderEvent", self._on_wish)

    def VTKWidget(self) -> ctkVTKOpenGLNativeWidget:
        return self._widget

    def renderWindow(self) -> vtk.vtkRenderWindow:
        return self._widget._window

    def interactor(self) -> vtk.vtkRenderWindowInteractor:
        return self._widget._interactor

    def scheduleRender(self) -> None:
        """Renders soon; any number of calls until then end in one render."""
        if not self._enabled:
            return
        wait = 1000.0 / self.MAXIMUM_UPDATE_RATE
        if not self._since.isValid():
            self._since.start()
            self._request.start(int(wait))
        elif self._since.elapsed() > wait:
            self._render_unless_paused()

    def forceRender(self) -> None:
        """Renders now, if enabled and visible."""
        self._request.stop()
        self._since.invalidate()
        if self._enabled and self.isVisible():
            self._render()
            self._widget.update()

    def _render(self) -> None:
        """vtkRenderWindow.Render lets go of Python's lock when called from Python, which Slicer's C++ doesn't do."""
        self._rendering = True
        self.interactor().EnableRenderOn()
        self.interactor().Render()
        self.interactor().EnableRenderOff()
        self._rendering = False

    def _on_wish(self, caller: vtk.vtkObject, event: str) -> None:
        if not self._rendering:
            self.scheduleRender()

    def _on_request(self) -> None:
        if self._since.isValid():
            self._render_unless_paused()

    def _render_unless_paused(self) -> None:
        if not self._paused:
            self.forceRender()

    def pauseRender(self) -> int:
        self._paused += 1
        return self._paused

    def resumeRender(self) -> int:
        self._paused = max(0, self._paused - 1)
        if not self._paused and self._since.isValid():
            self.scheduleRender()
        return self._paused

    def isRenderPaused(self) -> bool:
        return self._paused > 0

    def setRenderEnabled(self, enabled: bool) -> None:
        self._enabled = enabled

    @property
    def renderEnabled(self) -> bool:
        return self._enabled
