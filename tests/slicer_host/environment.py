"""What the process needs before VTK and Qt are imported: off-screen rendering, and the system libraries for it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import vtk

PACKAGES = Path(__file__).resolve().parents[2] / ".ci" / "system-packages"


def missing_packages(script: str) -> list[str]:
    """The Debian packages of those libraries in the script's list that can't be opened here."""
    pairs = re.search(r'^LIBRARIES="(.*)"', script, re.MULTILINE).group(1).split()
    missing = []
    for library, _, package in (pair.partition("=") for pair in pairs):
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(package)
    return missing


def prepare() -> None:
    """Chooses EGL and Qt's off-screen platform; must run before VTK renders and Qt starts.

    Raises:
        RuntimeError: in one sentence, if system libraries are missing.
    """
    missing = missing_packages(PACKAGES.read_text(encoding="utf-8"))
    if missing:
        raise RuntimeError(
            f"Rendering off screen needs the Debian packages {', '.join(missing)}: "
            "run .ci/system-packages as root, or install them with apt-get."
        )
    # triton, which torchvision imports, and Mesa bring an LLVM each; the process dies if Mesa's is there first.
    with contextlib.suppress(ImportError):
        import triton  # noqa: F401
    os.environ["VTK_DEFAULT_OPENGL_WINDOW"] = "vtkEGLRenderWindow"
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    # matplotlib would choose its Qt backend if it saw our QApplication.
    os.environ.setdefault("MPLBACKEND", "Agg")
    if "matplotlib" in sys.modules:
        import matplotlib

        matplotlib.rcParams["backend"] = "agg"


def check_rendering() -> None:
    """Renders one picture.

    Raises:
        RuntimeError: in one sentence, if no EGL window comes up or it draws nothing.
    """
    import vtk

    window = vtk.vtkRenderWindow()
    # Without EGL VTK gives another kind of window, which crashes when it renders.
    if window.GetClassName() != "vtkEGLRenderWindow" or not _draws(window):
        raise RuntimeError(
            "Off-screen OpenGL by EGL doesn't work here: install the Debian packages libegl-mesa0 and libgl1-mesa-dri "
            "(.ci/system-packages does it as root)."
        )


def _draws(window: vtk.vtkRenderWindow) -> bool:
    """Whether a green background is there after rendering."""
    import vtk

    window.SetOffScreenRendering(1)
    window.SetSize(8, 8)
    renderer = vtk.vtkRenderer()
    renderer.SetBackground(0.0, 1.0, 0.0)
    window.AddRenderer(renderer)
    window.Render()
    pixels = vtk.vtkUnsignedCharArray()
    window.GetPixelData(0, 0, 7, 7, 0, pixels, 0)
    return pixels.GetNumberOfTuples() == 64 and pixels.GetTuple3(0) == (0.0, 255.0, 0.0)
