"""Tiny experiments that are really carried out, in this process or one after another in others."""

import uuid
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from PIL import Image

from imil.experiments.conduct import conduct
from imil.experiments.folder import ExperimentFolder
from imil.experiments.plan import Design
from imil.experiments.results import ArmResult, Outcome
from imil.experiments.run import Request, plan_of
from imil.experiments.schedule import Task
from imil.rounds import Rounds
from imil.settings import RunSettings, resolve
from imil.store import Action, Answer
from imil.study import Study, create_study
from tests.conftest import write_tiny_images
from tests.reviewable import open_round

SETTINGS = {
    "feedback": "blackout",
    "selection": "highest_confidence",
    "network": "imil_small",
    "image_size": 32,
    "epochs": 4,
    "imil_epochs": (2,),
    "num_outliers": 4,
    "fill": "least_confident",
    "optimizer": "adamw",
    "lr": 0.003,
    "batch_size": 4,
    "device": "cpu",
}

ADA = {"images/case00.png": (5,), "images/case01.png": (5, 6, 9, 10), "images/case04.png": (0,)}
BEN = {"images/case00.png": (5,), "images/case01.png": (6,), "images/case04.png": (1, 2)}
"""Two readers' cells of the same training images."""


def make_study(folder: Path, *, count: int = 24) -> Study:
    """A study of noise with lesions: 16 training images, 8 test images; the lungs are the inner four of 4 x 4 cells."""
    write_tiny_images(folder, count=count)
    lungs = np.zeros((32, 32), np.uint8)
    lungs[8:24, 8:24] = 255
    Image.fromarray(lungs).save(folder / "masks" / "lung.png")
    return create_study(folder, "csv")


def rewrite_manifest(folder: Path, *changes: tuple[str, str]) -> Study:
    """A study again, after its manifest was edited: each change is an old text and the new one."""
    manifest = folder / "manifest.csv"
    text = manifest.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    manifest.write_text(text)
    return Study.open(folder)


def settings(**changes: object) -> RunSettings:
    return resolve(**(SETTINGS | changes))


def request(
    study: Study,
    experiment: str = "compare",
    *,
    arms: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    reader: str = "auto",
    **changes: object,
) -> Request:
    return Request(experiment, study, settings(**changes), seeds=seeds, arms=arms, reader=reader)


def planned(asked: Request, out: Path) -> Design:
    return plan_of(asked, ExperimentFolder(out), say=lambda sentence: None)


class InProcess:
    """Runs each task at once in this process, the first first, and notes their keys."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self._ended: list[str] = []

    @property
    def free(self) -> int:
        return 1 - len(self._ended)

    def start(self, task: Task) -> None:
        task.run("cpu", 1)
        self.started.append(task.key)
        self._ended.append(task.key)

    def finished(self, timeout: float) -> list[str]:
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        self._ended = []


def carried_out(asked: Request, out: Path) -> tuple[Outcome, list[str]]:
    """The outcome, and the keys of the trainings that were done."""
    backend = InProcess()
    return conduct(planned(asked, out), ExperimentFolder(out), backend), backend.started


def same(first: ArmResult, second: ArmResult) -> bool:
    """Whether two results are equal in all but the seconds they took."""
    for field in fields(ArmResult):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, np.ndarray):
            if one.dtype != other.dtype or not np.array_equal(one, other, equal_nan=True):
                return False
        elif field.name != "seconds" and one != other:
            return False
    return True


def record(study, answers, **changes):
    """Open a round on the cases and answer it; by reader, the cells of each case, or an action. The run's number."""
    cases = list(next(iter(answers.values())))
    run = open_round(study, cases, readers_per_case=len(answers), **changes)
    rounds = Rounds(study)
    for reader, said in answers.items():
        while (entry := rounds.next_case(reader)) is not None:
            given = said[entry.case_id]
            action = Action(given) if isinstance(given, str) else Action.GRID
            answer = Answer(
                entry.case_id,
                run,
                1,
                reader,
                action,
                given if action is Action.GRID else (),
                (),
                next(name for name in study.classes if name != entry.label) if action is Action.RELABEL else "",
                f"{reader} says so",
                key=str(uuid.uuid4()),
            )
            rounds.submit(answer)
    return run
