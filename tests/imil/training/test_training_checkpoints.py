import hashlib
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from imil.errors import BadInput, ImilError, NotFound
from imil.training import checkpoints

LIB = Path(checkpoints.__file__).parents[2]


def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(LIB), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def state() -> dict[str, object]:
    return {"epoch": 3, "network": {"weight": torch.arange(20.0)}, "classes": ["a", "b"], "scaler": None}


def test_what_is_saved_is_loaded(tmp_path, state):
    path = tmp_path / "runs" / "1" / "checkpoint.pt"
    checkpoints.save(path, state)
    loaded = checkpoints.load(path)
    assert torch.equal(loaded.pop("network")["weight"], state.pop("network")["weight"])
    assert loaded == state
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]


def test_left_over_temporary_files_are_cleaned_away(tmp_path, state):
    (tmp_path / "round-1.pt.tmp").write_bytes(b"half")
    (tmp_path / "notes.tmp").write_bytes(b"not ours")
    checkpoints.save(tmp_path / "checkpoint.pt", state)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["checkpoint.pt", "notes.tmp"]


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"no checkpoint at .*checkpoint\.pt"):
        checkpoints.load(tmp_path / "checkpoint.pt")


def test_damage_anywhere_is_found(tmp_path, state):
    path = tmp_path / "checkpoint.pt"
    checkpoints.save(path, state)
    whole = path.read_bytes()
    weights = whole.index(torch.arange(20.0).numpy().tobytes())
    for position in (weights, weights + 40):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(BadInput, match=r"checkpoint\.pt is damaged .*checksum.*start a new run"):
            checkpoints.load(path)
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(BadInput, match="is damaged"):
            checkpoints.load(path)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    path, trace = tmp_path / "checkpoint.pt", tmp_path / "trace"

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(trace),)

    torch.save({"bomb": Bomb()}, path)
    with pytest.raises(BadInput, match="is damaged or isn't one"):
        checkpoints.load(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BadInput, match="is damaged or isn't one"):
        checkpoints.load(path)
    assert not trace.exists()


def test_something_else_than_a_state_is_refused(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "checkpoint.pt")
    with pytest.raises(BadInput, match="holds a Tensor"):
        checkpoints.load(tmp_path / "checkpoint.pt")


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, state):
    path = tmp_path / "checkpoint.pt"
    checkpoints.save(path, state)
    code = """
import resource, sys, torch
from pathlib import Path
from imil.errors import ImilError
from imil.training import checkpoints
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    checkpoints.save(Path(sys.argv[1]), {"epoch": 4, "network": {"weight": torch.zeros(1_000_000)}})
except ImilError as error:
    print(error)
"""
    process = run_python(code, path)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert str(path) in output
    assert "File too large" in output
    assert "last one is still whole" in output
    assert checkpoints.load(path)["epoch"] == 3
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_no_space_left_is_said(tmp_path, state):
    # The temporary file's name leads to a device that is always full.
    path = tmp_path / "checkpoint.net"
    path.with_name("checkpoint.net.tmp").symlink_to("/dev/full")
    with pytest.raises(ImilError, match=r"checkpoint\.net can't be written: No space left on device"):
        checkpoints.save(path, state)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_said(tmp_path, state):
    (tmp_path / "runs").write_text("")
    with pytest.raises(ImilError, match="can't be written"):
        checkpoints.save(tmp_path / "runs" / "checkpoint.pt", state)


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pt"
    code = """
import sys, torch
from pathlib import Path
from imil.training import checkpoints
torch.set_num_threads(1)
for epoch in range(1_000_000):
    checkpoints.save(Path(sys.argv[1]), {"epoch": epoch, "weight": torch.full((500_000,), float(epoch))})
    if epoch == 0:
        print("started", flush=True)
"""
    generator = random.Random(0)
    for _ in range(5):
        process = run_python(code, path)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(generator.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        loaded = checkpoints.load(path)
        assert (loaded["weight"] == loaded["epoch"]).all()


def test_the_hash_of_weights_by_hand():
    weights = {"b": torch.tensor([1, 2], dtype=torch.int64), "a": torch.tensor(0.5)}
    text = b"a torch.float32 ()\n" + torch.tensor(0.5).numpy().tobytes() + b"b torch.int64 (2,)\n"
    text += (1).to_bytes(8, "little") + (2).to_bytes(8, "little")
    assert checkpoints.weights_sha256(weights) == hashlib.sha256(text).hexdigest()
    assert checkpoints.weights_sha256(weights) != checkpoints.weights_sha256(weights | {"a": torch.tensor(0.25)})
