"""Every mode that works on the fed-back images: stopped, saved and gone on with, a run ends with the same bits."""

import numpy as np
import pytest
import torch

from imil.casefeedback import CaseFeedback
from imil.training import checkpoints
from imil.training.engine import TrainingEngine

CLASSES = ["normal", "tb"]
FEEDBACK = {
    case.case_id: case
    for case in (
        CaseFeedback("case01.png", "grid", 4, (0, 1, 5), (9,)),
        CaseFeedback("case02.png", "grid", 4, (6, 7, 10)),
        CaseFeedback("case05.png", "grid", 4, (3,)),
        CaseFeedback("case06.png", "relabel", new_label="tb"),
        CaseFeedback("case09.png", "exclude"),
    )
}
VARIANTS = {
    "randomise": {"augmentation": "affine"},
    "randomise_noise": {"randomise_with": "noise"},
    "randomise_shuffle": {"randomise_with": "shuffle"},
    "cutmix": {"class_weights": "balanced"},
    "mixup": {"augmentation": "cutout", "accumulate": 2},
    "rrr": {"augmentation": "affine", "optimizer": "adamw"},
    "cam_align": {"augmentation": "affine", "momentum": 0.9},
    "randomise+rrr+cam_align": {"penalty": 0.1},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_paused_equals_unpaused_to_the_bit(data, tiny, tmp_path, name):
    settings = tiny(feedback=name.split("_noise")[0].split("_shuffle")[0], **VARIANTS[name])
    unpaused = TrainingEngine(settings, CLASSES, data)
    unpaused.fit(3)
    unpaused.set_feedback(FEEDBACK, 1)
    unpaused.fit(6)

    first = TrainingEngine(settings, CLASSES, data)
    first.fit(3)
    checkpoints.save(tmp_path / "checkpoint.pt", first.state_dict())
    for until in (4, 6):
        torch.manual_seed(999)  # whatever else the process does with random numbers
        np.random.default_rng().random(3)
        resumed = TrainingEngine(settings, CLASSES, data, state=checkpoints.load(tmp_path / "checkpoint.pt"))
        resumed.set_feedback(FEEDBACK, 1)
        resumed.fit(until)
        checkpoints.save(tmp_path / "checkpoint.pt", resumed.state_dict())

    assert resumed.weights_sha256() == unpaused.weights_sha256()
    plain = TrainingEngine(settings, CLASSES, data)
    plain.fit(6)
    assert plain.weights_sha256() != unpaused.weights_sha256()
