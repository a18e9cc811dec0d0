"""`cam_align`: the heat map is to lie in the selected cells."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from imil.errors import BadInput
from imil.explain.layers import as_maps, prefix_tokens, target_layer
from imil.settings import RunSettings
from imil.training.insight import Insight
from imil.training.modes.base import FeedbackView, register_mode
from imil.training.modes.penalised import PenalisedCells

FLOOR = 0.01
"""Added to a heat map's sum, in units of the logit: the share of next to nothing would have boundless gradients."""


@register_mode("cam_align")
class CamAlign(PenalisedCells):
    """The share of Grad-CAM of the true class that lies in the unselected cells, mean over the images.

    The share is that of the energy-based pointing game (Wang et al. 2020, "Score-CAM", section 4.3), here of the part
    outside and as a penalty. Penalising Grad-CAM in place of the input's gradient is Schramowski et al. 2020's variant
    of "right for the right reasons". With the maps of the target layer weighted and cut at 0 as in Selvaraju et al.
    2017, equations 1 and 2, and U the share of each position's area that is unselected::

        sum of U map / (sum of map + 0.01)

    It's between 0 and 1 at any image size. The map is differentiated whole, with the weights of the maps in it.
    """

    weight = 0.1
    most = 4  # of 32 images in a batch, so that a step costs no more than 1.3 times a plain one

    def __init__(self, view: FeedbackView, settings: RunSettings, insight: Insight | None = None) -> None:
        super().__init__(view, settings, insight)
        self._layer: nn.Module | None = None

    def measure(self, network: nn.Module, images: Tensor, labels: Tensor, penalised: Tensor) -> Tensor:
        """See `PenalisedCells.measure`.

        Raises:
            NotFound: if the setting ``target_layer`` names none.
            BadInput: if the target layer gives no maps.
        """
        if self._layer is None:
            _, self._layer = target_layer(network, self.settings.target_layer, example=images[:1])
        maps = grad_cam(network, images, labels, self._layer)
        unselected = functional.adaptive_avg_pool2d(penalised, (maps.shape[1], maps.shape[2]))[:, 0]
        shares = (unselected * maps).sum((1, 2)) / (maps.sum((1, 2)) + FLOOR)
        return shares.mean()


def grad_cam(network: nn.Module, images: Tensor, classes: Tensor, layer: nn.Module) -> Tensor:
    """Grad-CAM as `imil.explain.gradcam` has it, (B, h, w), but differentiable by the network's weights.

    Raises:
        BadInput: if the layer gives no maps, or the logits don't depend on them.
    """
    outputs: list[Tensor] = []

    def keep(module: nn.Module, _inputs: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor):
            raise BadInput(f"The {type(module).__name__} chosen as target layer gives no tensor; name another layer.")
        outputs.append(output)
        return output.clone()  # what comes next may work in place

    handle = layer.register_forward_hook(keep)
    try:
        logits = network(images)
    finally:
        handle.remove()
    chosen = logits.gather(1, classes[:, None]).sum()
    gradient = torch.autograd.grad(chosen, outputs[-1:], create_graph=True, allow_unused=True)[0] if outputs else None
    if gradient is None:
        raise BadInput(
            f"The logits don't depend on the output of the {type(layer).__name__} chosen as target layer; name another."
        )
    size, prefix = (int(images.shape[-2]), int(images.shape[-1])), prefix_tokens(network)
    weights = as_maps(gradient, size, prefix).mean((2, 3), keepdim=True)
    return (weights * as_maps(outputs[-1], size, prefix)).sum(1).relu()
