"""Writes qt6_names.txt: what PySide6 offers and Qt 5.15 didn't, so that the host can hide it (Slicer 5.8 has Qt 5.15).

Run it with the folder of PySide2 5.15's stubs (its wheel, unpacked):

    python tests/slicer_host/make_qt6_names.py PySide2/
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path

import PySide6

MODULES = ("QtCore", "QtGui", "QtWidgets", "QtNetwork", "QtUiTools")
OUTPUT = Path(__file__).with_name("qt6_names.txt")


def _names(folder: Path) -> tuple[dict[str, set[str]], dict[str, list[str]]]:
    """Class name -> the names in it (enum members as the class's own), and -> its base classes."""
    members: dict[str, set[str]] = defaultdict(set)
    bases: dict[str, list[str]] = {}

    def visit(node: ast.ClassDef, owner: str) -> None:
        for item in node.body:
            if isinstance(item, ast.FunctionDef):
                members[owner].add(item.name)
            elif isinstance(item, ast.ClassDef) and any("enum." in ast.unparse(base) for base in item.bases):
                visit(item, owner)
            elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                if "Signal" not in ast.unparse(item.annotation):  # PySide2's stubs don't list signals
                    members[owner].add(item.target.id)
            elif isinstance(item, ast.Assign):
                members[owner].update(target.id for target in item.targets if isinstance(target, ast.Name))

    for module in MODULES:
        for node in ast.parse((folder / f"{module}.pyi").read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                members[node.name].update()
                bases[node.name] = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
                visit(node, node.name)
    return members, bases


def main() -> None:
    """One line for each class: all of it, or the names in it."""
    six, bases = _names(Path(PySide6.__file__).parent)
    five, _ = _names(Path(sys.argv[1]))

    def known(cls: str) -> set[str]:
        # Inner classes of the same name as an outer one look like their own base.
        return set().union(five.get(cls, set()), *(known(base) for base in bases.get(cls, []) if base != cls))

    lines = []
    for cls in sorted(name for name in six if name.startswith("Q")):
        if cls not in five:
            lines.append(cls)
            continue
        new = sorted(name for name in six[cls] - known(cls) if not name.startswith("_") and name != "staticMetaObject")
        if new:
            lines.append(f"{cls}: {' '.join(new)}")
    OUTPUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
