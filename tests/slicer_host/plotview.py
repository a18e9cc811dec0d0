"""qMRMLPlotWidget: draws a vtkMRMLPlotChartNode with vtkChartXY, as qMRMLPlotView does."""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtWidgets

from slicer_host.qmrml import qMRMLWidget
from slicer_host.viewport import VTKView

LINES = {
    slicer.vtkMRMLPlotSeriesNode.LineStyleNone: vtk.vtkPen.NO_PEN,
    slicer.vtkMRMLPlotSeriesNode.LineStyleSolid: vtk.vtkPen.SOLID_LINE,
    slicer.vtkMRMLPlotSeriesNode.LineStyleDash: vtk.vtkPen.DASH_LINE,
    slicer.vtkMRMLPlotSeriesNode.LineStyleDot: vtk.vtkPen.DOT_LINE,
    slicer.vtkMRMLPlotSeriesNode.LineStyleDashDot: vtk.vtkPen.DASH_DOT_LINE,
    slicer.vtkMRMLPlotSeriesNode.LineStyleDashDotDot: vtk.vtkPen.DASH_DOT_DOT_LINE,
}
MARKERS = {
    slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone: vtk.vtkPlotPoints.NONE,
    slicer.vtkMRMLPlotSeriesNode.MarkerStyleCross: vtk.vtkPlotPoints.CROSS,
    slicer.vtkMRMLPlotSeriesNode.MarkerStylePlus: vtk.vtkPlotPoints.PLUS,
    slicer.vtkMRMLPlotSeriesNode.MarkerStyleSquare: vtk.vtkPlotPoints.SQUARE,
    slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle: vtk.vtkPlotPoints.CIRCLE,
    slicer.vtkMRMLPlotSeriesNode.MarkerStyleDiamond: vtk.vtkPlotPoints.DIAMOND,
}


class qMRMLPlotView(VTKView):
    """Line and scatter series of one chart; other kinds of series aren't built."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = vtk.vtkContextView()
        self._context.SetRenderWindow(self.renderWindow())
        self._context.SetInteractor(self.interactor())
        self.interactor().SetEnableRender(False)
        self._chart = vtk.vtkChartXY()
        self._context.GetScene().AddItem(self._chart)
        self._context.GetRenderer().SetBackground(1.0, 1.0, 1.0)
        self._node: slicer.vtkMRMLPlotViewNode | None = None
        self._observed: list[tuple[vtk.vtkObject, int]] = []

    def chart(self) -> vtk.vtkChartXY:
        return self._chart

    def scene(self) -> vtk.vtkContextScene:
        return self._context.GetScene()

    def mrmlPlotViewNode(self) -> slicer.vtkMRMLPlotViewNode | None:
        return self._node

    def setMRMLPlotViewNode(self, node: slicer.vtkMRMLPlotViewNode) -> None:
        self._node = node
        self._view_tag = node.AddObserver("ModifiedEvent", lambda *_: self._update())
        self._update()

    def _chart_node(self) -> slicer.vtkMRMLPlotChartNode | None:
        scene = self._node.GetScene() if self._node else None
        return scene.GetNodeByID(self._node.GetPlotChartNodeID()) if scene and self._node.GetPlotChartNodeID() else None

    def _update(self) -> None:
        for subject, tag in self._observed:
            subject.RemoveObserver(tag)
        self._observed = []
        self._chart.ClearPlots()
        chart = self._chart_node()
        if chart is not None:
            self._observe(chart)
            for index in range(chart.GetNumberOfPlotSeriesNodes()):
                series = chart.GetNthPlotSeriesNode(index)
                if series is not None:
                    self._add(series)
            self._decorate(chart)
        self.scheduleRender()

    def _observe(self, node: slicer.vtkMRMLNode) -> None:
        self._observed.append((node, node.AddObserver("ModifiedEvent", lambda *_: self._update())))

    def _add(self, series: slicer.vtkMRMLPlotSeriesNode) -> None:
        self._observe(series)
        table_node = series.GetTableNode()
        if table_node is None:
            return
        self._observe(table_node)
        table = table_node.GetTable()
        x, y = series.GetXColumnName(), series.GetYColumnName()
        if not y or table.GetColumnByName(y) is None:
            return
        kinds = (series.PlotTypeLine, series.PlotTypeScatter)
        if series.GetPlotType() not in kinds:
            raise NotImplementedError("The Slicer host's plot view draws line and scatter series only.")
        plot = self._chart.AddPlot(vtk.vtkChart.LINE)
        if x and table.GetColumnByName(x) is not None:
            plot.SetInputData(table, x, y)
        else:
            plot.SetUseIndexForXSeries(True)
            plot.SetInputData(table, y, y)
        plot.SetColorF(*series.GetColor())
        plot.SetWidth(series.GetLineWidth())
        plot.GetPen().SetLineType(LINES[series.GetLineStyle()])
        plot.SetMarkerStyle(MARKERS[series.GetMarkerStyle()])
        plot.SetMarkerSize(series.GetMarkerSize())
        plot.SetLabel(series.GetName())

    def _decorate(self, chart: slicer.vtkMRMLPlotChartNode) -> None:
        self._chart.SetTitle(chart.GetTitle() if chart.GetTitleVisibility() and chart.GetTitle() else "")
        self._chart.GetTitleProperties().SetFontSize(chart.GetTitleFontSize())
        self._chart.SetShowLegend(bool(chart.GetLegendVisibility()))
        self._chart.GetLegend().GetLabelProperties().SetFontSize(chart.GetLegendFontSize())
        axes = (
            (vtk.vtkAxis.BOTTOM, chart.GetXAxisTitle(), chart.GetXAxisRangeAuto(), chart.GetXAxisRange),
            (vtk.vtkAxis.LEFT, chart.GetYAxisTitle(), chart.GetYAxisRangeAuto(), chart.GetYAxisRange),
        )
        for position, title, automatic, fixed in axes:
            axis = self._chart.GetAxis(position)
            axis.SetTitle(title or "")
            axis.GetTitleProperties().SetFontSize(chart.GetAxisTitleFontSize())
            axis.GetTitleProperties().SetBold(False)
            axis.GetLabelProperties().SetFontSize(chart.GetAxisLabelFontSize())
            axis.SetGridVisible(bool(chart.GetGridVisibility()))
            axis.SetBehavior(vtk.vtkAxis.AUTO if automatic else vtk.vtkAxis.FIXED)
            if not automatic:
                axis.SetRange(*fixed())
        self._chart.RecalculateBounds()

    def fitToContent(self) -> None:
        self._chart.RecalculateBounds()
        self.scheduleRender()


class qMRMLPlotWidget(qMRMLWidget):
    """The plot view with an empty bar over it."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = qMRMLPlotView(self)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view)

    def plotView(self) -> qMRMLPlotView:
        return self._view

    def mrmlPlotViewNode(self) -> slicer.vtkMRMLPlotViewNode | None:
        return self._view.mrmlPlotViewNode()

    def setMRMLPlotViewNode(self, node: slicer.vtkMRMLPlotViewNode) -> None:
        self.setMRMLScene(node.GetScene())
        self._view.setMRMLPlotViewNode(node)
