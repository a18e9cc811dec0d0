"""Memory that a training step frees stays with the process."""

import subprocess
import sys

import pytest

PAGES_OF_SECOND_HALF = """
import resource, sys
import numpy as np
from imil.training.allocation import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
for step in range(40):
    if step == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    maps = [np.ones(2**19, np.float32) for _ in range(8)]  # 2 MiB each, all of them used
    del maps
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(how):
    done = subprocess.run([sys.executable, "-c", PAGES_OF_SECOND_HALF, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only the GNU C library is told")
def test_freed_memory_isnt_asked_for_again():
    assert pages("given back") > 1000
    assert pages("kept") < 100
