"""`qt` in the host refuses what PythonQt in Slicer refuses."""

import pytest


@pytest.fixture
def qt(host):
    import qt

    return qt


@pytest.fixture
def button(qt):
    return qt.QPushButton("Send")


def test_a_property_is_an_attribute_to_read_and_to_set(button):
    button.text = "Go"
    button.enabled = False
    button.toolTip = "why"
    assert (button.text, button.enabled, button.toolTip, button.visible) == ("Go", False, "why", False)
    assert button.isEnabled() is False


def test_the_getter_of_a_property_cant_be_called(qt, button):
    for getter in ("text", "toolTip", "width", "geometry", "sizeHint", "minimumSizeHint"):
        with pytest.raises(TypeError, match="not callable"):
            getattr(button, getter)()
    with pytest.raises(TypeError, match="not callable"):
        qt.QLabel("x").sizeHint()


def test_name_is_the_objects_name(button):
    button.name = "sendButton"
    assert (button.objectName, button.className()) == ("sendButton", "QPushButton")


def test_setters_are_methods_as_in_qt(qt, button):
    button.setText("Go")
    button.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed)
    assert button.text == "Go"


def test_a_misspelt_attribute_cant_be_set(qt, button):
    for thing in (button, qt.QTimer(), qt.QVBoxLayout(), qt.QLabel()):
        with pytest.raises(AttributeError, match="does not exist"):
            thing.enabeld = False


def test_a_method_cant_be_overwritten(button):
    with pytest.raises(AttributeError, match="can not be overwritten"):
        button.setText = print


def test_a_read_only_property_cant_be_set(button):
    with pytest.raises(AttributeError, match="not writable"):
        button.width = 3


def test_a_widget_class_of_ones_own_may_have_attributes(qt):
    class Panel(qt.QWidget):
        pass

    panel = Panel()
    panel.remembered = 3
    assert panel.remembered == 3


def test_there_are_no_keyword_arguments(qt, button):
    layout, label = qt.QVBoxLayout(), qt.QLabel()
    for wrong in (
        lambda: qt.QLabel("x", parent=button),
        lambda: qt.QPushButton(text="x"),
        lambda: button.setText(text="x"),
        lambda: layout.addWidget(label, stretch=1),
        lambda: layout.setContentsMargins(left=1, top=1, right=1, bottom=1),
        lambda: qt.QTimer.singleShot(msec=3, functor=print),
        lambda: qt.QMessageBox.question(None, title="x", text="y"),
        lambda: qt.QSize(w=1, h=1),
    ):
        with pytest.raises(TypeError, match="no keyword arguments"):
            wrong()


def test_enum_values_belong_to_the_class_and_not_to_the_enum(qt):
    assert qt.Qt.AlignLeft | qt.Qt.AlignTop == qt.Qt.AlignTop | qt.Qt.AlignLeft
    for scoped in (lambda: qt.Qt.AlignmentFlag, lambda: qt.QFrame.Shape.HLine, lambda: qt.QSizePolicy.Policy.Fixed):
        with pytest.raises(AttributeError, match="PythonQt in Slicer has no"):
            scoped()


def test_a_wrong_argument_is_a_type_error_still(qt):
    with pytest.raises(TypeError):
        qt.QFrame().setFrameShape("line")


@pytest.mark.parametrize(
    "name", ["Signal", "Slot", "Property", "QThread", "QTest", "QRhiWidget", "QPointingDevice", "QPermission", "SIGNAL"]
)
def test_what_pyside_or_qt_6_adds_isnt_in_qt(qt, name):
    assert not hasattr(qt, name)


def test_members_that_are_new_in_qt_6_fail(qt):
    form = qt.QFormLayout()
    form.addRow("a", qt.QLabel())
    for new in (
        lambda: form.setRowVisible(0, True),
        lambda: qt.QPalette.Accent,
        lambda: qt.QDialog().exec(),
        lambda: qt.QCheckBox().checkStateChanged.connect(print),
        lambda: qt.QShortcut(qt.QWidget()).setKeys([]),
    ):
        with pytest.raises(AttributeError, match="PythonQt in Slicer has no"):
            new()


def test_dialogs_that_return_something_else_in_pythonqt_fail(qt):
    with pytest.raises(AttributeError, match="getText"):
        qt.QInputDialog.getText(None, "title", "label")


def test_a_dialog_runs_until_it_is_closed(qt):
    dialog = qt.QDialog()
    qt.QTimer.singleShot(0, dialog.accept)
    assert dialog.exec_() == qt.QDialog.Accepted


def test_a_signal_calls_what_it_is_connected_to(qt, host):
    box, seen = qt.QCheckBox("x"), []
    box.toggled.connect(seen.append)
    box.toggled.connect(lambda: seen.append("called"))
    box.checked = True
    assert seen == [True, "called"]


def test_timers_work_as_objects_and_once(qt, host):
    fired, timer = [], qt.QTimer()
    timer.singleShot = True
    timer.interval = 1
    timer.timeout.connect(lambda: fired.append("timer"))
    timer.start()
    qt.QTimer.singleShot(0, lambda: fired.append("once"))
    host.wait_until(lambda: len(fired) == 2)
    assert (set(fired), timer.active) == ({"timer", "once"}, False)


def test_an_exception_in_a_slot_is_collected(qt, host):
    button = qt.QPushButton()
    button.clicked.connect(lambda: 1 / 0)
    button.click()
    assert "ZeroDivisionError" in host.errors.pop()


def test_a_complaint_of_qt_is_collected(qt, host):
    qt.QVBoxLayout(parent := qt.QWidget())
    qt.QVBoxLayout(parent)
    assert "already has a layout" in host.errors.pop()


def test_settings_remember(qt):
    qt.QSettings().setValue("IMIL/opacity", 0.5)
    assert float(qt.QSettings().value("IMIL/opacity")) == 0.5
    assert qt.QSettings().value("IMIL/none") is None


def test_children_are_found_by_the_name_of_a_class(qt):
    parent = qt.QWidget()
    label = qt.QLabel("x", parent)
    label.name = "here"
    assert [child.text for child in parent.findChildren("QLabel")] == ["x"]
    assert parent.findChild(qt.QLabel, "here") is label
    assert parent.findChildren("QPushButton") == []


def test_widgets_of_the_host_are_as_strict(host):
    import ctk
    import slicer

    section = ctk.ctkCollapsibleButton()
    section.text, section.collapsed = "Case", True
    assert (section.text, section.collapsed, section.className()) == ("Case", True, "ctkCollapsibleButton")
    for thing in (section, slicer.app, slicer.app.layoutManager(), host.slice_widget()):
        with pytest.raises(AttributeError, match="does not exist"):
            thing.colapsed = False
    for name in ("ctkSliderWidget", "ctkRangeWidget"):
        assert not hasattr(ctk, name)


def test_a_section_hides_what_is_in_it(qt):
    import ctk

    section = ctk.ctkCollapsibleButton("Case")
    layout = qt.QVBoxLayout(section)
    label = qt.QLabel("inside")
    layout.addWidget(label)
    section.show()
    section.collapsed = True
    assert (label.visible, section.maximumHeight) == (False, 24)
    section.collapsed = False
    assert label.visible
