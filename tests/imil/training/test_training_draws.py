"""Cases that are drawn more than once in an epoch."""

from collections import Counter

import pytest
import torch

from imil.casefeedback import CaseFeedback
from imil.settings import RunSettings
from imil.training.augmentation import Affine
from imil.training.batches import Batches
from imil.training.engine import TrainingEngine
from imil.training.feedback import AppliedFeedback

CLASSES = ["normal", "tb"]
FEEDBACK = {
    case.case_id: case
    for case in (
        CaseFeedback("case01.png", "grid", 4, (0, 1), (9,)),
        CaseFeedback("case05.png", "grid", 4, (7,)),
        CaseFeedback("case06.png", "relabel", new_label="tb"),
        CaseFeedback("case09.png", "exclude"),
    )
}


@pytest.fixture
def applied(data):
    def with_repeat(repeat=1):
        return AppliedFeedback(FEEDBACK, data, CLASSES, RunSettings(feedback="unedited", feedback_repeat=repeat))

    return with_repeat


def order(batches):
    return torch.cat([batch["index"] for batch in batches]).tolist()


def test_only_images_with_feedback_are_repeated(data, applied):
    batches = Batches(data, 8, 3, 1, feedback=applied(4))
    drawn = Counter(order(batches))
    assert order(batches) == batches.order.tolist()
    assert {case for case, count in drawn.items() if count == 4} == {1, 5}
    assert all(count == 1 for case, count in drawn.items() if case not in (1, 5))
    assert set(range(33)) - set(drawn) == {9}
    assert len(batches) == len(list(batches)) == 5  # 32 cases and 2 * 3 further draws: 8, 8, 8, 8, 6


def test_further_draws_stand_among_the_others_which_keep_their_order(data, applied):
    plain = order(Batches(data, 8, 3, 1, feedback=applied()))
    repeated = order(Batches(data, 8, 3, 1, feedback=applied(6)))
    others = [case for case in repeated if case not in (1, 5)]
    assert others == [case for case in plain if case not in (1, 5)]
    assert repeated != order(Batches(data, 8, 3, 2, feedback=applied(6)))
    places = [place for place, case in enumerate(repeated) if case in (1, 5)]
    assert len(places) == 12
    assert min(places) < 14 < 28 < max(places)


def test_extra_draws_are_of_any_case_that_is_kept(data, applied):
    drawn = Counter()
    for epoch in range(1, 31):
        epoch_order = order(Batches(data, 8, 3, epoch, feedback=applied(), extra=20))
        assert len(epoch_order) == 52
        drawn += Counter(epoch_order)
    assert set(drawn) == set(range(33)) - {9}
    assert min(drawn.values()) > 30  # 600 extra draws over 32 cases
    assert max(drawn.values()) < 80
    assert drawn.total() == 30 * 52


def test_without_shuffling_each_case_is_drawn_once(data, applied):
    batches = Batches(data, 8, 3, 1, shuffle=False, feedback=applied(3), extra=5)
    assert order(batches) == [case for case in range(33) if case != 9]


def test_each_draw_has_its_own_augmentation_and_the_first_keeps_its(data, applied):
    def images(repeat=1, **options):
        batches = Batches(data, 64, 3, 1, feedback=applied(repeat), augmentation=Affine(), **options)
        (batch,) = batches
        return {case: batch["image"][batch["index"] == case] for case in range(33)}

    once, repeated = images(), images(repeat=5)
    assert len(torch.unique(repeated[5], dim=0)) == 5
    assert any(torch.allclose(image, once[5][0], atol=1e-6) for image in repeated[5])
    assert all(torch.allclose(repeated[case], once[case], atol=1e-6) for case in range(33) if case not in (1, 5, 9))


def trained(settings, data, *stops, feedback=True):
    """An engine, the number of images and of optimizer steps in each of its epochs."""
    engine = TrainingEngine(settings, CLASSES, data)
    images, steps, done = [], [], [0]
    engine.optimizer.register_step_post_hook(lambda *_: done.append(done.pop() + 1))

    def finish(result):
        images.append(result.images)
        steps.append(done[0] - sum(steps))

    for stop in stops:
        engine.fit(stop, on_epoch=finish)
        if feedback and stop == 3:
            engine.set_feedback(FEEDBACK, 1)
    return engine, images, steps


def test_repeats_make_epochs_longer_from_the_feedback_on(data, tiny):
    _, images, steps = trained(tiny(feedback_repeat=7), data, 3, 6)
    assert images == [33] * 3 + [32 + 2 * 6] * 3
    assert steps == [4] * 3 + [6] * 3


def test_extra_draws_begin_after_the_first_imil_epoch_with_and_without_a_stop(data, tiny):
    settings = tiny(extra_draws=12, imil_epochs=(3, 5), accumulate=2)
    once, images, steps = trained(settings, data, 6, feedback=False)
    assert images == [33] * 3 + [45] * 3
    assert steps == [2] * 3 + [3] * 3  # 4 and 6 batches, accumulated in twos
    many = trained(settings, data, 2, 3, 4, 6, feedback=False)
    assert many[1:] == (images, steps)
    assert many[0].weights_sha256() == once.weights_sha256()


def test_without_imil_epochs_there_are_no_extra_draws(data, tiny):
    _, images, _ = trained(tiny(extra_draws=12, imil_epochs=()), data, 6, feedback=False)
    assert images == [33] * 6


def test_equally_many_steps_with_and_without_feedback(data, tiny):
    fed_back = trained(tiny(feedback_repeat=7), data, 3, 6)
    excluded = 1
    control = trained(tiny(extra_draws=2 * 6 - excluded), data, 6, feedback=False)
    assert control[1:] == fed_back[1:]
