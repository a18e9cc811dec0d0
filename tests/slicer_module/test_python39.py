"""The Slicer module keeps to Python 3.9, to what Slicer brings and to what PythonQt understands: read from its code."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[2] / "slicer_module"
FILES = sorted(path for path in MODULE.rglob("*.py") if "__pycache__" not in path.parts)
DEVELOPMENT = {"make_icons.py"}
"""Run by developers, in the development environment."""
BROUGHT_BY_SLICER = {"numpy", "vtk", "vtkmodules", "requests", "urllib3", "SimpleITK", "qt", "ctk", "slicer"}
"""`vtkmodules` is a part of vtk, and requests is built on urllib3."""
NEWER_MODULES = {"tomllib"}
NEWER_NAMES = {
    "contextlib": {"aclosing", "chdir"},
    "datetime": {"UTC"},
    "enum": {"StrEnum", "ReprEnum", "nonmember", "member", "verify"},
    "itertools": {"pairwise", "batched"},
    "typing": {"TypeAlias", "ParamSpec", "Concatenate", "TypeGuard", "Self", "Never", "assert_never", "override"},
}
NEWER_KEYWORDS = {"zip": {"strict"}, "dataclass": {"slots", "kw_only", "match_args"}, "field": {"kw_only"}}
PROPERTIES = {"currentText", "currentIndex", "checked", "enabled", "visible", "windowTitle", "placeholderText"}
"""Of widgets; PythonQt has them as attributes only. (`text` and `toolTip` are methods of table items.)"""

Finding = tuple[int, str]
files = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(MODULE)))


def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file), feature_version=(3, 9))


def chain(node: ast.expr) -> list[str]:
    """``["qt", "Qt", "AlignLeft"]`` of the expression ``qt.Qt.AlignLeft``; empty where it isn't made of names alone."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        before = chain(node.value)
        return [*before, node.attr] if before else []
    return []


# -- the rules ---------------------------------------------------------------------------------------------------------


def strange_imports(tree: ast.AST, module: Path) -> Iterator[Finding]:
    allowed = (set(sys.stdlib_module_names) - NEWER_MODULES) | BROUGHT_BY_SLICER | {module.name, f"{module.name}Lib"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name.split(".")[0] not in allowed:
                    yield node.lineno, f"imports {name.name}"
        elif isinstance(node, ast.ImportFrom) and not node.level:
            if str(node.module).split(".")[0] not in allowed:
                yield node.lineno, f"imports {node.module}"
            for name in node.names:
                if name.name in NEWER_NAMES.get(str(node.module), ()):
                    yield node.lineno, f"imports {node.module}.{name.name}, which is newer than Python 3.9"


def newer_python(tree: ast.AST) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = (chain(node.func) or [""])[-1]
            for keyword in node.keywords:
                if keyword.arg in NEWER_KEYWORDS.get(called, ()):
                    yield node.lineno, f"{called}({keyword.arg}=...) is newer than Python 3.9"
            if called in ("isinstance", "issubclass", "cast", "TypeVar"):
                for argument in node.args:
                    if any(isinstance(part, ast.BitOr) for part in ast.walk(argument)):
                        yield node.lineno, f"{called}(... | ...) is newer than Python 3.9"
        elif isinstance(node, ast.Assign) and is_union(node.value):
            yield node.lineno, "X | Y is evaluated here, which is newer than Python 3.9"
        elif isinstance(node, ast.Attribute) and node.attr in NEWER_NAMES.get(".".join(chain(node.value)), ()):
            yield node.lineno, f"{'.'.join(chain(node))} is newer than Python 3.9"


def is_union(node: ast.expr) -> bool:
    """``int | None`` and the like, as far as it can be told from numbers."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.BitOr):
        return False
    types = {"int", "float", "str", "bytes", "bool", "list", "dict", "tuple", "set", "object", "Path"}
    sides = (node.left, node.right)
    none = any(isinstance(side, ast.Constant) and side.value is None for side in sides)
    return none or any(isinstance(side, ast.Name) and side.id in types for side in sides)


def qt_calls(tree: ast.AST) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = chain(node.func)
        attribute = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        camel = attribute != attribute.lower() and attribute[:1].islower()
        if node.keywords and (name[:1] in (["qt"], ["ctk"]) or (camel and name[:2] != ["slicer", "util"])):
            yield node.lineno, f"{attribute}({node.keywords[0].arg}=...): PythonQt knows no keyword arguments"
        if attribute == "connect" and node.args and is_text(node.args[0]) and is_slot(node.args):
            yield node.lineno, "connect('signal()', ...): write obj.signal.connect(...)"
        if attribute in PROPERTIES and not node.args and not node.keywords:
            yield node.lineno, f"{attribute}(): an attribute in PythonQt"


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def is_slot(arguments: list[ast.expr]) -> bool:
    """Whether a call looks like ``connect("clicked()", slot)`` and not like our own ``connect("http://...")``."""
    return isinstance(arguments[0], ast.Constant) and str(arguments[0].value).endswith(")")


def scoped_enums(tree: ast.AST) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = chain(node)
            if name[:1] == ["qt"] and len(name) > 3:
                yield node.lineno, f"{'.'.join(name)}: PythonQt knows no scoped enums"
            if name[:1] in (["qt"], ["ctk"]) and name[-1] in ("Signal", "Slot", "Property"):
                yield node.lineno, f"{'.'.join(name)}: PythonQt has none"


def overridden_painting(tree: ast.AST) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "paintEvent":
            yield node.lineno, "overrides paintEvent"


def untranslatable(tree: ast.AST) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or chain(node.func) != ["_"]:
            continue
        if len(node.args) != 1 or node.keywords or not is_text(node.args[0]):
            yield node.lineno, "_() takes one literal string; put variables in with .format()"


# -- the files ---------------------------------------------------------------------------------------------------------


@files
def test_it_is_python_39(file: Path) -> None:
    tree = parse(file)
    assert list(newer_python(tree)) == []
    if any(not isinstance(node, ast.Expr) for node in tree.body):
        futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        assert futures, "annotations are evaluated; start with `from __future__ import annotations`"


@files
def test_it_imports_only_what_slicer_brings(file: Path) -> None:
    found = [] if file.name in DEVELOPMENT else list(strange_imports(parse(file), MODULE / "IMIL"))
    assert found == []


@files
def test_it_keeps_to_what_pythonqt_understands(file: Path) -> None:
    tree = parse(file)
    assert [*qt_calls(tree), *scoped_enums(tree), *overridden_painting(tree)] == []


@files
def test_every_visible_text_can_be_translated(file: Path) -> None:
    assert list(untranslatable(parse(file))) == []


def test_python_39_itself_compiles_it() -> None:
    python = shutil.which("python3.9")
    version = subprocess.run([python, "--version"], capture_output=True, text=True).stdout if python else ""
    if not version.startswith("Python 3.9"):
        pytest.skip("there is no python3.9 here; its grammar is checked above")
    code = "import sys\nfor path in sys.argv[1:]: compile(open(path, encoding='utf-8').read(), path, 'exec')"
    done = subprocess.run([str(python), "-c", code, *map(str, FILES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (newer_python, "zip(a, b, strict=True)"),
        (newer_python, "isinstance(x, int | str)"),
        (newer_python, "Color = tuple | None"),
        (newer_python, "import datetime\ndatetime.UTC"),
        (qt_calls, "qt.QLabel(text='x')"),
        (qt_calls, "self.button.setText(text='x')"),
        (qt_calls, "button.connect('clicked()', f)"),
        (qt_calls, "combo.currentText()"),
        (scoped_enums, "qt.Qt.AlignmentFlag.AlignLeft"),
        (scoped_enums, "qt.Signal"),
        (overridden_painting, "class A:\n    def paintEvent(self, event): ..."),
        (untranslatable, "_(f'{n} cells')"),
        (untranslatable, "_(sentence)"),
        (lambda tree: strange_imports(tree, MODULE / "IMIL"), "import torch"),
        (lambda tree: strange_imports(tree, MODULE / "IMIL"), "from enum import StrEnum"),
    ],
)
def test_the_rules_find_what_they_look_for(rule, code: str) -> None:
    assert list(rule(ast.parse(code)))
    assert not list(rule(ast.parse("a = b | c\nqt.Qt.AlignLeft\nlogic.connect('http://x', reader='Ada')\n_('x')")))


def test_newer_syntax_is_an_error_here() -> None:
    with pytest.raises(SyntaxError):
        ast.parse("match a:\n    case 1: pass", feature_version=(3, 9))
