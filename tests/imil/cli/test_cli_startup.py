"""Help and usage errors: a sentence, the right status, and nothing heavy imported on the way there."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "monai",
    "ignite",
    "numpy",
    "sqlalchemy",
    "alembic",
    "matplotlib",
    "rich",
    "requests",
    "jinja2",
    "scipy",
)
PROBE = f"""
import atexit, json, sys
atexit.register(lambda: print("LOADED", json.dumps([name for name in {HEAVY!r} if name in sys.modules])))
from imil.cli import main
main()
"""


def run(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-c", PROBE, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False
    )


def loaded(done):
    line = next(line for line in done.stdout.splitlines() if line.startswith("LOADED "))
    return json.loads(line.removeprefix("LOADED "))


@pytest.mark.parametrize(
    "command",
    [[], *([name] for name in ("demo", "train", "review", "insight", "serve", "phantom", "slicer-module", "study"))],
)
def test_help_imports_nothing_heavy(command):
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout
    assert loaded(done) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reveiw"], "No such command 'reveiw'"),
        (["train", ".", "--learning-rate", "1"], "No such option: --learning-rate"),
        (["train", ".", "--lr", "-1"], "The setting lr can't be '-1'"),
        (["train", ".", "--lr", "fast"], "The setting lr can't be 'fast'"),
        (["train", ".", "--epochs", "10", "--imil-epochs", "10"], "epoch from 1 to 9"),
        (["train", ".", "--preset", "best"], "There is no preset 'best'"),
        (["train", ".", "--optimizer", "lion"], "'sgd', 'adam' or 'adamw'"),
        (["train", "no-such-study"], "'no-such-study' does not exist"),
        (["report", "no-such-study"], "'no-such-study' does not exist"),
        (["serve", ".", "--port", "65536"], "Invalid value for '--port'"),
        (["study", "create", "."], "--from"),
        (["study", "create", ".", "--from", "chexpert"], "chexpert"),
        (["review", "no-such-study", "--reader", "Ada"], "neither a folder nor an address"),
        (["review", ".", "--reader", " "], "The reader's name is empty"),
        (["review", "http://127.0.0.1:1", "--reader", "Ada", "--simulate", "oracle"], "needs the study's folder"),
        (["phantom"], "Missing argument"),
    ],
)
def test_a_usage_error_is_one_sentence_and_imports_nothing_heavy(arguments, said, tmp_path):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert loaded(done) == []


def test_a_folder_that_is_no_study_is_refused_with_what_to_do(tmp_path):
    done = run("train", tmp_path)
    assert done.returncode == 2
    assert "imil study create" in done.stderr
    assert "torch" not in loaded(done)


def test_the_version_is_the_package_s():
    import imil

    done = run("--version")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"imil {imil.__version__}")


def test_an_unexpected_error_is_a_sentence_unless_the_traceback_is_asked_for():
    code = "from imil.cli.errors import told_in_a_sentence\nwith told_in_a_sentence(): 1 / 0"
    plain = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert plain.returncode == 1
    assert plain.stderr.startswith("Error: ZeroDivisionError: division by zero (not expected; set IMIL_TRACEBACK=1")
    assert len(plain.stderr.splitlines()) == 1
    environment = os.environ | {"IMIL_TRACEBACK": "1"}
    full = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert "Traceback" in full.stderr
