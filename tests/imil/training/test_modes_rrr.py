import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from imil.casefeedback import CaseFeedback
from imil.training.draws import Draws
from imil.training.engine import TrainingEngine
from imil.training.feedback import AppliedFeedback
from imil.training.modes.rrr import RightReasons

CLASSES = ["normal", "tb"]
FEEDBACK = {
    case.case_id: case
    for case in (CaseFeedback(f"case{number:02}.png", "grid", 4, (5, 6), (0,)) for number in range(12))
}


def mode_on(data, chosen, feedback=FEEDBACK):
    return RightReasons(AppliedFeedback(feedback, data, CLASSES, chosen).view, chosen)


def batch_of(mode, *indices):
    """What the network gets of these images."""
    index = np.array(indices, np.int64)
    labels = torch.from_numpy(mode.view.labels[index])
    draws = mode.edit(Draws(index, mode.view.images(index), labels), np.random.default_rng(0))
    batch = {"image": mode.view.normalised(draws.images), "label": labels, "index": torch.from_numpy(index)}
    return batch if draws.penalised is None else batch | {"penalised": draws.penalised}


@pytest.fixture
def mode(data, tiny):
    return mode_on(data, tiny(feedback="rrr"))


@pytest.fixture
def network(data, tiny):
    return TrainingEngine(tiny(), CLASSES, data).network.train()


def linear(weights, biases):
    """Logits are weighted sums of the pixels; weights (classes, rows, columns)."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(weights[0].numel(), len(weights)))
    with torch.no_grad():
        network[1].weight.copy_(weights.flatten(1))
        network[1].bias.copy_(torch.tensor(biases))
    return network


def test_equation_1_by_hand(mode):
    # Probabilities 1/4 and 3/4: the gradient of log p_0 + log p_1 is w_0 + w_1 - 2 (w_0 / 4 + 3 w_1 / 4), that is
    # (w_0 - w_1) / 2. With w_0 - w_1 = 2, 4, 6, 8 it's 1, 2, 3, 4; the last two are penalised, the third at half.
    weights = torch.tensor([[[2.0, 4], [6, 8]], [[0, 0], [0, 0]]])
    network = linear(weights, [0, np.log(3)])
    images, penalised = torch.zeros(1, 1, 2, 2), torch.tensor([[[[0, 0], [0.5, 1.0]]]])
    expected = (1.5**2 + 4**2) * 4 / 4096
    assert mode.measure(network, images, torch.zeros(1).long(), penalised).item() == pytest.approx(expected)
    twice, none = torch.cat([images, images]), torch.cat([penalised, torch.zeros(1, 1, 2, 2)])
    assert mode.measure(network, twice, torch.zeros(2).long(), none).item() == pytest.approx(expected / 2)


def test_the_image_size_does_not_matter(mode):
    # The same picture and the same model, as seen through more and smaller pixels.
    generator = torch.Generator().manual_seed(0)
    weights, images = (torch.randn(shape, generator=generator) for shape in ((2, 8, 8), (3, 1, 8, 8)))
    penalised = torch.rand((3, 1, 8, 8), generator=generator)
    measured = [
        mode.measure(
            linear(weights.repeat_interleave(times, 1).repeat_interleave(times, 2) / times**2, [0.3, 0]),
            images.repeat_interleave(times, 2).repeat_interleave(times, 3),
            torch.zeros(3).long(),
            penalised.repeat_interleave(times, 2).repeat_interleave(times, 3),
        ).item()
        for times in (1, 2, 5)
    ]
    assert measured == pytest.approx([measured[0]] * 3, rel=1e-4)


def test_the_gradient_matches_finite_differences(mode):
    generator = torch.Generator().manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 2)
    )
    network = network.double().eval()
    images = torch.randn((2, 1, 8, 8), generator=generator, dtype=torch.double)
    penalised = torch.rand((2, 1, 8, 8), generator=generator, dtype=torch.double)

    def measure() -> torch.Tensor:
        return mode.measure(network, images, torch.tensor([0, 1]), penalised)

    measure().backward()
    for parameter in network.parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.double)
        ends = []
        for step in (1e-5, -2e-5):
            parameter.data += step * direction
            ends.append(measure().item())
        parameter.data += 1e-5 * direction
        expected = (parameter.grad * direction).sum().item()
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_what_is_penalised_are_the_unselected_cells(data, mode):
    batch = batch_of(mode, 3, 20, 4)
    assert torch.equal(batch["image"], mode.view.images(np.array([3, 20, 4])))
    expected = np.ones((16, 16))
    expected[4:8, 4:12] = 0  # cells 5 and 6; the misleading cell 0 is penalised
    for row in (0, 2):
        assert np.array_equal(batch["penalised"][row, 0], expected)
    assert batch["penalised"][1].sum() == 0


def test_only_fed_back_images_count_and_at_most_eight(mode, network):
    assert mode.penalty(network, batch_of(mode, 20, 21)) is None
    some = mode.penalty(network, batch_of(mode, 20, *range(8), 21))
    more = mode.penalty(network, batch_of(mode, *range(12)))
    assert some.item() == pytest.approx(more.item(), rel=1e-5)
    fewer = mode.penalty(network, batch_of(mode, *range(7)))
    assert fewer.item() != pytest.approx(more.item(), rel=1e-3)


def test_the_pass_of_its_own_leaves_no_trace(mode, network):
    before, random = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    batch = batch_of(mode, 1, 2)
    image = batch["image"].clone()
    penalty = mode.penalty(network, batch)
    assert penalty.requires_grad
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(batch["image"], image)
    assert not batch["image"].requires_grad


def test_the_setting_is_the_weight(data, tiny, network):
    batch = batch_of(mode_on(data, tiny(feedback="rrr")), 1, 2)
    modes = [mode_on(data, tiny(feedback="rrr", penalty=weight)) for weight in (0, 0.01, 3)]
    by_setting = [mode.penalty(network, batch).item() for mode in modes]
    assert by_setting[0] == by_setting[1]
    assert by_setting[2] == pytest.approx(300 * by_setting[1])


def test_attention_has_second_derivatives(mode):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Conv2d(1, 8, 4, 4), nn.Linear(8, 2)

        def forward(self, images):
            tokens = self.embed(images).flatten(2).transpose(1, 2)[:, None]
            return self.head(functional.scaled_dot_product_attention(tokens, tokens, tokens).mean((1, 2)))

    network = Attention().train()
    mode.penalty(network, batch_of(mode, 1, 2)).backward()
    assert network.embed.weight.grad.abs().sum() > 0


def test_the_penalty_falls_in_training(data, tiny):
    measured = {}
    for name in ("unedited", "rrr"):
        chosen = tiny(feedback=name, feedback_repeat=2, penalty=100, epochs=12, optimizer="adam")
        engine = TrainingEngine(chosen, CLASSES, data)
        engine.set_feedback(FEEDBACK, 1)
        engine.fit(12)
        mode = mode_on(data, chosen)
        measured[name] = mode.penalty(engine.network, batch_of(mode, *range(8))).item()
    assert measured["rrr"] < measured["unedited"] / 3
