"""Which layer a class-activation map is taken from, and how its output is laid out."""

import difflib
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from imil.errors import BadInput, NotFound
from imil.networks.modes import evaluation_mode

_DEFAULT_SIZE = 224

# Leaves that are no convolutional block themselves: they reduce, weigh or just pass on what another layer made. Names
# are compared because timm has its own variants of many of them (e.g. `AvgPool2dSame`).
_POOLING = ("Pool", "Upsample", "Unfold")
_PASSING = ("Identity", "Dropout", "DropPath", "Softmax", "Flatten", "Pad")

# timm's name for the layers between the feature maps and the classifier (the two "fully connected" ones of VGG).
_BEFORE_LOGITS = "pre_logits"


def target_layer(network: nn.Module, name: str = "", *, example: Tensor | None = None) -> tuple[str, nn.Module]:
    """The layer that class-activation maps are taken from: the last convolutional block.

    Without a name, the network runs once on one small image, and the last module wins whose output is a feature map
    with more than one position that the logits depend on. For a convolutional network that is the block before global
    pooling (ahead of a pooling layer that closes it, as in VGG). For a vision transformer with a class token it is the
    normalisation in the last block: what comes after it reaches the logits only by the class token, so that the patch
    tokens there have no gradient.

    Args:
        network: a classifier; runs in evaluation mode and is left as it was found.
        name: a dotted name as in ``network.named_modules()``; empty: found as described.
        example: a (1, C, H, W) image to try the network with. Which block is last can depend on the size: at 32 x 32
            pixels the last block of a ResNet has a single position. Default: random noise of the size the network was
            built for, else 224 x 224.

    Returns:
        The dotted name and the module.

    Raises:
        NotFound: no module has the name; the sentence gives valid ones.
        BadInput: no module of this network gives feature maps.
    """
    modules = dict(network.named_modules())
    if name:
        if name not in modules:
            raise NotFound(_unknown(name, list(modules)))
        return name, modules[name]
    image = _example(network) if example is None else example
    found = _last_map(network, modules, image)
    if found is None:
        size = "x".join(str(side) for side in image.shape[-2:])
        raise BadInput(
            f"No layer of this {type(network).__name__} gives feature maps of more than one position for {size} "
            "images; name the target layer or use larger images."
        )
    return found, modules[found]


def as_maps(output: Tensor, image_size: tuple[int, int], prefix: int | None) -> Tensor:
    """A layer's output as maps (B, C, h, w).

    Channels-first and channels-last maps are told apart by which two sides have the aspect ratio of the image
    (channels first where both or none do). Tokens (B, N, C) are put on their grid without the `prefix` tokens ahead.

    Raises:
        BadInput: the output is none of these.
    """
    maps = _as_maps(output, image_size, prefix)
    if maps is not None:
        return maps
    if output.ndim == 4:
        return output  # a network may well shrink rows and cols differently
    raise BadInput(
        f"The target layer's output has shape {tuple(output.shape)}, which is neither feature maps nor image tokens; "
        "name another layer."
    )


def prefix_tokens(network: nn.Module) -> int | None:
    """Number of class and register tokens before the image tokens; None if the network doesn't tell."""
    count = getattr(network, "num_prefix_tokens", None)
    return count if isinstance(count, int) else None


@dataclass
class _Call:
    name: str
    output: Tensor
    order: int


def _last_map(network: nn.Module, modules: dict[str, nn.Module], image: Tensor) -> str | None:
    with evaluation_mode(network), torch.inference_mode(False), torch.enable_grad():
        calls, logits = _record(network, modules, image)
        return _last_with_gradient(calls, logits, modules, image, prefix_tokens(network))


def _record(network: nn.Module, modules: dict[str, nn.Module], image: Tensor) -> tuple[list[_Call], Any]:
    """The last output of each module, in the order in which they finished."""
    calls: dict[str, _Call] = {}
    pooled: set[int] = set()  # ids of tensors that a pooling layer or the like made; `calls` keeps them alive
    kept: list[Tensor] = []
    handles: list[RemovableHandle] = []
    seen: set[int] = set()

    def hook_for(name: str) -> Any:
        def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                calls.pop(name, None)
                return
            kept.append(output)
            first = id(output) not in seen
            seen.add(id(output))
            if _is_leaf_of(module, _POOLING) and first:
                pooled.add(id(output))
            if _is_leaf_of(module, _POOLING + _PASSING) or _BEFORE_LOGITS in name.split("."):
                calls.pop(name, None)
            else:
                calls[name] = _Call(name, output, len(kept))

        return hook

    try:
        handles.extend(module.register_forward_hook(hook_for(name)) for name, module in modules.items() if name)
        # The image needs a gradient, or nothing has one in a network whose parameters are frozen.
        logits = network(image.detach().clone().requires_grad_())
    finally:
        for handle in handles:
            handle.remove()
    ordered = sorted(calls.values(), key=lambda call: call.order)
    return [call for call in ordered if id(call.output) not in pooled], logits


def _last_with_gradient(
    calls: list[_Call], logits: Any, modules: dict[str, nn.Module], image: Tensor, prefix: int | None
) -> str | None:
    size = (int(image.shape[-2]), int(image.shape[-1]))
    last: str | None = None
    for call in reversed(calls):
        if not _may_be_target(modules[call.name], call.output):
            continue
        maps = _as_maps(call.output, size, prefix)
        if maps is None or maps.shape[-2] * maps.shape[-1] < 2:
            continue
        module = modules[call.name]
        if maps.shape[1] not in getattr(module, "normalized_shape", maps.shape[1:2]):
            continue  # it normalises something else than channels: the queries or keys of one head
        last = last or call.name
        if not isinstance(logits, Tensor) or not logits.requires_grad or not call.output.requires_grad:
            return call.name
        (gradient,) = torch.autograd.grad(logits.sum(), call.output, retain_graph=True, allow_unused=True)
        if gradient is None:
            continue
        at_positions = _as_maps(gradient, size, prefix)
        if at_positions is not None and bool(at_positions.ne(0).any()):
            return call.name
    return last


def _is_leaf_of(module: nn.Module, kinds: tuple[str, ...]) -> bool:
    return not any(True for _ in module.children()) and any(kind in type(module).__name__ for kind in kinds)


def _may_be_target(module: nn.Module, output: Tensor) -> bool:
    if not output.is_floating_point() or len(output) != 1:
        return False
    # Of the leaves that make tokens only normalisations count: a linear layer there is a part of the attention.
    leaf = not any(True for _ in module.children())
    return output.ndim == 4 or not leaf or "Norm" in type(module).__name__


def _as_maps(output: Tensor, image_size: tuple[int, int], prefix: int | None) -> Tensor | None:
    """As `as_maps`, but None for an output that hasn't the aspect ratio of the image in any layout."""
    if output.ndim == 4:
        first = _aspect_error(output.shape[2], output.shape[3], image_size)
        last = _aspect_error(output.shape[1], output.shape[2], image_size)
        if min(first, last) >= 1:
            return None
        return output if first <= last else output.permute(0, 3, 1, 2)
    if output.ndim == 3:
        return _tokens_as_maps(output, image_size, prefix)
    return None


def _tokens_as_maps(tokens: Tensor, image_size: tuple[int, int], prefix: int | None) -> Tensor | None:
    for skip in (0, 1, 2) if prefix is None else (prefix, 0):
        grid = _token_grid(tokens.shape[1] - skip, image_size)
        if grid is not None:
            return tokens[:, skip:].transpose(1, 2).reshape(len(tokens), tokens.shape[2], *grid)
    return None


def _token_grid(count: int, image_size: tuple[int, int]) -> tuple[int, int] | None:
    """Rows and cols with rows * cols == count in the image's aspect ratio, as exactly as whole numbers allow."""
    if count < 1:
        return None
    rows = round(math.sqrt(count * image_size[0] / image_size[1]))
    if rows < 1 or count % rows:
        return None
    return rows, count // rows


def _aspect_error(rows: int, cols: int, image_size: tuple[int, int]) -> float:
    """How far rows : cols is from the aspect ratio of the image, in positions; rounding makes less than one."""
    return abs(rows * image_size[1] - cols * image_size[0]) / max(image_size)


def _example(network: nn.Module) -> Tensor:
    """Noise of the size the network was built for."""
    parameter = next(network.parameters(), None)
    conv = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    channels = 1 if conv is None else conv.in_channels
    rows = cols = _DEFAULT_SIZE
    built_for = getattr(getattr(network, "patch_embed", None), "img_size", None)
    config = getattr(network, "pretrained_cfg", None)
    if built_for:
        rows, cols = built_for
    elif isinstance(config, dict) and config.get("input_size"):
        rows, cols = config["input_size"][-2:]
    generator = torch.Generator().manual_seed(0)  # its own generator: the caller's random numbers stay as they were
    noise = torch.randn((1, channels, rows, cols), generator=generator)
    return noise if parameter is None else noise.to(parameter.device, parameter.dtype)


def _unknown(name: str, names: list[str]) -> str:
    valid = [entry for entry in names if entry]
    near = difflib.get_close_matches(name, valid, n=4, cutoff=0.5) or valid[-4:]
    return f"The network has no layer {name!r}; among its layers are {', '.join(near)}."
