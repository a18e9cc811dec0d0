"""`imil slicer-module` names a folder that 3D Slicer can load, from the sources and from an installed wheel."""

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from imil.cli import app
from imil.cli.slicermodule import module_folder

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "slicer_module" / "IMIL"
CACHES = {"__pycache__", ".ruff_cache", ".mypy_cache", ".pytest_cache"}


def files(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and not CACHES & set(path.parts))
    return {path.relative_to(folder).as_posix() for path in found}


def test_the_folder_of_the_sources_is_named():
    assert module_folder() == MODULE
    said = CliRunner().invoke(app, ["slicer-module"])
    assert said.exit_code == 0
    assert f"\n  {MODULE}\n" in said.output
    for words in ("Edit > Application Settings > Modules", "Additional module paths", "5.8", "imil serve"):
        assert words in said.output


def test_a_script_gets_the_folder_alone():
    said = CliRunner().invoke(app, ["slicer-module", "--path-only"])
    assert said.output == f"{MODULE}\n"


def test_the_answer_is_there_at_once():
    """Nothing heavy is imported; the limit is generous for a busy machine."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "imil.cli", "slicer-module"], check=True, capture_output=True)
    assert time.perf_counter() - started < 2


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a wheel of the sources is unpacked to."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_a_wheel_brings_the_whole_module(installed: Path):
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-m", "imil.cli", "slicer-module", "--path-only"],
        cwd=installed, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    folder = Path(done.stdout.removesuffix("\n"))
    assert folder == installed / "imil" / "slicer-module" / "IMIL", done.stderr
    assert files(folder) == files(MODULE)


def test_without_the_module_the_sentence_says_where_to_get_it(installed: Path):
    folder, aside = installed / "imil" / "slicer-module", installed / "aside"
    folder.rename(aside)
    done = subprocess.run(
        [sys.executable, "-m", "imil.cli", "slicer-module"],
        cwd=installed, env=os.environ | {"PYTHONPATH": str(installed)}, capture_output=True, text=True,
    )  # fmt: skip
    aside.rename(folder)
    assert done.returncode != 0
    assert done.stderr.startswith("Error: The module for 3D Slicer isn't installed")
    assert len(done.stderr.splitlines()) == 1
