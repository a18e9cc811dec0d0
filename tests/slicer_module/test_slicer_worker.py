"""The worker: results on the thread that pumps, in order, none after a cancel, and no thread left."""

import gc
import threading
import time
import weakref
from collections.abc import Iterator

import pytest
from IMILLib.worker import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker("IMIL test")
    yield made
    made.close()
    assert threads() == []


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("IMIL")]


def pump_until_idle(worker: Worker, seconds: float = 5.0) -> int:
    deadline = time.monotonic() + seconds
    count = 0
    while worker.busy:
        assert time.monotonic() < deadline
        count += worker.pump(0.05)
    return count


def never(_: object) -> None:
    raise AssertionError("this must not be called")


def test_functions_run_in_the_thread_and_results_come_on_the_main_thread(worker: Worker) -> None:
    places: list[str] = []

    def function() -> str:
        places.append(threading.current_thread().name)
        return "result"

    def deliver(value: str) -> None:
        places.append(f"{value} in {threading.current_thread().name}")

    worker.call(function, deliver, never)
    assert worker.busy
    assert pump_until_idle(worker) == 1
    assert places == ["IMIL test", f"result in {threading.current_thread().name}"]
    assert not worker.busy


def test_errors_come_as_they_were_raised(worker: Worker) -> None:
    error = ValueError("no")
    caught: list[Exception] = []

    def function() -> None:
        raise error

    worker.call(function, never, caught.append)
    pump_until_idle(worker)
    assert caught == [error]
    worker.call(lambda: 1, caught.append, never)
    pump_until_idle(worker)
    assert caught == [error, 1], "the thread goes on"


def test_results_come_in_the_order_of_the_calls(worker: Worker) -> None:
    got: list[int] = []
    for number in range(200):
        worker.call(lambda number=number: number, got.append, never)
    pump_until_idle(worker)
    assert got == list(range(200))


def test_no_thread_before_the_first_call() -> None:
    made = Worker("IMIL unused")
    assert not made.busy
    assert made.pump(10) == 0, "nothing is outstanding, so there is nothing to wait for"
    assert threads() == []
    made.close()


def test_waiting_ends_with_the_first_result(worker: Worker) -> None:
    got: list[bool] = []
    go_on = threading.Event()
    worker.call(lambda: go_on.wait(10), got.append, never)
    started = time.monotonic()
    assert worker.pump(0.05) == 0
    assert time.monotonic() - started > 0.04
    go_on.set()
    assert worker.pump(8) == 1
    assert time.monotonic() - started < 6
    assert got == [True]


def test_pump_lets_the_thread_run_while_the_main_thread_is_greedy(worker: Worker) -> None:
    """In Slicer the thread gets Python's lock only where the main thread gives it away: inside pump."""
    got: list[int] = []
    worker.call(lambda: sum(range(200_000)), got.append, never)
    for _ in range(100):
        if worker.pump(0.01):
            break
    assert got == [sum(range(200_000))]


def test_cancelled_calls_are_neither_run_nor_delivered(worker: Worker) -> None:
    begun, go_on = threading.Event(), threading.Event()
    ran: list[str] = []

    def first() -> None:
        ran.append("first")
        begun.set()
        go_on.wait(5)

    worker.call(first, never, never)
    worker.call(lambda: ran.append("second"), never, never)
    assert begun.wait(5)
    worker.cancel()
    assert not worker.busy
    got: list[str] = []
    worker.call(lambda: "third", got.append, never)
    go_on.set()
    pump_until_idle(worker)
    assert got == ["third"]
    assert ran == ["first"]


def test_finished_results_are_dropped_by_a_cancel(worker: Worker) -> None:
    worker.call(lambda: 1, never, never)
    worker.call(lambda: 2, never, never)
    time.sleep(0.1)
    worker.cancel()
    assert worker.pump(0.1) == 0


def test_a_callback_may_cancel_those_after_it(worker: Worker) -> None:
    worker.call(lambda: 1, lambda _: worker.cancel(), never)
    worker.call(lambda: 2, never, never)
    assert worker.pump(5) == 1
    assert not worker.busy
    assert worker.pump(0.1) == 0


def test_a_callback_may_call_again_and_pump(worker: Worker) -> None:
    got: list[int] = []

    def again(value: int) -> None:
        got.append(value)
        if value < 50:
            worker.call(lambda: value + 1, again, never)
            worker.pump()

    worker.call(lambda: 0, again, never)
    pump_until_idle(worker)
    assert got == list(range(51))


def test_an_endless_chain_of_callbacks_does_not_trap_the_main_thread(worker: Worker) -> None:
    count = 0

    def again(_: object) -> None:
        nonlocal count
        count += 1
        worker.call(lambda: None, again, never)
        time.sleep(0.01)  # long enough for the result to be there before this returns

    worker.call(lambda: None, again, never)
    assert worker.pump(5) == 1
    assert count == 1


def test_a_callback_that_raises_does_not_cost_the_others(worker: Worker) -> None:
    got: list[int] = []

    def fail(value: int) -> None:
        raise ValueError(f"callback {value}")

    for number, deliver in enumerate([got.append, fail, got.append, fail, got.append]):
        worker.call(lambda number=number: number, deliver, never)
    while worker._done.qsize() < 5:
        time.sleep(0.01)
    with pytest.raises(ValueError, match="callback 1"):
        worker.pump()
    assert got == [0, 2, 4]
    assert not worker.busy


def test_an_idle_thread_keeps_nothing_alive(worker: Worker) -> None:
    class Picture:
        """Something large."""

    seen: list[weakref.ref[Picture]] = []

    def function() -> Picture:
        made = Picture()
        seen.append(weakref.ref(made))
        return made

    worker.call(function, lambda _: None, never)
    pump_until_idle(worker)
    time.sleep(0.05)
    gc.collect()
    assert seen[0]() is None


def test_closing_ends_the_thread_and_refuses_further_calls() -> None:
    made = Worker("IMIL closing")
    made.call(lambda: time.sleep(0.2), never, never)
    made.call(lambda: never(0), never, never)
    assert threads() == ["IMIL closing"]
    made.close()
    assert threads() == []
    assert made.pump(0.1) == 0
    assert not made.busy
    with pytest.raises(RuntimeError, match="closed"):
        made.call(lambda: 1, never, never)
    made.close()


def test_closing_does_not_wait_for_ever() -> None:
    release = threading.Event()
    made = Worker("IMIL stuck")
    made.call(lambda: release.wait(10), never, never)
    started = time.monotonic()
    made.close(0.1)
    assert time.monotonic() - started < 1
    assert threads() == ["IMIL stuck"]
    release.set()
    deadline = time.monotonic() + 5
    while threads():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_closing_from_a_callback(worker: Worker) -> None:
    worker.call(lambda: 1, lambda _: worker.close(), never)
    worker.call(lambda: 2, never, never)
    assert worker.pump(5) == 1
    assert threads() == []


def test_many_workers_leave_no_threads() -> None:
    for _ in range(100):
        made = Worker("IMIL many")
        made.call(lambda: 1, lambda _: None, never)
        made.pump(1)
        made.close()
    assert threads() == []
