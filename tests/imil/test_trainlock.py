import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imil.errors import Conflict
from imil.trainlock import TrainLock, is_held, is_held_elsewhere

HOLDER = """
import sys, time
from pathlib import Path
from imil.trainlock import TrainLock
with TrainLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def held_by_another_process(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    with TrainLock(tmp_path):
        assert is_held(tmp_path)
        assert not is_held_elsewhere(tmp_path)
        with pytest.raises(Conflict, match="in training by process"), TrainLock(tmp_path):
            pass
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
    with TrainLock(tmp_path):
        pass


def test_the_lock_of_another_process_ends_with_a_kill(tmp_path: Path) -> None:
    with held_by_another_process(tmp_path) as process:
        assert is_held(tmp_path)
        assert is_held_elsewhere(tmp_path)
        with pytest.raises(Conflict, match=f"by process {process.pid}"), TrainLock(tmp_path):
            pass
        process.kill()
        process.wait()
        assert not is_held(tmp_path)
        with TrainLock(tmp_path):
            assert is_held(tmp_path)


def test_an_error_in_the_block_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), TrainLock(tmp_path):
        raise ValueError("no")
    assert not is_held(tmp_path)
