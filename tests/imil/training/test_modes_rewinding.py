"""What a network forgets before it learns from a round."""

import copy

import numpy as np
import pytest
import torch

from imil.networks import create_network
from imil.training.engine import TrainingEngine
from imil.training.modes.renormalising import renormalise
from imil.training.modes.rewinding import rewind
from tests.imil.training import marked


def test_parameters_go_the_share_of_the_way_and_buffers_stay():
    torch.manual_seed(0)
    start, network = (create_network("imil_resnet8", 2) for _ in range(2))
    network.features[0][1].running_mean.fill_(3.0)
    before = copy.deepcopy(network)
    rewind(network, start, 0.75)
    for (name, now), (_, then), (_, first) in zip(
        network.named_parameters(), before.named_parameters(), start.named_parameters(), strict=True
    ):
        torch.testing.assert_close(now, 0.25 * then + 0.75 * first, msg=name)
    assert (network.features[0][1].running_mean == 3).all()


@pytest.fixture(scope="module")
def misled():
    data, squares = marked.marked_data()
    engine = marked.trained_engine(data)
    answers = marked.answers(squares)
    return data, answers, copy.deepcopy(engine.state_dict()), engine.learn(answers)


def after_the_round(misled, epochs=1, **settings):
    """How far the weights are from where training began, relative to before, after the epochs that follow a round."""
    data, answers, state, insight = misled
    chosen = marked.marked_settings(lr=1e-9, weight_decay=0.0, **settings)
    engine = TrainingEngine(chosen, marked.CLASSES, data, state=copy.deepcopy(state))
    start = engine._start_network()
    before = distance(engine.network, start)
    engine.set_feedback(answers, 1, insight)
    for group in engine.optimizer.param_groups:
        group["initial_lr"] = group["lr"] = 0.0
    engine.scheduler.base_lrs = [0.0 for _ in engine.scheduler.base_lrs]
    engine.fit(engine.epoch + epochs)
    return distance(engine.network, start) / before


def distance(network, other):
    pairs = zip(network.parameters(), other.parameters(), strict=True)
    return float(np.sqrt(sum(((one - two) ** 2).sum().item() for one, two in pairs)))


def test_a_mode_that_learns_rewinds_once_after_a_round(misled):
    assert after_the_round(misled, rewind=0.8) == pytest.approx(0.2, abs=0.01)
    assert after_the_round(misled, epochs=2, rewind=0.8) == pytest.approx(0.2, abs=0.01)
    assert after_the_round(misled, rewind=0.0) == pytest.approx(1.0, abs=0.01)


def test_the_rewound_network_has_the_statistics_of_the_images_as_they_are(misled):
    data, answers, state, insight = misled
    engine = TrainingEngine(marked.marked_settings(rewind=0.8), marked.CLASSES, data, state=copy.deepcopy(state))
    expected = copy.deepcopy(engine.network)
    rewind(expected, engine._start_network(), 0.8)
    renormalise(expected, [engine.images([number]) for number in range(4)])
    mode = engine.set_feedback(answers, 1, insight).mode
    mode.begin(engine.network, engine._start_network, (engine.images([number]) for number in range(4)))
    for name, buffer in engine.network.named_buffers():
        torch.testing.assert_close(buffer, dict(expected.named_buffers())[name], msg=name)


def test_other_modes_do_not(misled):
    assert after_the_round(misled, feedback="blackout") == pytest.approx(1.0, abs=0.01)
