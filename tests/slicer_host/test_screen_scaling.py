"""Screens with small pixels: lines and patterns look as large as on others."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json
import numpy as np
from slicer_host.host import start
host = start()
from imil.grid import Grid
from slicer_host.stage import Stage
stage = Stage(host)
stage.grid_view.show()
grid = Grid(4, 5, 80, 100)
stage.show(np.full((80, 100), 128, np.uint8), grid)
stage.case.set_heat_map_visible(False)
host.idle(0.1)
def drawn():
    return (np.abs(stage.picture().astype(int) - 128) > 12).any(axis=2)
top, bottom, left, right = grid.row_edges[1], grid.row_edges[2], grid.col_edges[1], grid.col_edges[2]
x, y = (round(at) for at in stage.case.display_of((top + bottom) / 2, left - 0.5))
line = drawn()[y, x - 20 : x + 20].sum()
stage.marks.set_mark(6, 1)
host.idle(0.05)
x0, y0 = stage.case.display_of(bottom - 0.5, left - 0.5)
x1, y1 = stage.case.display_of(top - 0.5, right - 0.5)
edge = 6 * round(stage.size[0] / stage.widget.sliceView().width)
inside = drawn()[round(y0) + edge : round(y1) - edge, round(x0) + edge : round(x1) - edge]
print(json.dumps({"view": list(stage.size), "line": int(line), "inked": float(inside.mean())}))
"""


def measured(scale: str) -> dict:
    """With Qt's screen scaling: the view's size, the width of a grid line, the share of a marked cell with ink."""
    environment = {**os.environ, "QT_SCALE_FACTOR": scale, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests")])}
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.slow
def test_lines_grow_with_the_screens_scaling() -> None:
    plain, doubled = measured("1"), measured("2")
    assert doubled["view"] == [2 * length for length in plain["view"]]
    assert plain["line"] >= 2
    assert abs(doubled["line"] - 2 * plain["line"]) <= 1
    assert doubled["inked"] == pytest.approx(plain["inked"], rel=0.15)
