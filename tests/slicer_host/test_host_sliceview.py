"""The slice view of the host is MRML's: what is shown, what the mouse does, and what an observer can keep from it."""

import numpy as np
import pytest

LEFT_TO_RIGHT = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def volume(host):
    """200 rows x 240 columns, the upper half white, alone in the Red view and fitted."""
    import slicer

    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    pixels = np.zeros((1, 200, 240), np.uint8)
    pixels[0, :100] = 255
    node = slicer.util.addVolumeFromArray(pixels, ijkToRAS=LEFT_TO_RIGHT, name="half white")
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    host.idle(0.1)
    return node


def position(volume, row: float, column: float) -> tuple[float, float]:
    """VTK display position of a pixel's centre."""
    import slicer
    import vtk

    to_ras, to_xy = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(to_ras)
    node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    vtk.vtkMatrix4x4.Invert(node.GetXYToRAS(), to_xy)
    return to_xy.MultiplyPoint(to_ras.MultiplyPoint((column, row, 0, 1)))[:2]


def shown(host, x: float, y: float) -> int:
    """Brightness of the window's picture at a VTK display position of the Red view."""
    surface, point = host.view_point(x, y)
    host.idle(0.05)
    color = surface.grab().toImage().pixelColor(point)
    return color.red()


def mouse_mode(mode: str) -> None:
    import slicer

    node = slicer.mrmlScene.GetSingletonNode("Singleton", "vtkMRMLInteractionNode")
    node.SetCurrentInteractionMode(getattr(node, mode))


def test_the_picture_shows_the_volume(host, volume):
    assert shown(host, *position(volume, 20, 120)) == 255
    assert shown(host, *position(volume, 180, 120)) == 0


def test_changes_of_the_volume_are_rendered_by_themselves_but_not_each(host, volume):
    import slicer

    renders = []
    tag = host.slice_widget().sliceView().renderWindow().AddObserver("EndEvent", lambda *_: renders.append(1))
    for _ in range(20):
        slicer.util.arrayFromVolume(volume)[:] = 0
        slicer.util.arrayFromVolumeModified(volume)
    host.idle(0.2)
    host.slice_widget().sliceView().renderWindow().RemoveObserver(tag)
    assert 1 <= len(renders) <= 10
    assert shown(host, *position(volume, 20, 120)) == 0


def test_a_click_reaches_the_interactor_where_it_was_made(host, volume):
    interactor, seen = host.slice_widget().sliceView().interactor(), []
    tag = interactor.AddObserver("LeftButtonPressEvent", lambda caller, _: seen.append(caller.GetEventPosition()))
    x, y = (round(c) for c in position(volume, 20, 30))
    host.click_view(x, y)
    interactor.RemoveObserver(tag)
    assert seen == [(x, y)]


def test_modifiers_double_clicks_keys_and_leaving_reach_the_interactor(host, volume):
    interactor, seen = host.slice_widget().sliceView().interactor(), []

    def note(caller, event) -> None:
        held = [n for n in ("Shift", "Control", "Alt") if getattr(caller, f"Get{n}Key")()]
        key = caller.GetKeySym() if "Key" in event else None
        seen.append((event, *held, key))

    events = ["LeftButtonPressEvent", "LeftButtonDoubleClickEvent", "RightButtonPressEvent", "LeaveEvent"]
    tags = [interactor.AddObserver(event, note, 10.0) for event in [*events, "KeyPressEvent"]]
    host.click_view(100, 100, modifiers=["shift"])
    host.click_view(100, 100, modifiers=["control", "alt"], button="right")
    host.click_view(100, 100, double=True)
    host.leave_view()
    for key in ("A", "Shift+A", "Space", "Left", "F5", "!"):
        host.press(key, host.slice_widget().sliceView().VTKWidget())
    for tag in tags:
        interactor.RemoveObserver(tag)
    assert seen[:2] == [("LeftButtonPressEvent", "Shift", None), ("RightButtonPressEvent", "Control", "Alt", None)]
    assert ("LeftButtonDoubleClickEvent", None) in seen
    assert ("LeaveEvent", None) in seen
    keys = [entry[-1] for entry in seen if entry[0] == "KeyPressEvent"]
    assert keys == ["a", "Shift_L", "A", "space", "Left", "F5", "exclam"]


def test_a_drag_in_window_level_mode_changes_the_window_unless_an_observer_aborts_it(host, volume):
    display, interactor = volume.GetDisplayNode(), host.slice_widget().sliceView().interactor()
    mouse_mode("AdjustWindowLevel")
    drag = [(300, 300), (340, 310), (380, 330)]

    def stop(caller, event) -> None:
        interactor.GetCommand(tag).SetAbortFlag(1)

    before = display.GetWindow()
    tag = interactor.AddObserver("LeftButtonPressEvent", stop, 10.0)
    host.drag_view(drag)
    assert display.GetWindow() == before
    interactor.RemoveObserver(tag)
    host.drag_view(drag)
    assert display.GetWindow() != before


def test_the_mouse_zooms_pans_and_blends_as_in_slicer(host, volume):
    node = host.slice_widget().mrmlSliceNode()
    field, origin = node.GetFieldOfView()[0], node.GetXYZOrigin()[0]
    host.drag_view([(300, 300), (300, 250)], button="right")
    assert node.GetFieldOfView()[0] != field
    field = node.GetFieldOfView()[0]
    host.wheel_view(300, 300, 2, ["control"])
    assert node.GetFieldOfView()[0] != field
    host.drag_view([(300, 300), (350, 300)], modifiers=["shift"])
    assert node.GetXYZOrigin()[0] != origin


def test_an_exception_in_an_observer_is_collected(host, volume):
    interactor = host.slice_widget().sliceView().interactor()
    tag = interactor.AddObserver("LeftButtonPressEvent", lambda *_: [][0])
    host.click_view(100, 100)
    interactor.RemoveObserver(tag)
    assert "IndexError" in host.errors.pop()


def test_an_error_of_vtk_is_collected(host):
    import vtk

    vtk.vtkPNGReader().Update()
    assert "Unable to open file" in host.errors[0]
    host.errors.clear()


def test_a_hidden_view_isnt_rendered(host, volume):
    import slicer

    view, renders = host.slice_widget("Green").sliceView(), []
    tag = view.renderWindow().AddObserver("EndEvent", lambda *_: renders.append(1))
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    host.idle(0.1)
    view.forceRender()
    view.renderWindow().RemoveObserver(tag)
    assert renders == []


def test_rendering_can_be_paused(host, volume):
    import slicer

    view, renders = host.slice_widget().sliceView(), []
    tag = view.renderWindow().AddObserver("EndEvent", lambda *_: renders.append(1))
    slicer.app.pauseRender()
    view.scheduleRender()
    host.idle(0.1)
    paused = list(renders)
    slicer.app.resumeRender()
    host.idle(0.1)
    view.renderWindow().RemoveObserver(tag)
    assert (paused, bool(renders)) == ([], True)


def test_after_a_reset_the_views_are_as_at_the_start(host, volume):
    node, seen = host.slice_widget().mrmlSliceNode(), host.slice_widget().sliceLogic().GetSliceCompositeNode()
    node.SetOrientation("Sagittal")
    mouse_mode("AdjustWindowLevel")
    host.reset()
    interaction = node.GetScene().GetSingletonNode("Singleton", "vtkMRMLInteractionNode")
    assert (node.GetOrientation(), seen.GetBackgroundVolumeID()) == ("Axial", None)
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    assert tuple(node.GetDimensions())[:2] == host.slice_widget().sliceView().renderWindow().GetSize()


def test_the_views_follow_the_size_of_the_window(host, volume):
    view, node = host.slice_widget().sliceView(), host.slice_widget().mrmlSliceNode()
    host.window.resize(1000, 600)
    host.idle(0.1)
    size = view.renderWindow().GetSize()
    assert size == (view.width, view.height)
    assert tuple(node.GetDimensions())[:2] == size
