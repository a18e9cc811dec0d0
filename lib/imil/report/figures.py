"""The report's figures as SVG or JPEG bytes, drawn with matplotlib.

Colours are told apart by colour-blind readers, and every line also has its own dash pattern.
"""

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from imil.metrics import reliability, roc_band, roc_curve
from imil.report.model import Evaluation, ModelName, ScoredModel
from imil.store import EpochMetrics

STYLES: dict[ModelName, tuple[str, Any]] = {
    "before": ("#5f6670", (0, (1, 1.2))),
    "after": ("#0b5fa5", "solid"),
    "without_feedback": ("#b35900", (0, (5, 2))),
}
RC = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#5f6670",
    "axes.labelcolor": "#22262b",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": "#5f6670",
    "ytick.color": "#5f6670",
    "svg.hashsalt": "imil",
    "legend.frameon": False,
}


def roc_figure(evaluation: Evaluation, model: ScoredModel, positive: int, title: str) -> bytes:
    """One model's ROC curve with its 95 % bootstrap band over patients, the other models as thin lines (SVG).

    Args:
        evaluation: the models and the truth.
        model: the one with the band.
        positive: index of the class that is told from the rest.
        title: the figure's title.
    """
    truth = evaluation.labels == positive

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="#c9cdd2", linewidth=0.8)
        for other in evaluation.models:
            if other is not model:
                curve = roc_curve(other.probabilities[:, positive], truth)
                _line(axes, other.name, curve.fpr, curve.tpr, thin=True)
        scores = model.probabilities[:, positive]
        band, curve = roc_band(scores, truth, evaluation.patients), roc_curve(scores, truth)
        axes.fill_between(band.fpr, band.low, band.high, color=STYLES[model.name][0], alpha=0.18, linewidth=0)
        _line(axes, model.name, curve.fpr, curve.tpr)
        axes.set(
            xlabel="False-positive rate",
            ylabel="Sensitivity",
            title=title,
            xlim=(-0.01, 1.01),
            ylim=(-0.01, 1.01),
            aspect="equal",
        )

    return _svg((3.3, 3.4), draw)


def reliability_figure(evaluation: Evaluation, model: ScoredModel) -> bytes:
    """Accuracy against confidence in 15 bins, with the number of cases in each bin below (SVG)."""
    bins = reliability(model.probabilities, evaluation.labels)
    filled = bins.count > 0
    width = 0.92 * (bins.upper - bins.lower)
    centres = (bins.lower + bins.upper) / 2
    color, _ = STYLES[model.name]
    with rc_context(RC):
        figure = Figure(figsize=(3.3, 3.8), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        upper.plot([0, 1], [0, 1], color="#c9cdd2", linewidth=0.8)
        upper.bar(centres[filled], bins.accuracy[filled], width[filled], color=color, alpha=0.3)
        upper.plot(bins.confidence[filled], bins.accuracy[filled], "o", color=color, markersize=4)
        upper.set(ylabel="Share correct", title=model.title, ylim=(0, 1.02))
        lower.bar(centres, bins.count, width, color="#9aa1a9")
        lower.set(xlabel="Confidence of the prediction", ylabel="Cases", xlim=(0, 1))
        return save_svg(figure)


def curve_figure(
    curves: dict[ModelName, list[EpochMetrics]],
    metric: str,
    split: str,
    imil_epochs: Sequence[int],
) -> bytes:
    """A metric per epoch, with and without feedback, and a mark at each IMIL epoch (SVG)."""

    def draw(axes: Axes) -> None:
        for name, rows in curves.items():
            points = [(row.epoch, getattr(row, metric)) for row in rows if row.split == split]
            if points:
                epochs, values = np.array(points, np.float64).T
                _line(axes, name, epochs, values)
        for number, epoch in enumerate(imil_epochs, 1):
            axes.axvline(epoch, color="#22262b", linewidth=0.8, linestyle=(0, (2, 2)))
            axes.annotate(
                f"round {number}",
                (epoch, 1),
                xycoords=("data", "axes fraction"),
                xytext=(3, -3),
                textcoords="offset points",
                va="top",
                fontsize=8.5,
            )
        axes.set(xlabel="Epoch", title=f"{metric.capitalize()}, {_SPLIT_NAMES.get(split, split)}")
        axes.margins(x=0.02)
        if metric == "accuracy":
            axes.set_ylim(min(0.45, axes.get_ylim()[0]), 1.02)

    return _svg((4.8, 2.9), draw)


_SPLIT_NAMES = {"train": "training set", "val": "validation set", "test": "test set"}


def _line(
    axes: Axes, name: ModelName, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], *, thin: bool = False
) -> None:
    color, dashes = STYLES[name]
    if thin:
        axes.plot(x, y, color="#a9afb7", linestyle=dashes, linewidth=0.9)
    else:
        axes.plot(x, y, color=color, linestyle=dashes, linewidth=1.9)


def _svg(size: tuple[float, float], draw: Callable[[Axes], None]) -> bytes:
    with rc_context(RC):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        return save_svg(figure)


def save_svg(figure: Figure) -> bytes:
    """The figure as SVG, the same bytes each time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
