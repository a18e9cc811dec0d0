"""The user's hands: mouse and keys as real Qt events (QTest), for the Host class."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PySide6 import QtCore, QtGui, QtTest, QtWidgets

from slicer_host import eventloop

Qt = QtCore.Qt
BUTTONS = {"left": Qt.LeftButton, "middle": Qt.MiddleButton, "right": Qt.RightButton}
MODIFIERS = {"shift": Qt.ShiftModifier, "control": Qt.ControlModifier, "alt": Qt.AltModifier}


def _modifiers(names: Iterable[str]) -> Qt.KeyboardModifier:
    held = Qt.NoModifier
    for name in names:
        held |= MODIFIERS[name]
    return held


def _centre(widget: QtWidgets.QWidget) -> QtCore.QPoint:
    return widget.rect.center()


class UserInput:
    """Points are Qt's (origin top left) for widgets, and VTK's (device pixels, origin bottom left) for views."""

    def slice_widget(self, name: str = "Red") -> QtWidgets.QWidget:
        """The slice view's widget of that name."""
        return self.app.layoutManager().sliceWidget(name)

    def click(
        self,
        widget: QtWidgets.QWidget,
        at: tuple[int, int] | None = None,
        button: str = "left",
        modifiers: Iterable[str] = (),
        double: bool = False,
    ) -> None:
        """Clicks in the middle of the widget, or at a point of it.

        Raises:
            ValueError: if a user couldn't click there: the widget is hidden or switched off.
        """
        if not widget.isVisible() or not widget.isEnabled():
            state = "hidden" if not widget.isVisible() else "disabled"
            raise ValueError(f"A user can't click {widget.className()} '{widget.objectName}': it's {state}.")
        point = QtCore.QPoint(*at) if at else _centre(widget)
        action = QtTest.QTest.mouseDClick if double else QtTest.QTest.mouseClick
        action(widget, BUTTONS[button], _modifiers(modifiers), point)
        eventloop.process_events()

    def press(self, key: str, widget: QtWidgets.QWidget | None = None) -> None:
        """Presses a key or a combination ("Return", "Shift+A", "Ctrl+Z"), where the focus is or in this widget."""
        self._key(QtTest.QTest.keyClick, key, widget)
        eventloop.process_events()

    def hold(self, key: str, widget: QtWidgets.QWidget | None = None) -> None:
        """Presses a key and keeps it down until release()."""
        self._key(QtTest.QTest.keyPress, key, widget)
        eventloop.process_events()

    def release(self, key: str, widget: QtWidgets.QWidget | None = None) -> None:
        """Lets go of a key."""
        self._key(QtTest.QTest.keyRelease, key, widget)
        eventloop.process_events()

    def _key(self, action: Callable[..., None], key: str, widget: QtWidgets.QWidget | None) -> None:
        """By the character where the key has one, so that Shift+A types "A"."""
        combination = QtGui.QKeySequence(key)[0]
        code, held = combination.key(), combination.keyboardModifiers()
        target = widget or QtWidgets.QApplication.focusWidget() or self.window
        typed = chr(code) if 32 < code < 127 else ""
        action(target, (typed if held & Qt.ShiftModifier else typed.lower()) or code, held)

    def type_text(self, text: str, widget: QtWidgets.QWidget | None = None) -> None:
        """Types a text where the focus is, or in this widget."""
        QtTest.QTest.keyClicks(widget or QtWidgets.QApplication.focusWidget(), text)
        eventloop.process_events()

    def view_point(self, x: float, y: float, view: str = "Red") -> tuple[QtWidgets.QWidget, QtCore.QPoint]:
        """The widget that gets a slice view's mouse events, and the Qt point in it of a VTK display position."""
        surface = self.slice_widget(view).sliceView().VTKWidget()
        height = surface._window.GetSize()[1]
        return surface, QtCore.QPoint(int(x / surface._ratio), int((height - 1 - y) / surface._ratio))

    def click_view(
        self,
        x: float,
        y: float,
        button: str = "left",
        modifiers: Iterable[str] = (),
        double: bool = False,
        view: str = "Red",
    ) -> None:
        """Clicks on a slice view at a VTK display position."""
        surface, point = self.view_point(x, y, view)
        self.click(surface, (point.x(), point.y()), button, modifiers, double)

    def drag_view(
        self,
        points: Iterable[tuple[float, float]],
        button: str = "left",
        modifiers: Iterable[str] = (),
        view: str = "Red",
    ) -> None:
        """Presses at the first VTK display position, moves over the others, and lets go at the last."""
        held = _modifiers(modifiers)
        path = [self.view_point(x, y, view) for x, y in points]
        surface, first = path[0]
        self._send(surface, QtCore.QEvent.MouseMove, first, Qt.NoButton, Qt.NoButton, held)
        self._send(surface, QtCore.QEvent.MouseButtonPress, first, BUTTONS[button], BUTTONS[button], held)
        for _, point in path[1:]:
            self._send(surface, QtCore.QEvent.MouseMove, point, Qt.NoButton, BUTTONS[button], held)
        self._send(surface, QtCore.QEvent.MouseButtonRelease, path[-1][1], BUTTONS[button], Qt.NoButton, held)

    def move_view(self, x: float, y: float, modifiers: Iterable[str] = (), view: str = "Red") -> None:
        """Moves the mouse over a slice view, no button pressed."""
        surface, point = self.view_point(x, y, view)
        self._send(surface, QtCore.QEvent.MouseMove, point, Qt.NoButton, Qt.NoButton, _modifiers(modifiers))

    def leave_view(self, view: str = "Red") -> None:
        """Moves the mouse out of a slice view."""
        surface = self.slice_widget(view).sliceView().VTKWidget()
        QtWidgets.QApplication.sendEvent(surface, QtCore.QEvent(QtCore.QEvent.Leave))
        eventloop.process_events()

    def wheel_view(self, x: float, y: float, steps: int = 1, modifiers: Iterable[str] = (), view: str = "Red") -> None:
        """Turns the wheel over a slice view; positive steps are away from the user."""
        surface, point = self.view_point(x, y, view)
        for _ in range(abs(steps)):
            turn = QtCore.QPoint(0, 120 if steps > 0 else -120)
            where, held = QtCore.QPointF(point), _modifiers(modifiers)
            globally = QtCore.QPointF(surface.mapToGlobal(point))
            event = QtGui.QWheelEvent(
                where, globally, QtCore.QPoint(), turn, Qt.NoButton, held, Qt.NoScrollPhase, False
            )
            QtWidgets.QApplication.sendEvent(surface, event)
        eventloop.process_events()

    def _send(
        self,
        surface: QtWidgets.QWidget,
        kind: QtCore.QEvent.Type,
        point: QtCore.QPoint,
        button: Qt.MouseButton,
        buttons: Qt.MouseButton,
        held: Qt.KeyboardModifier,
    ) -> None:
        """QTest has no drags with modifiers."""
        globally = QtCore.QPointF(surface.mapToGlobal(point))
        event = QtGui.QMouseEvent(kind, QtCore.QPointF(point), globally, button, buttons, held)
        QtWidgets.QApplication.sendEvent(surface, event)
        eventloop.process_events()
