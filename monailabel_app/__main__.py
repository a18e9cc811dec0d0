"""``python -m monailabel_app STUDY --host HOST --port PORT``: the server that `imil serve` starts.

MONAI Label's own ``start_server`` works too, but listens on all addresses and makes folders beside the app's code.
"""

import argparse
import contextlib
import gc
import json
import logging
import os
import socket
import sys
from pathlib import Path

import uvicorn

from imil.cases import STATE_FOLDER
from monailabel_app.logs import log_config, log_path

APP_FOLDER = Path(__file__).resolve().parent


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it's ready."""

    def __init__(self, config: uvicorn.Config, study: Path) -> None:
        super().__init__(config)
        self._study = study

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            # What is loaded by now stays: the garbage collector needn't walk through it again between two requests.
            gc.freeze()
            address = url(self.config.host, self.config.port)
            print(f"IMIL serves {self._study} at {address} (stop with Ctrl+C)", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        from monailabel.utils.async_tasks.task import AsyncTask

        # Nobody would read what they print, and that ends them at some point; a killed run resumes where it was.
        for kind in ("train", "scoring"):
            AsyncTask.stop(kind)


def main() -> None:
    """Serve one study until interrupted."""
    parser = argparse.ArgumentParser("monailabel_app", description="Serve an IMIL study by MONAI Label.")
    parser.add_argument("study", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--conf", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--verbose", action="store_true", help="the whole log on the console, too")
    arguments = parser.parse_args()
    study = arguments.study.resolve()
    _set_environment(study, arguments.port, dict(arguments.conf))
    config = uvicorn.Config(
        "monailabel.app:app",
        host=arguments.host,
        port=arguments.port,
        log_config=log_config(log_path(study / STATE_FOLDER), "INFO" if arguments.verbose else "WARNING"),
        access_log=False,
    )
    # uvicorn has shut down by then, and hands the signal on.
    with contextlib.suppress(KeyboardInterrupt):
        _Server(config, study).run()
    # All is written; taking torch and MONAI apart object by object would need seconds more.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def url(host: str, port: int) -> str:
    """The address in the form that a browser takes."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _set_environment(study: Path, port: int, conf: dict[str, str]) -> None:
    """MONAI Label's settings, for this process and for those that train: they read them from the environment."""
    os.environ["MONAI_LABEL_APP_DIR"] = str(APP_FOLDER)
    os.environ["MONAI_LABEL_STUDIES"] = str(study)
    os.environ["MONAI_LABEL_SERVER_PORT"] = str(port)
    os.environ["MONAI_LABEL_APP_CONF"] = json.dumps(conf)
    os.environ.setdefault("MONAI_LABEL_PROJECT_NAME", "IMIL")
    os.environ.setdefault("MONAI_LABEL_SESSIONS", "false")
    os.environ.setdefault("MONAI_LABEL_AUTO_UPDATE_SCORING", "false")
    os.environ.setdefault("MONAI_LABEL_TRACKING_ENABLED", "false")
    # MONAI Label extends the variable for the processes it starts, and fails where there is none.
    os.environ.setdefault("PYTHONPATH", "")


if __name__ == "__main__":
    main()
