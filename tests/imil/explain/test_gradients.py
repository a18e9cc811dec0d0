"""Input gradients against numbers worked out by hand, and the network left as it was found."""

import numpy as np
import pytest
import torch
from torch import nn

from imil.errors import BadInput
from imil.explain import input_gradients
from imil.networks import create_network

WEIGHTS = torch.tensor([[1.0, -2.0, 3.0, -4.0, 0.5, 0.5, -0.5, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, -7.0]])


def linear_network():
    """Two channels of 2 x 2 pixels, two classes: the gradient of a logit is its row of weights, whatever the image."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(8, 2))
    with torch.no_grad():
        network[1].weight.copy_(WEIGHTS)
        network[1].bias.copy_(torch.tensor([100.0, 0.0]))
    return network


def test_gradient_of_a_linear_network_by_hand():
    images = torch.randn(3, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    found = input_gradients(linear_network(), images, torch.tensor([0, 1, 1]))
    # abs(channel 0) + abs(channel 1): 1 + 0.5, 2 + 0.5, 3 + 0.5, 4 + 0; class 1: 0, 1, 0, 7.
    assert found.tolist() == [[[1.5, 2.5], [3.5, 4]], [[0, 1], [0, 7]], [[0, 1], [0, 7]]]
    assert found.dtype == np.float32


def test_predicted_class_is_the_default_of_gradients():
    found = input_gradients(linear_network(), torch.zeros(1, 2, 2, 2))
    assert found.tolist() == [[[1.5, 2.5], [3.5, 4]]]  # the bias decides for class 0


@pytest.mark.parametrize("inplace", [False, True])
def test_gradient_through_a_relu(inplace):
    # Pixels below 0 have none; an in-place ReLU at the start must not hide that.
    network = nn.Sequential(nn.ReLU(inplace=inplace), linear_network())
    image = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, 1.0, -1.0, -1.0]).reshape(1, 2, 2, 2)
    kept = image.clone()
    assert input_gradients(network, image, torch.tensor([0])).tolist() == [[[1.5, 0.5], [3, 0]]]
    assert torch.equal(image, kept)


@pytest.fixture(scope="module")
def images():
    return torch.randn(5, 1, 64, 64, generator=torch.Generator().manual_seed(5))


def network_of(name):
    torch.manual_seed(3)
    return create_network(name, 3, image_size=64)


def loss_gradient(network, image, label):
    """The plain way: one image, one backward pass."""
    image = image[None].clone().requires_grad_()
    network(image)[0, label].backward()
    return image.grad[0].abs().sum(dim=0)


def state_of(network):
    return {
        "modes": [module.training for module in network.modules()],
        "flags": [parameter.requires_grad for parameter in network.parameters()],
        "hooks": [
            (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in network.modules()
        ],
        "grads": [None if p.grad is None else p.grad.clone() for p in network.parameters()],
        "values": [value.clone() for value in network.state_dict().values()],
    }


def assert_same_state(before, after):
    assert all(before[name] == after[name] for name in ("modes", "flags", "hooks"))
    for one, other in zip(before["grads"] + before["values"], after["grads"] + after["values"], strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


@pytest.mark.parametrize("name", ["imil_small", "resnet18", "vit_tiny_patch16_224"])
def test_networks_agree_with_single_backward_passes(name, images):
    network = network_of(name).eval()
    labels = torch.tensor([0, 1, 2, 0, 1])
    found = input_gradients(network, images, labels, chunk=2)
    plain = np.stack(
        [loss_gradient(network, image, label).numpy() for image, label in zip(images, labels, strict=True)]
    )
    assert found.any(axis=(1, 2)).all()
    assert found == pytest.approx(plain, rel=1e-3, abs=1e-3 * plain.max())


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_network_in_training_is_left_as_found(name, images):
    network = network_of(name).train()
    first = next(iter(network.parameters()))
    first.requires_grad_(False)
    network(images).sum().backward()
    next(network.children()).eval()
    before, random = state_of(network), torch.get_rng_state()
    input_gradients(network, images)
    assert_same_state(before, state_of(network))
    assert torch.equal(random, torch.get_rng_state())
    with pytest.raises(BadInput, match="image 0 of the batch is NaN"):
        input_gradients(network, images * float("nan"))
    assert_same_state(before, state_of(network))


def test_chunks_change_nothing(images):
    network = network_of("imil_small")
    together = input_gradients(network, images)
    for chunk in (1, 2, 5):
        assert input_gradients(network, images, chunk=chunk) == pytest.approx(together, abs=1e-6)


def test_callers_gradient_modes_and_frozen_parameters(images):
    network = network_of("imil_small")
    expected = input_gradients(network, images)
    network.requires_grad_(False)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            assert input_gradients(network, images.clone()) == pytest.approx(expected, abs=1e-6)
            assert not torch.is_grad_enabled()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert input_gradients(network, images) == pytest.approx(expected, abs=1e-6)
    assert not images.requires_grad


class Detached(nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3)).detach()


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(1, 2))

    def forward(self, x):
        return self.logits.expand(len(x), 2)


@pytest.mark.parametrize(
    ("network", "changes", "sentence"),
    [
        (None, {"images": torch.zeros(0, 2, 2, 2)}, "isn't empty"),
        (None, {"images": torch.zeros(1, 2, 2, 2, dtype=torch.uint8)}, "uint8"),
        (None, {"classes": torch.tensor([2])}, "no class 2.*0 to 1"),
        (None, {"classes": torch.tensor([0, 1])}, "one for each of the 1 images"),
        (None, {"chunk": 0}, "chunk size is 0"),
        (nn.Flatten(0), {}, r"\(1, classes\)"),
        (Detached(), {}, "can't be differentiated"),
        (Constant(), {}, "don't depend on the images"),
    ],
)
def test_bad_input_for_gradients_is_told(network, changes, sentence):
    arguments = {"images": torch.randn(1, 2, 2, 2)} | changes
    with pytest.raises(BadInput, match=sentence):
        input_gradients(network or linear_network(), **arguments)
