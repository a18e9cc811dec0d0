"""One call for every heat-map method: batches, normalisation, checks, and the network left as it was."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from imil.errors import BadInput, NotFound
from imil.explain.layers import target_layer
from imil.networks.modes import evaluation_mode


class HeatMapMethod(Protocol):
    """A way to make heat maps. The network comes in evaluation mode, on the device of the images."""

    def __call__(
        self, network: nn.Module, images: Tensor, classes: Tensor | None, layer: nn.Module
    ) -> tuple[Tensor, Tensor]:
        """Raw heat maps of a batch.

        Args:
            network: the classifier; it must be left with the parameters, gradients and hooks it came with.
            images: (B, C, H, W), normalised.
            classes: (B,) int64, the class each map explains; None for the predicted one.
            layer: the target layer.

        Returns:
            Maps (B, h, w) of any resolution and scale, bigger where the class is supported more, and the classes (B,).
        """
        ...


_Method = TypeVar("_Method", bound=Callable[[], HeatMapMethod])

METHODS: dict[str, Callable[[], HeatMapMethod]] = {}
"""Heat-map methods by the name that settings and requests use."""


def register_method(name: str) -> Callable[[_Method], _Method]:
    """Decorator that adds a heat-map method: a class without arguments whose instances are `HeatMapMethod`.

    Raises:
        ValueError: another method has the name already.
    """

    def register(method: _Method) -> _Method:
        if name in METHODS and METHODS[name] is not method:
            raise ValueError(f"a heat-map method named {name!r} is registered already")
        METHODS[name] = method
        return method

    return register


@dataclass(frozen=True)
class HeatMaps:
    """Heat maps of a batch.

    Attributes:
        maps: float32 (B, H, W) in [0, 1], at the size of the input; all zeros where a map was constant.
        classes: int64 (B,), the class each map explains.
        method: name of the method.
        layer: dotted name of the target layer.
    """

    maps: NDArray[np.float32]
    classes: NDArray[np.int64]
    method: str
    layer: str


def heat_maps(
    network: nn.Module,
    images: Tensor,
    classes: Tensor | None = None,
    *,
    method: str = "gradcam",
    layer: str = "",
    chunk: int = 64,
) -> HeatMaps:
    """Heat maps of a batch, one for each image.

    Each map is upsampled bilinearly to the input size and then scaled to [0, 1] by ``(x - min) / (max - min)`` over
    the image; a constant map becomes all zeros. The network runs in evaluation mode and is left as it was found: mode
    of every module, ``requires_grad``, ``grad`` and hooks.

    Args:
        network: maps (B, C, H, W) to logits (B, classes).
        images: float (B, C, H, W), normalised as in training, B at least 1, on any device.
        classes: int (B,), which class each map explains; None for the class the network predicts.
        method: a name in `METHODS`.
        layer: dotted name of the target layer; empty: found by `target_layer`.
        chunk: images that go through the network together; it bounds the memory.

    Raises:
        BadInput: images or classes of the wrong shape or range, an output that isn't finite, a layer without maps.
        NotFound: no such method or layer.
    """
    if method not in METHODS:
        raise NotFound(f"There is no heat-map method {method!r}; the methods are {', '.join(sorted(METHODS))}.")
    check_batch(images, classes, chunk)
    device = device_of(network, images)
    size = (int(images.shape[-2]), int(images.shape[-1]))
    explain = METHODS[method]()
    maps: list[Tensor] = []
    explained: list[Tensor] = []
    # Outside of any inference mode or autocast of the caller: gradients are needed, in full precision.
    with torch.inference_mode(False), torch.autocast(device.type, enabled=False), evaluation_mode(network):
        name, module = target_layer(network, layer, example=images[:1].to(device))
        for start, batch, wanted in chunks(images, classes, chunk, device):
            raw, used = explain(network, batch, wanted, module)
            check_finite(raw, start)
            maps.append(to_unit_range(upsample(raw.detach().float(), size)).cpu())
            explained.append(used.cpu())
    return HeatMaps(
        maps=torch.cat(maps).numpy().astype(np.float32, copy=False),
        classes=torch.cat(explained).numpy().astype(np.int64, copy=False),
        method=method,
        layer=name,
    )


def upsample(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps (B, h, w) bilinearly resized to (B, *size); pixel centres are aligned, not corners."""
    return F.interpolate(maps.unsqueeze(1), size=size, mode="bilinear", align_corners=False).squeeze(1)


def to_unit_range(maps: Tensor) -> Tensor:
    """Each map (B, H, W) scaled by ``(x - min) / (max - min)``; a constant map becomes zeros.

    Constant is what differs by rounding errors only, which upsampling makes: a millionth of the largest value.
    """
    low = maps.amin(dim=(1, 2), keepdim=True)
    spread = maps.amax(dim=(1, 2), keepdim=True) - low
    constant = spread <= 1e-6 * maps.abs().amax(dim=(1, 2), keepdim=True)
    return torch.where(constant, torch.zeros_like(maps), (maps - low) / torch.where(constant, 1.0, spread))


def check_batch(images: Tensor, classes: Tensor | None, chunk: int) -> None:
    """Raises BadInput unless these are float images (B, C, H, W), integer classes (B,) and at least one in a chunk."""
    if images.ndim != 4 or 0 in images.shape or not images.is_floating_point():
        raise BadInput(
            f"The images to explain are {images.dtype} of shape {tuple(images.shape)}; they must be a float tensor "
            "(batch, channels, rows, cols) that isn't empty."
        )
    if chunk < 1:
        raise BadInput(f"The chunk size is {chunk}; it must be at least 1.")
    if classes is None:
        return
    if classes.shape != images.shape[:1] or classes.is_floating_point() or classes.is_complex():
        raise BadInput(
            f"The classes to explain are {classes.dtype} of shape {tuple(classes.shape)}; they must be integers, "
            f"one for each of the {len(images)} images."
        )


def chunks(
    images: Tensor, classes: Tensor | None, chunk: int, device: torch.device
) -> Iterator[tuple[int, Tensor, Tensor | None]]:
    """Parts of the batch on the device: where each starts, its images (outside of any inference mode), its classes."""
    for start in range(0, len(images), chunk):
        batch = images[start : start + chunk].to(device)
        wanted = None if classes is None else classes[start : start + chunk].to(device, torch.int64)
        yield start, batch.clone() if batch.is_inference() else batch, wanted


def check_finite(maps: Tensor, start: int) -> None:
    """Raises BadInput if any of the maps (B, h, w), which begin at image `start` of the batch, isn't finite."""
    fine = maps.isfinite().flatten(1).all(dim=1)
    if not bool(fine.all()):
        index = start + int((~fine).nonzero()[0])
        raise BadInput(
            f"The heat map of image {index} of the batch has NaN or infinite values; the weights or the image do too, "
            "or training has diverged: try a lower learning rate."
        )


def device_of(network: nn.Module, images: Tensor) -> torch.device:
    """Where the network is; where the images are if it has no parameters."""
    parameter = next(network.parameters(), None)
    return images.device if parameter is None else parameter.device
