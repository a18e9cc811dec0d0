"""IMIL for 3D Slicer: see why a classifier erred, and show it what matters."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import qt
import slicer
from IMILLib import console, selftest
from IMILLib.arrangement import Arrangement
from IMILLib.i18n import _
from IMILLib.opencase import OpenCase
from IMILLib.panels.panel import Panel
from IMILLib.panels.shortcuts import as_html
from IMILLib.panels.widgets import guarded
from IMILLib.records import Receipt
from IMILLib.review import Review
from IMILLib.viewer import Viewer
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

IDLE_INTERVAL_MS, BUSY_INTERVAL_MS = 20, 5
"""Between two pumps, without and with a request under way."""
PUMP_WAIT_SECONDS = 0.01
"""How long each pump waits for a request under way: only then do Python's other threads run in Slicer, and so this,
beside the interval, is their share of the time. Short enough for a hand that paints not to notice."""
PATIENCE_SECONDS = 60.0
"""How long the calls for the Python console wait for the server."""


class IMIL(ScriptedLoadableModule):
    """What Slicer shows of the module in its lists and its help."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "IMIL"
        parent.categories = [_("Active Learning")]
        parent.dependencies = []
        parent.contributors = ["The IMIL developers"]
        parent.helpText = (
            "<p>"
            + _(
                "A classifier of images trains on an IMIL server and stops to ask about images that it gets "
                "confidently wrong. This module shows each with the heat map of where the model looked. Mark the cells "
                "of the image that matter; training goes on with the rest blacked out."
            )
            + "</p><p>"
            + _("Keys, while the module is on the screen:")
            + f"</p>{as_html()}"
        )
        parent.acknowledgementText = _(
            "The method is from Rao et al., IMIL: Interactive Medical Image Learning Framework."
        )


class IMILWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Builds the panel, and lets time pass in the session."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: IMILLogic | None = None
        self.panel: Panel | None = None
        self.timer: Any = None

    def setup(self) -> None:
        """Called once, when the module is first chosen, or a script asks for its logic."""
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = IMILLogic()
        self._start_timer()
        if slicer.app.layoutManager() is None:
            return  # Slicer runs without windows; the logic works all the same
        root = slicer.util.loadUI(self.resourcePath("UI/IMIL.ui"))
        root.setMRMLScene(slicer.mrmlScene)
        self.layout.addWidget(root)
        self.ui = slicer.util.childWidgetVariables(root)
        icons = self.resourcePath("Icons")
        self.panel = Panel(root, self.ui, self.logic.review, self.logic.viewer, self.logic.arrangement, icons)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self._on_scene_start_close)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self._on_scene_end_close)

    def enter(self) -> None:
        """The module is chosen."""
        if self.panel is not None:
            self.panel.enter()

    def exit(self) -> None:
        """Another module is chosen."""
        if self.panel is not None:
            self.panel.exit()

    def cleanup(self) -> None:
        """Slicer quits, or the module is reloaded."""
        if self.timer is not None:
            self.timer.stop()
        self.removeObservers()
        if self.panel is not None:
            self.panel.close()
            self.panel = None
        if self.logic is not None:
            self.logic.close()

    def _on_scene_start_close(self, caller: Any, event: Any) -> None:
        """Our nodes are about to vanish."""
        guarded(self.panel.scene_closing)()

    def _on_scene_end_close(self, caller: Any, event: Any) -> None:
        """The scene is empty."""
        guarded(self.panel.scene_closed)()

    def _start_timer(self) -> None:
        self.timer = qt.QTimer(self.parent)
        self._pump = guarded(self._on_timer)
        self.timer.timeout.connect(self._pump)
        self.timer.start(IDLE_INTERVAL_MS)

    def _on_timer(self) -> None:
        review = self.logic.review
        review.pump(PUMP_WAIT_SECONDS)
        interval = BUSY_INTERVAL_MS if review.busy else IDLE_INTERVAL_MS
        if self.timer.interval != interval:
            self.timer.setInterval(interval)


class IMILLogic(ScriptedLoadableModuleLogic):
    """The reader's session; for the panel, and for scripts in Slicer's Python console::

        logic = slicer.util.getModuleLogic("IMIL")
        logic.connect("http://127.0.0.1:8000", reader="Ada")
        case = logic.next_case()
        logic.show(case)
        logic.submit(case, cells=[5, 6], rationale="The model was focused on the marker.")

    Attributes:
        review: the session, see `IMILLib.review.Review`.

    Args:
        folder: where answers are kept until the server has them; by default among the user's application data.
    """

    def __init__(self, folder: Path | None = None) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.review = Review(folder or _data_folder())
        self.arrangement = Arrangement()
        self._viewer: Viewer | None = None

    @property
    def viewer(self) -> Viewer:
        """Shows cases in the Red slice view. Raises RuntimeError if Slicer runs without views."""
        if self._viewer is None:
            self._viewer = Viewer(self.arrangement)
        return self._viewer

    def connect(self, url: str, reader: str, token: str = "") -> None:
        """Connect to a server. Raises RuntimeError or ValueError with one sentence if that fails."""
        console.connect(self.review, url, reader, token, PATIENCE_SECONDS)

    def next_case(self) -> OpenCase | None:
        """The case to be answered now; None if there is none, ``review.waiting`` says why then."""
        return console.next_case(self.review, PATIENCE_SECONDS)

    def show(self, case: OpenCase) -> None:
        """Show a case in the Red slice view."""
        console.bring(self.review, case, PATIENCE_SECONDS)
        self.viewer.show(case)

    def submit(
        self, case: OpenCase, cells: Iterable[int], misleading: Iterable[int] = (), rationale: str = ""
    ) -> Receipt:
        """Answer a case and wait for the server's receipt.

        Args:
            case: from `next_case`.
            cells: numbers of the cells that matter, row by row from 0.
            misleading: numbers of those that misled the model.
            rationale: the reason, up to 2000 characters.

        Raises:
            ValueError: if there is no cell that matters, or one doesn't exist.
            RuntimeError: if the server refuses it, or doesn't answer; it's sent again by itself then.
        """
        return console.submit(self.review, case, cells, misleading, rationale, PATIENCE_SECONDS)

    def close(self) -> None:
        """Stop everything; nothing that was begun is lost."""
        if self._viewer is not None:
            self._viewer.remove()
            self._viewer = None
        self.review.close()


class IMILTest(ScriptedLoadableModuleTest):
    """Reviews a case on a real server, in desktop Slicer and in the test host alike.

    The server's address is taken from the environment variable ``IMIL_TEST_SERVER``, or else from what the module
    remembers. The answer is taken back at the end.
    """

    def runTest(self) -> None:
        """Run everything."""
        self.test_review_a_case()

    def test_review_a_case(self) -> None:
        """Connect, see, paint, submit; the numbers must be right."""
        self.delayDisplay(_("Reviewing a case"))
        selftest.review_a_case()
        self.delayDisplay(_("The case was reviewed, and the answer taken back"))


def _data_folder() -> Path:
    return Path(qt.QStandardPaths.writableLocation(qt.QStandardPaths.AppDataLocation)) / "IMIL"
