"""What the process needs before VTK and Qt are imported: off-screen rendering, and the system libraries for it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

# Shared libraries that PySide6 and VTK open, with the Debian package that brings each.
LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libOpenGL.so.0": "libopengl0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libEGL_mesa.so.0": "libegl-mesa0 and libgl1-mesa-dri",
}


def missing_libraries() -> list[str]:
    """The Debian packages of those libraries that can't be opened here."""
    missing = []
    for library, package in LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(package)
    return missing


def prepare() -> None:
    """Chooses EGL and Qt's off-screen platform; must run before vtk and PySide6 are imported for the first time.

    Raises:
        RuntimeError: in one sentence, if system libraries are missing or VTK was imported too early.
    """
    missing = missing_libraries()
    if missing:
        raise RuntimeError(
            f"Rendering off screen needs the Debian packages {', '.join(missing)}: "
            "run .ci/system-packages as root, or install them with apt-get."
        )
    if "vtkmodules.vtkRenderingOpenGL2" in sys.modules and "VTK_DEFAULT_OPENGL_WINDOW" not in os.environ:
        raise RuntimeError("VTK was imported before the Slicer host was started: start the host first.")
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
    window.SetOffScreenRendering(1)
    window.SetSize(8, 8)
    renderer = vtk.vtkRenderer()
    renderer.SetBackground(0.0, 1.0, 0.0)
    window.AddRenderer(renderer)
    window.Render()
    pixels = vtk.vtkUnsignedCharArray()
    window.GetPixelData(0, 0, 7, 7, 0, pixels, 0)
    drawn = pixels.GetNumberOfTuples() == 64 and pixels.GetTuple3(0) == (0.0, 255.0, 0.0)
    if window.GetClassName() != "vtkEGLRenderWindow" or not drawn:
        raise RuntimeError(
            f"Off-screen OpenGL by EGL doesn't work here ({window.GetClassName()} drew nothing): "
            "install the Debian packages libegl-mesa0 and libgl1-mesa-dri (.ci/system-packages does it as root)."
        )
