"""A thread that runs calls one after the other, and hands their results back on the main thread."""

from __future__ import annotations

import queue
import threading
from typing import Any, Callable, NamedTuple, TypeVar

T = TypeVar("T")


class _Call(NamedTuple):
    generation: int
    function: Callable[[], Any]
    on_result: Callable[[Any], None]
    on_error: Callable[[Exception], None]


class _Done(NamedTuple):
    generation: int
    deliver: Callable[[Any], None]
    value: Any


class Worker:
    """Runs functions in a daemon thread, which begins with the first call. Everything else happens on the main thread.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._generation = 0
        self._outstanding = 0
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether something was called whose result is neither delivered nor cancelled."""
        return self._outstanding > 0

    def call(
        self, function: Callable[[], T], on_result: Callable[[T], None], on_error: Callable[[Exception], None]
    ) -> None:
        """Run ``function`` in the thread, after those called before; `pump` then calls one of the other two.

        Raises:
            RuntimeError: if the worker is closed.
        """
        if self._closed:
            raise RuntimeError(f"The worker {self._name!r} is closed.")
        self._outstanding += 1
        self._calls.put(_Call(self._generation, function, on_result, on_error))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def pump(self, wait: float = 0.0) -> int:
        """Deliver what is finished, in the order of the calls. Main thread only.

        A callback that raises doesn't keep the others from their results: all are delivered, then the first error is
        raised.

        Args:
            wait: seconds to wait for a result if something is outstanding and nothing is finished. Waiting releases
                Python's lock, which is when the thread gets to run at all inside Slicer.

        Returns:
            The number of results delivered.
        """
        delivered = 0
        problem: Exception | None = None
        # Results that come in meanwhile are for the next time, so that a callback which calls again can't trap us here.
        for number in range(max(1, self._done.qsize())):
            done = self._take(wait if number == 0 else 0.0)
            if done is None:
                break
            if done.generation != self._generation:
                continue
            self._outstanding -= 1
            delivered += 1
            try:
                done.deliver(done.value)
            except Exception as error:  # noqa: BLE001 - whatever it is, it's raised below
                problem = problem or error
        if problem is not None:
            raise problem
        return delivered

    def cancel(self) -> None:
        """Drop everything called so far: calls that aren't begun, and the results of the others."""
        self._generation += 1
        self._outstanding = 0

    def close(self, timeout: float = 2.0) -> None:
        """Cancel everything and end the thread.

        Args:
            timeout: seconds to wait for it. A function that takes longer keeps the thread until it returns; for
                requests, close the client first: it breaks them off.
        """
        self.cancel()
        self._closed = True
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._calls.put(None)
        if thread is not threading.current_thread():
            thread.join(timeout)

    def _take(self, wait: float) -> _Done | None:
        try:
            if wait > 0 and self._outstanding:
                return self._done.get(timeout=wait)
            return self._done.get_nowait()
        except queue.Empty:
            return None

    def _run(self) -> None:
        while True:
            call = self._calls.get()
            if call is None:
                return
            if call.generation == self._generation:
                self._done.put(_finished(call))
            del call  # an idle thread must not keep a picture alive


def _finished(call: _Call) -> _Done:
    try:
        return _Done(call.generation, call.on_result, call.function())
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
        return _Done(call.generation, call.on_error, error)
