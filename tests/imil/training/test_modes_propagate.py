"""Cells that nobody chose are swapped between all images."""

import numpy as np
import pytest

from imil.casefeedback import CaseFeedback, Correction
from imil.errors import BadInput
from imil.training.batches import Batches
from imil.training.engine import TrainingEngine
from imil.training.feedback import AppliedFeedback
from imil.training.requirements import never_chosen, shortcoming

CLASSES = ["normal", "tb"]


def grid(number, *cells, misleading=()):
    case_id = f"case{number:02}.png"
    return case_id, CaseFeedback(case_id, "grid", 4, cells, tuple(misleading))


FEEDBACK = dict(grid(number, 0, 1, 4, 5) for number in range(10)) | dict([grid(10, 0, 6)])


def test_a_slip_of_the_reader_does_not_undo_it(data, tiny):
    assert 6 in never_chosen(FEEDBACK.values(), 0.1)
    assert 6 not in never_chosen(FEEDBACK.values(), 0.05)
    assert {0, 1, 4, 5}.isdisjoint(never_chosen(FEEDBACK.values(), 0.5))


def test_the_cells_of_every_image_come_from_another_one(data, tiny):
    engine = TrainingEngine(tiny(feedback="propagate"), CLASSES, data)
    insight = engine.learn(FEEDBACK)
    assert insight.cells == tuple(cell for cell in range(16) if cell not in (0, 1, 4, 5))
    assert insight.influence.shape == (16,)
    assert insight.chosen[[0, 1, 6]].tolist() == pytest.approx([1, 10 / 11, 1 / 11])
    applied = AppliedFeedback(
        FEEDBACK | {"case30.png": CaseFeedback("case30.png", "exclude")}, data, CLASSES, tiny(feedback="propagate")
    )
    applied.use(insight)
    (batch,) = Batches(data, 64, 3, 4, shuffle=False, feedback=applied)
    images = (batch["image"][:, 0] * 255).round().numpy().astype(np.uint8)
    shown = batch["index"].numpy()
    originals = data.pixels[data.rows]
    assert (images[:, :8, :8] == originals[shown][:, :8, :8]).all()
    donors = [next(index for index in range(33) if (originals[index][:, 8:] == image[:, 8:]).all()) for image in images]
    assert 30 not in donors
    assert len(set(donors)) > 15
    assert all((originals[donor][8:] == image[8:]).all() for donor, image in zip(donors, images, strict=True))


def test_by_influence_takes_the_cells_that_move_the_model(data, tiny):
    # The class lies in the top left; a model that has learnt it depends on no other cell.
    engine = TrainingEngine(
        tiny(feedback="propagate", propagate_by="influence", epochs=12, imil_epochs=(11,), lr=0.1), CLASSES, data
    )
    engine.fit(11)
    others = dict(grid(number, 10, 11, 14, 15) for number in range(10))
    insight = engine.learn(others)
    assert {0, 1, 4, 5} & set(insight.cells)
    assert set(insight.cells) < set(never_chosen(others.values(), 0.1))
    assert min(insight.influence[list(insight.cells)]) > insight.influence.mean()


def test_vetoed_cells_stay(data, tiny):
    settings = tiny(feedback="propagate")
    insight = TrainingEngine(settings, CLASSES, data).learn(FEEDBACK)
    kept = insight.corrected([Correction("veto", cells=insight.cells), Correction("restore", cells=(15,))])
    assert kept.cells == (15,)
    applied = AppliedFeedback(FEEDBACK, data, CLASSES, settings)
    applied.use(insight.corrected([Correction("veto", cells=insight.cells)]))
    plain, vetoed = (next(iter(Batches(data, 64, 3, 4, shuffle=False, feedback=one))) for one in (None, applied))
    assert (plain["image"] == vetoed["image"]).all()
    with pytest.raises(BadInput, match="Cell 16"):
        insight.corrected([Correction("veto", cells=(16,))])


def test_all_cells_chosen_leaves_nothing(data, tiny):
    everything = dict(grid(number, *range(16)) for number in range(10))
    with pytest.raises(BadInput, match="nothing to propagate: each of the 16 cells"):
        TrainingEngine(tiny(feedback="propagate"), CLASSES, data).learn(everything)


@pytest.mark.parametrize(
    ("feedback", "cases", "message"),
    [
        ("blackout", dict([grid(1, 2)]), None),
        ("counterfactual", {}, None),
        ("counterfactual", dict([grid(0, 2, misleading=[3]), grid(1, 2)]), None),
        ("counterfactual", dict([grid(0, 2), grid(1, 2)]), "marked as misleading"),
        ("counterfactual", dict([grid(1, 2, misleading=[3]), grid(3, 2)]), "none of 'normal'"),
        ("propagate", dict([grid(0, *range(16)), grid(1, *range(16))]), "nothing to propagate"),
        ("counterfactual+propagate", dict([grid(0, *range(15), misleading=[15]), grid(1, *range(16))]), "nothing to"),
        ("randomise", dict([grid(0, 2), grid(2, 2)]), "none of 'tb'"),
    ],
)
def test_what_a_round_lacks_is_told_before_anything_starts(tiny, feedback, cases, message):
    labels = {f"case{number:02}.png": CLASSES[number % 2] for number in range(20)}
    told = shortcoming(list(cases.values()), labels, CLASSES, tiny(feedback=feedback))
    assert told is None if message is None else message in told
