"""The main window, its layouts, plots, pictures, and 200 % scaling."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).resolve().parents[1]


def brightness(picture) -> np.ndarray:
    """(rows, columns) of a QImage or QPixmap, uint8."""
    from PySide6 import QtGui

    image = picture if isinstance(picture, QtGui.QImage) else picture.toImage()
    image = image.convertToFormat(QtGui.QImage.Format_Grayscale8)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width()].copy()


def test_the_window_has_slicers_parts(host):
    import slicer

    window = slicer.util.mainWindow()
    assert (window.objectName, window.width, window.height) == ("qSlicerMainWindow", 1280, 720)
    panel = slicer.util.findChild(window, "ModulePanel")
    assert 400 <= panel.width <= 450
    slicer.util.showStatusMessage("Sent.")
    assert window.statusBar().currentMessage() == "Sent."
    assert slicer.app.mainWindow() is window


@pytest.mark.parametrize(
    ("layout", "views"),
    [
        ("OneUpRedSliceView", {"Red"}),
        ("ConventionalView", {"Red", "Green", "Yellow"}),
        ("FourUpView", {"Red", "Green", "Yellow"}),
        ("OneUpPlotView", set()),
        ("ConventionalPlotView", {"Red", "Green", "Yellow"}),
    ],
)
def test_a_layout_shows_its_views(host, layout, views):
    import slicer

    manager = slicer.app.layoutManager()
    number = getattr(slicer.vtkMRMLLayoutNode, f"SlicerLayout{layout}")
    manager.setLayout(number)
    host.idle(0.05)
    assert manager.layout == number
    assert {name for name in manager.sliceViewNames() if manager.sliceWidget(name).isVisible()} == views
    if "Plot" in layout:
        assert manager.plotWidget(0).isVisible()


def test_views_that_arent_built_fail(host):
    import slicer

    manager = slicer.app.layoutManager()
    with pytest.raises(NotImplementedError):
        manager.threeDWidget(0)
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    assert "vtkMRMLTableViewNode" in "".join(host.errors)
    host.errors.clear()


def chart_of(values):
    """The table of a line series of these values, in a chart that is shown."""
    import slicer
    import vtk

    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "table")
    for name, numbers in {"x": range(len(values)), "y": values}.items():
        column = vtk.vtkFloatArray()
        column.SetName(name)
        for number in numbers:
            column.InsertNextValue(number)
        table.AddColumn(column)
    series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", "series")
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName("x")
    series.SetYColumnName("y")
    series.SetPlotType(series.PlotTypeScatter)
    series.SetColor(0, 0, 0)
    series.SetLineWidth(3)
    chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", "chart")
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle("Loss")
    chart.SetYAxisTitle("loss")
    slicer.modules.plots.logic().ShowChartInLayout(chart)
    return table


def test_a_chart_is_drawn_and_follows_its_table(host):
    import slicer

    table = chart_of([1.0, 1.0, 1.0])
    host.idle(0.1)
    view = slicer.app.layoutManager().plotWidget(0).plotView()
    assert view.isVisible()
    level = brightness(view.grab())
    assert (level < 60).sum() > 500
    assert view.chart().GetTitle() == "Loss"
    for row in range(3):
        table.GetTable().SetValueByName(row, "y", row)
    table.GetTable().Modified()
    table.Modified()
    host.idle(0.1)
    assert (brightness(view.grab()) != level).sum() > 500
    assert view.chart().GetNumberOfPlots() == 1


def test_a_closed_scene_empties_the_plot(host):
    import slicer

    chart_of([0.0, 1.0])
    host.idle(0.1)
    host.close_scene()
    host.idle(0.1)
    assert slicer.app.layoutManager().plotWidget(0).plotView().chart().GetNumberOfPlots() == 0


def test_a_screenshot_shows_the_whole_window(host, tmp_path):
    from PySide6 import QtGui

    host.screenshot(tmp_path / "window.png")
    picture = QtGui.QImage(str(tmp_path / "window.png"))
    assert (picture.width(), picture.height()) == (1280, 720)
    assert len(np.unique(brightness(picture))) > 10


def test_a_hidden_or_disabled_widget_cant_be_clicked(host):
    import qt

    button = qt.QPushButton("x")
    with pytest.raises(ValueError, match="hidden"):
        host.click(button)
    button.show()
    button.enabled = False
    with pytest.raises(ValueError, match="disabled"):
        host.click(button)


SCALED = """
    import sys
    sys.path.insert(0, sys.argv[1])
    from slicer_host.host import start

    host = start()
    import slicer

    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    host.idle(0.1)
    view = host.slice_widget().sliceView()
    seen = []
    view.interactor().AddObserver("LeftButtonPressEvent", lambda caller, _: seen.append(caller.GetEventPosition()))
    host.click_view(101, 201)
    host.screenshot(sys.argv[2])
    print(view.renderWindow().GetSize()[0] / view.width, *seen[0], host.window.grab().width(), host.errors)
"""


def test_at_200_percent_views_have_twice_the_pixels(tmp_path):
    """In a process of its own: Qt reads the scale at its start."""
    command = [sys.executable, "-c", textwrap.dedent(SCALED), str(TESTS), str(tmp_path / "scaled.png")]
    environment = {**os.environ, "QT_SCALE_FACTOR": "2"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ratio, x, y, width, errors = done.stdout.split(maxsplit=4)
    assert (float(ratio), int(width), errors.strip()) == (2.0, 2560, "[]")
    assert abs(int(x) - 101) <= 1
    assert abs(int(y) - 201) <= 1
