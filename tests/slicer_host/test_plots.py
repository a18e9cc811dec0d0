"""The plot of a run's history."""

import pytest
import slicer


@pytest.fixture
def height(host):
    """Upper end of the plot's vertical axis for a run with these training losses."""

    def of(losses):
        from IMILLib.arrangement import Arrangement
        from IMILLib.plots import TrainingPlot

        history = [
            {"epoch": number, "train": {"loss": loss, "accuracy": 0.5}, "test": {"loss": None, "accuracy": 0.75}}
            for number, loss in enumerate(losses, start=1)
        ]
        plot = TrainingPlot(Arrangement())
        plot.show(history, "Run 1", beside_image=False)
        (chart,) = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
        low, high = chart.GetYAxisRange()
        plot.remove()
        assert low == 0
        return high

    return of


def test_the_plot_is_as_high_as_accuracy_at_least(height):
    assert height([0.7, 0.4, 0.2]) == pytest.approx(1.05)
    assert height([None, None]) == pytest.approx(1.05)


def test_a_single_jump_of_the_loss_doesnt_press_all_else_flat(height):
    usual = [2.0 - 0.04 * epoch for epoch in range(40)]
    assert height(usual) == pytest.approx(1.05 * usual[2])
    assert height([*usual[:20], 500.0, *usual[21:]]) == pytest.approx(1.05 * usual[1])
    assert height([float("nan"), *usual]) < 2.1
