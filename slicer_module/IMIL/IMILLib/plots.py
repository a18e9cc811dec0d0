"""Loss, accuracy, AUROC and calibration error of each epoch as a plot in Slicer's layout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import slicer
import vtk

from .arrangement import Arrangement
from .i18n import _
from .training import metric_name, split_name

PLOTTED = ("loss", "accuracy", "auroc", "ece")
SPLITS = ("train", "val", "test")
SHOWN_WHOLE = 0.95
"""Share of the losses that the plot is high enough for: single jumps, as after a round, would press all else flat."""
_NOT_A_NUMBER = float("nan")


class TrainingPlot:
    """Shows a run's history; its nodes are in the scene only while it's shown.

    A metric has a colour and a marker of its own; a solid line is over the test images, a dashed one over the training
    images, a dotted one over the validation images.

    Attributes:
        beside_image: whether slice views are shown beside it.
    """

    def __init__(self, arrangement: Arrangement) -> None:
        self.beside_image = False
        self._arrangement = arrangement
        self._table: Any = None
        self._chart: Any = None
        self._series: dict[str, Any] = {}
        self._drawn: tuple[Any, ...] = ()
        self._chart_before: tuple[Any, str] | None = None

    @property
    def shown(self) -> bool:
        """Whether the plot is in the scene."""
        return self._chart is not None and self._chart.GetScene() is not None

    def show(self, history: Sequence[dict[str, Any]], title: str, beside_image: bool) -> None:
        """Show the plot, or bring it up to date.

        Args:
            history: of each epoch ``{"epoch", "train": {...}, "test": {...}}``; a missing or undefined value is a gap.
            title: of the plot.
            beside_image: keep slice views in the layout.
        """
        first = not self.shown
        if first:
            self._make_nodes()
            self.beside_image = beside_image
        self._chart.SetTitle(title)
        self._fill(history)
        if first:
            node = slicer.vtkMRMLLayoutNode
            self._arrangement.show(node.SlicerLayoutFourUpPlotView if beside_image else node.SlicerLayoutOneUpPlotView)
            self._put_into_view()

    def remove(self) -> None:
        """Take the plot off the screen and its nodes out of the scene; the layout is left to whoever comes next."""
        if self._chart is None:
            return
        if self._chart_before is not None:
            view, chart_id = self._chart_before
            if view.GetScene() is not None and view.GetPlotChartNodeID() == self._chart.GetID():
                view.SetPlotChartNodeID(chart_id or None)
        self.forget()

    def forget(self) -> None:
        """Take the nodes out of the scene."""
        for node in (self._chart, *self._series.values(), self._table):
            if node is not None and node.GetScene() is not None:
                slicer.mrmlScene.RemoveNode(node)
        self._chart = self._table = self._chart_before = None
        self._series.clear()
        self._drawn = ()

    def _make_nodes(self) -> None:
        self.forget()
        self._table = _add("vtkMRMLTableNode", _("IMIL training table"))
        self._chart = _add("vtkMRMLPlotChartNode", _("IMIL training"))
        self._chart.SetXAxisTitle(_("Epoch"))
        self._chart.SetYAxisTitleVisibility(False)
        self._chart.SetLegendVisibility(True)

    def _fill(self, history: Sequence[dict[str, Any]]) -> None:
        columns = [
            (split, name)
            for split in SPLITS
            for name in PLOTTED
            if any((entry.get(split) or {}).get(name) is not None for entry in history)
        ]
        values = {_column(split, name): _values(history, split, name) for split, name in columns}
        epochs = [float(entry["epoch"]) for entry in history]
        drawn = (tuple(epochs), tuple((column, tuple(map(str, row))) for column, row in values.items()))
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self._table.SetAndObserveTable(_table({_("Epoch"): epochs, **values}))
        self._chart.SetYAxisRangeAuto(False)
        losses = [value for split, name in columns if name == "loss" for value in values[_column(split, name)]]
        self._chart.SetYAxisRange(0.0, _top(losses))
        for split, name in columns:
            if _column(split, name) not in self._series:
                self._series[_column(split, name)] = self._make_series(split, name)

    def _make_series(self, split: str, name: str) -> Any:
        series = _add("vtkMRMLPlotSeriesNode", _column(split, name))
        series.SetAndObserveTableNodeID(self._table.GetID())
        series.SetPlotType(series.PlotTypeScatter)
        series.SetXColumnName(_("Epoch"))
        series.SetYColumnName(_column(split, name))
        color, marker = {
            "loss": ((0.25, 0.25, 0.25), series.MarkerStyleSquare),
            "accuracy": ((0.0, 0.45, 0.70), series.MarkerStyleCircle),
            "auroc": ((0.0, 0.55, 0.40), series.MarkerStyleDiamond),
            "ece": ((0.80, 0.36, 0.0), series.MarkerStyleCross),
        }[name]
        styles = {"train": series.LineStyleDash, "val": series.LineStyleDot, "test": series.LineStyleSolid}
        series.SetColor(*color)
        series.SetMarkerStyle(marker)
        series.SetLineStyle(styles[split])
        series.SetLineWidth(2)
        self._chart.AddAndObservePlotSeriesNodeID(series.GetID())
        return series

    def _put_into_view(self) -> None:
        manager = slicer.app.layoutManager()
        widget = None if manager is None else manager.plotWidget(0)
        if widget is not None:
            view = widget.mrmlPlotViewNode()
            self._chart_before = (view, view.GetPlotChartNodeID() or "")
            view.SetPlotChartNodeID(self._chart.GetID())


def _column(split: str, name: str) -> str:
    return _("{metric}, {split}").format(metric=metric_name(name), split=split_name(split).lower())


def _values(history: Sequence[dict[str, Any]], split: str, name: str) -> list[float]:
    found = [(entry.get(split) or {}).get(name) for entry in history]
    return [_NOT_A_NUMBER if value is None else float(value) for value in found]


def _top(losses: Sequence[float]) -> float:
    """Upper end of the vertical axis: above 1, which nothing but a loss exceeds, and most losses, see `SHOWN_WHOLE`."""
    known = sorted(loss for loss in losses if math.isfinite(loss))
    usual = known[int(SHOWN_WHOLE * (len(known) - 1))] if known else 0.0
    return 1.05 * max(1.0, usual)


def _table(columns: dict[str, list[float]]) -> Any:
    table = vtk.vtkTable()
    for name, values in columns.items():
        array = vtk.vtkDoubleArray()
        array.SetName(name)
        for value in values:
            array.InsertNextValue(value)
        table.AddColumn(array)
    return table


def _add(class_name: str, name: str) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass(class_name, name)
    node.SetSaveWithScene(False)
    return node
