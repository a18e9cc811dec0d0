"""What the server sends is checked field by field before anything relies on it."""

import copy
import json
import uuid
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IMILLib.errors import ServerError
from IMILLib.records import Answer, Case, PreviousAnswer, Queue, Receipt, ServerInfo

RUN = {
    "state": "awaiting_review",
    "run": 3,
    "kind": "imil",
    "round": 1,
    "rounds": 2,
    "epoch": 70,
    "epochs": 100,
    "seconds_left": None,
    "reviewed": 4,
    "queued": 20,
    "classes": ["normal", "tb"],
    "grid_size": 4,
    "training": False,
    "message": "4 of 20 cases are reviewed.",
    "metrics": {"test": {"loss": 0.5, "auroc": None}},
    "contract": 3,
}
INFO = {
    "name": "IMIL",
    "version": "0.1.0",
    "labels": ["normal", "tb"],
    "datastore": {"name": "Thorax", "total": 9},
    "strategies": {"imil_outlier": {"description": "", "run": RUN}, "random": {}},
    "trainers": {
        "classifier": {
            "settings": {"epochs": {"type": "integer", "default": 100}},
            "presets": {"paper": {}},
            "config": {"feedback": ["propagate", "blackout"], "epochs": 100},
        }
    },
    "train_stats": {
        "classifier": {
            "history": [{"epoch": 1, "train": {"loss": 1.0, "auroc": None}}, {"epoch": 2, "test": {"loss": 0.9}}],
            "scores": [{"round": 1, "epoch": 70, "split": "test", "metrics": {"auroc": 0.9}}],
        }
    },
}
ANSWER = {"action": "grid", "cells": [1, 2], "misleading": [5], "new_label": "", "rationale": "x", "seconds": 1.5}
CASE = {
    "id": "tb/ä #1.png",
    "path": "/somewhere",
    "run": 3,
    "round": 1,
    "epoch": 70,
    "position": 2,
    "total": 20,
    "label": "tb",
    "prediction": "normal",
    "confidence": 0.93,
    "probabilities": [0.93, 0.07],
    "classes": ["normal", "tb"],
    "reason": "misprediction",
    "grid": {"rows": 2, "cols": 3, "row_edges": [0, 10, 21], "col_edges": [0, 5, 10, 16]},
    "cam": {"tag": "cam", "method": "gradcam", "layer": "layer4"},
    "lease_expires": "2026-11-21T12:00:00+00:00",
    "answer": ANSWER,
}
ROW = {
    "id": "a.png",
    "position": 1,
    "state": "leased",
    "label": "tb",
    "prediction": "normal",
    "confidence": 0.9,
    "probabilities": [0.9, 0.1],
    "reason": "misprediction",
    "readers": ["Ada"],
    "holder": None,
    "mine": True,
    "action": "grid",
}
QUEUE = {
    "run": 3, "round": 1, "state": "completed", "epoch": 70, "classes": ["normal", "tb"], "total": 1, "reviewed": 1,
    "cases": [ROW],
}  # fmt: skip
RECEIPT = {"event": 9, "remaining": 3, "total": 20, "repeated": True, "image": "a.png", "label": "a.png"}
DOCUMENTS = {"info": (ServerInfo, INFO), "case": (Case, CASE), "queue": (Queue, QUEUE), "receipt": (Receipt, RECEIPT)}


def changed(document: Any, path: str, value: Any) -> Any:
    found = copy.deepcopy(document)
    place = found
    *names, last = path.split(".")
    for name in names:
        place = place[int(name) if name.isdigit() else name]
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return found


def test_server_info() -> None:
    info = ServerInfo.parse(INFO)
    assert (info.name, info.version, info.study, info.labels) == ("IMIL", "0.1.0", "Thorax", ("normal", "tb"))
    status = info.status
    assert (status.state, status.run, status.round, status.seconds_left) == ("awaiting_review", 3, 1, None)
    assert status.classes == ("normal", "tb")
    assert status.metrics == {"test": {"loss": 0.5, "auroc": None}}
    assert [entry["epoch"] for entry in info.history] == [1, 2]
    assert info.scores[0]["split"] == "test"
    assert info.present == {"feedback": "propagate", "epochs": 100}
    assert info.feedback == "propagate"
    completed = ServerInfo.parse(changed(INFO, "strategies.imil_outlier.run.state", "completed"))
    assert completed.feedback == ""


def test_a_study_without_a_run() -> None:
    none = {"state": "none", "run": None, "classes": ["a"], "contract": 3, "metrics": {}}
    info = ServerInfo.parse(changed(changed(INFO, "strategies.imil_outlier.run", none), "train_stats", {}))
    assert (info.status.run, info.status.epoch, info.history, info.scores) == (None, 0, (), ())
    empty = Queue.parse(QUEUE | {"run": None, "cases": [], "state": "none"})
    assert (empty.run, empty.rows) == (None, ())


def test_case() -> None:
    case = Case.parse(CASE)
    assert (case.id, case.rows, case.cols, case.shape) == ("tb/ä #1.png", 2, 3, (21, 16))
    assert (case.probabilities, case.cam_layer) == ((0.93, 0.07), "layer4")
    assert case.answer == PreviousAnswer("grid", (1, 2), (5,), "", "x", 1.5)
    free = Case.parse(CASE | {"answer": None, "lease_expires": None})
    assert (free.answer, free.lease_expires) == (None, "")


def test_probabilities_may_be_a_rounding_error_above_one() -> None:
    case = Case.parse(CASE | {"confidence": 1.0000001, "probabilities": [1.0000001, -1e-9]})
    assert (case.confidence, case.probabilities) == (1.0, (1.0, 0.0))


def test_queue_and_receipt() -> None:
    (row,) = Queue.parse(QUEUE).rows
    assert (row.holder, row.readers, row.mine, row.action) == ("", ("Ada",), True, "grid")
    assert Receipt.parse(RECEIPT) == Receipt(9, 3, 20, True)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("info", "labels", "normal"),
        ("info", "labels", ["normal", 7]),
        ("info", "trainers", ...),
        ("info", "trainers.classifier.settings", []),
        ("info", "trainers.classifier.settings.epochs", 100),
        ("info", "strategies.imil_outlier.run.state", 7),
        ("info", "strategies.imil_outlier.run.epoch", -1),
        ("info", "strategies.imil_outlier.run.epoch", True),
        ("info", "strategies.imil_outlier.run.training", 1),
        ("info", "strategies.imil_outlier.run.seconds_left", float("nan")),
        ("info", "strategies.imil_outlier.run.metrics", {"test": {"loss": "low"}}),
        ("info", "train_stats.classifier.history", [{"train": {}}]),
        ("info", "train_stats.classifier.history", [{"epoch": 1, "train": [1]}]),
        ("info", "train_stats.classifier.scores", [{"epoch": 1, "metrics": {}}]),
        ("case", "id", ...),
        ("case", "id", 7),
        ("case", "round", "1"),
        ("case", "round", 1.5),
        ("case", "confidence", 1.5),
        ("case", "confidence", float("inf")),
        ("case", "confidence", True),
        ("case", "probabilities", [1.0]),
        ("case", "probabilities", [0.9, "0.1"]),
        ("case", "grid", None),
        ("case", "grid.rows", 3),
        ("case", "grid.row_edges", [0, 21]),
        ("case", "grid.row_edges", [1, 10, 21]),
        ("case", "grid.row_edges", [0, 10, 10]),
        ("case", "grid.row_edges", [0, 10.5, 21]),
        ("case", "grid.col_edges", [0]),
        ("case", "cam", 7),
        ("case", "cam.tag", ...),
        ("case", "answer.cells", [6]),
        ("case", "answer.cells", [-1]),
        ("case", "answer.cells", [1, 1]),
        ("case", "answer.seconds", -1),
        ("case", "answer", "grid"),
        ("queue", "cases", {}),
        ("queue", "cases", [7]),
        ("queue", "cases.0.mine", "yes"),
        ("queue", "cases.0.readers", [None]),
        ("receipt", "event", None),
        ("receipt", "remaining", "3"),
    ],
)  # fmt: skip
def test_every_field_is_checked_and_named(name: str, path: str, value: Any) -> None:
    record, document = DOCUMENTS[name]
    with pytest.raises(ServerError) as caught:
        record.parse(changed(document, path, value))
    assert caught.value.kind == "nonsense"
    parts = [part for part in path.split(".") if not part.isdigit()]
    sentence = str(caught.value)
    assert any(part in sentence for part in parts[-2:]) or "JSON object" in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 400


def test_long_values_do_not_fill_the_screen() -> None:
    with pytest.raises(ServerError) as caught:
        Case.parse(CASE | {"label": list(range(10_000))})
    assert len(str(caught.value)) < 300


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _paths(document: Any, before: str = "") -> list[str]:
    items = document.items() if isinstance(document, dict) else enumerate(document)
    found = []
    for name, value in items:
        found.append(f"{before}{name}")
        if isinstance(value, (dict, list)):
            found += _paths(value, f"{before}{name}.")
    return found


@given(st.sampled_from(sorted(DOCUMENTS)), st.data(), json_values)
def test_whatever_comes_parses_or_is_nonsense(name: str, data: st.DataObject, value: Any) -> None:
    record, document = DOCUMENTS[name]
    path = data.draw(st.sampled_from(_paths(document)))
    try:
        record.parse(changed(document, path, value))
    except ServerError as error:
        assert error.kind in ("nonsense", "not_imil", "older")  # noqa: PT017


def answer(**changes: Any) -> Answer:
    fields = {
        "case_id": "a b.png", "run": 1, "round": 1, "reader": "Ada", "action": "grid", "cells": (1, 2),
        "misleading": (3,), "new_label": "", "rationale": "ü", "seconds": 2.5, "key": str(uuid.uuid4()),
        "replace": False,
    }  # fmt: skip
    return Answer(**(fields | changes))


def test_answer_as_params_and_back() -> None:
    made = answer()
    params = made.params()
    assert params == {
        "client_id": "Ada", "run": 1, "round": 1, "action": "grid", "cells": [1, 2], "misleading": [3],
        "new_label": "", "rationale": "ü", "seconds": 2.5, "key": made.key, "replace": False,
    }  # fmt: skip
    assert Answer.parse(json.loads(json.dumps(asdict(made))), 16) == made


@pytest.mark.parametrize(
    ("field", "value"), [("action", "burn"), ("key", "../x"), ("key", "A" * 36), ("cells", [16]), ("seconds", 1e9)]
)
def test_kept_answers_are_checked_too(field: str, value: Any) -> None:
    with pytest.raises(ServerError, match=field):
        Answer.parse(asdict(answer()) | {field: value}, 16)
