"""The module on a real server when things go wrong, and for a long time: nothing is lost, nothing grows."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imil.study import Study
from tests.monailabel_app.server_process import Server, serve, stop
from tests.reviewable import grey_study, open_round
from tests.slicer_module.bad_server import BadServer

MODULE = Path(__file__).resolve().parents[2] / "slicer_module" / "IMIL" / "IMIL.py"
MANY = 300
STALL_SECONDS = 0.5
"""Far above a rendering, far below a request that waits: the panel was blocked if the event loop stood still longer."""


@pytest.fixture
def server(panel_server: Server) -> Server:
    return panel_server


@pytest.fixture
def study(panel_server: Server, panel_study: Study) -> Study:
    """The server's study with a fresh round open."""
    return panel_study


@pytest.fixture
def connect(host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Opens the module and connects it as a user does; its answers are kept in the test's folder."""

    def make(url: str, wait: bool = True):
        import qt

        monkeypatch.setattr(qt.QStandardPaths, "writableLocation", lambda _: str(tmp_path))
        host.load_module(MODULE)
        widget = host.open("IMIL")
        widget.ui.url_edit.setText(url)
        widget.ui.reader_edit.setText("Ada")
        host.click(widget.ui.connect_button)
        if wait:
            host.wait_until(lambda: widget.logic.review.case is not None, 30)
            host.wait_until(lambda: not widget.logic.review.busy, 30)
        return widget

    return make


def events(study: Study) -> list:
    return study.store.events(study.store.latest_run().id)


def answer(host, widget) -> None:
    """By keyboard: the cell in the middle, submit."""
    host.press("Space")
    host.press("Space")  # the first puts the cursor there
    host.press("Return")


def settle(host, review, seconds: float = 30) -> None:
    host.wait_until(lambda: not review.busy and not review.pending, seconds)


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def watch_event_loop() -> tuple[Callable[[], float], Callable[[], None]]:
    """(the longest time so far in which the event loop didn't come round, in seconds; end of the watch)."""
    import qt

    gap, last = [0.0], [time.perf_counter()]

    def tick() -> None:
        now = time.perf_counter()
        gap[0] = max(gap[0], now - last[0])
        last[0] = now

    timer = qt.QTimer()
    timer.timeout.connect(tick)
    timer.start(5)
    return lambda: gap[0], timer.stop


@pytest.mark.slow
def test_many_cases_in_a_row_grow_nothing(host, connect, tmp_path: Path) -> None:
    study = grey_study(tmp_path / "long", per_class=int(MANY / 0.8 / 2) + 3, shape=(48, 64))
    open_round(study, [case.id for case in study.cases if case.split == "train"][:MANY])
    server = serve(study.folder, tmp_path / "long.log")
    try:
        review_many(host, connect(server.url), study)
    finally:
        stop(server)
        study.store.close()


def review_many(host, widget, study: Study) -> None:
    review = widget.logic.review
    counted: list[dict[str, int]] = []
    memory: list[float] = []
    for number in range(1, MANY + 1):
        host.wait_until(lambda number=number: review.case is not None and review.case.case.position == number, 30)
        answer(host, widget)
        if number in (40, MANY - 10):
            settle(host, review)
            host.idle(0.1)
            counted.append(host.census())
            memory.append(resident_mb())
    settle(host, review)
    host.wait_until(lambda: review.case is None and "Continue training" in review.waiting, 30)
    assert len(events(study)) == MANY
    assert len({event.case_id for event in events(study)}) == MANY
    early, late = counted
    assert all(late[what] <= early[what] for what in early), (early, late)
    assert memory[1] - memory[0] < 30  # MB for 250 cases of 15 kB each, decoded


@pytest.mark.slow
def test_server_killed_and_started_again(host, connect, server: Server, study: Study, tmp_path: Path) -> None:
    study_folder = tmp_path / "other study"
    other = grey_study(study_folder)
    open_round(other)
    running = serve(study_folder, tmp_path / "other.log")
    port = int(running.url.rsplit(":", 1)[1])
    try:
        widget = connect(running.url)
        review, ui = widget.logic.review, widget.ui
        answer(host, widget)
        settle(host, review)
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        answer(host, widget)
        host.wait_until(lambda: review.connection == "offline", 30)
        assert len(review.pending) == 1
        assert "1 answer" in ui.pending_label.text
        assert ui.problem_label.text.startswith("Nothing answers")
        running = serve(study_folder, tmp_path / "other.log", port)
        host.wait_until(lambda: review.connection == "connected" and not review.pending, 60)
        answer(host, widget)
        settle(host, review)
    finally:
        stop(running)
    run = other.store.latest_run()
    assert [event.case_id for event in other.store.events(run.id)] == [
        entry.case_id for entry in other.store.queue(run.id, 1)[:3]
    ]
    other.store.close()


def test_module_is_left_and_entered_while_requests_are_under_way(host, connect, server: Server, study: Study) -> None:
    with BadServer(server.url) as proxy:
        widget = connect(proxy.url)
        review = widget.logic.review
        proxy.seconds, proxy.mode = 1.0, "delay"
        answer(host, widget)
        host.leave()
        host.idle(0.3)
        host.open("IMIL")
        host.wait_until(lambda: not review.pending and review.last_receipt is not None, 30)
        proxy.mode = "pass"
        settle(host, review)
        assert review.case.case.position == 2
        answer(host, widget)
        settle(host, review)
    assert len(events(study)) == 2


def test_scene_closed_while_a_request_is_under_way(host, connect, server: Server, study: Study) -> None:
    with BadServer(server.url) as proxy:
        widget = connect(proxy.url)
        review = widget.logic.review
        widget.logic.review.ahead = 0
        proxy.seconds, proxy.mode = 1.0, "delay"
        answer(host, widget)
        host.close_scene()
        host.wait_until(lambda: not review.pending, 30)
        proxy.mode = "pass"
        host.wait_until(lambda: review.case is not None and review.case.case.position == 2, 30)
        settle(host, review)
        answer(host, widget)
        settle(host, review)
    assert len(events(study)) == 2


def test_quitting_with_a_request_under_way_ends_all_threads(host, connect, server: Server, study: Study) -> None:
    with BadServer(server.url) as proxy:
        widget = connect(proxy.url)
        proxy.seconds, proxy.mode = 20.0, "delay"
        answer(host, widget)
        host.idle(0.2)
        started = time.monotonic()
        host.quit()
        assert time.monotonic() - started < 8
        host.wait_until(lambda: not any(t.name.startswith("IMIL") for t in threading.enumerate()), 15)
        proxy.mode = "pass"
        # Slicer is started again: what was on its way is sent, and counts once.
        again = connect(proxy.url)
        settle(host, again.logic.review)
    assert len(events(study)) == 1


def test_slow_server_never_blocks_the_panel(host, connect, server: Server, study: Study) -> None:
    with BadServer(server.url) as proxy:
        widget = connect(proxy.url)
        review = widget.logic.review
        proxy.seconds, proxy.mode = 3.0, "delay"
        longest, end = watch_event_loop()
        answer(host, widget)
        answer(host, widget)
        host.wait_until(lambda: not review.pending, 60)
        end()
        assert longest() < STALL_SECONDS
    assert len(events(study)) == 2


@pytest.mark.slow
def test_server_that_answers_after_half_a_minute(host, connect, server: Server, study: Study) -> None:
    with BadServer(server.url) as proxy:
        widget = connect(proxy.url)
        review = widget.logic.review
        proxy.seconds, proxy.mode = 30.0, "delay"
        longest, end = watch_event_loop()
        answer(host, widget)
        assert review.case.case.position == 2
        host.wait_until(lambda: not review.pending, 120)
        end()
        assert longest() < STALL_SECONDS
        assert review.last_receipt is not None
    assert len(events(study)) == 1


@pytest.mark.parametrize("mode", ["garbage", "html", "broken json", "wrong types", "cut", "drop"])
def test_nonsense_in_the_middle_of_a_review(host, connect, server: Server, study: Study, mode: str) -> None:
    with BadServer(server.url) as proxy:
        widget = connect(proxy.url)
        review = widget.logic.review
        proxy.mode = mode
        answer(host, widget)
        host.wait_until(lambda: review.problem is not None, 30)
        sentence = widget.ui.problem_label.text
        assert sentence.endswith((".", "?"))
        assert "Traceback" not in sentence
        assert review.pending
        proxy.mode = "pass"
        review.retry()
        host.wait_until(lambda: not review.pending and review.connection == "connected", 60)
        settle(host, review)
    assert len(events(study)) == 1
