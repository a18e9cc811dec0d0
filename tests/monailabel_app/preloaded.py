"""Server processes that needn't import MONAI first: forked from one process that has, for tests only.

Importing torch and MONAI takes a server some seconds, and the tests start dozens of servers. This module, run as a
program, imports them once. Told a study and a port on its standard input, it forks. From there on the child does what
`imil serve` does: the same checks, and the same `monailabel_app`, which reads its settings from the environment.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from threading import Lock
from typing import Any

import imil.serve

POLL_SECONDS = 0.02
_lock = Lock()
_parent: "subprocess.Popen[str] | None" = None


class ForkedServer:
    """A server process, as `subprocess.Popen` shows one. Its parent is the process that forked it."""

    def __init__(self, study: Path, port: int, log: Path, environment: dict[str, str]) -> None:
        request = {"study": str(study), "port": port, "log": str(log), "environment": environment}
        self.pid = int(_ask(request))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status; None while it runs."""
        if self.returncode is None:
            self.returncode = _ask({"status": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises `subprocess.TimeoutExpired`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a forked server", timeout or 0)
            time.sleep(POLL_SECONDS)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _ask(request: dict[str, Any]) -> Any:
    """What the forking process answers; it's started by the first question and ends with this process."""
    global _parent
    with _lock:
        if _parent is None or _parent.poll() is not None:
            _parent = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},  # a process with threads can't be forked safely
            )
        assert _parent.stdin is not None
        assert _parent.stdout is not None
        _parent.stdin.write(json.dumps(request) + "\n")
        _parent.stdin.flush()
        return json.loads(_parent.stdout.readline())


def main() -> None:
    """Import, then fork a server or tell a status, line by line, until the input ends."""
    import monai.engines  # noqa: F401
    import uvicorn  # noqa: F401  (not MONAI Label: it reads the environment when it's imported)

    for line in sys.stdin:
        request = json.loads(line)
        if "status" in request:
            ended, status = os.waitpid(request["status"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        else:
            answer = os.fork()
            if not answer:
                _become_server(**request)
        print(json.dumps(answer), flush=True)


def _become_server(study: str, port: int, log: str, environment: dict[str, str]) -> None:
    """Never returns: what the child did here after an error, its parent would do a second time."""
    try:
        with Path(log).open("w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:0] = [path for path in environment["PYTHONPATH"].split(os.pathsep) if path not in sys.path]
        sys.argv = imil.serve.server_command(Path(study), port=port)[2:]
        from monailabel_app.__main__ import main as serve

        serve()
    finally:
        # A server that ends as it should doesn't come here: it leaves the process by itself.
        traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()
