"""Python threads get in the host what they get in Slicer: little, unless the main thread's Python code waits."""

import queue
import threading
import time

import pytest


@pytest.fixture
def counter():
    """A thread that counts as fast as it can: [how far it is]."""
    count, stop = [0], threading.Event()

    def work() -> None:
        while not stop.is_set():
            count[0] += 1

    thread = threading.Thread(target=work)
    thread.start()
    yield count
    stop.set()
    thread.join()


def rate(count: list[int], seconds: float, run) -> float:
    """Steps per second while `run` runs."""
    before = count[0]
    run()
    return (count[0] - before) / seconds


def test_a_thread_hardly_advances_while_the_event_loop_waits(host, counter):
    free = rate(counter, 0.3, lambda: time.sleep(0.3))
    in_loop = rate(counter, 0.5, lambda: host.idle(0.5))
    # What remains is the few milliseconds of Python code before and after the loop.
    assert in_loop < 0.2 * free


def test_a_thread_hardly_advances_while_a_view_is_rendered(host, counter):
    import vtk

    sphere, mapper, actor = vtk.vtkSphereSource(), vtk.vtkPolyDataMapper(), vtk.vtkActor()
    sphere.SetThetaResolution(400)
    sphere.SetPhiResolution(400)
    mapper.SetInputConnection(sphere.GetOutputPort())
    actor.SetMapper(mapper)
    view = host.slice_widget().sliceView()
    renderer = view.renderWindow().GetRenderers().GetItemAsObject(0)
    renderer.AddActor(actor)
    view.forceRender()
    free = rate(counter, 0.3, lambda: time.sleep(0.3))
    begin, before = time.perf_counter(), counter[0]
    view.forceRender()
    seconds = time.perf_counter() - begin
    renderer.RemoveActor(actor)
    assert (counter[0] - before) / seconds < 0.3 * free


def test_pyside_itself_would_let_the_thread_run(host, counter):
    """What the loop is for: without it, tests of threads would be too lenient."""
    from PySide6 import QtCore

    loop = QtCore.QEventLoop()
    free = rate(counter, 0.3, lambda: time.sleep(0.3))

    def run() -> None:
        QtCore.QTimer.singleShot(300, loop.quit)
        QtCore.QEventLoop.__dict__["exec"].value(loop)

    assert rate(counter, 0.3, run) > 0.2 * free


def test_a_thread_advances_while_a_slot_waits_on_a_queue(host, counter):
    import qt

    answers, seen = queue.Queue(), []
    free = rate(counter, 0.3, lambda: time.sleep(0.3))

    def pump() -> None:
        before = counter[0]
        with pytest.raises(queue.Empty):
            answers.get(timeout=0.3)
        seen.append((counter[0] - before) / 0.3)

    qt.QTimer.singleShot(0, pump)
    host.wait_until(lambda: seen)
    assert seen[0] > 0.2 * free


def test_a_threads_result_arrives_through_a_timer_that_waits_a_little(host):
    import qt

    results, seen, timer = queue.Queue(), [], qt.QTimer()

    def pump() -> None:
        try:
            seen.append(results.get(timeout=0.005))
        except queue.Empty:
            return

    timer.timeout.connect(pump)
    timer.start(20)
    threading.Thread(target=lambda: results.put(sum(range(1_000_000)))).start()
    host.wait_until(lambda: seen, 5)
    timer.stop()
    assert seen == [sum(range(1_000_000))]


def test_waiting_in_vain_is_an_error(host):
    with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
        host.wait_until(lambda: False, 0.05)


def test_what_a_condition_raises_comes_out(host):
    with pytest.raises(KeyError):
        host.wait_until(lambda: {}["no"], 1)
    answers = iter([False, False])
    with pytest.raises(StopIteration):
        host.wait_until(lambda: next(answers), 1)


def test_an_exception_in_a_thread_is_collected(host):
    thread = threading.Thread(target=lambda: [][0])
    thread.start()
    thread.join()
    assert "IndexError" in host.errors.pop()


def test_process_events_handles_what_is_waiting(host):
    import qt
    import slicer

    done = []
    qt.QTimer.singleShot(0, lambda: done.append(1))
    slicer.app.processEvents()
    qt.QTimer.singleShot(0, lambda: done.append(2))
    qt.QApplication.processEvents()
    assert done == [1, 2]
