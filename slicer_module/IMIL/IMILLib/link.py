"""The connection to a server: whether there is one, what the server last said of itself, and when to ask again."""

from __future__ import annotations

from typing import Callable

from .client import Client
from .errors import ServerError
from .problems import Problem
from .records import RunStatus, ServerInfo
from .worker import Worker

DISCONNECTED, CONNECTING, CONNECTED, OFFLINE = "disconnected", "connecting", "connected", "offline"
TRAINING_SECONDS, IDLE_SECONDS = 1.0, 5.0
"""How long after one look at the server's state the next one comes, while it trains and otherwise."""
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 1.0, 30.0


class Link:
    """Talks to one server. All methods are called on the main thread and return at once.

    Attributes:
        state: ``disconnected``, ``connecting``, ``connected`` or ``offline`` (it was there, and is tried again).
        client: to be used in the workers only; None without a connection.
        info: the server's last description of itself.
        front: runs what the reader waits for, in the order of the calls.
        back: runs downloads and looks at the server's state.

    Args:
        clock: seconds, rising.
        on_info: called with the status before (None after a new connection) whenever the server has said how it is.
        on_change: called when ``state`` changes.
        on_failure: called with the problem when a connection can't be made or is lost.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        on_info: Callable[[RunStatus | None], None],
        on_change: Callable[[], None],
        on_failure: Callable[[Problem], None],
    ) -> None:
        self.state = DISCONNECTED
        self.client: Client | None = None
        self.info: ServerInfo | None = None
        self.front = Worker("IMIL requests")
        self.back = Worker("IMIL downloads")
        self._clock, self._on_info, self._on_change, self._on_failure = clock, on_info, on_change, on_failure
        self._asking = False
        self._next_look = 0.0
        self._retry_seconds = FIRST_RETRY_SECONDS

    @property
    def status(self) -> RunStatus | None:
        return None if self.info is None else self.info.status

    @property
    def busy(self) -> bool:
        return self.front.busy or self.back.busy

    def connect(self, url: str, reader: str, token: str) -> None:
        """Begin to connect. Raises ServerError if the address can't be one."""
        client = Client(url, reader, token)
        self.disconnect()
        self.client = client
        self._set_state(CONNECTING)
        self._asking = True
        self.front.call(client.info, self._got_info, self._no_info)

    def probe(
        self, url: str, token: str, on_info: Callable[[ServerInfo], None], on_error: Callable[[Exception], None]
    ) -> None:
        """Ask another server what it is; nothing is connected."""
        try:
            client = Client(url, "", token)
        except ServerError as error:
            on_error(error)
        else:
            self.front.call(client.info, on_info, on_error)

    def disconnect(self) -> None:
        """Forget the server. What is under way is dropped; reservations are given back if the server can be reached."""
        client, was = self.client, self.state
        self.front.cancel()
        self.back.cancel()
        if client is not None:
            client.interrupt()  # a server that doesn't answer mustn't hold up what comes next
        self.client = self.info = None
        self._asking = False
        self._retry_seconds = FIRST_RETRY_SECONDS
        if client is not None and was == CONNECTED:
            self.front.call(lambda: _farewell(client), _ignore, _ignore)
        self._set_state(DISCONNECTED)

    def close(self) -> None:
        """Stop both threads."""
        if self.client is not None:
            self.client.close()  # breaks off what is under way, which would keep a thread
        self.client = None
        self.front.close()
        self.back.close()

    def pump(self, wait: float) -> None:
        """Deliver results, and look at the server's state when it's time."""
        self.front.pump(wait)
        self.back.pump(0.0 if wait and self.front.busy else wait)
        client = self.client
        if client is None or self._asking or self.state == CONNECTING or self._clock() < self._next_look:
            return
        self._asking = True
        self.back.call(client.info, self._got_info, self._no_info)

    def look_now(self) -> None:
        """Look at the server's state as soon as possible."""
        self._next_look = 0.0

    def failed(self, error: Exception) -> None:
        """Somebody's request failed: if that means that the server is gone, say so and begin to try again."""
        if isinstance(error, ServerError) and error.offline and self.state == CONNECTED:
            self._on_failure(Problem.of(error))
            self._retry_later()
            self._set_state(OFFLINE)

    def _got_info(self, info: ServerInfo) -> None:
        before = self.status
        first = self.state != CONNECTED
        self.info = info
        self._asking = False
        self._retry_seconds = FIRST_RETRY_SECONDS
        pause = TRAINING_SECONDS if info.status.training else IDLE_SECONDS
        self._next_look = self._clock() + pause
        self._set_state(CONNECTED)
        self._on_info(None if first else before)

    def _no_info(self, error: Exception) -> None:
        self._asking = False
        if self.state == CONNECTING:
            self.client = None
            self._on_failure(Problem.of(error))
            self._set_state(DISCONNECTED)
            return
        self._retry_later()
        if self.state != OFFLINE:
            self._on_failure(Problem.of(error))
            self._set_state(OFFLINE)

    def _retry_later(self) -> None:
        self._next_look = self._clock() + self._retry_seconds
        self._retry_seconds = min(2 * self._retry_seconds, LAST_RETRY_SECONDS)

    def _set_state(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self._on_change()


def _farewell(client: Client) -> None:
    client.release()
    client.close()


def _ignore(_: object) -> None:
    """A farewell needs no reply."""
