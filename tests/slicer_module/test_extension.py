"""The extension's own files: what CMake installs, what the catalogue shows, and the icons."""

import importlib.util
import json
import re
import shutil
import subprocess
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

EXTENSION = Path(__file__).resolve().parents[2] / "slicer_module"
MODULE = EXTENSION / "IMIL"
ICONS = MODULE / "Resources" / "Icons"
PLACEHOLDER = "https://example.org/imil"
NOT_INSTALLED = ("Testing", "__pycache__")


def load(script: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cmake_list(name: str) -> list[str]:
    text = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    (body,) = re.findall(rf"set\({name}\s+(.*?)\)", text, re.DOTALL)
    return [entry.replace("${MODULE_NAME}", "IMIL") for entry in body.split()]


def files(*suffixes: str) -> list[str]:
    found = (path.relative_to(MODULE) for path in MODULE.rglob("*") if path.suffix in suffixes)
    return sorted(path.as_posix() for path in found if not set(path.parts) & set(NOT_INSTALLED))


@pytest.mark.parametrize(
    ("name", "suffixes"), [("MODULE_PYTHON_SCRIPTS", [".py"]), ("MODULE_PYTHON_RESOURCES", [".png", ".svg", ".ui"])]
)
def test_cmake_lists_every_file_once(name: str, suffixes: list[str]) -> None:
    listed, there = cmake_list(name), files(*suffixes)
    assert set(there) - set(listed) == set(), f"add these to {name} in slicer_module/IMIL/CMakeLists.txt"
    assert set(listed) - set(there) == set(), f"take these out of {name} in slicer_module/IMIL/CMakeLists.txt"
    assert len(listed) == len(set(listed))


STUB = """
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/use.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
"""
USE = """
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unknown: ${MY_UNPARSED_ARGUMENTS}")
  endif()
  foreach(file IN LISTS MY_SCRIPTS MY_RESOURCES)
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "missing: ${file}")
    endif()
  endforeach()
  message(STATUS "module ${MY_NAME}")
endmacro()
macro(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "SCRIPT" "" ${ARGN})
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${MY_SCRIPT})
    message(FATAL_ERROR "missing: ${MY_SCRIPT}")
  endif()
  message(STATUS "test ${MY_SCRIPT}")
endmacro()
"""


@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("c++")), reason="needs cmake and a compiler")
def test_cmake_gives_slicers_macros_what_they_need(tmp_path: Path) -> None:
    """Configured against a package that stands in for Slicer's and checks arguments and files."""
    (tmp_path / "SlicerConfig.cmake").write_text(STUB)
    (tmp_path / "use.cmake").write_text(USE)
    (tmp_path / "nothing.cmake").write_text("")
    command = ["cmake", "-S", str(EXTENSION), "-B", str(tmp_path / "build"), f"-DSlicer_DIR={tmp_path}"]
    done = subprocess.run([*command, "-DBUILD_TESTING=ON"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith(("-- module", "-- test"))]
    assert said == ["-- module IMIL", "-- test IMIL.py", "-- test IMILLibraryTest.py"]


def test_the_test_for_slicer_itself_passes(host: object) -> None:
    """What ctest runs inside Slicer, beside `IMILTest`, in the stand-in."""
    script = MODULE / "Testing" / "Python" / "IMILLibraryTest.py"
    library_test = load(script).IMILLibraryTest
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(library_test).run(result)
    assert result.testsRun == 1
    assert result.failures + result.errors == []


def test_the_catalogue_entry_has_what_its_schema_asks_for() -> None:
    """By the fields of Slicer's slicer-extension-catalog-entry-schema-v1.0.1."""
    entry = json.loads((EXTENSION / "IMIL.json").read_text(encoding="utf-8"))
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert set(entry) == {
        "$schema", "build_dependencies", "build_subdirectory", "category", "scm_revision", "scm_url", "tier",
    }  # fmt: skip
    assert entry["build_dependencies"] == []
    assert 1 <= entry["tier"] <= 5
    cmake = (EXTENSION / "CMakeLists.txt").read_text(encoding="utf-8")
    for name in ("HOMEPAGE", "CATEGORY", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"):
        assert re.search(rf'^set\(EXTENSION_{name} "[^"]+"\)$', cmake, re.MULTILINE), name
    assert f'set(EXTENSION_CATEGORY "{entry["category"]}")' in cmake


def test_only_the_places_that_the_readme_names_have_the_placeholder() -> None:
    """Whoever publishes the extension replaces one address in two files."""
    with_it = [
        path.relative_to(EXTENSION).as_posix()
        for path in sorted(EXTENSION.rglob("*"))
        if path.suffix in (".txt", ".json", ".py", ".ui") and PLACEHOLDER in path.read_text(encoding="utf-8")
    ]
    assert with_it == ["CMakeLists.txt", "IMIL.json"]
    readme = (EXTENSION / "README.md").read_text(encoding="utf-8")
    assert all(f"`{words}`" in readme for words in (PLACEHOLDER, *with_it))


# -- icons -------------------------------------------------------------------------------------------------------------


def test_the_extensions_icon_is_what_its_script_draws() -> None:
    make_icons = load(EXTENSION / "make_icons.py")
    drawn = np.asarray(make_icons.draw_icon(), np.float64)
    assert drawn.shape == (128, 128, 4)
    for target in make_icons.TARGETS:
        # Not to the bit: another version of Pillow may round differently.
        assert np.abs(np.asarray(Image.open(target), np.float64) - drawn).mean() < 1, target


def luminance(color: str) -> float:
    """Relative luminance of ``#rrggbb``, as the Web Content Accessibility Guidelines define it."""
    values = np.array([int(color[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


BUTTONS = sorted(path.stem for path in ICONS.glob("*.svg") if not path.stem.startswith("state_"))


@pytest.mark.parametrize("name", BUTTONS)
def test_a_buttons_icon_shows_on_light_and_dark(name: str) -> None:
    text = (ICONS / f"{name}.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("viewBox") == "0 0 16 16"
    colors = set(re.findall(r"#[0-9a-f]{6}", text))
    assert colors
    for color in colors:
        for background in ("#ffffff", "#323232"):
            brighter, darker = sorted((luminance(color), luminance(background)), reverse=True)
            # 3:1 is what the guidelines ask of graphics.
            assert (brighter + 0.05) / (darker + 0.05) >= 3, f"{color} on {background}"
