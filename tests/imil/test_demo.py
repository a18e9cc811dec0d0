"""`imil demo` as a real process: its report, and that nothing keeps running afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imil.demo import MARKER, fresh_study, run_demo, sample_data
from imil.errors import BadInput
from imil.settings import resolve
from imil.study import create_study


def processes_on(folder: Path) -> list[str]:
    """Command lines of the running processes that mention the folder, or work in the demo's server."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in line:
                found.append((entry / "cmdline").read_text(errors="replace"))
    return found


def start(out: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "imil.cli", "demo", "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_sample_data_is_found_and_has_masks():
    folder = sample_data()
    assert (folder / "manifest.csv").read_text().startswith("image,label,patient,split,lesion_mask")


def test_a_folder_that_is_not_a_demo_is_left_alone(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="isn't from a demo"):
        run_demo(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["study", "mine.txt"]


def test_the_study_is_fresh_each_time_and_takes_only_images_from_the_sample(tmp_path, tiny_images):
    used = create_study(tiny_images, "csv")
    used.store.create_run({"epochs": 2, "imil_epochs": [1], "grid_size": 4}, used.classes)
    for _ in range(2):
        study = fresh_study(tmp_path / "out", tiny_images)
        assert study.store.runs() == []
        assert [case.id for case in study.cases] == [case.id for case in used.cases]
        study.store.create_run({"epochs": 2, "imil_epochs": [1], "grid_size": 4}, study.classes)
        study.store.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_demo_leaves_no_server_behind(tmp_path, kind):
    process = start(tmp_path / "out")
    wait_for(lambda: "monailabel_app" in "".join(processes_on(tmp_path / "out" / "study")))
    process.send_signal(kind)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + kind
    assert "Traceback" not in output
    wait_for(lambda: not processes_on(tmp_path / "out"), seconds=10)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_ends_with_its_report(tmp_path):
    out = tmp_path / "out"
    process = start(out)
    output, _ = process.communicate(timeout=1700)
    assert process.returncode == 0, output
    assert str(out / "story.html") in output.replace("\n", "")
    assert str(out / "report.html") in output.replace("\n", "")
    facts = json.loads((out / "report.json").read_text())
    assert facts["state"] == "completed"
    (entry,) = facts["rounds"]
    assert entry["reviewed"] == entry["queued"] == resolve("quick").num_outliers
    assert all(case["reader"] == "simulated radiologist" for case in entry["cases"])
    assert all(facts["metrics"][name] for name in ("before", "after", "without_feedback"))
    assert (out / MARKER).exists()
    assert (out / "story.png").stat().st_size > 10_000
    story = json.loads((out / "story.json").read_text())
    worth = {model["name"]: model["measures"] for model in story["models"]}
    assert list(worth) == ["before", "without_feedback", "blackout", "counterfactual"]
    # The model reads the marker, blackout leaves it at that, counterfactual doesn't.
    assert worth["before"]["accuracy_with"] < 0.7
    assert worth["blackout"]["accuracy_with"] < 0.7
    assert worth["counterfactual"]["accuracy_with"] > 0.85
    assert worth["counterfactual"]["accuracy_without"] > 0.85
    assert worth["counterfactual"]["flipped"] < 0.05 < worth["blackout"]["flipped"]
    assert "of class 'tb' carry something like this" in story["taught"][0]
    page = (out / "story.html").read_text()
    assert all(sentence in page for sentence in story["sentences"])
    assert (out / "report.html").stat().st_size < 8_000_000
    assert processes_on(out) == []
