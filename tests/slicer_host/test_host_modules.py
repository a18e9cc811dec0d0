"""A scripted module lives in the host as it does in Slicer: loaded, opened, left, reloaded, unloaded."""

import sys
from pathlib import Path

import pytest

SOURCE = """
import logging

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

from TinyLib.words import GREETING


class Tiny(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Tiny module")
        self.parent.categories = [_("Examples")]
        self.parent.contributors = ["A. Reader"]
        self.parent.helpText = _("Does {what}.").format(what="little")


class TinyWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.life = []

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.life.append("setup")
        widget = slicer.util.loadUI(self.resourcePath("UI/Tiny.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = TinyLogic()
        self.ui.goButton.clicked.connect(self.on_go)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.on_start_close)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.on_end_close)
        self.shortcut = qt.QShortcut(qt.QKeySequence("G"), slicer.util.mainWindow())
        self.shortcut.activated.connect(self.on_go)

    def enter(self):
        self.life.append("enter")

    def exit(self):
        self.life.append("exit")

    def cleanup(self):
        self.life.append("cleanup")
        self.removeObservers()
        self.shortcut.enabled = False

    def on_go(self):
        self.life.append(GREETING)

    def on_start_close(self, caller, event):
        self.life.append("scene closes")

    def on_end_close(self, caller, event):
        self.life.append("scene closed")


class TinyLogic(ScriptedLoadableModuleLogic):
    pass


class TinyTest(ScriptedLoadableModuleTest):
    def runTest(self):
        self.delayDisplay("a test")
        slicer.tinyTestRan = True
"""

UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0">
 <class>Tiny</class>
 <widget class="qMRMLWidget" name="Tiny">
  <layout class="QVBoxLayout" name="verticalLayout">
   <item>
    <widget class="ctkCollapsibleButton" name="section">
     <property name="text"><string>Section</string></property>
     <layout class="QVBoxLayout" name="inner">
      <item>
       <widget class="QPushButton" name="goButton"><property name="text"><string>Go</string></property></widget>
      </item>
     </layout>
    </widget>
   </item>
  </layout>
 </widget>
 <customwidgets>
  <customwidget><class>qMRMLWidget</class><extends>QWidget</extends><container>1</container></customwidget>
  <customwidget><class>ctkCollapsibleButton</class><extends>QWidget</extends><container>1</container></customwidget>
 </customwidgets>
</ui>
"""


@pytest.fixture
def path(tmp_path) -> Path:
    (tmp_path / "TinyLib").mkdir()
    (tmp_path / "TinyLib" / "__init__.py").touch()
    (tmp_path / "TinyLib" / "words.py").write_text('GREETING = "went"\n')
    (tmp_path / "Resources" / "UI").mkdir(parents=True)
    (tmp_path / "Resources" / "UI" / "Tiny.ui").write_text(UI)
    (tmp_path / "Tiny.py").write_text(SOURCE)
    yield tmp_path / "Tiny.py"
    for name in ("Tiny", "TinyLib", "TinyLib.words"):
        sys.modules.pop(name, None)
    sys.path[:] = [folder for folder in sys.path if folder != str(tmp_path)]


def test_a_modules_life(host, path):
    import slicer

    module = host.load_module(path)
    assert (module.title, module.categories, slicer.modules.tiny.path) == ("Tiny module", ["Examples"], str(path))
    assert "Tiny" in slicer.util.moduleNames()
    widget = host.open("Tiny")
    assert (slicer.modules.TinyWidget, slicer.util.selectedModule()) == (widget, "Tiny")
    assert widget.life == ["setup", "enter"]
    host.click(widget.ui.goButton)
    host.leave()
    host.open("Tiny")
    host.unload("Tiny")
    assert widget.life == ["setup", "enter", "went", "exit", "enter", "exit", "cleanup"]
    assert not hasattr(slicer.modules, "tiny")
    assert not hasattr(slicer.modules, "TinyWidget")


def test_reloading_reads_the_file_again_and_makes_a_new_panel(host, path):
    host.load_module(path)
    old = host.open("Tiny")
    path.write_text(SOURCE.replace('"scene closed"', '"over"'))
    new = host.reload("Tiny")
    assert old.life == ["setup", "enter", "cleanup"]
    host.click(new.ui.goButton)
    host.close_scene()
    assert new.life == ["setup", "went", "scene closes", "over"]


def test_closing_the_scene_tells_those_who_observe_it_and_keeps_the_views(host, path):
    import slicer

    host.load_module(path)
    widget = host.open("Tiny")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "x")
    host.close_scene()
    assert widget.life == ["setup", "enter", "scene closes", "scene closed"]
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []
    assert host.slice_widget().mrmlSliceNode().GetID() == "vtkMRMLSliceNodeRed"


def test_quitting_leaves_and_cleans_up_every_module(host, path):
    import slicer

    host.load_module(path)
    widget, quitting = host.open("Tiny"), []
    slicer.app.aboutToQuit.connect(lambda: quitting.append(list(widget.life)))
    host.quit()
    assert quitting == [["setup", "enter", "exit"]]
    assert widget.life == ["setup", "enter", "exit", "cleanup"]


def test_a_shortcut_works_wherever_the_focus_is(host, path):
    host.load_module(path)
    widget = host.open("Tiny")
    host.press("G")
    host.click_view(100, 100)
    host.press("G")
    assert widget.life.count("went") == 2


def test_a_module_that_needs_more_width_gets_it_as_nothing_scrolls_sideways(host, path):
    import slicer

    host.load_module(path)
    widget = host.open("Tiny")
    panel = slicer.util.findChild(slicer.util.mainWindow(), "ModulePanel")
    assert 400 <= panel.width <= 450
    widget.ui.goButton.setMinimumWidth(700)
    host.wait_until(lambda: panel.width > 700)


def test_the_modules_own_test_runs(host, path):
    import slicer

    host.load_module(path)
    slicer.selfTests["Tiny"]()
    assert slicer.tinyTestRan
    del slicer.tinyTestRan


def test_the_logic_keeps_one_parameter_node(host, path):
    host.load_module(path)
    logic = host.open("Tiny").logic
    node = logic.getParameterNode()
    assert (node.GetAttribute("ModuleName"), logic.getParameterNode() is node) == ("Tiny", True)


def test_a_description_takes_only_what_slicer_knows(host, path):
    module = host.load_module(path)
    with pytest.raises(AttributeError, match="does not exist"):
        module.catgories = []
    with pytest.raises(ValueError, match="does not accept"):
        module.title = 3


def test_an_exception_in_setup_is_collected_and_the_panel_stays(host, path):
    path.write_text(SOURCE.replace('self.life.append("setup")', 'raise ValueError("no setup")'))
    host.load_module(path)
    widget = host.open("Tiny")
    assert "no setup" in host.errors.pop()
    assert widget.life == ["enter"]
    host.unload("Tiny")
    assert "shortcut" in host.errors.pop()


def test_a_ui_file_with_a_widget_that_isnt_built_fails(host, path):
    ui = path.parent / "Resources" / "UI" / "Tiny.ui"
    ui.write_text(UI.replace("ctkCollapsibleButton", "ctkRangeWidget"))
    host.load_module(path)
    host.open("Tiny")
    assert "ctkRangeWidget" in "".join(host.errors)
    host.unload("Tiny")
    host.errors.clear()


def test_modules_of_slicer_have_their_logic_but_no_panel(host):
    import slicer

    assert slicer.modules.volumes.logic().GetClassName() == "vtkSlicerVolumesLogic"
    assert slicer.util.getModuleLogic("Segmentations").GetClassName() == "vtkSlicerSegmentationsModuleLogic"
    with pytest.raises(NotImplementedError, match="no panel"):
        slicer.util.getModuleWidget("Volumes")
    with pytest.raises(RuntimeError, match="Could not find module"):
        slicer.util.getModule("MONAILabel")


def test_text_comes_back_untranslated(host):
    from slicer.i18n import tr, translate

    assert (tr("Go on"), translate("Tiny", "Stop")) == ("Go on", "Stop")


def test_nothing_of_a_module_is_left_after_reset(host, path):
    before = host.census()
    for _ in range(2):
        host.load_module(path)
        host.open("Tiny")
        host.reset()
        after = host.census()
    assert {**after, "widgets": 0} == {**before, "widgets": 0}
