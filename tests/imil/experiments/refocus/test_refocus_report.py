"""The report of made-up results: files that agree with each other, and the page of the documentation."""

import csv
import json

import pytest

from docs.make_results import main as make_page
from imil.experiments.refocus.report import write_report
from imil.experiments.refocus.request import plan_of
from tests.imil.experiments.refocus.refocus_helpers import made_world

ARMS = ["blackout", "counterfactual", "counterfactual_wrong_cells", "lung_mask"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "out"
    plan = plan_of(settings=["corner", "none"], arms=ARMS, shortcuts=[0.95], seeds=[0, 1, 2])
    base = [0.9, 0.91, 0.9]
    corner = {"baseline": [0.5, 0.51, 0.5], "clean": base, "counterfactual": [0.85, 0.86, 0.87], "lung_mask": base}
    corner["counterfactual_wrong_cells"] = [0.45, 0.44, 0.46]
    none = {"baseline": base, "counterfactual": [0.9, 0.92, 0.89]}
    worlds = [made_world(corner), made_world(none, setting="none", shortcut=None)]
    write_report(plan, worlds, out, "imil experiment refocus --settings corner,none")
    return out


def test_json_and_table_have_the_same_rows(written):
    facts = json.loads((written / "refocus.json").read_text("utf-8"))
    with (written / "table.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(facts["rows"]) == 7
    for line, row in zip(table, facts["rows"], strict=True):
        assert (line["arm"], line["setting"], line["seeds"]) == (row["arm"], row["setting"], "0 1 2")
        assert (line["gap_closed"] == "") == (row["gap_closed"] is None)
        assert {"budget", "control", "accuracy", "auroc", "gap_closed_low", "gap_closed_high"} <= set(row)
    assert facts["settings"][0]["calibrated"] is True


def test_the_page_has_the_numbers_the_limits_and_the_figures(written):
    page = (written / "report.html").read_text("utf-8")
    for words in ("imil experiment refocus --settings corner,none", "What this can’t show", "Lung mask, no reader"):
        assert words in page
    assert page.count("data:image/svg+xml") == 3
    for name in ("forest", "controls", "examples"):
        assert (written / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_documentation_s_page_is_made_from_the_folder(written, tmp_path, capsys):
    assert make_page([str(written), "--out", str(tmp_path / "results")]) == 0
    text = (tmp_path / "results" / "refocus.md").read_text("utf-8")
    assert "| `counterfactual` | 0.860 |" in text
    assert (
        "| arm | corner 0.95 | none |\n|---|---|---|\n| `blackout` | – | – |\n| `counterfactual` | 0.89 | +0.000 |"
        in text
    )
    assert (tmp_path / "results" / "refocus-forest.svg").is_file()
    assert make_page([str(tmp_path), "--out", str(tmp_path / "other")]) == 1
    assert "has no refocus.json" in capsys.readouterr().err
