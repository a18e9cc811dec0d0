"""Networks by name, their start weights, and the sentences that name what is wrong."""

import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from imil.errors import BadInput, NotFound
from imil.networks import create_network, network_names, normalisation, register_network
from imil.networks.weights import convert_input_conv


@pytest.fixture(autouse=True)
def _one_thread():
    torch.manual_seed(0)


def test_small_network_has_its_stated_size_and_map():
    network = create_network("imil_small", 3)
    images = torch.rand(2, 1, 96, 96)
    assert network(images).shape == (2, 3)
    assert network.features(images).shape == (2, 128, 6, 6)
    # Convolutions 9 * (1*16 + 16*32 + 32*64 + 64*96 + 96*128), batch normalisation 2 * 336, head 128 * 3 + 3
    assert sum(parameter.numel() for parameter in network.parameters()) == 189_072 + 672 + 387


def test_own_networks_dont_load_timm():
    code = "import sys; from imil.networks import create_network; create_network('imil_small', 2, image_size=32); "
    code += "print('timm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_same_seed_gives_the_same_weights():
    weights = []
    for _ in range(2):
        torch.manual_seed(7)
        weights.append(create_network("imil_small", 2, image_size=32).state_dict())
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_timm_network_takes_grey_images():
    network = create_network("resnet18", 2)
    assert network.conv1.in_channels == 1
    assert network.fc.out_features == 2
    assert network.training


def test_transformer_is_built_for_the_image_size():
    network = create_network("vit_tiny_patch16_224", 2, image_size=96)
    assert network(torch.rand(1, 1, 96, 96)).shape == (1, 2)


def test_renamed_timm_network_still_works():
    assert create_network("xception", 2, image_size=64).get_classifier().out_features == 2


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet5", "resnet50"),
        ("imil_smal", "imil_small"),
        ("resnet18.nope", "resnet18.a1_in1k"),
        ("hf-hub:somebody/resnet18", "resnet18"),
        ("../resnet18", "resnet18"),
        ("", "imil_small"),
    ],
)
def test_unknown_name_is_told_with_near_ones(name, hint):
    with pytest.raises(NotFound, match=f"no network {name!r}.*{hint}"):
        create_network(name, 2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"num_classes": 1}, "can't have 1 classes"),
        ({"num_classes": 2, "in_chans": 0}, "0 input channels"),
        ({"num_classes": 2, "pretrained": "timm"}, "IMIL's own"),
        ({"num_classes": 2, "pretrained": "absent.safetensors"}, "no weights file 'absent.safetensors'"),
    ],
)
def test_bad_arguments_are_told(arguments, sentence):
    with pytest.raises(BadInput, match=sentence):
        create_network("imil_small", **arguments)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnet18.a1_in1k", "inception_v3"])
def test_size_that_the_network_cant_take_is_told(name):
    size = {"resnet18.a1_in1k": 0}.get(name, 8)
    with pytest.raises(BadInput, match=f"{size} x {size} pixels"):
        create_network(name, 2, image_size=size)


def test_download_without_a_connection_fails_soon_and_clearly(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "https://localhost:9")  # nothing listens on the discard port
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    create_network("resnet18", 2)  # the import of timm isn't timed
    start = time.perf_counter()
    with pytest.raises(BadInput, match=r"weights of 'resnet18' \(https://localhost:9 can't be reached\)"):
        create_network("resnet18", 2, pretrained="timm")
    assert time.perf_counter() - start < 10
    assert constants.HF_HUB_OFFLINE is False


def test_network_without_weights_at_timm_is_told():
    with pytest.raises(BadInput, match="timm has no weights for 'mixer_s32_224'"):
        create_network("mixer_s32_224", 2, pretrained="timm")


def test_normalisation():
    assert normalisation("imil_small", "") == (0.5, 0.25)
    assert normalisation("resnet50", "") == (0.5, 0.25)
    assert normalisation("resnet50", "weights.pt") == (0.5, 0.25)
    # (0.485 + 0.456 + 0.406) / 3 and (0.229 + 0.224 + 0.225) / 3
    assert normalisation("resnet50", "timm") == pytest.approx((0.449, 0.226))
    with pytest.raises(NotFound, match="resnet50"):
        normalisation("resnet5", "timm")


def test_registered_network_comes_before_timm(monkeypatch):
    monkeypatch.setattr("imil.networks.registry._OWN", {})

    @register_network("resnet18")
    def ours(num_classes, in_chans):
        return nn.Sequential(nn.Flatten(), nn.Linear(in_chans * 16, num_classes))

    assert network_names() == ["resnet18"]
    assert isinstance(create_network("resnet18", 2), nn.Sequential)
    with pytest.raises(ValueError, match="registered already"):
        register_network("resnet18")(lambda num_classes, in_chans: nn.Identity())


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_local_weights_are_loaded(tmp_path, suffix):
    source = create_network("imil_small", 2)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save({"epoch": 3, "network": source.state_dict()}, path)
    else:
        save_file(source.state_dict(), path)
    network = create_network("imil_small", 2, pretrained=str(path))
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in network.state_dict().items())


def test_local_colour_weights_of_another_task_fit(tmp_path):
    source = create_network("imil_small", 10, in_chans=3).eval()
    path = tmp_path / "colour.pt"
    torch.save(nn.DataParallel(source).state_dict(), path)
    network = create_network("imil_small", 2, pretrained=str(path)).eval()
    grey = torch.rand(2, 1, 32, 32)
    assert torch.allclose(network.features(grey), source.features(grey.expand(-1, 3, -1, -1)), atol=1e-5)
    assert network.head.out_features == 2


def test_input_conversion_by_hand():
    weight = torch.tensor([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1)
    assert convert_input_conv(weight, 1).flatten().tolist() == [7]
    assert convert_input_conv(weight, 3) is weight
    # Repeated in turn, times 3/4
    assert convert_input_conv(weight, 4).flatten().tolist() == [0.75, 1.5, 3, 0.75]


def _lacking(state):
    del state["features.2.0.weight"]


def _foreign(state):
    state["features.9.0.weight"] = torch.zeros(1)


def _misshapen(state):
    state["features.2.0.weight"] = torch.zeros(64, 32, 5, 5)


def _broken(state):
    state["features.2.0.weight"][0, 0, 0, 0] = float("nan")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_lacking, "it lacks 'features.2.0.weight'"),
        (_foreign, "it has 'features.9.0.weight'"),
        (_misshapen, r"'features.2.0.weight' has shape \(64, 32, 5, 5\) there and \(64, 32, 3, 3\) here"),
        (_broken, "NaN or infinite values in 'features.2.0.weight'"),
    ],
)
def test_weights_that_dont_fit_are_named(tmp_path, damage, sentence):
    state = create_network("imil_small", 2).state_dict()
    damage(state)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(BadInput, match=sentence):
        create_network("imil_small", 2, pretrained=str(tmp_path / "w.pt"))


class _NotATensor:
    pass


@pytest.mark.parametrize("content", [b"", b"not weights", "pickle", [1, 2], {"epoch": 3}])
def test_files_without_weights_are_told(tmp_path, content):
    path = tmp_path / "w.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(_NotATensor() if content == "pickle" else content, path)
    with pytest.raises(BadInput, match=r"w\.pt"):
        create_network("imil_small", 2, pretrained=str(path))


def test_truncated_safetensors_is_told(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(create_network("imil_small", 2).state_dict(), path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BadInput, match="can't be read"):
        create_network("imil_small", 2, pretrained=str(path))
