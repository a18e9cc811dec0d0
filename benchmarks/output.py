"""What all benchmarks write: their figures and the environment they were taken in, as JSON."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any


def environment() -> dict[str, Any]:
    """Versions and cores. Absolute times mean little on a shared machine; ratios within one run are what counts."""
    packages = {name: version(name) for name in ("imil", "torch", "monai", "monailabel", "timm", "numpy")}
    return {"versions": {"python": platform.python_version(), **packages}, "cores": os.cpu_count()}


def write_json(path: Path, figures: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
