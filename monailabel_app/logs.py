"""Where the server's log goes: into the study, not into the folder of the app."""

import contextlib
import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

LOG_FOLDER = "logs"
LOG_FILE = "server.log"
_MADE_BY_MONAI_LABEL = ("model", "lib", "logs", "bin")
_FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"


def log_path(state_dir: Path) -> Path:
    """The server's log within a study's state folder."""
    return state_dir / LOG_FOLDER / LOG_FILE


def log_config(path: Path, console_level: str = "WARNING") -> dict[str, Any]:
    """A `logging.config` dictionary: everything into the file at ``path``, only what matters to the console."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": _FORMAT}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "line", "level": console_level},
            "file": {
                "class": "logging.handlers.RotatingFileHandler",
                "formatter": "line",
                "filename": str(path),
                "maxBytes": 10 * 1024 * 1024,
                "backupCount": 3,
                "encoding": "utf-8",
            },
        },
        "root": {"level": "INFO", "handlers": ["console", "file"]},
    }


def move_logs(app_dir: Path, state_dir: Path) -> Path:
    """Let every log that MONAI Label opened in its app's folder go on in the study, and tidy up that folder.

    ``start_server`` makes the folders model, lib, logs and bin beside the app's code; those that are empty are removed.

    Returns:
        The log's path.
    """
    target = log_path(state_dir)
    target.parent.mkdir(parents=True, exist_ok=True)
    left = app_dir / "logs"
    known = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    for logger in [logging.root, *known]:
        for handler in list(logger.handlers):
            if isinstance(handler, RotatingFileHandler) and Path(handler.baseFilename).parent == left:
                _move(logger, handler, target)
    if left.is_dir():
        for file in left.glob("app.log*"):
            file.unlink()
    for name in _MADE_BY_MONAI_LABEL:
        # A folder that isn't empty, or was never made, stays as it is.
        with contextlib.suppress(OSError):
            (app_dir / name).rmdir()
    return target


def _move(logger: logging.Logger, handler: RotatingFileHandler, target: Path) -> None:
    moved = RotatingFileHandler(
        target, maxBytes=handler.maxBytes, backupCount=handler.backupCount, encoding=handler.encoding
    )
    moved.setFormatter(handler.formatter)
    moved.setLevel(handler.level)
    logger.removeHandler(handler)
    handler.close()
    logger.addHandler(moved)
