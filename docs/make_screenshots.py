"""Makes the pictures of the Slicer module, docs/images/slicer-*.png, by using it: `make screenshots`.

A real server trains on a copy of the sample data, the module runs in the tests' stand-in for Slicer, and a reader who
knows where lesions and markers are answers a round with mouse and keyboard. Takes a few minutes.
"""

import sys
import tempfile
from pathlib import Path
from shutil import copytree, ignore_patterns

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "slicer_module" / "IMIL")]

from imil.study import Study, create_study  # noqa: E402 - the repository isn't on the path before
from tests.monailabel_app.server_process import serve, stop  # noqa: E402
from tests.slicer_module.bad_server import BadServer  # noqa: E402

IMAGES = ROOT / "docs" / "images"
MODULE = ROOT / "slicer_module" / "IMIL" / "IMIL.py"
READER = "Dr Ada Lind"
TRAINING_SECONDS = 600
FEW_EPOCHS = 5


class Tour:
    """A round, from the first connection to the last epoch, with a picture of each state."""

    def __init__(self, study: Study, proxy: BadServer) -> None:
        from slicer_host.host import start

        self.study, self.proxy = study, proxy
        self.host = start()
        self.host.load_module(MODULE)
        self.widget = self.host.open("IMIL")
        self.ui = self.widget.ui
        self.review = self.widget.logic.review

    def run(self) -> None:
        self.connect()
        self.train()
        self.answer_the_first()
        self.answer_without_server()
        self.answer_the_rest()
        self.look_at_what_they_taught()
        self.finish()
        self.host.quit()
        if self.host.errors:
            raise SystemExit("The module had errors:\n" + "\n".join(self.host.errors))

    def connect(self) -> None:
        self.ui.url_edit.setText(self.proxy.url)
        self.ui.reader_edit.setText(READER)
        self.proxy.seconds, self.proxy.mode = 2.0, "delay"
        self.host.click(self.ui.connect_button)
        self.host.idle(0.5)
        self.picture("connecting")
        self.proxy.mode = "pass"
        self.host.wait_until(lambda: self.review.connection == "connected", 30)

    def train(self) -> None:
        self.ui.preset_combo.setCurrentIndex(self.ui.preset_combo.findText("quick"))
        self.host.idle(0.2)
        self.host.click(self.ui.start_button)
        self.host.wait_until(lambda: self.review.status.epoch >= FEW_EPOCHS, TRAINING_SECONDS)
        if not self.ui.plot_button.checked:
            self.host.click(self.ui.plot_button)
        self.host.idle(1.5)
        self.picture("training")
        self.host.wait_until(lambda: self.review.case is not None, TRAINING_SECONDS)
        self.settle()
        self.picture("review")

    def answer_the_first(self) -> None:
        self.mark()
        self.ui.focus_combo.setEditText("the side marker")
        self.ui.switch_combo.setEditText("the lung")
        self.host.move_view(5, 5)
        self.host.idle(0.3)
        self.picture("painting")
        self.host.press("Return")
        self.settle()
        self.picture("submitted")

    def answer_without_server(self) -> None:
        self.proxy.mode = "refuse"
        self.paint(self.cells_that_matter())
        self.host.press("Return")
        self.host.wait_until(lambda: self.review.connection == "offline", 30)
        self.host.idle(0.3)
        self.picture("offline")
        self.proxy.mode = "pass"
        self.host.wait_until(lambda: not self.review.pending, 60)
        self.settle()

    def answer_the_rest(self) -> None:
        while self.review.case is not None:
            self.mark()
            self.host.press("Return")
            self.settle()
        self.host.wait_until(lambda: "Continue training" in self.review.waiting, 30)

    def look_at_what_they_taught(self) -> None:
        self.host.press("Alt+3")
        self.host.wait_until(lambda: self.ui.continue_button.enabled, 30)
        self.host.click(self.ui.continue_button)
        self.host.wait_until(lambda: self.review.insight.opened is not None, TRAINING_SECONDS)
        self.settle()
        for key in ("PgDown", "X", "PgDown"):
            self.host.press(key)
            self.settle()
        self.picture("insight")

    def finish(self) -> None:
        self.host.click(self.ui.go_on_button)
        self.host.wait_until(lambda: self.review.status.state == "completed", TRAINING_SECONDS)
        self.settle()
        self.host.press("Alt+3")
        if not self.ui.plot_button.checked:
            self.host.click(self.ui.plot_button)
        self.host.idle(1.0)
        self.picture("done")

    # -- the reader --------------------------------------------------------------------------------------------------

    def cells_that_matter(self) -> list[int]:
        """Cells that the lesion of the present case touches; for a normal case the middle of the lungs."""
        case, grid = self.review.case.case, self.review.case.grid
        truth = self.study.case(case.id)
        if not truth.lesion_mask:
            return [cell for cell in range(grid.num_cells) if cell // grid.cols in (1, 2)]
        return self.touched(truth.lesion_mask)

    def mark(self) -> None:
        """Paint the cells that matter, and those that the marker of the present case touches."""
        misleading = self.touched(self.study.case(self.review.case.case.id).misleading_mask)
        self.paint([cell for cell in self.cells_that_matter() if cell not in misleading])
        self.host.click(self.ui.misled_button)
        self.paint(misleading)
        self.host.click(self.ui.matters_button)

    def touched(self, path: str) -> list[int]:
        """Cells of the present case that a mask of the study touches; none without a mask."""
        if not path:
            return []
        grid, mask = self.review.case.grid, np.asarray(Image.open(self.study.folder / path)) > 0
        return [cell for cell in range(grid.num_cells) if mask[grid.inside([cell])].any()]

    def paint(self, cells: list[int]) -> None:
        for cell in cells:
            self.host.click_view(*self.widget.logic.viewer.center_of(cell))

    # -- the pictures ------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        self.host.wait_until(lambda: not self.review.busy and not self.review.pending, 60)
        self.host.idle(0.3)

    def picture(self, name: str) -> None:
        IMAGES.mkdir(parents=True, exist_ok=True)
        path = IMAGES / f"slicer-{name}.png"
        self.host.screenshot(path)
        print(f"{path.relative_to(ROOT)}", flush=True)


def main() -> None:
    """Make all pictures."""
    with tempfile.TemporaryDirectory() as folder:
        copytree(ROOT / "sample-data", Path(folder) / "study", ignore=ignore_patterns(".imil"))
        study = create_study(Path(folder) / "study", "csv")
        server = serve(study.folder, Path(folder) / "server.log")
        try:
            with BadServer(server.url) as proxy:
                Tour(study, proxy).run()
        finally:
            stop(server)
            study.store.close()


if __name__ == "__main__":
    main()
