"""Takes steps of a study's run, each in a forked child that can be killed. Driven by test_runs.py over pipes.

A line ``STUDY ACKNOWLEDGED`` on standard input forks a child for one step: if the run awaits review, every open case
is answered, each acknowledged key being appended to the file ACKNOWLEDGED; if it awaits approval, a cell is vetoed;
then the run is taken to its next stop. The second round is learnt from.
The worker prints ``pid N`` and, when the child has ended, ``end STATUS``. Forking saves the imports: they take seconds.
"""

import os
import sys
import traceback
import uuid
from pathlib import Path

import torch

from imil.rounds import Rounds, StartRequest
from imil.runs import advance
from imil.settings import resolve
from imil.store import Action, Answer, InsightCorrection, RunState
from imil.study import Study
from tests.imil.learning_mode import NAME

SETTINGS = {
    "feedback": "blackout",
    "selection": "highest_confidence",
    "network": "imil_small",
    "image_size": 32,
    "epochs": 8,
    "imil_epochs": (3, 5),
    "num_outliers": 5,
    "fill": "least_confident",
    "optimizer": "adamw",
    "lr": 0.003,
    "batch_size": 4,
    "augmentation": "affine",
}


def step(study: Study, acknowledged: Path) -> None:
    rounds = Rounds(study)
    run = study.store.latest_run()
    if run is None:
        advance(study, rounds.plan(StartRequest(settings=resolve(**SETTINGS))))
        return
    request = StartRequest()
    if run.state is RunState.AWAITING_REVIEW:
        request = StartRequest(settings={"feedback": NAME} if run.round == 2 else None)
        while (entry := rounds.next_case("ada")) is not None:
            # The same answer to the same case, whatever was killed before: cells by the case's name.
            cell = sum(entry.case_id.encode()) % 16
            key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{run.id}/{entry.round}/{entry.case_id}"))
            answer = Answer(
                entry.case_id, run.id, entry.round, "ada", Action.GRID, (cell, (cell + 5) % 16), (), "", "", 1.0, key
            )
            rounds.submit(answer)
            with acknowledged.open("a", encoding="utf-8") as file:
                file.write(key + "\n")
                file.flush()
                os.fsync(file.fileno())
    elif run.state is RunState.AWAITING_APPROVAL:
        cell = next(entry["cell"] for entry in rounds.insight()["cells"] if entry["chosen"] == 0)
        key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{run.id}/{run.round}/veto"))
        rounds.correct(InsightCorrection("veto", "", (cell,), run=run.id, round=run.round, reader="ada", key=key))
    advance(study, rounds.plan(request))


def main() -> None:
    torch.set_num_threads(1)
    for line in sys.stdin:
        folder, acknowledged = line.split()
        pid = os.fork()
        if pid == 0:
            try:
                step(Study.open(Path(folder)), Path(acknowledged))
            except BaseException:  # noqa: BLE001 - the child must end here, whatever happened
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print("pid", pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print("end", status, flush=True)


if __name__ == "__main__":
    main()
