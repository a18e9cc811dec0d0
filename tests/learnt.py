"""Studies whose round has been learnt from without any training: for tests of what readers are shown of that.

Store, study and files are the real ones; what was learnt is made up, and there is no checkpoint to train on from.
"""

import uuid
from collections.abc import Sequence

import numpy as np

from imil import insights
from imil.roundfeedback import feedback_of
from imil.rounds import Rounds
from imil.store import Action, Answer
from imil.study import Study
from imil.training.insight import Insight
from tests.reviewable import open_round

PLACES = 8
"""Places along each side of a map of finds."""
SWAPPED = (0, 3, 12, 15)
CHOSEN, MISLED = (5, 6), (0,)


def await_approval(study: Study, cases: Sequence[str], *, feedback: str = "counterfactual+propagate") -> int:
    """Open round 1 of a new run over these images, answer it, and wait for approval of what that taught.

    Readers chose the cells 5 and 6 and called 0 misleading, of a 4 x 4 grid; the corner cells are swapped. In each
    image of the class ``tb`` the upper left quarter of cell 0 was found, the surer the earlier the image comes.
    ``feedback`` without counterfactual has no finds, without propagate no swapped cells. Returns the run's number.
    """
    run_id = open_round(study, cases, feedback=feedback)
    answer(study, cases)
    study.store.start_learning(run_id, 1, early=False)
    said = feedback_of(study.store, run_id, with_open=True)
    insights.keep(study, study.store.run(run_id), _learnt(study, feedback), said, wait=True)
    return run_id


def answer(study: Study, cases: Sequence[str], *, misled: Sequence[int] = MISLED, reader: str = "Cy") -> None:
    """A reader's answers to cases of the open round: cells 5 and 6 matter."""
    run, rounds = study.store.latest_run(), Rounds(study)
    assert run is not None
    for case in cases:
        rounds.reserve(reader, case)
        key = str(uuid.uuid4())
        rounds.submit(Answer(case, run.id, run.round, reader, Action.GRID, CHOSEN, tuple(misled), key=key))


def _learnt(study: Study, feedback: str) -> Insight:
    trained = [case for case in study.cases if case.split == "train"]
    ill = np.array([case.label == "tb" for case in trained])
    looks = "counterfactual" in feedback
    finds = np.zeros((len(trained) if looks else 0, PLACES, PLACES), np.uint8)
    finds[ill[: len(finds)], 0, 0] = 1
    return Insight(
        feedback=feedback,
        case_ids=tuple(case.id for case in trained),
        grid_size=4,
        chosen=_cells(CHOSEN),
        misled=_cells(MISLED),
        cells=SWAPPED if "propagate" in feedback else (),
        influence=np.linspace(0, 1.5, 16, dtype=np.float32) if "propagate" in feedback else np.zeros(0, np.float32),
        finds=finds,
        scores=np.linspace(0.99, 0.51, len(finds)).astype(np.float32),
        find_influence=np.where(ill, 1.25, 0.0).astype(np.float32)[: len(finds)],
        notes=("Made for a test.",),
        seconds=0.5,
    )


def _cells(cells: Sequence[int]) -> np.ndarray:
    share = np.zeros(16, np.float32)
    share[list(cells)] = 1.0
    return share
