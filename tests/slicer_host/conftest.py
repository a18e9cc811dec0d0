"""Makes the host importable as `slicer_host`, and its fixture known."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slicer_host.fixtures import host  # noqa: F401
from slicer_host.panelfixtures import desk, learnt_study, panel_server, panel_study  # noqa: F401
