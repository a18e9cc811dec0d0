"""Counts observers, to find those that a module forgets."""

from __future__ import annotations

import slicer
import vtk


def _number(subject: vtk.vtkObject) -> int:
    """Observers that VTK lists when it prints an object: one line "Tag: n" each."""
    return str(subject).count("    Tag: ")


def observers(host: object) -> int:
    """Observers on the scene, on each of its nodes, and on the interactors and windows of the slice views."""
    scene = slicer.mrmlScene
    subjects = [scene, *(scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))]
    manager = host.app.layoutManager()
    for name in manager.sliceViewNames():
        view = manager.sliceWidget(name).sliceView()
        subjects += [view.interactor(), view.renderWindow(), manager.sliceWidget(name).sliceLogic()]
    return sum(_number(subject) for subject in subjects)
