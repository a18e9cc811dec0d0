"""Makes the Slicer module's own library importable as it is in Slicer, by the module's folder; and the Slicer host."""

import sys
from pathlib import Path

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "slicer_module" / "IMIL"

sys.path.insert(0, str(MODULE_FOLDER))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slicer_host.fixtures import host  # noqa: E402, F401
from tests.slicer_module.clients import connect, no_variables, odd_server, odd_study, proxy  # noqa: E402, F401
