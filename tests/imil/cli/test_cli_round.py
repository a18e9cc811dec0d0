"""A whole round without a server, by the commands that a person types."""

import csv
import io
import json

import pytest
import torch
from typer.testing import CliRunner

from imil.cli import app
from imil.errors import BadInput, Conflict
from imil.study import Study
from tests.imil.learning_mode import NAME, TOLERANT

SMALL = [
    *("--network", "imil_small", "--image-size", "32", "--epochs", "3", "--imil-epochs", "1", "--num-outliers", "3"),
    *("--fill", "least_confident", "--batch-size", "8", "--lr", "0.01"),
]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def imil(*arguments, typed=""):
    """What the command prints; its errors are raised as they are."""
    result = CliRunner().invoke(app, list(map(str, arguments)), input=typed, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_whole_round(tiny_images, tmp_path):
    study = tiny_images
    created = imil("study", "create", study, "--from", "csv")
    assert f"Next: imil serve {study}" in created.replace("\n", " ")
    assert "No run yet." in imil("study", "show", study)

    trained = imil("train", study, *SMALL)
    assert "Next: imil review" in trained
    with pytest.raises(Conflict, match="0 of 3 cases"):
        imil("train", study)
    shown = imil("study", "show", study)
    assert "awaiting_review, epoch 1 of 3, round 1 of 1, 0 of 3 queued cases reviewed" in shown

    pictures = tmp_path / "pictures"
    first = imil("review", study, "--reader", "Ada", "--pictures", pictures, typed="99\n5 6 -3\nthe marker\nq\n")
    assert "Cell 99 doesn't exist" in first
    assert "2 of 3 cases remain" in first
    assert "the answers before it stand" in first
    assert len(list(pictures.glob("*.png"))) == 2
    second = imil("review", study, "--reader", "Ada", "--simulate", "oracle")
    assert "0 of 3 cases remain" in second
    assert "start training to continue" in second
    assert "no case for you" in imil("review", study, "--reader", "Ben", "--simulate", "oracle")

    lacking = imil("train", study, "--feedback", NAME)
    assert "Every cell was chosen by somebody; ask for more cases." in lacking
    assert "Next: imil review" in lacking
    assert f"Next: imil insight {study}" in imil("train", study, "--feedback", TOLERANT)
    taught = imil("insight", study)
    assert f"Run 1, round 1, feedback={TOLERANT}:" in taught
    assert "- Made for a test." in taught
    assert "Next: imil insight" in taught
    found = json.loads(imil("insight", study, "--json"))
    first, cell = found["images"][0]["id"], found["grid_cells_swapped"][0]
    with pytest.raises(BadInput, match="A veto needs your name"):
        imil("insight", study, "--veto", first)
    with pytest.raises(BadInput, match="--veto-cells is 'a'"):
        imil("insight", study, "--veto-cells", "a", "--reader", "Ada")
    vetoed = imil("insight", study, "--veto", first, "--veto-cells", cell, "--reader", "Ada")
    assert "Readers vetoed 1 cell and vetoed what was found in 1 image." in vetoed
    assert "Readers vetoed 1 cell." in imil("insight", study, "--restore", first, "--reader", "Ada")
    with pytest.raises(Conflict, match="no round to add cases to"):
        imil("train", study, "--more-cases", 2)
    assert "Next: imil review" in imil("train", study, "--reopen")
    assert "Nothing was learnt" in imil("insight", study)
    assert "--without-feedback" in imil("train", study, "--feedback", "blackout")
    assert "Next: imil report" in imil("train", study, "--without-feedback")

    out = tmp_path / "out" / "report.html"
    assert "Written:" in imil("report", study, "--out", out, "--picture", tmp_path / "round.png")
    facts = json.loads(out.with_suffix(".json").read_text())
    assert [facts["state"], facts["counts"]["grid"]] == ["completed", 3]
    assert facts["rounds"][0]["cases"][0]["rationale"] == "the marker"
    assert facts["rounds"][0]["cases"][0]["misleading"] == [3]
    assert (tmp_path / "round.png").read_bytes().startswith(b"\x89PNG")

    assert "3 events and 3 masks" in imil("export", study, tmp_path / "export")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "export" / "feedback.csv").read_text())))
    assert [row["reader"] for row in rows] == ["Ada"] * 3


def test_the_settings_reach_the_run_as_they_were_typed(tiny_images):
    imil("study", "create", tiny_images, "--from", "csv")
    imil("train", tiny_images, *SMALL, "--imil-epochs", "", "--weight-decay", "0.02", "--seed", "7")
    run = Study.open(tiny_images).store.latest_run()
    settings = run.settings
    assert [settings["weight_decay"], settings["seed"], settings["imil_epochs"]] == [0.02, 7, []]
    assert run.state == "completed"


def test_phantom_writes_a_set_that_becomes_a_study(tmp_path):
    written = imil("phantom", tmp_path / "set", "--count", "12", "--size", "64", "--seed", "3", "--shortcut", "0.9")
    assert "12 phantoms written" in written
    assert "all" in imil("study", "create", tmp_path / "set", "--from", "csv")
    assert len(Study.open(tmp_path / "set").cases) == 12
