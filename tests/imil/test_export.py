"""The exported table and masks hold exactly what the store holds."""

import csv
import uuid
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from imil.errors import BadInput, NotFound
from imil.export import COLUMNS, CORRECTION_COLUMNS, export_feedback
from imil.grid import Grid
from imil.rounds import Rounds
from imil.settings import resolve
from imil.store import Action, Answer, InsightCorrection, QueuedCase, RunState
from imil.study import Study, create_study


@pytest.fixture
def study(tiny_images):
    """A study with an open round of four cases."""
    study = create_study(tiny_images, "csv")
    settings = resolve(epochs=4, imil_epochs=(2,)).model_dump(mode="json")
    run = study.store.create_run(settings, study.classes)
    queue = [
        QueuedCase(
            case_id=case.id,
            label=case.label,
            prediction="tb",
            confidence=0.9,
            probabilities=(0.1, 0.9),
            reason="misprediction",
            heatmap=np.zeros((8, 8), np.float32),
            method="gradcam",
            layer="layer4",
        )
        for case in study.cases[:4]
    ]
    study.store.open_round(run.id, 2, "f" * 64, queue)
    return study


def answer(study, position, action=Action.GRID, cells=(), reader="ada", **fields):
    run = study.store.latest_run()
    entry = study.store.queue(run.id, 1)[position]
    key = str(uuid.uuid4())
    Rounds(study).submit(Answer(entry.case_id, run.id, 1, reader, action, tuple(cells), key=key, **fields))
    return entry.case_id


def rows_of(folder):
    with (folder / "feedback.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_event_is_a_row_and_every_effective_grid_a_mask(study, tmp_path):
    rationale = 'focus on "the marker",\nnot the lung; =1+1 ü'
    first = answer(study, 0, cells=(5, 6), misleading=(0,), rationale=rationale, seconds=3.25)
    answer(study, 1, cells=(1,))
    answer(study, 1, cells=(2, 3), replace=True)
    answer(study, 2, Action.SKIP)
    other = next(name for name in study.classes if name != study.case(study.cases[3].id).label)
    answer(study, 3, Action.RELABEL, new_label=other)
    written = export_feedback(study, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert (written.events, written.masks) == (5, 2)
    assert [row["effective"] for row in rows] == ["1", "0", "1", "1", "1"]
    assert [row["action"] for row in rows] == ["grid", "grid", "grid", "skip", "relabel"]
    assert [row["cells"] for row in rows] == ["5 6", "1", "2 3", "", ""]
    assert rows[0]["image"] == first
    assert (rows[0]["misleading"], rows[0]["rationale"], rows[0]["seconds"]) == ("0", rationale, "3.25")
    assert rows[0]["image_sha256"] == study.sha256(first)
    assert (rows[0]["model_sha256"], rows[0]["epoch"], rows[0]["grid_size"]) == ("f" * 64, "2", "4")
    assert rows[4]["new_label"] == other
    assert [bool(row["mask"]) for row in rows] == [True, False, True, False, False]
    mask = np.asarray(Image.open(tmp_path / "out" / rows[0]["mask"]))
    np.testing.assert_array_equal(mask, Grid.square(4, (32, 32)).mask((5, 6), (0,)))
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 2


def test_undo_makes_an_answer_ineffective(study, tmp_path):
    answer(study, 0, cells=(5,))
    answer(study, 0, Action.UNDO)
    written = export_feedback(study, tmp_path / "out")
    assert (written.events, written.masks) == (2, 0)
    assert [row["effective"] for row in rows_of(tmp_path / "out")] == ["0", "0"]


def test_the_readme_names_every_column(study, tmp_path):
    export_feedback(study, tmp_path / "out")
    readme = (tmp_path / "out" / "README.txt").read_text()
    assert all(f"  {name} " in readme for name in COLUMNS)
    with (tmp_path / "out" / "feedback.csv").open() as file:
        assert file.readline().strip().split(",") == list(COLUMNS)


def test_an_empty_folder_is_used_and_a_full_one_refused(study, tmp_path):
    (tmp_path / "empty").mkdir()
    export_feedback(study, tmp_path / "empty")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match="isn't an empty folder"):
        export_feedback(study, tmp_path / "empty")
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(BadInput, match="isn't an empty folder"):
        export_feedback(study, file)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, file])


def test_a_failure_leaves_nothing_behind(study, tmp_path):
    case = answer(study, 0, cells=(5,))
    (study.folder / case).unlink()
    (tmp_path / "here").mkdir()
    with pytest.raises(BadInput):
        export_feedback(study, tmp_path / "here" / "out")
    assert list((tmp_path / "here").iterdir()) == []


def test_a_case_that_left_the_manifest_keeps_its_answers(study, tmp_path):
    case = answer(study, 0, cells=(5,))
    lines = study.manifest_path.read_text().splitlines(keepends=True)
    study.manifest_path.write_text("".join(line for line in lines if not line.startswith(f"{case},")))
    export_feedback(Study.open(study.folder), tmp_path / "out")
    (row,) = rows_of(tmp_path / "out")
    assert [row["image"], row["cells"], row["label"], row["mask"]] == [case, "5", "", ""]


def test_an_unknown_run_and_a_study_without_one_are_refused(study, tmp_path, tiny_images):
    with pytest.raises(NotFound):
        export_feedback(study, tmp_path / "out", 99)
    study.store.close()
    for name in ("imil.db", "imil.db-wal", "imil.db-shm"):
        (study.state_dir / name).unlink(missing_ok=True)
    with pytest.raises(NotFound, match="no run yet"):
        export_feedback(Study.open(tiny_images), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_corrections_of_what_a_round_taught_are_a_table_of_their_own(study, tmp_path):
    answer(study, 0, cells=(5,))
    export_feedback(study, tmp_path / "before")
    assert not (tmp_path / "before" / "corrections.csv").exists()
    for image in ("images/case00.png", "images/case01.png"):
        study.store.start_learning(1, 1, early=True)
        fields = {"feedback": "mode", "file_sha256": "0" * 64, "summary": {}, "seconds": 1.0, "wait": True}
        record = study.store.save_insight(1, 1, **fields)
        key = str(uuid.uuid4())
        sent = InsightCorrection("correct", image, (1, 2), run=1, round=1, reader="ada", key=key)
        study.store.correct(sent, record.id)
        study.store.reopen_round(1, 1, RunState.AWAITING_APPROVAL)
    study.store.start_learning(1, 1, early=True)
    record = study.store.save_insight(1, 1, **fields)
    study.store.correct(replace(sent, key=str(uuid.uuid4())), record.id)
    export_feedback(study, tmp_path / "after")
    with (tmp_path / "after" / "corrections.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [list(row) for row in rows] == [list(CORRECTION_COLUMNS)] * 3
    assert [(row["effective"], row["insight"], row["cells"]) for row in rows] == [
        ("0", "1", "1 2"), ("0", "2", "1 2"), ("1", "3", "1 2"),
    ]  # fmt: skip
    assert "corrections.csv" in (tmp_path / "after" / "README.txt").read_text()
