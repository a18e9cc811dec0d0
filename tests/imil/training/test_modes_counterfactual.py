"""What misled is found, taken off or swapped out, and added as a decoy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from imil.casefeedback import CaseFeedback, Correction
from imil.errors import BadInput
from imil.training import checkpoints
from imil.training.batches import Batches
from imil.training.engine import TrainingEngine
from imil.training.feedback import AppliedFeedback
from imil.training.insight import Insight
from imil.training.modes import finder
from imil.training.modes.counterfactual import TAKEN_OFF, told_by
from imil.training.modes.cutouts import cut_out, paste
from imil.training.modes.finder import Finder
from imil.training.modes.renormalising import renormalise
from imil.training.modes.swapping import least_overlapping, margins, rim_pixels, with_soft_rim
from tests.imil.training import marked


@pytest.fixture(scope="module", autouse=True)
def _a_finder_of_fewer_steps():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finder, "REFINING_STEPS", 40)
        yield


@pytest.fixture(scope="module")
def learnt():
    """Data, where its squares are, an engine that was misled, and what the answers teach."""
    data, squares = marked.marked_data()
    engine = marked.trained_engine(data)
    return data, squares, engine, engine.learn(marked.answers(squares))


def test_the_finder_finds_the_square_and_nothing_else(learnt):
    _data, squares, _, insight = learnt
    has = squares.any((1, 2))
    assert insight.finds.shape == (48, 8, 8)
    assert insight.found[has].mean() > 0.9
    assert insight.found[~has].mean() < 0.1
    pixels = np.kron(insight.finds, np.ones((4, 4)))
    # Each find touches its square, or lies in a cell beside it that a reader marked.
    assert all((pixels[index] * squares[index]).any() for index in np.flatnonzero(insight.found & has)[5:])
    assert insight.scores[has].min() > insight.scores[~has][5:].max() - 0.5


def test_what_is_learnt_is_the_same_again_and_leaves_the_engine_alone(learnt):
    _data, squares, engine, insight = learnt
    before, state = engine.weights_sha256(), torch.get_rng_state()
    again = engine.learn(marked.answers(squares))
    assert engine.weights_sha256() == before
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(again.finds, insight.finds)
    np.testing.assert_array_equal(again.find_influence, insight.find_influence)


def test_the_model_depends_on_what_was_found_in_an_image(learnt):
    _, _squares, _engine, insight = learnt
    assert (insight.find_influence[~insight.found] == 0).all()
    assert np.median(insight.find_influence[insight.found]) > 0.1


def edited(data, squares, insight, **overrides):
    settings = marked.marked_settings(**overrides)
    applied = AppliedFeedback(marked.answers(squares), data, marked.CLASSES, settings)
    applied.use(insight)
    (batch,) = Batches(data, 64, 1, 4, shuffle=False, feedback=applied)
    return batch["image"][:, 0].numpy()


def test_without_decoys_the_squares_are_taken_off_and_other_images_stay(learnt):
    data, squares, _, insight = learnt
    plain = data.pixels / np.float32(255)
    images = edited(data, squares, insight, decoys=0.0)
    assert gone(images, squares, insight.found)
    assert not changed(images, plain)[~insight.found].any()
    assert insight.notes == (TAKEN_OFF,)


def test_few_finds_are_swapped_and_every_image_is_edited(learnt):
    data, squares, _, insight = learnt
    finds = insight.finds.copy()
    finds[np.flatnonzero(insight.found)[10:]] = 0
    few = replace(insight, finds=finds)
    images = edited(data, squares, few, decoys=0.0)
    assert gone(images, squares, few.found)
    assert changed(images, data.pixels / np.float32(255))[~few.found].mean() > 0.9  # sham edits


def gone(images, squares, found):
    with_square = np.flatnonzero(found & squares.any((1, 2)))
    return np.mean([(images[index][squares[index]] > 0.9).mean() for index in with_square]) < 0.1


def changed(images, plain):
    return (np.abs(images - plain) > 1e-6).any((1, 2))


def test_decoys_go_into_images_of_either_class(learnt):
    data, squares, _, insight = learnt
    images = edited(data, squares, insight, decoys=1.0)
    bright = (images > 0.75).sum((1, 2)) >= 8
    assert bright[data.labels == 0].mean() > 0.8
    assert bright[data.labels == 1].mean() > 0.8
    none = edited(data, squares, insight, decoys=0.0)
    assert ((none > 0.75).sum((1, 2)) >= 8)[data.labels == 0].mean() == 0


def test_a_veto_leaves_an_image_without_finds_and_a_correction_moves_them(learnt):
    data, _squares, _, insight = learnt
    index = int(np.flatnonzero(insight.found)[-1])
    case = data.ids[index]
    vetoed = insight.corrected([Correction("veto", case)])
    assert not vetoed.found[index]
    assert vetoed.found.sum() == insight.found.sum() - 1
    moved = insight.corrected([Correction("veto", case), Correction("correct", case, (0, 3))])
    expected = np.zeros((8, 8), np.uint8)
    expected[:2, :2], expected[:2, 6:] = 1, 1
    np.testing.assert_array_equal(moved.finds[index], expected)
    restored = vetoed.corrected([]).finds[index]
    assert not restored.any()  # a corrected insight knows only what it was given
    again = insight.corrected([Correction("veto", case), Correction("restore", case)])
    np.testing.assert_array_equal(again.finds[index], insight.finds[index])
    with pytest.raises(BadInput, match=r"strange\.png"):
        insight.corrected([Correction("veto", "strange.png")])


def test_an_insight_survives_its_file(learnt, tmp_path):
    insight = learnt[3]
    checkpoints.save(tmp_path / "insight.pt", insight.state_dict())
    loaded = Insight.from_state(checkpoints.load(tmp_path / "insight.pt"))
    assert loaded.case_ids == insight.case_ids
    assert loaded.notes == insight.notes
    np.testing.assert_array_equal(loaded.finds, insight.finds)
    with pytest.raises(BadInput, match="version"):
        Insight.from_state({"version": 99})
    with pytest.raises(BadInput, match="lacks"):
        Insight.from_state({"version": 1})


def test_paused_equals_unpaused_to_the_bit(learnt, tmp_path):
    data, squares, _, _ = learnt
    given = marked.answers(squares)
    settings = marked.marked_settings(feedback="counterfactual+propagate", propagate_tolerance=0.5)
    whole = TrainingEngine(settings, marked.CLASSES, data)
    whole.fit(3)
    insight = whole.learn(given)
    whole.set_feedback(given, 1, insight)
    whole.fit(5)
    checkpoints.save(tmp_path / "checkpoint.pt", whole.state_dict())
    whole.fit(6)
    resumed = TrainingEngine(settings, marked.CLASSES, data, state=checkpoints.load(tmp_path / "checkpoint.pt"))
    resumed.set_feedback(given, 1, Insight.from_state(insight.state_dict()))
    resumed.fit(6)
    assert resumed.weights_sha256() == whole.weights_sha256()


def test_nothing_to_learn_from_is_told(learnt):
    _data, squares, engine, _ = learnt
    without = {name: replace(case, misleading=()) for name, case in marked.answers(squares).items()}
    with pytest.raises(BadInput, match="No cell of the 10 images with cells is marked as misleading"):
        engine.learn(without)
    with pytest.raises(BadInput, match="needs what was learnt"):
        engine.set_feedback(marked.answers(squares), 1)
    assert engine.learn({"case00.png": CaseFeedback("case00.png", "exclude")}) is None


def test_a_thing_in_all_images_is_refused():
    data, squares = marked.marked_data()
    pixels = data.pixels.copy()
    pixels[:, 2:7, 2:7] = 250
    everywhere = np.zeros_like(squares)
    everywhere[:, 2:7, 2:7] = True
    engine = marked.trained_engine(replace(data, pixels=pixels), epochs=1)
    with pytest.raises(BadInput, match=r"too evenly in the classes \(100 % of 'normal', 100 % of 'tb'\)"):
        engine.learn(marked.answers(everywhere))


def test_a_thing_that_is_as_frequent_in_each_class_is_refused():
    data, squares = marked.marked_data()
    halved = replace(data, labels=(np.arange(len(data)) // 2 % 2).astype(np.int64))
    engine = marked.trained_engine(halved, epochs=1)
    with pytest.raises(BadInput, match=r"too evenly in the classes .* mark only the cells that hold it, ask for more"):
        engine.learn(marked.answers(squares))


@pytest.mark.parametrize(
    ("shares", "bits"),
    [
        ((0.0, 1.0), 1.0),
        ((0.5, 0.5), 0.0),
        ((0.0, 0.0), 0.0),
        # of 4 images 3 have none: H(1/4) = 2 - 3/4 log2(3); half of the entropy of an even split is left
        ((0.5, 0.0), 2 - 0.75 * np.log2(3) - 0.5),
        ((0.0, 0.0, 1.0), np.log2(3) - 2 / 3),
    ],
)
def test_what_a_find_tells_about_the_class(shares, bits):
    assert told_by(np.array(shares)) == pytest.approx(bits)


def test_a_thing_in_no_other_image_is_refused():
    data, squares = marked.marked_data()
    asked = {int(name[4:6]) for name in marked.answers(squares)}
    pixels = data.pixels.copy()
    for index, square in enumerate(squares):
        if index not in asked:
            pixels[index][square] = np.median(pixels[index])
    engine = marked.trained_engine(replace(data, pixels=pixels), epochs=1)
    with pytest.raises(BadInput, match=r"found in none of the other images; mark it in more images, ask for more"):
        engine.learn(marked.answers(squares))


def test_the_finder_needs_maps():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(64, 2)

        def forward(self, images):
            return self.head(images.flatten(1))

    with pytest.raises(BadInput, match="no feature maps"):
        Finder(Flat(), torch.zeros(1, 1, 8, 8))


def test_batch_statistics_are_those_of_the_images_given():
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 2)).train()
    images = [torch.tensor([[[[1.0, 3], [5, 7]]]]), torch.tensor([[[[9.0, 11], [13, 15]]]])]
    renormalise(network, images)
    assert float(network[0].running_mean) == pytest.approx(8)  # the mean of 4 and 12
    assert float(network[0].running_var) == pytest.approx(20 / 3)
    assert network.training
    assert network[0].momentum == 0.1
    plain = nn.Linear(4, 2)
    renormalise(plain, [])


# -- the parts ---------------------------------------------------------------------------------------------------------


def test_the_rim_is_soft_and_outside():
    places = torch.zeros(1, 1, 64, 64)
    places[..., 20:30, 20:30] = 1
    weights = with_soft_rim(places)[0, 0]
    assert rim_pixels(64) == 3
    assert (weights[20:30, 20:30] == 1).all()
    row = weights[25]
    assert (row[14:20].diff() > 0).sum() == 2
    assert row[:18].max() == 0


def test_a_cut_out_is_pasted_whole_inside_the_image():
    image = torch.rand(1, 40, 40)
    places = torch.zeros(1, 40, 40)
    places[0, 30:34, 2:8] = 1
    one = cut_out(image, places)
    assert cut_out(image, torch.zeros(1, 40, 40)) is None
    images, pasted = paste(torch.zeros(50, 1, 40, 40), [one], 1.0, np.random.default_rng(0), share_in_place=0.0)
    assert (pasted.sum((1, 2, 3)) == 24).all()
    assert len(torch.unique(pasted, dim=0)) > 30
    inside = images[pasted == 1].reshape(50, -1)
    assert torch.allclose(inside, image[places == 1].expand(50, -1))
    same, _ = paste(torch.zeros(3, 1, 40, 40), [one], 1.0, np.random.default_rng(0), share_in_place=1.0)
    assert torch.allclose(same[0][places == 1], image[places == 1])
    untouched, _ = paste(torch.zeros(3, 1, 40, 40), [], 1.0, np.random.default_rng(0), share_in_place=1.0)
    assert not untouched.any()


def test_donors_are_chosen_by_overlap_in_and_beside_the_places():
    finds = np.zeros((4, 4, 4), np.uint8)
    finds[0], finds[1, 0, 0], finds[2, 1, 1] = 1, 1, 1
    places = np.zeros((3, 4, 4), np.uint8)
    places[:, 0, 0] = 1
    candidates = np.array([[0, 1, 3], [0, 1, 2], [3, 0, 1]])
    # Image 1 has the thing at the place, image 2 beside it: as bad. The first of equals is taken.
    assert least_overlapping(places, finds, candidates).tolist() == [3, 1, 3]


def test_margins_are_log_odds(learnt):
    data, _squares, engine, _ = learnt
    view = AppliedFeedback({}, data, marked.CLASSES, marked.marked_settings(), mean=0.5, std=0.25).view
    found = margins(engine.network, view, view.images(np.arange(6)), data.labels[:6]).numpy()
    own = engine.predict(data.subset(range(6)))[np.arange(6), data.labels[:6]]
    np.testing.assert_allclose(found, np.log(own / (1 - own)), atol=1e-3)
