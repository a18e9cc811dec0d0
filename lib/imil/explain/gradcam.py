"""Grad-CAM (Selvaraju et al., "Grad-CAM: Visual explanations from deep networks", ICCV 2017)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from imil.errors import BadInput
from imil.explain.heatmaps import register_method
from imil.explain.layers import as_maps, prefix_tokens


@register_method("gradcam")
class GradCAM:
    """Grad-CAM, equations 1 and 2: the maps of a layer, weighted by their mean gradient, summed, negative part cut.

    With A the K maps of the target layer and y the logit of the class::

        alpha_k = mean over positions (i, j) of  dy / dA_k[i, j]        (1)
        map     = ReLU( sum over k of  alpha_k A_k )                     (2)

    A batch takes one forward and one backward pass: the images don't meet in evaluation mode, so the gradient of the
    sum of their logits holds the gradient of each. Both are cut at the target layer: nothing is recorded before it,
    and the gradient is taken with respect to its output only, so no parameter's ``grad`` changes.
    """

    def __call__(
        self, network: nn.Module, images: Tensor, classes: Tensor | None, layer: nn.Module
    ) -> tuple[Tensor, Tensor]:
        """Raw maps (B, h, w) at the resolution of the layer, at least 0, and the classes (B,) they explain."""
        logits, activation = forward_from_leaf(network, images, layer)
        classes = explained_classes(logits, classes)
        chosen = logits.gather(1, classes[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, activation, allow_unused=True)
        if gradient is None:
            raise BadInput(
                f"The logits don't depend on the output of the {type(layer).__name__} chosen as target layer; name "
                "another layer."
            )
        image_size = (int(images.shape[-2]), int(images.shape[-1]))
        prefix = prefix_tokens(network)
        maps = as_maps(activation.detach(), image_size, prefix)
        weights = as_maps(gradient, image_size, prefix).mean(dim=(2, 3), keepdim=True)
        return (weights * maps).sum(dim=1).relu(), classes


def forward_from_leaf(network: nn.Module, images: Tensor, layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Run the network with the output of `layer` cut off from what made it.

    Returns:
        Logits (B, C), and the layer's output as a leaf tensor that the logits can be differentiated by. If the layer
        runs several times, the last one counts.

    Raises:
        BadInput: the layer gives no tensor or doesn't run, or the logits aren't a finite (B, C) tensor.
    """
    leaves: list[Tensor] = []

    def cut(module: nn.Module, _inputs: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            raise BadInput(
                f"The {type(module).__name__} chosen as target layer gives no tensor but a {type(output).__name__}; "
                "name another layer."
            )
        torch.set_grad_enabled(True)
        leaf = output.detach().requires_grad_()
        leaves.append(leaf)
        # A copy goes on through the network, so that an in-place activation can't overwrite the leaf.
        return leaf.clone()

    with _forward_hook(layer, cut), torch.no_grad():  # no_grad puts the caller's mode back at its end
        logits = network(images)
    if not leaves:
        raise BadInput(
            f"The {type(layer).__name__} chosen as target layer isn't used by the network; name another layer."
        )
    return checked_logits(logits, len(images)), leaves[-1]


def checked_logits(logits: Any, images: int) -> Tensor:
    """The network's output if it's finite and (images, classes).

    Raises:
        BadInput: it isn't.
    """
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != images:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise BadInput(f"The network's output is {shape}; heat maps need logits of shape ({images}, classes).")
    fine = logits.isfinite().all(dim=1)
    if not bool(fine.all()):
        index = int((~fine).nonzero()[0])
        raise BadInput(
            f"The network's output for image {index} of the batch is NaN or infinite; the weights or the image are "
            "too, or training has diverged: try a lower learning rate."
        )
    return logits


def explained_classes(logits: Tensor, classes: Tensor | None) -> Tensor:
    """The classes (B,) to explain; where none are given, the predicted ones.

    Raises:
        BadInput: a class that the network doesn't have.
    """
    if classes is None:
        return logits.detach().argmax(dim=1)
    count = logits.shape[1]
    outside = classes[(classes < 0) | (classes >= count)]
    if len(outside):
        raise BadInput(f"There is no class {int(outside[0])} to explain; the network's classes are 0 to {count - 1}.")
    return classes


class _forward_hook:  # noqa: N801  (used like a function)
    """A forward hook for the length of a ``with`` block, taken off even when the block raises."""

    def __init__(self, module: nn.Module, hook: Callable[[nn.Module, Any, Any], Any]) -> None:
        self._handle = module.register_forward_hook(hook)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._handle.remove()
