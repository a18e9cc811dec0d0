"""A finished run with every kind of answer, its comparison, and an unfinished one; made once."""

import uuid
from pathlib import Path

import pytest
import torch

from imil.rounds import Rounds, StartRequest
from imil.runs import advance
from imil.settings import resolve
from imil.store import Action, Answer
from imil.study import Study, create_study
from tests.conftest import write_tiny_images

RATIONALE = 'The model was focused on <img src="https://evil.example/x.png"> & the marker'
SETTINGS = {
    "feedback": "blackout",
    "selection": "highest_confidence",
    "network": "imil_small",
    "image_size": 32,
    "epochs": 4,
    "imil_epochs": (2,),
    "num_outliers": 5,
    "fill": "least_confident",
    "optimizer": "adamw",
    "batch_size": 8,
}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A round with two grids, a relabel, an exclusion and a skip; trained to the end, and without feedback."""
    study = reviewable(tmp_path_factory.mktemp("finished"))
    queue = study.store.queue(1, 1)
    answer(study, queue[0].case_id, Action.GRID, cells=(5, 6), misleading=(0,), rationale=RATIONALE)
    answer(study, queue[1].case_id, Action.GRID, cells=(9,))
    other = next(name for name in study.classes if name != queue[2].label)
    answer(study, queue[2].case_id, Action.RELABEL, new_label=other)
    answer(study, queue[3].case_id, Action.EXCLUDE)
    answer(study, queue[4].case_id, Action.SKIP)
    advance(study, Rounds(study).plan(StartRequest()))
    advance(study, Rounds(study).plan(StartRequest(without_feedback=True)))
    return study


@pytest.fixture(scope="session")
def under_review(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A round of five cases of which one is answered."""
    study = reviewable(tmp_path_factory.mktemp("under-review"))
    answer(study, study.store.queue(1, 1)[0].case_id, Action.GRID, cells=(5,))
    return study


def reviewable(folder: Path, **changes: object) -> Study:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    study = create_study(write_tiny_images(folder / "tiny <b>study"), "csv")
    advance(study, Rounds(study).plan(StartRequest(settings=resolve(**(SETTINGS | changes)))))
    torch.set_num_threads(threads)
    return study


def answer(study: Study, case_id: str, action: Action, reader: str = "Dr. Ada", **fields: object) -> None:
    key = str(uuid.uuid4())
    Rounds(study).submit(Answer(case_id, 1, 1, reader, action, seconds=2.5, key=key, **fields))  # type: ignore[arg-type]
