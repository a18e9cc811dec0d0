"""`ctk`: the collapsible button and the message box, with the properties and signals that CTK documents."""

from __future__ import annotations

import sys
import types

from PySide6 import QtCore, QtGui, QtWidgets

Qt = QtCore.Qt
HEADER = 24  # pixels
UNLIMITED = (1 << 24) - 1  # QWIDGETSIZE_MAX


class ctkCollapsibleButton(QtWidgets.QWidget):
    """A titled section; a click on the title shows or hides what is in it."""

    contentsCollapsed = QtCore.Signal(bool)
    clicked = QtCore.Signal(bool)
    toggled = QtCore.Signal(bool)

    def __init__(self, *arguments: object) -> None:
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        parents = [a for a in arguments if isinstance(a, QtWidgets.QWidget)]
        super().__init__(*parents)
        self._text, self._collapsed = text, False
        self.setContentsMargins(0, HEADER, 0, 0)
        self.setMinimumHeight(HEADER)
        self.setSizePolicy(QtWidgets.QSizePolicy.Preferred, QtWidgets.QSizePolicy.Preferred)
        self.setFocusPolicy(Qt.StrongFocus)

    def _set_text(self, text: str) -> None:
        self._text = text
        self.update()

    def _set_collapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = bool(collapsed)
        self._show_contents()
        self.setMaximumHeight(HEADER if collapsed else UNLIMITED)
        self.update()
        self.contentsCollapsed.emit(self._collapsed)
        self.toggled.emit(not self._collapsed)

    def _show_contents(self) -> None:
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(not self._collapsed)

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        """What came into a collapsed section after it was collapsed, as from a .ui file, is hidden as well."""
        if self._collapsed:
            self._show_contents()
        super().showEvent(event)

    text = QtCore.Property(str, lambda self: self._text, _set_text)
    collapsed = QtCore.Property(bool, lambda self: self._collapsed, _set_collapsed)
    checked = QtCore.Property(bool, lambda self: not self._collapsed, lambda self, on: self._set_collapsed(not on))

    def setText(self, text: str) -> None:
        self._set_text(text)

    def setCollapsed(self, collapsed: bool) -> None:
        self._set_collapsed(collapsed)

    def setChecked(self, checked: bool) -> None:
        self._set_collapsed(not checked)

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.button() == Qt.LeftButton and event.pos().y() < HEADER:
            self._set_collapsed(not self._collapsed)
            self.clicked.emit(not self._collapsed)
        else:
            super().mousePressEvent(event)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, HEADER)
        option.features = QtWidgets.QStyleOptionButton.Flat
        painter.fillRect(option.rect, option.palette.button())
        arrow = QtWidgets.QStyle.PE_IndicatorArrowRight if self._collapsed else QtWidgets.QStyle.PE_IndicatorArrowDown
        option.rect = QtCore.QRect(6, (HEADER - 10) // 2, 10, 10)
        painter.drawPrimitive(arrow, option)
        flags = Qt.AlignLeft | Qt.AlignVCenter | Qt.TextShowMnemonic
        painter.drawText(QtCore.QRect(22, 0, self.width - 22, HEADER), flags, self._text)
        painter.end()


class ctkMessageBox(QtWidgets.QMessageBox):
    """QMessageBox; CTK's "don't show again" isn't built."""


WIDGETS = (ctkCollapsibleButton, ctkMessageBox)


def install() -> types.ModuleType:
    """Puts the module `ctk` into sys.modules, and returns it."""
    module = types.ModuleType("ctk", "The widgets of CTK that the host has; a stand-in.")
    for cls in WIDGETS:
        setattr(module, cls.__name__, cls)
    sys.modules["ctk"] = module
    return module
