"""The rules of PythonQt that PySide6 is laxer about, put onto PySide6's classes."""

from __future__ import annotations

import enum
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from PySide6 import QtCore, QtGui, QtWidgets

from slicer_host import eventloop

# One line for each class of PySide6 that isn't in Qt 5.15, or that has more names than there: "QClass: name name".
QT6_NAMES = Path(__file__).with_name("qt6_names.txt")

# In Qt 5.15 too, but not for module code: Qt's own threads and meta objects.
NOT_OFFERED = {
    "QMetaClassInfo", "QMetaEnum", "QMetaMethod", "QMetaObject", "QMetaProperty", "QRunnable", "QThread", "QThreadPool",
}  # fmt: skip

# Attributes that PythonQt doesn't have or that give something else there, and signals that are new in Qt 6.
HIDDEN = {
    "QCheckBox": ["checkStateChanged"],
    "QSinglePointEvent": ["position", "scenePosition", "globalPosition"],
    "QInputDialog": ["getText", "getInt", "getDouble", "getItem", "getMultiLineText"],
    "QFontDialog": ["getFont"],
}

# Not virtual in C++ although several related classes have a method of that name.
NOT_VIRTUAL = {
    "addAction", "addWidget", "move", "resize", "setAlignment", "setFormat", "setParent", "setPermissions",
    "setSpacing", "setText", "setWindowModality", "setWindowTitle",
}  # fmt: skip


@cache
def qt6_names() -> dict[str, list[str]]:
    """Class -> its names that Qt 5.15 doesn't have; an empty list if it doesn't have the class."""
    lines = (line.partition(":") for line in QT6_NAMES.read_text(encoding="utf-8").splitlines())
    return {cls: names.split() for cls, _, names in lines}


def is_offered(name: str) -> bool:
    """Whether `qt` has a class of this name."""
    return name.startswith("Q") and name not in NOT_OFFERED and qt6_names().get(name) != []


class Refusal:
    """Stands for a hidden slot or signal; whatever is done with it fails."""

    def __init__(self, message: str) -> None:
        self.__dict__["message"] = message

    def __call__(self, *arguments: object, **keywords: object) -> None:
        raise AttributeError(self.message)

    def __getattr__(self, name: str) -> None:
        raise AttributeError(self.message)


class Hidden:
    """An attribute that fails for everybody except PySide6's own Python code, which can't do without."""

    def __init__(self, owner: str, name: str, value: object) -> None:
        self.owner, self.name, self.value = owner, name, value

    def __get__(self, obj: object, cls: type) -> object:
        caller = sys._getframe(1)
        of_shiboken = caller.f_globals.get("__name__", "").startswith("shibokensupport")
        if of_shiboken or caller.f_code.co_name in ("func_or", "func_add"):  # of Qt.ShiftModifier | Qt.Key_A
            return self.value
        message = f"PythonQt in Slicer has no '{self.owner}.{self.name}'"
        if isinstance(obj, QtCore.QObject):
            # After an exception PySide6 would look for a slot or a signal of that name itself, and find it.
            return Refusal(message)
        raise AttributeError(message)


def hide_enums(cls: type) -> None:
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


class Virtual:
    """Tells which methods may be virtual in C++: those that several related classes have, and event handlers."""

    def __init__(self, classes: Iterable[type]) -> None:
        self._owners: dict[str, set[type]] = defaultdict(set)
        for cls in classes:
            for name, value in cls.__dict__.items():
                if type(value).__name__ == "method_descriptor":
                    self._owners[name].add(cls)

    def may_be(self, cls: type, name: str) -> bool:
        """Whether a Python object in its place could be taken for an override."""
        if name in NOT_VIRTUAL:
            return False
        others = [other for other in self._owners[name] if other is not cls]
        related = any(issubclass(other, cls) or issubclass(cls, other) for other in others)
        return related or name.endswith("Event") or name == "clone"


def refuse_keywords(classes: list[type], virtual: Virtual) -> None:
    """Wraps constructors, static methods and all methods that can't be virtual."""
    for cls in classes:
        for name, value in list(cls.__dict__.items()):
            label, kind = f"{cls.__name__}.{name}", type(value).__name__
            if name == "__init__":
                cls.__init__ = _guarded(value, label)
            elif name.startswith("__"):
                continue
            elif kind == "staticmethod":
                setattr(cls, name, staticmethod(_guarded(getattr(cls, name), label)))
            elif kind == "method_descriptor" and not virtual.may_be(cls, name):
                setattr(cls, name, _guarded(value, label))


def refuse_new_attributes(cls: type) -> None:
    """Makes `widget.typo = 1` fail, as PythonQt does for objects that aren't of a Python class."""
    cls.__setattr__ = _set_attribute


def _of_host(module: str) -> bool:
    return module.startswith("slicer_host.") and not module.startswith("slicer_host.test_")


def _set_attribute(self: QtCore.QObject, name: str, value: object) -> None:
    kind = type(self)
    of_python = not kind.__module__.startswith("PySide6") and not _of_host(kind.__module__)
    existing = next((base.__dict__[name] for base in kind.__mro__ if name in base.__dict__), None)
    if isinstance(value, QtCore.SignalInstance):
        self.__dict__[name] = value  # PySide6 keeps the signals of objects that C++ made there
    elif isinstance(existing, QtCore.Property):
        if existing.fset is None:
            raise AttributeError(f"Property '{name}' of type '{kind.__name__}' object is not writable")
        existing.fset(self, value)
    elif hasattr(type(existing), "__set__"):
        existing.__set__(self, value)
    elif of_python or _of_host(sys._getframe(1).f_globals.get("__name__", "")):
        self.__dict__[name] = value
    elif existing is None:
        raise AttributeError(
            f"Attribute '{name}' does not exist on {kind.__name__}, "
            "and creating new attributes on C++ objects is not allowed"
        )
    else:
        raise AttributeError(f"Slot '{name}' can not be overwritten on {kind.__name__} object")


def hide_names(classes: list[type], virtual: Virtual) -> None:
    """Hides what Qt 5.15 or PythonQt doesn't have."""
    for cls in classes:
        for name in [*qt6_names().get(cls.__name__, []), *HIDDEN.get(cls.__name__, [])]:
            value = cls.__dict__.get(name)
            is_field = type(value).__name__ == "getset_descriptor"  # PySide2's stubs don't list them
            if name in cls.__dict__ and not is_field and not virtual.may_be(cls, name):
                setattr(cls, name, Hidden(cls.__name__, name, value))


def add_differences() -> None:
    """Methods that return something else in PythonQt, or exist there under another name."""
    QtWidgets.QDialog.exec_ = eventloop.run_dialog
    QtWidgets.QMenu.exec_ = Hidden("QMenu", "exec_", None)
    for cls in (QtCore.QCoreApplication, QtGui.QGuiApplication, QtWidgets.QApplication):
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
