"""The reader's waiting time in the Slicer module: from Enter to the next case on the screen, and the longest stall.

    python -m benchmarks.slicer [--quick] [--json FILE]

Everything is real but desktop Slicer itself: a server process, HTTP, images of 2048 x 2048, MRML and VTK with software
rendering, the module's own panel with real key presses, in the host of the tests. Peers, in the same process:

- `painted_vs_render`: from the press of Enter to the next case (fetched ahead) drawn in the slice view, over one
  rendering of that view with two changed images of that size, which is the least that anybody must wait.
- `stock_next`, `stock_submit`: what MONAI Label's own Slicer module does on the main thread for *Next Sample* and
  *Submit Label* (see docs/explanation/slicer-module.md): its main requests by MONAI Label's own client to the same
  server, closing the scene, loading the image, one rendering; writing the mask. Its panel isn't run and its smaller
  requests are left out, so the figures are too good rather than too bad.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.output import environment, write_json
from tests.monailabel_app.server_process import Server, serve, stop
from tests.reviewable import grey_study, open_round

ROOT = Path(__file__).resolve().parents[1]
MODULE = ROOT / "slicer_module" / "IMIL" / "IMIL.py"
sys.path[:0] = [str(ROOT / "tests"), str(MODULE.parent)]
READER = "Benchmark"
STALL_PROBE_MS = 1


def prepare(folder: Path, size: int, cases: int) -> Server:
    """A running server whose open round has this many cases of ``size`` x ``size`` pixels."""
    study = grey_study(folder / "study", per_class=round(cases / 0.8 / 2) + 1, shape=(size, size))
    training = [case.id for case in study.cases if case.split == "train"]
    open_round(study, training[:cases])
    study.store.close()
    return serve(folder / "study", folder / "server.log")


class Session:
    """The module in the host, connected to a server, with its first case on the screen."""

    def __init__(self, server: Server) -> None:
        from slicer_host.host import start

        self.host = start()
        self.host.load_module(MODULE)
        self.widget = self.host.open("IMIL")
        self.review = self.widget.logic.review
        self.view = self.host.slice_widget("Red").sliceView()
        ui = self.widget.ui
        ui.url_edit.setText(server.url)
        ui.reader_edit.setText(READER)
        self.host.click(ui.connect_button)
        self.host.wait_until(lambda: self.review.case is not None, 60)
        self.settle()

    def settle(self) -> None:
        """Until the next cases are fetched, the answers confirmed and the view is drawn."""
        self.host.wait_until(lambda: not self.review.busy and not self.review.pending, 60)
        self.host.idle(0.1)

    def mark_and_submit(self) -> float:
        """Paint a cell by a click, press Enter; seconds from the key press to the next case drawn."""
        before = self.review.case
        self._click_cell(before.grid.num_cells // 2)
        self.host.idle(0.1)
        drawn: list[float] = []

        def rendered(_caller: Any, _event: str) -> None:
            if self.review.case is not None and self.review.case is not before:
                drawn.append(time.perf_counter())

        window = self.view.renderWindow()
        tag = window.AddObserver("EndEvent", rendered)
        started = time.perf_counter()
        self.host.press("Return")
        while not drawn:
            self.host.process_events()
        window.RemoveObserver(tag)
        return drawn[0] - started

    def render(self) -> float:
        """Seconds for one rendering of the slice view when image and heat map have changed."""
        import slicer

        composite = self.host.slice_widget("Red").sliceLogic().GetSliceCompositeNode()
        for name in (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID()):
            data = slicer.mrmlScene.GetNodeByID(name).GetImageData()
            data.GetPointData().GetScalars().Modified()
            data.Modified()
        started = time.perf_counter()
        self.view.forceRender()
        return time.perf_counter() - started

    def _click_cell(self, cell: int) -> None:
        self.host.click_view(*self.widget.logic.viewer.center_of(cell))


@contextlib.contextmanager
def longest_gap() -> Iterator[list[float]]:
    """Measures the longest time in which the event loop didn't come round, in seconds."""
    import qt

    gaps, last = [0.0], [time.perf_counter()]

    def tick() -> None:
        now = time.perf_counter()
        gaps[0] = max(gaps[0], now - last[0] - STALL_PROBE_MS / 1000)
        last[0] = now

    timer = qt.QTimer()
    timer.timeout.connect(tick)
    timer.start(STALL_PROBE_MS)
    yield gaps
    timer.stop()


class Stock:
    """What MONAI Label's own module does on the main thread, with its client, in the same host."""

    def __init__(self, server: Server, folder: Path) -> None:
        from monailabel.client import MONAILabelClient

        self._client = MONAILabelClient(server.url, tmpdir=str(folder), client_id="stock")
        self._server = server
        self._folder = folder
        self._sample: dict[str, Any] = {}

    def next_sample(self, render: Callable[[], None]) -> float:
        import slicer

        started = time.perf_counter()
        self._sample = self._client.next_sample("imil_outlier", {})
        slicer.mrmlScene.Clear(0)
        content = self._server.get("/datastore/image", params={"image": self._sample["id"]}).content
        path = self._folder / "sample.png"
        path.write_bytes(content)
        self._show(path)
        self._server.get("/datastore/?output=all").json()
        render()
        return time.perf_counter() - started

    def submit(self) -> float:
        import SimpleITK
        import slicer

        started = time.perf_counter()
        labels = slicer.util.arrayFromVolume(self._volume).astype(np.uint8) * 0
        grid = self._sample["grid"]
        labels[0, : grid["row_edges"][1], : grid["col_edges"][1]] = 1
        path = self._folder / "label.nii.gz"
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(labels[0]), str(path))
        params = {"run": self._sample["run"], "round": self._sample["round"], "action": "grid"}
        self._client.save_label(self._sample["id"], str(path), "imil", params | {"client_id": "stock"})
        self._client.info()
        return time.perf_counter() - started

    def _show(self, path: Path) -> None:
        import SimpleITK
        import slicer

        pixels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
        self._volume = slicer.util.addVolumeFromArray(pixels[None], name=path.stem)
        slicer.util.setSliceViewerLayers(background=self._volume, fit=True)


def measure(folder: Path, size: int, cases: int) -> dict[str, list[float]]:
    """All times, in seconds."""
    server = prepare(folder, size, cases + 4)
    try:
        session = Session(server)
        session.mark_and_submit()
        session.settle()
        times: dict[str, list[float]] = {"render": [], "painted": [], "stall": []}
        with longest_gap() as gaps:
            for _ in range(cases - 2):
                session.host.idle(0.05)  # what was rendered for the comparison is no stall of the module's
                gaps[0] = 0.0
                times["painted"].append(session.mark_and_submit())
                session.settle()
                times["stall"].append(gaps[0])
                times["render"].append(statistics.median(session.render() for _ in range(3)))
        session.review.disconnect()
        session.host.wait_until(lambda: not session.review.busy, 30)
        render = session.view.forceRender
        session.host.reset()
        stock = Stock(server, folder)
        times["stock_next"], times["stock_submit"] = [], []
        for _ in range(3):
            times["stock_next"].append(stock.next_sample(render))
            times["stock_submit"].append(stock.submit())
        return times
    finally:
        stop(server)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer cases")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    size, cases = 2048, 8 if arguments.quick else 22
    with tempfile.TemporaryDirectory() as folder:
        times = measure(Path(folder), size, cases)
    middle = {name: statistics.median(values) for name, values in times.items()}
    ratios = {
        "painted_vs_render": statistics.median(a / b for a, b in zip(times["painted"], times["render"], strict=True)),
        "stall_vs_render": max(times["stall"]) / middle["render"],
        "painted_vs_stock_next": middle["painted"] / middle["stock_next"],
    }
    more = 1000 * statistics.median(a - b for a, b in zip(times["painted"], times["render"], strict=True))
    stall = 1000 * (max(times["stall"]) - middle["render"])
    print(f"{size} x {size} pixels, {len(times['painted'])} cases, software rendering; medians")
    print(f"  one rendering of the slice view     {1000 * middle['render']:8.1f} ms")
    print(f"  Enter to the next case painted      {1000 * middle['painted']:8.1f} ms")
    print(f"  the difference                      {more:8.1f} ms   (wanted: at most 100)")
    print(f"  longest stall, less one rendering   {stall:8.1f} ms   (wanted: at most 50)")
    print(f"  MONAI Label's module, next sample   {1000 * middle['stock_next']:8.1f} ms   with the panel frozen")
    print(f"  MONAI Label's module, submit label  {1000 * middle['stock_submit']:8.1f} ms   with the panel frozen")
    print(f"  painted_vs_render                   {ratios['painted_vs_render']:8.3f}      (wanted: at most 1.8)")
    if arguments.json:
        write_json(arguments.json, {"ratios": ratios, "seconds": times, **environment()})


if __name__ == "__main__":
    main()
