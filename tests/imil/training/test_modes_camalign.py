import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from imil.casefeedback import CaseFeedback
from imil.errors import BadInput, NotFound
from imil.explain.gradcam import GradCAM
from imil.metrics.attribution import share_inside
from imil.training.draws import Draws
from imil.training.engine import TrainingEngine
from imil.training.feedback import AppliedFeedback
from imil.training.modes.camalign import FLOOR, CamAlign, grad_cam

CLASSES = ["normal", "tb"]
FEEDBACK = {
    case.case_id: case
    for case in (CaseFeedback(f"case{number:02}.png", "grid", 4, (5, 6), (0,)) for number in range(12))
}


def mode_on(data, chosen):
    return CamAlign(AppliedFeedback(FEEDBACK, data, CLASSES, chosen).view, chosen)


def batch_of(mode, *indices):
    """What the network gets of these images."""
    index = np.array(indices, np.int64)
    labels = torch.from_numpy(mode.view.labels[index])
    draws = mode.edit(Draws(index, mode.view.images(index), labels), np.random.default_rng(0))
    images = mode.view.normalised(draws.images)
    return {"image": images, "label": labels, "index": torch.from_numpy(index), "penalised": draws.penalised}


@pytest.fixture
def mode(data, tiny):
    return mode_on(data, tiny(feedback="cam_align"))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 2),
    ).train()


def test_the_share_by_hand(mode):
    # Two maps, x and 2 x. The mean gradient of class 1 by them is 1/4 each, so the heat map is max(0, 3 x / 4): 0.75,
    # 1.5, 2.25 and 0. Half of the third position is unselected, and all of the first and the last.
    network = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([1.0, 2.0])[:, None, None, None])
        network[3].weight.copy_(torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
    images, penalised = torch.tensor([[[[1.0, 2], [3, -2]]]]), torch.tensor([[[[1, 0], [0.5, 1.0]]]])
    assert mode.measure(network, images, torch.tensor([1]), penalised).item() == pytest.approx(1.875 / (4.5 + FLOOR))
    # Class 0 sees the last position only.
    assert mode.measure(network, images, torch.tensor([0]), penalised).item() == pytest.approx(1.5 / (1.5 + FLOOR))


def test_it_is_the_grad_cam_that_readers_see(data, mode, network):
    batch = batch_of(mode, *range(4))
    network.eval()
    given, _ = GradCAM()(network, batch["image"], batch["label"], network[2])
    torch.testing.assert_close(grad_cam(network, batch["image"], batch["label"], network[2]), given)
    unselected = functional.adaptive_avg_pool2d(batch["penalised"], 14)[:, 0]
    totals = given.sum((1, 2)).numpy()
    shares = np.nan_to_num(share_inside(given, unselected)) * totals / (totals + FLOOR)
    measured = mode.measure(network, batch["image"], batch["label"], batch["penalised"])
    assert measured.item() == pytest.approx(shares.mean(), rel=1e-4)
    assert mode.penalty(network.train(), batch).item() == pytest.approx(mode.weight * shares.mean(), rel=1e-4)


def test_at_most_four_images_of_a_batch_are_looked_at(mode, network):
    four, eight = (mode.penalty(network, batch_of(mode, *range(count))).item() for count in (4, 8))
    assert eight == pytest.approx(four, rel=1e-5)
    assert mode.penalty(network, batch_of(mode, 1)).item() != pytest.approx(four, rel=1e-3)


def test_the_gradient_matches_finite_differences(mode):
    generator = torch.Generator().manual_seed(1)
    torch.manual_seed(2)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.AvgPool2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(27, 2)
    )
    network = network.double().eval()
    images = torch.randn((3, 1, 8, 8), generator=generator, dtype=torch.double)
    penalised = torch.rand((3, 1, 8, 8), generator=generator, dtype=torch.double)

    def measure() -> torch.Tensor:
        return mode.measure(network, images, torch.tensor([0, 1, 1]), penalised)

    measure().backward()
    moved = 0
    for parameter in network.parameters():
        if parameter.grad is None:
            continue  # the last bias is in no heat map
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.double)
        ends = []
        for step in (1e-6, -2e-6):
            parameter.data += step * direction
            ends.append(measure().item())
        parameter.data += 1e-6 * direction
        expected = (parameter.grad * direction).sum().item()
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(expected, rel=1e-4, abs=1e-8)
        moved += abs(expected) > 1e-4
    assert moved == 5


def test_a_map_of_nothing_costs_nothing(mode, network):
    with torch.no_grad():
        network[6].weight.zero_()
    penalty = mode.penalty(network, batch_of(mode, 1, 2))
    penalty.backward()
    assert penalty.item() == 0
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in network.parameters())


def test_the_pass_of_its_own_leaves_no_trace(mode, network):
    before, random = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    for _ in range(2):
        assert mode.penalty(network, batch_of(mode, 1, 2)).requires_grad
    assert all(module.training and not module._forward_hooks for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), random)


def test_the_target_layer_can_be_named(data, tiny, network):
    batch = batch_of(mode_on(data, tiny(feedback="cam_align")), 1, 2, 3)
    by_layer = {
        name: mode_on(data, tiny(feedback="cam_align", target_layer=name)).penalty(network, batch).item()
        for name in ("", "0", "2", "4")
    }
    assert by_layer[""] == by_layer["2"]
    assert len(set(by_layer.values())) == 3
    with pytest.raises(NotFound, match="no layer 'sky'"):
        mode_on(data, tiny(feedback="cam_align", target_layer="sky")).penalty(network, batch)


def test_a_layer_that_the_logits_do_not_depend_on_is_refused(data, tiny):
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.aside = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3)

        def forward(self, images):
            self.aside(images)
            return self.body(images).mean((2, 3))

    mode = mode_on(data, tiny(feedback="cam_align", target_layer="aside"))
    with pytest.raises(BadInput, match="don't depend on the output of the Conv2d"):
        mode.penalty(Aside(), batch_of(mode, 1))


def test_the_share_falls_in_training(data, tiny):
    measured = {}
    for name in ("unedited", "cam_align"):
        chosen = tiny(feedback=name, feedback_repeat=2, penalty=2, epochs=12, optimizer="adam")
        engine = TrainingEngine(chosen, CLASSES, data)
        engine.set_feedback(FEEDBACK, 1)
        engine.fit(12)
        mode = mode_on(data, chosen)
        measured[name] = mode.penalty(engine.network, batch_of(mode, *range(6))).item() / 2
    assert measured["cam_align"] < measured["unedited"] - 0.2
