"""The module's library needs nothing that Slicer doesn't bring: every file of it is imported in Slicer's own Python."""

from __future__ import annotations

import importlib
import sys
import unittest
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2]


class IMILLibraryTest(unittest.TestCase):
    """Runs inside Slicer, as ctest and by hand; no server is needed."""

    def test_every_file_is_imported(self) -> None:
        sys.path.insert(0, str(MODULE))
        self.addCleanup(sys.path.remove, str(MODULE))
        files = sorted((MODULE / "IMILLib").rglob("*.py"))
        assert len(files) > 20
        for file in files:
            name = ".".join(file.relative_to(MODULE).with_suffix("").parts).replace(".__init__", "")
            with self.subTest(name):
                importlib.import_module(name)


if __name__ == "__main__":
    unittest.main()
