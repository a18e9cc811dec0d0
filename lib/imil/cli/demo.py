"""`imil demo`: one whole round on sample data."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the study, the server's log and the report.", file_okay=False)
    ] = Path("build/demo"),
) -> None:
    """Run one whole round on sample data (1 to 3 minutes).

    It starts the real server, trains, lets a simulated radiologist answer the queue over HTTP, trains on, trains the
    same model without feedback for comparison, and writes the report.
    """
    import signal
    import sys

    from imil.demo import run_demo

    # So that the server is stopped, too, when this process is told to end or its terminal is closed.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda kind, _: sys.exit(128 + kind))
    run_demo(out)
