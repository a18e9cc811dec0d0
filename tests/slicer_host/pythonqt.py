"""`qt` as PythonQt presents it inside Slicer, over PySide6.

The Qt classes of PySide6 are changed in place, so that widgets made by C++ (QUiLoader, message boxes) follow the same
rules as those made in Python:

- a Qt property is an attribute (`label.text`, `button.enabled = False`); the getter of that name can't be called;
- `name` is another word for objectName, and className() exists;
- the stricter rules of `qtrules`.

What was learnt about PySide6 6.12, to save time:

- Patching `__getattribute__` crashes, and a patch of `connect` on the class is ignored.
- `__setattr__` has to be set on every class: the subclasses have their own slot.
- Shiboken parses signatures lazily, and looks enums up by their Python names: hiding one from it ends in a fatal error.
- A Python function in the place of a virtual C++ method may be taken for an override: those are left alone.
- Virtual getters (sizeHint) may be properties, but an override in Python must call native(), not super(): an exception
  that leaves a virtual function crashes.
"""

from __future__ import annotations

import ctypes
import inspect
import sys
import types
from collections.abc import Iterator

from PySide6 import QtCore, QtGui, QtNetwork, QtUiTools, QtWidgets

from slicer_host import qtrules

MODULES = (QtCore, QtGui, QtWidgets, QtNetwork, QtUiTools)
_native: dict[tuple[type, str], object] = {}  # the C++ getters that properties took the place of


def native(obj: QtCore.QObject, name: str) -> object:
    """Calls the C++ method that a property or a rule hides, for the host's own use."""
    for cls in type(obj).__mro__:
        if (cls, name) in _native:
            return _native[cls, name](obj)
        if isinstance(cls.__dict__.get(name), qtrules.Hidden):
            return cls.__dict__[name].value(obj)
    return getattr(obj, name)()


class QtProperty:
    """A Qt property as an attribute of the instances; the class still offers a static method of that name."""

    def __init__(self, cls: type, meta: QtCore.QMetaProperty) -> None:
        self.name = meta.name()
        self.meta = meta
        self.owner = cls.__name__
        original = cls.__dict__.get(self.name)
        self.getter = getattr(cls, self.name) if original is not None else None  # None: its name is isEnabled or so
        self.is_static = isinstance(original, staticmethod)
        self.setter = getattr(cls, "set" + self.name[0].upper() + self.name[1:], None)

    def __get__(self, obj: QtCore.QObject | None, cls: type) -> object:
        if obj is None:
            if self.is_static:
                return self.getter
            raise AttributeError(f"{self.owner}.{self.name} is a property: only an instance has it")
        if self.getter is None:
            return self.meta.read(obj)
        return self.getter() if self.is_static else self.getter(obj)

    def __set__(self, obj: QtCore.QObject, value: object) -> None:
        if not self.meta.isWritable():
            raise AttributeError(f"Property '{self.name}' of type '{self.owner}' object is not writable")
        if self.setter is not None:
            self.setter(obj, value)
        elif not self.meta.write(obj, value):
            raise ValueError(f"Property '{self.name}' of type '{self.owner}' does not accept {value!r}")


def classes() -> Iterator[type]:
    """Every class of Qt that PySide6 offers, once."""
    seen = set()
    for module in MODULES:
        for name in dir(module):
            cls = getattr(module, name)
            if inspect.isclass(cls) and type(cls).__name__ == "ObjectType" and cls not in seen:
                seen.add(cls)
                yield cls


def _make_properties(cls: type) -> None:
    meta_object = cls.staticMetaObject
    own = meta_object.propertyOffset()
    metas = [meta_object.property(index) for index in range(meta_object.propertyCount())]
    # A class that overrides an inherited getter (QLabel.sizeHint) would show the method again.
    wanted = {meta.name(): meta for index, meta in enumerate(metas) if index >= own or meta.name() in cls.__dict__}
    for name, meta in wanted.items():
        prop = QtProperty(cls, meta)
        if prop.getter is not None and not prop.is_static:
            _native[cls, name] = prop.getter
        setattr(cls, name, prop)


def _keep_none() -> None:
    """Gives None more references than any test can use up.

    PySide6 6.12 gives one away in each call that returns nothing, and Python before 3.12 counts them: without this a
    long test ends with "Fatal Python error: none_dealloc".
    """
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


def _class_name(self: QtCore.QObject) -> str:
    return self.metaObject().className()


def _spare_true() -> None:
    """Gives True more references than emits can take: without any left, Python ends in a fatal error."""
    ctypes.c_ssize_t.from_address(id(True)).value += 1 << 40


def install() -> types.ModuleType:
    """Changes PySide6's classes and puts the module `qt` into sys.modules; returns it. Once per process."""
    if "qt" in sys.modules:
        return sys.modules["qt"]
    _spare_true()
    _keep_none()
    everything = list(classes())
    objects = [cls for cls in everything if issubclass(cls, QtCore.QObject)]
    virtual = qtrules.Virtual(everything)
    for cls in everything:
        qtrules.hide_enums(cls)
    qtrules.refuse_keywords(everything, virtual)
    for cls in objects:
        _make_properties(cls)
        qtrules.refuse_new_attributes(cls)
    qtrules.hide_names(everything, virtual)
    qtrules.add_differences()
    QtCore.QObject.name = QtCore.QObject.__dict__["objectName"]
    QtCore.QObject.className = _class_name
    module = types.ModuleType("qt", "Qt as PythonQt presents it in Slicer; a stand-in.")
    for cls in everything:
        if qtrules.is_offered(cls.__name__):
            setattr(module, cls.__name__, cls)
    sys.modules["qt"] = module
    return module
