"""`imil serve`: checks what can be checked in a moment, then becomes the server process.

The server itself is the package `monailabel_app`; it runs as a program of its own, so the library needs neither it nor
MONAI Label.
"""

import contextlib
import errno
import importlib.util
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import requests

from imil.errors import BadInput, Conflict
from imil.study import Study

SERVER_PACKAGE = "monailabel_app"
REQUIRED = (SERVER_PACKAGE, "monailabel")
LOCAL_HOST = "127.0.0.1"
START_SECONDS = 120.0
"""How long a server may take to answer for the first time."""
STOP_SECONDS = 5.0
POLL_SECONDS = 0.3


def serve(
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    verbose: bool = False,
    conf: Mapping[str, str] | None = None,
) -> NoReturn:
    """Serve a study over MONAI Label's REST interface until interrupted. Doesn't return: the server takes the process.

    Args:
        folder: the study.
        host: address to listen on; anything but a loopback address lets other machines in, without authentication.
        port: TCP port; 0 for any that is free.
        verbose: show the server's whole log; it's also in ``.imil/logs`` of the study.
        conf: further settings of the app, such as ``max_upload_mb``.

    Raises:
        BadInput: if it's no study, the host is unknown, the port out of range, or the server isn't installed.
        Conflict: if the port is taken.
    """
    command = server_command(folder, host, port, verbose=verbose, conf=conf)
    if not is_loopback(host):
        print(
            f"Warning: on {host} everybody who can reach this machine can see the images and send answers; there is no "
            "password. Use 127.0.0.1 with an SSH tunnel, or a reverse proxy with authentication.",
            file=sys.stderr,
        )
    print("Starting the server (this takes about 10 seconds) ...", flush=True)
    os.execv(command[0], command)  # noqa: S606 - no shell wanted


def server_command(
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    verbose: bool = False,
    conf: Mapping[str, str] | None = None,
) -> list[str]:
    """The server's command line, once everything that `serve` checks is in order. Raises as `serve` does.

    The server prints "IMIL serves ... at http://..." when it's ready.
    """
    Study.open(folder).store.close()
    for name in REQUIRED:
        if importlib.util.find_spec(name) is None:
            raise BadInput(f"The server needs the package {name}, which isn't installed; install imil[server].")
    free = free_port(host, port)
    command = [sys.executable, "-m", SERVER_PACKAGE, str(folder.resolve()), "--host", host, "--port", str(free)]
    if verbose:
        command.append("--verbose")
    for name, value in (conf or {}).items():
        command += ["--conf", name, value]
    return command


@contextlib.contextmanager
def running_server(
    folder: Path, log: Path, port: int = 0, waiting: Callable[[float], None] | None = None
) -> Iterator[str]:
    """A server of the study on this machine for the length of a ``with`` block; gives its address once it answers.

    The server and all that it started are stopped at the end, come what may.

    Args:
        folder: the study.
        log: file that the server's output goes to.
        port: TCP port; 0 for any that is free.
        waiting: told every now and then for how many seconds it has been starting.

    Raises:
        BadInput, Conflict: as `serve`; Conflict too if the server ends, or doesn't answer in time.
    """
    free = free_port(LOCAL_HOST, port)
    command = server_command(folder, LOCAL_HOST, free, verbose=True)
    with log.open("wb") as output:
        # A process group of its own, so that the processes which train are stopped with it.
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        url = f"http://{LOCAL_HOST}:{free}"
        _wait_for(url, process, waiting)
        yield url
    finally:
        _stop(process)


def _wait_for(url: str, process: subprocess.Popen[bytes], waiting: Callable[[float], None] | None) -> None:
    started = time.monotonic()
    while (waited := time.monotonic() - started) < START_SECONDS:
        if process.poll() is not None:
            raise Conflict(f"The server ended with status {process.returncode} while it started.")
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{url}/info/", timeout=10).ok:
                return
        if waiting is not None:
            waiting(waited)
        time.sleep(POLL_SECONDS)
    raise Conflict(f"The server didn't answer within {START_SECONDS:.0f} seconds.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server's process group, politely at first. The second signal reaches what outlived the server itself."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)


def free_port(host: str, port: int) -> int:
    """The port, if it can be listened on; any free one for 0.

    Raises:
        BadInput: if the host isn't an address of this machine, or the port is out of range.
        Conflict: if the port is taken.
    """
    if not 0 <= port <= 65_535:
        raise BadInput(f"The port {port} doesn't exist; ports are 1 to 65535 (0 takes any that is free).")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise BadInput(f"The host {host!r} isn't known; use 127.0.0.1, or an address of this machine.") from None
    with socket.socket(family, kind, protocol) as probe:
        # As the server does: a port whose last connections are still closing can be used.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise _bind_error(host, port, error) from None
        return int(probe.getsockname()[1])


def is_loopback(host: str) -> bool:
    """Whether the host can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bind_error(host: str, port: int, error: OSError) -> BadInput | Conflict:
    if error.errno == errno.EADDRINUSE:
        return Conflict(f"The port {port} on {host} is taken; stop what listens there, or choose another with --port.")
    return BadInput(f"Can't listen on port {port} of {host} ({error.strerror}); choose another --host or --port.")
