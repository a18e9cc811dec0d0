"""Grad-CAM against numbers worked out by hand, against MONAI's, and the network left as it was found."""

import numpy as np
import pytest
import torch
from torch import nn

from imil.errors import BadInput, NotFound
from imil.explain import METHODS, heat_maps, register_method
from imil.networks import create_network


def tiny_network(inplace: bool = False) -> nn.Sequential:
    """Two 1 x 1 kernels, ReLU, global mean, two classes: A1 = relu(x), A2 = relu(3 - x)."""
    network = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.ReLU(inplace=inplace), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
    )
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
        network[0].bias.copy_(torch.tensor([0.0, 3.0]))
        network[4].weight.copy_(torch.tensor([[2.0, -1.0], [-1.0, 3.0]]))
        network[4].bias.zero_()
    return network


IMAGE = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(
    ("layer", "label", "expected"),
    [
        # A1 = [[1, 2], [3, 4]], A2 = [[2, 1], [0, 0]]. Logit 0 = 2 mean(A1) - mean(A2), so every gradient is
        # 2/4 for A1 and -1/4 for A2, and these are the weights (eq. 1). Map (eq. 2): relu(A1/2 - A2/4) =
        # [[0, 0.75], [1.5, 2]]; from 0..2 to 0..1:
        ("1", 0, [[0, 0.375], [0.75, 1]]),
        # Logit 1: weights -1/4 and 3/4. relu(-A1/4 + 3 A2/4) = relu([[1.25, 0.25], [-0.75, -1]]); over 1.25:
        ("1", 1, [[1, 0.2], [0, 0]]),
        # Ahead of the ReLU A2 = [[2, 1], [0, -1]] and its gradient is -1/4 where the ReLU is open, that is in two of
        # four places: weight -1/8. relu(A1/2 - A2/8) = [[0.25, 0.875], [1.5, 2.125]]; minus 0.25, over 1.875:
        ("0", 0, [[0, 1 / 3], [2 / 3, 1]]),
    ],
)
def test_maps_by_hand(inplace, layer, label, expected):
    made = heat_maps(tiny_network(inplace), IMAGE, torch.tensor([label]), layer=layer)
    assert made.maps[0] == pytest.approx(np.array(expected), abs=1e-6)
    assert made.maps.dtype == np.float32
    assert (made.layer, made.method, made.classes.tolist()) == (layer, "gradcam", [label])


def test_predicted_class_is_the_default():
    # Means: A1 2.5, A2 0.75. Logits 5 - 0.75 = 4.25 and -2.5 + 2.25 = -0.25. For an image of zeros 0 - 3 and 9.
    images = torch.cat([IMAGE, torch.zeros_like(IMAGE)])
    made = heat_maps(tiny_network(), images)
    assert made.classes.tolist() == [0, 1]
    assert made.layer == "1"


def test_constant_map_becomes_zeros():
    # The image of zeros has A1 = 0 and A2 = 3 everywhere: constant maps, positive for class 1 and cut for class 0.
    for label in (0, 1):
        made = heat_maps(tiny_network(), torch.zeros(1, 1, 2, 2), torch.tensor([label]), layer="1")
        assert made.maps.tolist() == [[[0, 0], [0, 0]]]


def test_map_of_one_position_is_constant(small, images):
    assert not heat_maps(small, images, layer="pool").maps.any()


def test_upsampling_is_bilinear_between_pixel_centres():
    network = nn.Sequential(nn.AvgPool2d(2), tiny_network())
    image = IMAGE.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    made = heat_maps(network, image, torch.tensor([0]), layer="1.1")
    # Row 0 of the 2 x 2 map is 0, 0.375. Centres of 4 pixels fall at -0.25, 0.25, 0.75, 1.25 of its positions.
    assert made.maps[0, 0] == pytest.approx([0, 0.25 * 0.375, 0.75 * 0.375, 0.375], abs=1e-6)
    assert made.maps[0, :, 3] == pytest.approx([0.375, 0.53125, 0.84375, 1], abs=1e-6)


@pytest.fixture
def small():
    torch.manual_seed(3)
    return create_network("imil_small", 3)


@pytest.fixture
def images():
    return torch.randn(7, 1, 64, 64, generator=torch.Generator().manual_seed(5))


def test_agrees_with_monai(small, images):
    from monai.visualize import GradCAM

    small.eval()
    for module in small.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # MONAI's backward hooks refuse in-place changes
    labels = torch.arange(7) % 3
    ours = heat_maps(small, images, labels, layer="features.3").maps
    peer = GradCAM(nn_module=small, target_layers="features.3", postprocessing=lambda raw: raw)
    theirs = np.concatenate(
        [peer(images[i : i + 1], class_idx=int(labels[i])).detach().numpy()[:, 0] for i in range(7)]
    )
    low, high = theirs.min(axis=(1, 2), keepdims=True), theirs.max(axis=(1, 2), keepdims=True)
    assert (high > low).any()
    expected = np.where(high > low, (theirs - low) / np.where(high > low, high - low, 1), 0)
    assert ours == pytest.approx(expected, abs=1e-5)


def test_batch_equals_single_images_and_chunks(small, images):
    together = heat_maps(small, images)
    for chunk in (1, 3):
        parts = heat_maps(small, images, chunk=chunk)
        assert parts.maps == pytest.approx(together.maps, abs=1e-5)
        assert parts.classes.tolist() == together.classes.tolist()
    alone = np.concatenate([heat_maps(small, image[None]).maps for image in images])
    assert alone == pytest.approx(together.maps, abs=1e-5)


def test_maps_fill_the_unit_range(small, images):
    maps = heat_maps(small, images).maps
    assert maps.min() == 0
    assert set(maps.max(axis=(1, 2)).tolist()) <= {0.0, 1.0}


def test_one_forward_and_one_backward_for_the_batch(small, images):
    passes = []
    small.head.register_forward_hook(lambda module, inputs, output: passes.append(("forward", len(output))))
    small.pool.register_full_backward_hook(lambda module, into, out: passes.append(("backward", len(out[0]))))
    heat_maps(small, images, layer="features")
    assert passes == [("forward", 7), ("backward", 7)]


def hooks_of(network):
    return [
        (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks), len(m._backward_pre_hooks))
        for m in network.modules()
    ]


def state_of(network):
    modes = [module.training for module in network.modules()]
    flags = [parameter.requires_grad for parameter in network.parameters()]
    grads = [None if p.grad is None else p.grad.clone() for p in network.parameters()]
    values = [value.clone() for value in network.state_dict().values()]
    return modes, flags, hooks_of(network), grads, values


def assert_same_state(before, after):
    assert before[:3] == after[:3]
    assert [grad is None for grad in before[3]] == [grad is None for grad in after[3]]
    pairs = [(a, b) for a, b in zip(before[3] + before[4], after[3] + after[4], strict=True) if a is not None]
    assert all(torch.equal(a, b) for a, b in pairs)


def prepared(network):
    """Mixed modes, some frozen parameters, some gradients, as in the middle of training."""
    network.train()
    network.features[0].eval()
    network.features[1].requires_grad_(False)
    network(torch.randn(4, 1, 64, 64)).sum().backward()
    return network


def test_network_is_left_as_found(small, images):
    before = state_of(prepared(small))
    random = torch.get_rng_state()
    heat_maps(small, images)
    assert_same_state(before, state_of(small))
    assert torch.equal(random, torch.get_rng_state())
    assert torch.is_grad_enabled()


def test_network_is_left_as_found_after_an_error(small, images):
    before = state_of(prepared(small))
    for layer in ("", "features.2"):
        with pytest.raises(RuntimeError, match="channels"):
            heat_maps(small, images.expand(-1, 2, -1, -1), layer=layer)
        assert_same_state(before, state_of(small))
    assert torch.is_grad_enabled()


def test_frozen_network_and_callers_gradient_modes(small, images):
    expected = heat_maps(small, images).maps
    small.requires_grad_(False)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            inside = images.clone()
            assert heat_maps(small, inside).maps == pytest.approx(expected, abs=1e-6)
            assert not torch.is_grad_enabled()


def test_module_used_twice_counts_by_its_last_use():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu, self.head = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.relu(self.relu(self.conv(x)).mean(dim=(2, 3))))

    made = heat_maps(Shared(), torch.randn(2, 1, 8, 8))
    assert made.layer == "conv"
    with pytest.raises(BadInput, match="neither feature maps nor image tokens"):
        heat_maps(Shared(), torch.randn(2, 1, 8, 8), layer="relu")


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"method": "gradcamm"}, NotFound, "no heat-map method 'gradcamm'; the methods are gradcam"),
        ({"layer": "features.7"}, NotFound, "no layer 'features.7'.*features.4"),
        ({"classes": torch.tensor([0, 3])}, BadInput, "no class 3.*0 to 2"),
        ({"classes": torch.tensor([0, -1])}, BadInput, "no class -1"),
        ({"classes": torch.tensor([0])}, BadInput, "one for each of the 2 images"),
        ({"classes": torch.tensor([0.0, 1.0])}, BadInput, "must be integers"),
        ({"images": torch.zeros(1, 64, 64)}, BadInput, r"\(1, 64, 64\)"),
        ({"images": torch.zeros(0, 1, 64, 64)}, BadInput, "isn't empty"),
        ({"images": torch.zeros(2, 1, 64, 64, dtype=torch.uint8)}, BadInput, "uint8"),
        ({"chunk": 0}, BadInput, "chunk size"),
        ({"images": torch.full((2, 1, 64, 64), float("nan"))}, BadInput, "image 0 of the batch is NaN"),
    ],
)
def test_bad_input_is_told(small, changes, error, sentence):
    arguments = {"images": torch.randn(2, 1, 64, 64)} | changes
    with pytest.raises(error, match=sentence):
        heat_maps(small, **arguments)


def test_unused_and_disconnected_layers_are_told():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.unused, self.side, self.head = (
                nn.Conv2d(1, 2, 3),
                nn.Conv2d(1, 2, 3),
                nn.Conv2d(1, 2, 3),
                nn.Linear(2, 2),
            )

        def forward(self, x):
            self.side(x)
            return self.head(self.conv(x).mean(dim=(2, 3)))

    images = torch.randn(1, 1, 8, 8)
    with pytest.raises(BadInput, match="isn't used"):
        heat_maps(Odd(), images, layer="unused")
    with pytest.raises(BadInput, match="don't depend"):
        heat_maps(Odd(), images, layer="side")


def test_non_finite_weights_are_told(small, images):
    with torch.no_grad():
        small.head.weight[0, 0] = float("inf")
    with pytest.raises(BadInput, match="training has diverged"):
        heat_maps(small, images)


def test_another_method_joins_by_a_decorator(monkeypatch, small, images):
    monkeypatch.setattr("imil.explain.heatmaps.METHODS", dict(METHODS))

    @register_method("corner")
    class Corner:
        def __call__(self, network, images, classes, layer):
            maps = torch.zeros(len(images), 2, 2)
            maps[:, 0, 0] = 5
            return maps, torch.zeros(len(images), dtype=torch.int64)

    made = heat_maps(small, images, method="corner")
    assert made.method == "corner"
    assert (made.maps[:, 0, 0] == 1).all()
    with pytest.raises(ValueError, match="registered already"):
        register_method("corner")(METHODS["gradcam"])
