"""Which file of the Slicer module may know what; docs/explanation/slicer-module.md says why."""

import ast
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "slicer_module" / "IMIL" / "IMILLib"
SLICER = {"qt", "ctk", "vtk", "slicer"}


def imports(name: str) -> tuple[set[str], set[str]]:
    """What a file of the library imports: other files of it, and top-level modules from elsewhere."""
    own: set[str] = set()
    foreign: set[str] = set()
    for node in ast.walk(ast.parse((LIBRARY / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            foreign |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            foreign.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.module:
            own.add(node.module)
        elif isinstance(node, ast.ImportFrom):
            own |= {alias.name for alias in node.names}
    return own, foreign


def reached_from(*names: str) -> set[str]:
    """These files, and all that they lead to."""
    found: set[str] = set()
    ahead = list(names)
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += imports(name)[0]
    return found


def test_the_session_knows_no_qt_and_no_slicer() -> None:
    session = reached_from(
        "review", "console", "training", "settingsform", "settingsgroups", "guidance", "casewords", "insightwords"
    )
    assert {"client", "worker", "outbox", "drafts", "grid", "images", "insightdesk", "corrections"} <= session
    # Translation is Slicer's where there is one.
    guilty = {name: imports(name)[1] & SLICER for name in session - {"i18n"}}
    assert {name: found for name, found in guilty.items() if found} == {}


def test_the_view_makes_no_request_and_has_no_widgets() -> None:
    view = reached_from("viewer", "plots")
    assert {"overlay", "gridview", "painter", "casenodes"} <= view
    assert not view & {"review", "desk", "insightdesk", "sending", "link", "client"}
    assert not any(name.startswith("panels") for name in view)
    assert [name for name in view if imports(name)[1] & {"qt", "ctk"}] == []


@pytest.mark.parametrize("name", ["grid", "marks", "stopwatch", "colormaps", "worker", "drafts", "errors"])
def test_the_foundation_is_plain_python(name: str) -> None:
    foreign = set().union(*(imports(each)[1] for each in reached_from(name) - {"i18n"}))
    assert not foreign & (SLICER | {"requests", "SimpleITK"})
