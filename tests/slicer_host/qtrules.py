"""The rules of PythonQt that PySide6 is laxer about, put onto PySide6's classes."""

from __future__ import annotations

import enum
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable

from PySide6 import QtCore, QtWidgets

from slicer_host import eventloop

# Bound in PySide6 only, or new in Qt 6 (Slicer 5.8 has Qt 5.15), or not for module code (threads of Qt's own).
NOT_OFFERED = {
    "QCameraPermission", "QEventPoint", "QInputDevice", "QMetaClassInfo", "QMetaEnum", "QMetaMethod", "QMetaObject",
    "QMetaProperty", "QMetaType", "QPermission", "QPointerEvent", "QPointingDevice", "QRunnable", "QSinglePointEvent",
    "QStringConverter", "QStringDecoder", "QStringEncoder", "QThread", "QThreadPool", "QUntypedPropertyData",
}  # fmt: skip

# Attributes that Slicer 5.8's Qt 5.15 or PythonQt doesn't have, or which give something else there.
HIDDEN = {
    "QCheckBox": ["checkStateChanged"],
    "QSinglePointEvent": ["position", "scenePosition", "globalPosition"],
    "QDialog": ["exec"],
    "QMenu": ["exec"],
    "QApplication": ["exec"],
    "QCoreApplication": ["exec"],
    "QEventLoop": ["exec"],
    "QInputDialog": ["getText", "getInt", "getDouble", "getItem", "getMultiLineText"],
    "QFontDialog": ["getFont"],
    "QWidget": ["connect", "disconnect"],
}

# Not virtual in C++ although several related classes have a method of that name.
NOT_VIRTUAL = {
    "addAction", "addWidget", "move", "resize", "setAlignment", "setFormat", "setParent", "setPermissions",
    "setSpacing", "setText", "setWindowModality", "setWindowTitle",
}  # fmt: skip


def is_offered(name: str) -> bool:
    """Whether `qt` has a class of this name."""
    return name.startswith("Q") and name not in NOT_OFFERED and not name.startswith(("QRhi", "QShader"))


def apply(classes: Iterable[type]) -> None:
    """Hides enum classes and attributes that PythonQt doesn't have, and refuses keyword arguments."""
    classes = list(classes)
    for cls in classes:
        _hide_enums(cls)
    refuse_keywords(classes)
    _differences(classes)


class Hidden:
    """An attribute that fails for everybody except PySide6's own Python code, which can't do without."""

    def __init__(self, owner: str, name: str, value: object) -> None:
        self.owner, self.name, self.value = owner, name, value

    def __get__(self, obj: object, cls: type) -> object:
        caller = sys._getframe(1)
        of_shiboken = caller.f_globals.get("__name__", "").startswith("shibokensupport")
        if of_shiboken or caller.f_code.co_name in ("func_or", "func_add"):  # of Qt.ShiftModifier | Qt.Key_A
            return self.value
        raise AttributeError(f"PythonQt in Slicer has no '{self.owner}.{self.name}'")


def _hide_enums(cls: type) -> None:
    """Makes enum values attributes of the class (`Qt.AlignLeft`), and hides the enum's own name."""
    for name, value in list(cls.__dict__.items()):
        if isinstance(value, enum.EnumMeta):
            for member, constant in value.__members__.items():
                if member not in cls.__dict__:
                    setattr(cls, member, constant)
            setattr(cls, name, Hidden(cls.__name__, name, value))


def _guarded(function: Callable[..., object], label: str) -> Callable[..., object]:
    def call(*arguments: object, **keywords: object) -> object:
        if keywords:
            raise TypeError(f"PythonQt takes no keyword arguments: {label}({', '.join(keywords)})")
        return function(*arguments)

    call.__name__ = label.rpartition(".")[2]
    call.__qualname__ = label
    return call


def refuse_keywords(classes: list[type]) -> None:
    """Wraps constructors, static methods and all methods that can't be virtual."""
    owners: dict[str, set[type]] = defaultdict(set)
    for cls in classes:
        for name, value in cls.__dict__.items():
            if type(value).__name__ == "method_descriptor":
                owners[name].add(cls)

    def may_be_virtual(cls: type, name: str) -> bool:
        if name in NOT_VIRTUAL:
            return False
        related = (other for other in owners[name] if other is not cls)
        return name.endswith("Event") or any(issubclass(o, cls) or issubclass(cls, o) for o in related)

    for cls in classes:
        for name, value in list(cls.__dict__.items()):
            label, kind = f"{cls.__name__}.{name}", type(value).__name__
            if name == "__init__":
                cls.__init__ = _guarded(value, label)
            elif name.startswith("__"):
                continue
            elif kind == "staticmethod":
                setattr(cls, name, staticmethod(_guarded(getattr(cls, name), label)))
            elif kind == "method_descriptor" and not may_be_virtual(cls, name):
                setattr(cls, name, _guarded(value, label))


def refuse_new_attributes(cls: type) -> None:
    """Makes `widget.typo = 1` fail, as PythonQt does for objects that aren't of a Python class."""
    cls.__setattr__ = _set_attribute


def _set_attribute(self: QtCore.QObject, name: str, value: object) -> None:
    kind = type(self)
    existing = next((base.__dict__[name] for base in kind.__mro__ if name in base.__dict__), None)
    if hasattr(type(existing), "__set__"):
        existing.__set__(self, value)
    elif not kind.__module__.startswith("PySide6"):
        self.__dict__[name] = value
    elif existing is None:
        raise AttributeError(
            f"Attribute '{name}' does not exist on {kind.__name__}, "
            "and creating new attributes on C++ objects is not allowed"
        )
    else:
        raise AttributeError(f"Slot '{name}' can not be overwritten on {kind.__name__} object")


def _differences(classes: list[type]) -> None:
    """Methods that return something else in PythonQt, or exist there under another name."""
    by_name = {cls.__name__: cls for cls in classes}
    for owner, names in HIDDEN.items():
        cls = by_name[owner]
        for name in names:
            if name in cls.__dict__:
                setattr(cls, name, Hidden(owner, name, cls.__dict__[name]))
    QtWidgets.QDialog.exec_ = eventloop.run_dialog
    for cls in (QtCore.QCoreApplication, QtWidgets.QApplication):
        cls.processEvents = staticmethod(eventloop.process_events)
        cls.exec_ = Hidden(cls.__name__, "exec_", None)
    for name in ("getOpenFileName", "getSaveFileName", "getOpenFileNames"):
        chosen = getattr(QtWidgets.QFileDialog, name)
        setattr(QtWidgets.QFileDialog, name, staticmethod(lambda *arguments, _chosen=chosen: _chosen(*arguments)[0]))
    _find_by_class_name()


def _find_by_class_name() -> None:
    """findChild and findChildren take a class or, in PythonQt, the name of one."""
    find_children = QtCore.QObject.findChildren

    def matching(self: QtCore.QObject, cls: type | str, name: str = "") -> list[QtCore.QObject]:
        found = find_children(self, QtCore.QObject if isinstance(cls, str) else cls, *([name] if name else []))
        return [child for child in found if not isinstance(cls, str) or child.inherits(cls)]

    def first(self: QtCore.QObject, cls: type | str, name: str = "") -> QtCore.QObject | None:
        return next(iter(matching(self, cls, name)), None)

    QtCore.QObject.findChildren = matching
    QtCore.QObject.findChild = first
