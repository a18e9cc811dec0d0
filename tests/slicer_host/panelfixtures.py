"""Fixtures of the panel's tests: a server with an open round, and the module in the host as a reader has it before her.

They are known to all tests of this folder by its conftest.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imil.study import Study
from tests.learnt import await_approval
from tests.monailabel_app.server_process import Server, serve, stop
from tests.reviewable import grey_study, open_round

MODULE = Path(__file__).resolve().parents[2] / "slicer_module" / "IMIL" / "IMIL.py"
QUEUED = 6


@pytest.fixture(scope="session")
def panel_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests of a process: it takes longer to start than most tests; each test opens a new round."""
    folder = tmp_path_factory.mktemp("panel")
    grey_study(folder / "study", per_class=10)
    running = serve(folder / "study", folder / "server.log")
    yield running
    stop(running)


@pytest.fixture
def panel_study(panel_server: Server) -> Iterator[Study]:
    """The server's study with a fresh round of six cases."""
    opened = Study.open(panel_server.study)
    open_round(opened, [case.id for case in opened.cases if case.split == "train"][:QUEUED])
    yield opened
    opened.store.close()


@pytest.fixture
def learnt_study(panel_server: Server) -> Iterator[Study]:
    """The server's study with a run that awaits approval of what six answers taught."""
    opened = Study.open(panel_server.study)
    await_approval(opened, [case.id for case in opened.cases if case.split == "train"][:QUEUED])
    yield opened
    opened.store.close()


@pytest.fixture
def desk(host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The module, opened for the first time; answers are kept in the test's folder."""
    import qt

    monkeypatch.setattr(qt.QStandardPaths, "writableLocation", lambda _: str(tmp_path))
    host.load_module(MODULE)
    return Desk(host)


class Desk:
    """What the reader has before her, and what her hands do."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.widget = host.open("IMIL")
        self.ui, self.logic, self.review = self.widget.ui, self.widget.logic, self.widget.logic.review

    def connect(self, url: str, reader: str = "Ada") -> None:
        """By the panel; waits for the first case, or for the first image with a find."""
        self.ui.url_edit.setText(url)
        self.ui.reader_edit.setText(reader)
        self.host.click(self.ui.connect_button)
        self.host.wait_until(lambda: self.review.case is not None or self.review.insight.opened is not None, 30)
        self.settle()

    def settle(self, seconds: float = 30) -> None:
        """Until nothing is under way, and Qt has laid out what changed."""
        self.host.idle(0.1)
        unsent = lambda: self.review.pending or self.review.insight.pending  # noqa: E731
        self.host.wait_until(lambda: not self.review.busy and not unsent(), seconds)

    def keys(self, *names: str) -> None:
        """Press keys where the keyboard is."""
        for name in names:
            self.host.press(name)

    def click_cell(self, cell: int) -> None:
        """Click in the middle of a cell in the view."""
        self.host.click_view(*self.logic.viewer.center_of(cell))

    @property
    def marks(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Cells that matter, cells that misled the model."""
        return self.review.case.marks.cells, self.review.case.marks.misleading

    @property
    def position(self) -> int:
        return self.review.case.case.position


def answers(study: Study) -> list[Any]:
    """All events of the newest run."""
    run = study.store.latest_run()
    assert run is not None
    return study.store.events(run.id)
