"""Everything in the panel has a name and a tooltip, fits into Slicer's panel, and isn't cut off."""

import pytest

from imil.study import Study
from slicer_host.panelfixtures import Desk
from tests.monailabel_app.server_process import Server

CONTROLS = ("QAbstractButton", "QComboBox", "QLineEdit", "QAbstractSpinBox", "QAbstractSlider", "QTableWidget")
PARTS = ("qt_", "Scroll")
"""Beginnings of the names that Qt gives to what it makes itself."""
PANEL_WIDTH = 420


def controls(desk: Desk) -> list:
    """All widgets that a reader uses; not those that Qt makes inside them."""
    everything = [w for kind in CONTROLS for w in desk.widget.parent.findChildren(kind)]
    settings = [w for w in everything if w.parent() == desk.ui.settings_box]
    named = [w for w in everything if w.objectName and not w.objectName.startswith(PARTS)]
    return [*named, *settings]


def test_every_control_has_a_tooltip_and_a_name(desk: Desk, panel_server: Server, panel_study: Study) -> None:
    desk.connect(panel_server.url)
    found = controls(desk)
    assert len(found) > 60  # the panel's own and one for each setting
    buddies = {label.buddy() for label in desk.widget.parent.findChildren("QLabel") if label.buddy() is not None}
    for widget in found:
        name = widget.objectName or widget.accessibleName
        assert widget.toolTip, f"no tooltip: {name}"
        text = widget.text if hasattr(widget, "text") and widget.inherits("QAbstractButton") else ""
        assert text or widget.accessibleName or widget in buddies, f"no name: {name}"


@pytest.mark.parametrize("tab", [1, 2, 3, 4])
def test_every_tab_fits_and_nothing_is_cut_off(desk: Desk, panel_server: Server, panel_study: Study, tab: int) -> None:
    desk.connect(panel_server.url)
    desk.keys("A", "Return")
    desk.settle()
    desk.keys(f"Alt+{tab}")
    if tab == 3:
        desk.host.click(desk.ui.round_button, (20, 8))
    assert_nothing_is_cut_off(desk)


def test_what_was_learnt_fits(desk: Desk, panel_server: Server, learnt_study: Study) -> None:
    desk.connect(panel_server.url)
    desk.click_cell(5)
    desk.ui.cells_table.selectRow(0)
    desk.host.click(desk.ui.veto_cells_button)
    desk.settle()
    assert_nothing_is_cut_off(desk)


def assert_nothing_is_cut_off(desk: Desk) -> None:
    desk.host.idle(0.1)
    assert desk.widget.parent.minimumSizeHint.width() <= PANEL_WIDTH
    for kind in ("QLabel", "QAbstractButton"):
        for widget in desk.widget.parent.findChildren(kind):
            if widget.visible and widget.text and not widget.objectName.startswith("Scroll"):
                needed = widget.minimumSizeHint
                given = widget.size
                height = widget.heightForWidth(given.width()) if widget.hasHeightForWidth() else needed.height()
                assert given.width() >= needed.width(), (widget.objectName, widget.text)
                assert given.height() >= height, (widget.objectName, widget.text)
