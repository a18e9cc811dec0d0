"""What `IMILTest` does: a case is reviewed by the panel's own buttons and by mouse events, on a real server."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import replace
from typing import Any, Callable

import numpy as np
import slicer

from .client import Client
from .grid import MATTERS, MISLED
from .images import read_picture
from .opencase import OpenCase
from .preferences import Preferences
from .records import Answer

SERVER, TOKEN = "IMIL_TEST_SERVER", "IMIL_TEST_TOKEN"
READER = "IMIL self-test"
SECONDS = 60.0


def review_a_case() -> None:
    """Connect, check what is shown, paint two cells, submit, compare with the server, and take the answer back.

    Raises:
        AssertionError: if there is no server, no case, or a number is wrong.
    """
    preferences = Preferences()
    url, token = os.environ.get(SERVER) or preferences.url, os.environ.get(TOKEN) or preferences.token
    assert url, (
        f"There is no server to test with: start one with `imil serve STUDY`, and put its address into {SERVER}."
    )
    slicer.util.selectModule("IMIL")
    widget = slicer.util.getModuleWidget("IMIL")
    remembered = (preferences.url, preferences.reader, preferences.token, preferences.remember_token)
    try:
        _review(widget, url, token)
    finally:
        widget.logic.review.disconnect()
        preferences.remember_connection(*remembered)


def _review(widget: Any, url: str, token: str) -> None:
    review, ui = widget.logic.review, widget.ui
    review.disconnect()
    ui.url_edit.setText(url)
    ui.reader_edit.setText(READER)
    ui.token_edit.setText(token)
    ui.connect_button.click()
    _wait(lambda: review.case is not None)
    assert review.case is not None, f"No case came. {_sentence(review)}"
    opened = review.case
    _check_nodes(opened)

    opened.marks.clear()
    matters, misled = opened.grid.num_cells // 2, 0
    ui.matters_button.click()
    _click(widget.logic.viewer, matters)
    ui.misled_button.click()
    _click(widget.logic.viewer, misled)
    ui.matters_button.click()
    assert (opened.marks.cells, opened.marks.misleading) == ((matters,), (misled,))
    mask = opened.grid.mask([matters], [misled])
    _check_segments(mask)

    before = review.last_receipt
    ui.submit_button.click()
    _wait(lambda: review.last_receipt is not before and not review.pending)
    assert review.last_receipt is not before, f"The answer was not confirmed. {_sentence(review)}"
    assert review.last_receipt.event > 0
    assert review.last_receipt.total == opened.case.total
    client = Client(url, READER, token)
    try:
        _check_server(client, opened, mask)
    finally:
        client.submit(_undo(opened), b"")
        client.close()


def _check_nodes(opened: OpenCase) -> None:
    volumes = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if _ours(node)]
    assert len(volumes) == 2, "one volume for the image and one for the heat map"
    for volume in volumes:
        assert slicer.util.arrayFromVolume(volume).shape == (1, *opened.case.shape)


def _check_segments(mask: np.ndarray) -> None:
    segmentation = next(node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if _ours(node))
    image = next(node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if _ours(node))
    for name, mark in (("matters", MATTERS), ("misled", MISLED)):
        shown = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, name, image)
        assert np.array_equal(shown[0] > 0, mask == mark), f"the segment {name} has other pixels"


def _check_server(client: Client, opened: OpenCase, mask: np.ndarray) -> None:
    row = next(row for row in client.queue().rows if row.id == opened.case.id)
    assert (row.mine, row.action) == (True, "grid")
    answer = client.next_cases(opened.case.id)[0].answer
    assert (answer.cells, answer.misleading) == (tuple(opened.marks.cells), tuple(opened.marks.misleading))
    stored = read_picture(client.heat_map(replace(opened.case, cam_tag="imil")), "mask.nii.gz")
    assert np.array_equal(stored.pixels, mask), "the server's mask has other pixels"


def _undo(opened: OpenCase) -> Answer:
    case = opened.case
    return Answer(case.id, case.run, case.round, READER, "undo", (), (), "", "", 0.0, str(uuid.uuid4()), False)


def _click(viewer: Any, cell: int) -> None:
    x, y = viewer.center_of(cell)
    interactor = viewer.interactor
    interactor.SetEventInformation(x, y, 0, 0, "\0", 0, None)
    for event in ("MouseMoveEvent", "LeftButtonPressEvent", "LeftButtonReleaseEvent"):
        interactor.InvokeEvent(event)


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not done() and time.monotonic() < deadline:
        slicer.app.processEvents()
        time.sleep(0.01)


def _sentence(review: Any) -> str:
    return review.problem.sentence if review.problem is not None else review.waiting


def _ours(node: Any) -> bool:
    return node.GetName().startswith("IMIL ")
