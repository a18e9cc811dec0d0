"""Start weights: from a local file into a network, and timm's downloads without long waits."""

import contextlib
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from imil.errors import BadInput

logger = logging.getLogger(__name__)

_NESTED = ("state_dict", "model_state_dict", "model", "network", "weights")
_REACH_SECONDS = 5.0


def load_local(network: nn.Module, path: Path, *, network_name: str) -> None:
    """Load the weights in a local file into `network`, in place.

    The file holds a dictionary of tensors, by itself or under one of the usual keys (``state_dict``, ``model``, ...).
    A first convolution for another number of channels is converted (`convert_input_conv`); a classifier head with
    another number of classes is left as the network has it, and a log message says so.

    Raises:
        BadInput: the file is missing, unreadable, or holds weights of another network; nothing is changed then.
    """
    weights = read_weights(path)
    wanted = network.state_dict()
    first_conv = _first_conv(network)
    heads = _head_names(network)
    ready: dict[str, Tensor] = {}
    for key, target in wanted.items():
        found = weights.pop(key, None)
        in_head = any(key.startswith(f"{head}.") for head in heads)
        if found is not None and key == first_conv:
            found = convert_input_conv(found, target.shape[1])
        if found is not None and found.shape == target.shape:
            ready[key] = found
        elif in_head:
            logger.info("%s: %s doesn't fit the classes of this study and starts from random values.", path, key)
            ready[key] = target
        elif found is None and key.endswith("num_batches_tracked"):
            ready[key] = target
        elif found is None:
            raise BadInput(_misfit(path, network_name, f"it lacks {key!r}"))
        else:
            shapes = f"{key!r} has shape {tuple(found.shape)} there and {tuple(target.shape)} here"
            raise BadInput(_misfit(path, network_name, shapes))
    extra = sorted(key for key in weights if not any(key.startswith(f"{head}.") for head in heads))
    if extra:
        raise BadInput(_misfit(path, network_name, f"it has {extra[0]!r}, which this network doesn't"))
    broken = [key for key, value in ready.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if broken:
        raise BadInput(f"The weights file {path} holds NaN or infinite values in {broken[0]!r}; use another file.")
    network.load_state_dict(ready)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors in a safetensors or torch file, by name, on the CPU. Only plain tensors are read, never code.

    Raises:
        BadInput: the file is missing, can't be read, or holds no dictionary of tensors.
    """
    if not path.is_file():
        raise BadInput(
            f"There is no weights file {str(path)!r}; pretrained is empty, 'timm', or the path of a .safetensors or "
            "torch file."
        )
    try:
        content = _read(path)
    except Exception as error:  # the two readers raise a dozen kinds of error between them for a damaged file
        raise BadInput(
            f"The weights file {path} can't be read ({type(error).__name__}); allowed are .safetensors files and torch "
            "files that hold tensors only."
        ) from error
    return _tensors(content, path)


def convert_input_conv(weight: Tensor, in_chans: int) -> Tensor:
    """First-convolution weights (out, k, h, w) made to take `in_chans` channels.

    For one channel the kernels are summed: a grey image then gives what the same image repeated in every colour gave.
    For more, the kernels are repeated in turn and scaled by k / in_chans, which keeps the size of the output.
    """
    channels = weight.shape[1] if weight.ndim == 4 else in_chans
    if channels == in_chans:
        return weight
    if in_chans == 1:
        return weight.sum(dim=1, keepdim=True)
    repeats = -(-in_chans // channels)
    return weight.repeat(1, repeats, 1, 1)[:, :in_chans] * (channels / in_chans)


@dataclass(frozen=True)
class Hub:
    """Where timm's weights come from, and whether only the local cache of it is used."""

    address: str
    offline: bool


@contextlib.contextmanager
def hub_offline_when_unreachable() -> Iterator[Hub]:
    """Within it, downloads of the model hub use the local cache alone if the hub can't be reached.

    Without this, the hub's client retries for most of a minute before it says that there is no connection.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    offline = before or not _reachable(constants.ENDPOINT)
    constants.HF_HUB_OFFLINE = offline
    try:
        yield Hub(constants.ENDPOINT, offline)
    finally:
        constants.HF_HUB_OFFLINE = before


def _reachable(url: str) -> bool:
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310  (the hub's own address, not a user's)
    try:
        with urllib.request.urlopen(request, timeout=_REACH_SECONDS):  # noqa: S310
            return True
    except urllib.error.HTTPError:
        return True  # an answer, if not a friendly one
    except OSError:
        return False


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path, device="cpu")
    return torch.load(path, map_location="cpu", weights_only=True)


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    for _ in range(2):
        if not isinstance(content, Mapping):
            break
        inner = next((content[key] for key in _NESTED if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not content:
        raise BadInput(f"The weights file {path} holds no dictionary of tensors; save network.state_dict() in it.")
    tensors = {str(key).removeprefix("module."): value for key, value in content.items() if isinstance(value, Tensor)}
    if len(tensors) != len(content):
        raise BadInput(f"The weights file {path} mixes tensors with other things; save network.state_dict() in it.")
    return tensors


def _first_conv(network: nn.Module) -> str:
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            return f"{name}.weight"
    return ""


def _head_names(network: nn.Module) -> tuple[str, ...]:
    """Dotted names of the classifier head: as timm tells them, else the last linear layer."""
    config = getattr(network, "pretrained_cfg", None)
    named = config.get("classifier") if isinstance(config, Mapping) else None
    if named:
        return (named,) if isinstance(named, str) else tuple(named)
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    return tuple(linear[-1:])


def _misfit(path: Path, network_name: str, reason: str) -> str:
    return f"The weights file {path} doesn't fit the network {network_name!r}: {reason}; use a file saved from it."
