"""Nothing is marked or answered while the reader doesn't see the image, and she gets it back."""

import numpy as np
import pytest

from imil.study import Study
from slicer_host.panelfixtures import Desk, answers
from tests.monailabel_app.server_process import Server

HINT = "The image isn't on the screen; press Esc to bring it back."


def another_background(desk: Desk) -> None:
    import slicer

    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "another")
    slicer.util.updateVolumeFromArray(volume, np.zeros((3, 4, 5), np.int16))
    desk.host.slice_widget().sliceLogic().GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())


def no_background(desk: Desk) -> None:
    desk.host.slice_widget().sliceLogic().GetSliceCompositeNode().SetBackgroundVolumeID(None)


def deleted_volume(desk: Desk) -> None:
    import slicer

    composite = desk.host.slice_widget().sliceLogic().GetSliceCompositeNode()
    slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID()))


def layout_without_red(desk: Desk) -> None:
    import slicer

    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpYellowSliceView)


def turned(desk: Desk) -> None:
    desk.host.slice_widget().mrmlSliceNode().SetOrientation("Sagittal")


def moved_away(desk: Desk) -> None:
    node = desk.host.slice_widget().mrmlSliceNode()
    node.SetSliceOffset(node.GetSliceOffset() + 30)


WAYS = [another_background, no_background, deleted_volume, layout_without_red, turned, moved_away]


@pytest.mark.parametrize("hide", WAYS, ids=[way.__name__ for way in WAYS])
def test_unseen_nothing_is_marked_and_escape_brings_the_image_back(
    desk: Desk, panel_server: Server, panel_study: Study, hide
) -> None:
    desk.connect(panel_server.url)
    viewer, ui, host = desk.logic.viewer, desk.ui, desk.host
    assert viewer.on_screen
    desk.click_cell(5)
    hide(desk)
    host.idle(0.05)
    assert not viewer.on_screen
    host.click(ui.none_button)  # a view that vanished has left the keyboard somewhere
    assert ui.receipt_label.text == HINT
    for key in ("A", "N", "I", "Ctrl+Z", "Space", "Right", "S", "Return"):
        desk.keys("1")  # a brush may always be chosen
        desk.keys(key)
        assert desk.marks == ((5,), ()), key
        assert ui.receipt_label.text == HINT, key
    for button in (ui.all_button, ui.submit_button, ui.skip_button):
        host.click(button)
    assert desk.marks == ((5,), ())
    assert desk.position == 1
    desk.keys("Esc")
    host.idle(0.05)
    assert viewer.on_screen
    assert not ui.receipt_label.visible
    desk.click_cell(6)
    desk.keys("Return")
    desk.settle()
    assert [event.cells for event in answers(panel_study)] == [(5, 6)]


def test_the_tab_review_brings_the_image_back(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    desk.keys("Alt+2")
    another_background(desk)
    assert not desk.logic.viewer.on_screen
    desk.keys("Alt+1")
    assert desk.logic.viewer.on_screen
    layout_without_red(desk)
    desk.ui.tabs.setCurrentIndex(3)
    desk.ui.tabs.setCurrentIndex(0)
    assert desk.logic.viewer.on_screen


def test_a_zoomed_or_flipped_image_is_on_the_screen(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    """And stays as the reader has it."""
    desk.connect(panel_server.url)
    node = desk.host.slice_widget().mrmlSliceNode()
    across, along, through = node.GetFieldOfView()
    node.SetFieldOfView(across / 3, along / 3, through)
    node.GetSliceToRAS().SetElement(0, 0, -node.GetSliceToRAS().GetElement(0, 0))
    node.UpdateMatrices()
    desk.keys("Esc")
    assert desk.logic.viewer.on_screen
    assert node.GetFieldOfView()[0] == pytest.approx(across / 3)
