"""The command line: ``imil demo | study | phantom | serve | slicer-module | train | review | report | export |
experiment``.

Only typer and the settings are imported here, so that help and every usage error answer at once; each command
imports what it needs when it runs.
"""

from imil.cli.root import app, main

__all__ = ["app", "main"]
