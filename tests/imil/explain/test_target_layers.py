"""The target layer of every timm family in use, and the layout of its output."""

import pytest
import torch
from torch import nn

from imil.errors import BadInput, NotFound
from imil.explain import heat_maps, target_layer
from imil.explain.gradcam import forward_from_leaf
from imil.explain.layers import as_maps, prefix_tokens
from imil.networks import create_network

slow = pytest.mark.slow

# Name, image size, layer, side of its map. What a map of the last block has: a sixteenth or a thirty-second of the
# image, minus borders in the Inception networks, which don't pad.
FAMILIES = [
    ("imil_small", 96, "features", 6),
    ("resnet18", 96, "layer4", 3),
    pytest.param("densenet121", 96, "features", 3, marks=slow),
    ("efficientnet_b0", 96, "bn2", 3),
    ("mobilenetv2_100", 96, "bn2", 3),
    ("mobilenetv3_small_100", 96, "blocks", 3),
    ("convnext_atto", 96, "stages", 3),
    pytest.param("regnety_002", 96, "s4", 3, marks=slow),
    ("vit_tiny_patch16_224", 96, "blocks.11.norm1", 6),
    ("deit_tiny_distilled_patch16_224", 96, "blocks.11.norm1", 6),
    pytest.param("swin_tiny_patch4_window7_224", 96, "norm", 3, marks=slow),
    pytest.param("swin_tiny_patch4_window7_224", 224, "norm", 7, marks=slow),
    pytest.param("resnext50_32x4d", 96, "layer4", 3, marks=slow),
    pytest.param("seresnet50", 96, "layer4", 3, marks=slow),
    pytest.param("resnetv2_50", 96, "norm", 3, marks=slow),
    pytest.param("inception_v3", 160, "Mixed_7c", 3, marks=slow),
    pytest.param("inception_resnet_v2", 160, "conv2d_7b", 3, marks=slow),
    pytest.param("xception", 96, "act4", 3, marks=slow),
    pytest.param("vgg11", 96, "features.19", 6, marks=slow),
    pytest.param("vgg11_bn", 256, "features.27", 16, marks=slow),
    pytest.param("deit_tiny_patch16_224", 96, "blocks.11.norm1", 6, marks=slow),
    pytest.param("vit_base_patch16_siglip_gap_224", 96, "norm", 6, marks=slow),
    pytest.param("maxvit_tiny_tf_224", 224, "stages", 7, marks=slow),
    pytest.param("pvt_v2_b0", 96, "stages", 3, marks=slow),
    pytest.param("mobilevit_xs", 96, "final_conv", 3, marks=slow),
    pytest.param("cait_xxs24_224", 96, "blocks_token_only.1.norm1", 6, marks=slow),
]


@pytest.mark.parametrize(("name", "size", "layer", "side"), FAMILIES)
def test_layer_is_found_and_gives_maps(name, size, layer, side):
    torch.manual_seed(1)
    network = create_network(name, 2, image_size=size)
    images = torch.randn(2, 1, size, size)
    found, module = target_layer(network, example=images[:1])
    assert found == layer
    network.eval()
    logits, activation = forward_from_leaf(network, images, module)
    maps = as_maps(activation, (size, size), prefix_tokens(network))
    assert maps.shape[-2:] == (side, side)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), activation)
    assert as_maps(gradient, (size, size), prefix_tokens(network)).ne(0).any()
    network.train()
    made = heat_maps(network, images)
    assert made.layer == layer
    assert made.maps.shape == (2, size, size)


def test_without_an_example_the_size_of_the_network_counts():
    assert target_layer(create_network("resnet18", 2))[0] == "layer4"
    assert target_layer(create_network("vit_tiny_patch16_224", 2, image_size=64))[0] == "blocks.11.norm1"
    assert target_layer(create_network("imil_small", 2))[0] == "features"


def test_block_with_one_position_is_passed_over():
    network = create_network("resnet18", 2)
    assert target_layer(network, example=torch.zeros(1, 1, 32, 32))[0] == "layer3"


def test_layer_of_the_users_choice():
    network = create_network("imil_small", 2)
    assert target_layer(network, "features.1.0") == ("features.1.0", network.features[1][0])
    with pytest.raises(NotFound, match=r"no layer 'feature\.1'; among its layers are .*features\.1"):
        target_layer(network, "feature.1")


def test_network_without_maps_is_told():
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(BadInput, match="No layer of this Sequential"):
        target_layer(network, example=torch.zeros(1, 1, 8, 8))


def test_channels_first_and_last():
    first = torch.rand(1, 5, 3, 3)
    assert torch.equal(as_maps(first, (96, 96), None), first)
    assert torch.equal(as_maps(first.permute(0, 2, 3, 1), (96, 96), None), first)
    wide = torch.rand(1, 5, 3, 4)
    assert torch.equal(as_maps(wide, (96, 128), None), wide)
    assert torch.equal(as_maps(wide.permute(0, 2, 3, 1), (96, 128), None), wide)
    assert torch.equal(as_maps(wide, (96, 96), None), wide)


@pytest.mark.parametrize(("prefix", "told"), [(0, None), (0, 0), (1, None), (1, 1), (2, None), (5, 5)])
def test_tokens_without_their_prefix(prefix, told):
    tokens = torch.arange(prefix + 12.0).reshape(1, -1, 1)
    maps = as_maps(tokens, (48, 64), told)  # 3 x 4 patches of 16 pixels, rows first
    assert maps[0, 0].tolist() == (torch.arange(12.0).reshape(3, 4) + prefix).tolist()


def test_output_that_is_no_map_is_told():
    for shape in ((2, 8), (2, 7, 8), (2, 8, 4, 4, 4)):
        with pytest.raises(BadInput, match="neither feature maps nor image tokens"):
            as_maps(torch.zeros(shape), (64, 64), 0)
