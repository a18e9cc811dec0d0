"""`imil experiment`: usage errors, refusals in a sentence, and the whole way to a report."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from imil.cli import main
from imil.study import create_study
from tests.conftest import write_tiny_images
from tests.reviewable import grey_study

SMALL = [
    *("--network", "imil_small", "--image-size", "32", "--epochs", "3", "--imil-epochs", "1", "--num-outliers", "3"),
    *("--fill", "least_confident", "--batch-size", "8", "--lr", "0.01", "--device", "cpu"),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return create_study(write_tiny_images(tmp_path_factory.mktemp("cli") / "chest"), "csv").folder


@pytest.fixture
def imil(monkeypatch, capsys):
    """Runs the command in this process; its status, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["imil", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


@pytest.fixture
def refused(imil, tmp_path):
    """Fails unless a command ends with a status and a sentence, and leaves nothing behind."""

    def check(status, words, *arguments):
        out = tmp_path / "out"
        code, _, said = imil("experiment", *arguments, "--out", out)
        assert (code, "Traceback" in said) == (status, False), said
        assert re.search(words, " ".join(said.split())), said
        assert not out.exists()

    return check


def test_the_experiments_are_listed_with_their_questions(imil):
    code, said, _ = imil("experiment", "--help")
    assert code == 0
    for name in ("compare", "outliers", "grid", "timing", "networks", "selection"):
        assert f" {name} " in said
    assert "How many images should a reader see?" in said


def test_help_has_the_settings_and_says_what_a_folder_is_for(imil):
    code, said, _ = imil("experiment", "compare", "--help")
    assert code == 0
    for option in ("--out", "--seeds", "--arms", "--reader", "--ray", "--jobs", "--quick", "--num-outliers"):
        assert option in said
    assert "STUDY-compare" in said


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("No such command 'compere'", ["compere", "."]),
        ("'no-such-study' does not exist", ["compare", "no-such-study"]),
        ("isn't a study yet", ["compare", "."]),
        ("--quick .* can't go with --preset paper; leave", ["compare", ".", "--quick", "--preset", "paper"]),
        ("There is no preset 'best'", ["compare", ".", "--preset", "best"]),
        ("No such option: --seed", ["compare", ".", "--seed", "3"]),
        ("The seed 'one' isn't a whole number from 0", ["compare", ".", "--seeds", "0,one"]),
        ("The seed '-1' isn't a whole number", ["compare", ".", "--seeds", "-1"]),
        ("The seed '2147483648' isn't", ["compare", ".", "--seeds", "2147483648"]),
        ("The seed '1.5' isn't", ["compare", ".", "--seeds", "1.5"]),
        ("--jobs is about this machine", ["compare", ".", "--jobs", "2", "--ray", "auto"]),
        ("--jobs", ["compare", ".", "--jobs", "0"]),
        ("The setting lr can't be 'fast'", ["compare", ".", "--lr", "fast"]),
        ("No such option: --seedz", ["compare", ".", "--seedz", "1"]),
    ],
)
def test_usage_errors(refused, words, arguments, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    refused(2, words, *arguments)


def test_refusals_end_with_status_2(refused, study):
    refused(2, r"The seed 1 is given 2 times", "compare", study, *SMALL, "--seeds", "1,2,1")
    refused(2, r"No seed is given", "compare", study, *SMALL, "--seeds", ",")
    refused(2, r"There is no arm 'imul'; .* baseline, affine, .* imil, ", "compare", study, *SMALL, "--arms", "imul")
    refused(2, r"only 16 training images; lower num_outliers", "compare", study, *SMALL, "--num-outliers", "20")
    refused(2, r"There is no run 9", "compare", study, *SMALL, "--reader", "9")
    refused(2, r"There is no file no\.csv", "compare", study, *SMALL, "--reader", "no.csv")
    refused(2, r"needs lesion masks and --reader oracle", "outliers", study, *SMALL, "--reader", "live")
    refused(2, r"needs an IMIL epoch from 2 on", "timing", study, *SMALL)


def test_a_study_that_nobody_can_read(refused, tmp_path):
    study = grey_study(tmp_path / "grey").folder
    refused(2, r"neither lesion masks nor answers of a reader, .* --reader live", "compare", study, *SMALL)
    refused(2, r"no lesion masks of training images", "compare", study, *SMALL, "--reader", "oracle")


def test_a_study_without_test_images(refused, study, tmp_path):
    folder = tmp_path / "untested"
    shutil.copytree(study, folder)
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",test,", ",val,"))
    refused(2, r"has no test images \(its splits: train, val\)", "compare", folder, *SMALL)


def test_folders_that_cant_be_used(imil, study, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    code, _, said = imil("experiment", "compare", study, *SMALL, "--out", tmp_path)
    assert (code, "isn't an experiment's folder" in said) == (2, True)
    code, _, said = imil("experiment", "compare", study, *SMALL, "--out", tmp_path / "thesis.tex")
    assert (code, "is a file" in said) == (2, True)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "experiment.json").write_text('{"version": 0}')
    code, _, said = imil("experiment", "compare", study, *SMALL, "--out", tmp_path / "old")
    assert (code, "results of another version of IMIL" in said) == (1, True)


def test_a_cluster_that_doesnt_answer(imil, study, tmp_path):
    code, _, said = imil(
        *("experiment", "compare", study, *SMALL, "--seeds", "0", "--arms", "baseline"),
        *("--out", tmp_path / "out", "--ray", "127.0.0.1:1"),
    )
    assert code == 2
    assert "The Ray cluster at '127.0.0.1:1' can't be used" in said


@pytest.mark.slow
def test_the_whole_way_to_a_report(study, tmp_path):
    command = [sys.executable, "-m", "imil.cli", "experiment", "compare", str(study), "--quick", *SMALL, "--jobs", "2"]
    arms = ["--arms", "imil,random_cells", "--seeds", "0,1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *arms], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "chest-compare"
    written = re.findall(r"^Written: (.+)$", done.stdout, re.MULTILINE)
    assert "chest-compare/report.html" in written
    assert all((tmp_path / path).is_file() for path in written)
    for path in out.glob("figures/*.png"):
        with Image.open(path) as picture:
            assert picture.width > 200
    assert len(list(out.glob("results/*/seed-*.npz"))) == 6
    with (out / "table.csv").open(newline="", encoding="utf-8") as file:
        names = {row[0] for row in csv.reader(file)}
    assert {"baseline", "imil", "random_cells"} <= names
    assert "8 of 8 trainings are done." in done.stdout
    assert Path(out, "results.json").stat().st_size > 1000
