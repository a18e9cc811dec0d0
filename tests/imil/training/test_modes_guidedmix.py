import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput
from imil.grid import Grid
from imil.settings import resolve
from imil.training.batches import Batches, TrainingData
from imil.training.draws import Draws
from imil.training.feedback import AppliedFeedback
from imil.training.modes.guidedmix import GuidedCutMix, GuidedMix, GuidedMixUp

CLASSES = ["normal", "tb", "other"]
MODES = {"cutmix": GuidedCutMix, "mixup": GuidedMixUp}


def mode_on(name: str, *cases: CaseFeedback, side: int = 4) -> GuidedMix:
    """On six images; number n has grey value 40 n everywhere and class n modulo 3."""
    pixels = np.repeat(np.arange(6, dtype=np.uint8) * 40, side * side).reshape(6, side, side)
    data = TrainingData(tuple("abcdef"), pixels, np.arange(6), np.arange(6) % 3)
    chosen = resolve(feedback=name)
    return MODES[name](AppliedFeedback({case.case_id: case for case in cases}, data, CLASSES, chosen).view, chosen)


def edited(mode: GuidedMix, *indices: int, seed: int = 0) -> Draws:
    index = np.array(indices, np.int64)
    draws = Draws(index, mode.view.images(index), torch.from_numpy(mode.view.labels[index]))
    return mode.edit(draws, np.random.default_rng(seed))


def grey(image: torch.Tensor) -> list[list[float]]:
    return (image[0] * 255).round(decimals=3).tolist()


def test_cutmix_by_hand():
    # Both right-hand cells of b (grey 40, class tb) are selected. With one of them in e (grey 160, class tb too) or in
    # another image, half of what was selected is seen, so b's label counts half; with both, all.
    mode = mode_on("cutmix", CaseFeedback("b", "grid", 2, (1, 3), (0,)))
    patterns = set()
    for seed in range(40):
        draws = edited(mode, 1, seed=seed)
        (image,), (target,) = draws.images, draws.target
        other = int(image[0, 0, 0] * 255 + 0.5) // 40  # cell 0 is never b's
        above, below = bool((image[0, 0, 3] * 255).round() == 40), bool((image[0, 3, 3] * 255).round() == 40)
        expected = [[40.0 * other] * 2 + [40.0 if above else 40.0 * other] * 2] * 2
        expected += [[40.0 * other] * 2 + [40.0 if below else 40.0 * other] * 2] * 2
        assert grey(image) == expected
        share = (above + below) / 2
        assert target.tolist() == pytest.approx((np.eye(3)[1] * share + np.eye(3)[other % 3] * (1 - share)).tolist())
        assert other != 1
        patterns.add((other, above, below))
    assert {(above, below) for _, above, below in patterns} == {(True, False), (False, True), (True, True)}
    assert {other for other, _, _ in patterns} == {0, 2, 3, 4, 5}


def test_mixup_by_hand():
    mode = mode_on("mixup", CaseFeedback("b", "grid", 2, (0,)))
    weights = []
    for seed in range(60):
        draws = edited(mode, 1, seed=seed)
        (image,), (target,) = draws.images, draws.target
        other = int(image[0, 3, 3] * 255 + 0.5) // 40
        label = other % 3
        weight = float((image[0, 0, 0] * 255 - 40 * other) / (40 - 40 * other))
        assert grey(image)[0][2:] + grey(image)[2] == [40.0 * other] * 6
        assert torch.allclose(image[0, :2, :2], image[0, 0, 0])
        assert float(target[1]) == pytest.approx(1 if label == 1 else weight, abs=1e-4)
        assert float(target[label]) == pytest.approx(1 if label == 1 else 1 - weight, abs=1e-4)
        weights.append(weight)
    # Beta(0.2, 0.2) lies near 0 or 1: 63 % of it within 0.1 of either.
    assert 0.35 < np.mean(weights) < 0.65
    assert 0.45 < np.mean([min(weight, 1 - weight) < 0.1 for weight in weights]) < 0.8


@pytest.mark.parametrize("name", MODES)
@settings(max_examples=25, deadline=None)
@given(side=st.integers(6, 13), size=st.integers(1, 6), seed=st.integers(0, 99), draw=st.data())
def test_labels_are_mixed_by_what_is_seen_of_the_selected_area(name, side, size, seed, draw):
    cells = sorted(draw.draw(st.sets(st.integers(0, size * size - 1), min_size=1)))
    # All others black, so that what is bright comes from the fed-back image f (grey 200).
    mode = mode_on(name, CaseFeedback("f", "grid", size, tuple(cells)), side=side)
    draws = edited(mode, 5, 0, 5, seed=seed)
    area = Grid.square(size, (side, side)).mask(cells) == 1
    for row in (0, 2):
        image = draws.images[row, 0].numpy() * 255
        outside = image[~area]
        if not len(outside):
            continue
        other = float(outside[0])
        assert (outside == other).all()
        share = (image[area] - other).sum() / (200 - other) / area.sum()
        own, theirs = 5 % 3, round(other / 40) % 3
        expected = np.eye(3)[own] * share + np.eye(3)[theirs] * (1 - share)
        np.testing.assert_allclose(draws.target[row].numpy(), expected, atol=1e-4)
    assert draws.target[1].tolist() == [1, 0, 0]
    torch.testing.assert_close(draws.target.sum(1), torch.ones(3))


@pytest.mark.parametrize("name", MODES)
def test_a_batch_without_a_fed_back_image_stays(name):
    mode = mode_on(name, CaseFeedback("b", "grid", 2, (0,)))
    draws = edited(mode, 0, 2)
    assert draws.target is None
    assert grey(draws.images[1])[0] == [80.0] * 4


def test_labels_that_are_mixed_already_are_mixed_on():
    mode = mode_on("cutmix", CaseFeedback("b", "grid", 1, (0,)))  # one cell: all of b is seen
    index = np.array([1])
    target = torch.tensor([[0.25, 0.75, 0]])
    draws = Draws(index, mode.view.images(index), torch.tensor([1]), target)
    assert mode.edit(draws, np.random.default_rng(0)).target.tolist() == [[0.25, 0.75, 0]]


def test_new_labels_count():
    mode = mode_on(
        "mixup",
        CaseFeedback("b", "grid", 2, (0,)),
        *(CaseFeedback(case, "relabel", new_label="other") for case in "acde"),
        CaseFeedback("f", "exclude"),
    )
    for seed in range(9):
        assert float(edited(mode, 1, seed=seed).target[0, 0]) == 0


def test_the_targets_reach_the_batch(data, tiny):
    chosen = tiny(feedback="cutmix")
    case = CaseFeedback("case01.png", "grid", 4, (0, 1, 2, 3, 4, 5))
    applied = AppliedFeedback({case.case_id: case}, data, ["normal", "tb"], chosen)
    batches = list(Batches(data, 8, 0, 1, feedback=applied))
    mixed = [batch["target"][batch["index"] == 1] for batch in batches if "target" in batch]
    assert sum(map(len, mixed)) == 8
    assert torch.cat(mixed)[:, 1].min() < 1
    for batch in batches:
        if "target" in batch:
            others = batch["index"] != 1
            assert torch.equal(batch["target"][others].argmax(1), batch["label"][others])
            assert (batch["target"][others].max(1).values == 1).all()


def test_a_single_image_has_no_other():
    with pytest.raises(BadInput, match="at least 2 are needed"):
        mode_on("cutmix", CaseFeedback("a", "grid", 2, (0,)), *(CaseFeedback(case, "exclude") for case in "bcdef"))
