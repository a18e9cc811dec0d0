"""The finder: learns from a few marked cells what misled the model, and looks for it in all training images."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from imil.errors import BadInput
from imil.explain.layers import as_maps, prefix_tokens
from imil.networks.modes import evaluation_mode
from imil.training.modes.base import FeedbackView
from imil.training.modes.cutouts import Cutout, paste
from imil.training.modes.swapping import as_pixels

STRIDE = 4
"""Image pixels to a place of the map that the finder looks at, along each side."""
HEAD_CHANNELS = 32
STEPS = 150
"""Training steps, each on all fed-back images."""
REFINING_STEPS, REFINING_BATCH = 120, 32
"""Steps of the training on all images, and images in each."""
REFINED = 0.4
"""How sure the finder must be of a place after that; its targets are shares of places, so half is much."""
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-3
PASTED, DECOYED = 0.4, 0.5
"""How often a misleading cut-out, or one that isn't misleading, is pasted into an image of the finder's training."""
_AS_SURE = 0.25
"""Quantile over the images with a find of how sure it is of the surest place."""
_INSIDE, _OUTSIDE = 0.5, 0.02
"""Share of a place that must be covered by a bag, or may be at most, for it to lie inside or outside."""


class Finder(nn.Module):
    """A copy of the model's first layers, with a 1 x 1 convolution that says of each place: does it mislead?

    The model has learnt to see what misleads it, so its own early maps are a good place to start from.

    Args:
        network: the model; it isn't changed.
        image: one normalised image, (1, C, S, S).

    Raises:
        BadInput: if the network has no maps to look at.
    """

    def __init__(self, network: nn.Module, image: Tensor) -> None:
        super().__init__()
        self._network = copy.deepcopy(network).eval()
        self._prefix = prefix_tokens(network)
        self._layer = _fine_layer(self._network, image, self._prefix)
        with torch.no_grad():
            maps = self._maps(image)
        self.head = nn.Sequential(
            nn.Conv2d(maps.shape[1], HEAD_CHANNELS, 3, padding=1), nn.ReLU(), nn.Conv2d(HEAD_CHANNELS, 1, 1)
        ).to(image.device)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 1, F, F) of normalised images (B, C, S, S): one for each place."""
        logits: Tensor = self.head(self._maps(images))
        return logits

    def _maps(self, images: Tensor) -> Tensor:
        layer = dict(self._network.named_modules())[self._layer]
        with _stop_after(layer) as outputs:
            try:
                self._network(images)
            except _ReachedError:
                return as_maps(outputs[0], (images.shape[-2], images.shape[-1]), self._prefix)
        raise BadInput(f"The layer {self._layer!r} of the network wasn't reached.")


class _ReachedError(Exception):
    """The layer that is wanted has run; the rest of the network needn't."""


@contextmanager
def _stop_after(layer: nn.Module) -> Iterator[list[Tensor]]:
    outputs: list[Tensor] = []

    def stop(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        outputs.append(output)
        raise _ReachedError

    handle = layer.register_forward_hook(stop)
    try:
        yield outputs
    finally:
        handle.remove()


def _fine_layer(network: nn.Module, image: Tensor, prefix: int | None) -> str:
    """The last module whose maps have a place for each `STRIDE` pixels, or come nearest to that."""
    size = (int(image.shape[-2]), int(image.shape[-1]))
    found: list[tuple[float, int, str]] = []

    def hook_for(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim in (3, 4):
                try:
                    side = as_maps(output, size, prefix).shape[-1]
                except BadInput:
                    return
                if 1 < side <= size[1] // 2:
                    found.append((abs(np.log2(size[1] / side / STRIDE)), -len(found), name))

        return hook

    handles = [module.register_forward_hook(hook_for(name)) for name, module in network.named_modules() if name]
    try:
        with torch.no_grad():
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise BadInput(
            f"The network {type(network).__name__} has no feature maps in which a misleading place could be found; use "
            "the feedback mode propagate, or another network."
        )
    # Of equally fine maps the last; of a module and its last child, which end together, the outer one.
    return min(found)[2]


def train_finder(
    network: nn.Module, view: FeedbackView, misleading: list[Cutout], others: list[Cutout], seed: int
) -> Finder:
    """A finder, trained on the fed-back images.

    Cells are bags: a cell that a reader called misleading needs one place that looks so, the other cells none (multiple
    instance learning by the maximum, Ilse et al. 2018, section 2). Misleading cut-outs are pasted into the images so
    that place and surroundings don't matter; other cut-outs, so that seams don't.

    Args:
        network: the model that was misled.
        view: the data with the answers.
        misleading: cut-outs of what misled the model.
        others: cut-outs of cells that didn't.
        seed: of everything random in it.
    """
    fed_back = view.fed_back
    images = view.images(fed_back)
    marked = torch.from_numpy(np.stack([view.masks(index)[1] for index in fed_back.tolist()])[:, None])
    marked = marked.to(view.device, torch.float32)
    size = view.cases[int(fed_back[0])].grid_size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        finder = Finder(network, view.normalised(images[:1]))
    generator = torch.Generator().manual_seed(seed % 2**63)
    numbers = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(finder.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    with torch.enable_grad(), torch.inference_mode(False):
        for step in range(STEPS):
            _set_rate(optimizer, step / STEPS)
            shown, _ = paste(images.clone(), others, DECOYED, numbers, share_in_place=0.0)
            shown, pasted = paste(shown, misleading, PASTED, numbers, share_in_place=0.0)
            shown, bags = _varied(shown, torch.cat([marked, pasted], 1), generator)
            loss = _bag_loss(finder(view.normalised(shown)), bags, size)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return finder


def refine(finder: Finder, view: FeedbackView, finds: npt.NDArray[np.bool_], seed: int) -> npt.NDArray[np.bool_]:
    """Train the finder on by its own finds in all images, place by place, and find again; bool (N, F, F).

    Each find is a little wrong in its own way; what the finder learns from all of them is what they have in common
    (self-training). Finds that are lost by it stay.

    Args:
        finder: a trained one; it's changed.
        view: the training data.
        finds: bool (N, F, F), where the thing is in each image, as far as is known.
        seed: of everything random in it.
    """
    generator, numbers = torch.Generator().manual_seed(seed % 2**63), np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(finder.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    kept = np.flatnonzero(view.kept)
    with torch.enable_grad(), torch.inference_mode(False):
        for step in range(REFINING_STEPS):
            _set_rate(optimizer, step / REFINING_STEPS)
            indices = numbers.choice(kept, min(REFINING_BATCH, len(kept)), replace=False)
            images = view.images(indices)
            images, wanted = _varied(images, as_pixels(view, finds[indices].astype(np.uint8)), generator)
            logits = finder(view.normalised(images))
            wanted = functional.adaptive_avg_pool2d(wanted, logits.shape[-1])
            loss = functional.binary_cross_entropy_with_logits(logits, wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    sureness = torch.sigmoid(_logits(finder, view, np.arange(len(view)))).numpy()
    return surest_parts((sureness > REFINED) | finds, sureness)


def surest_parts(finds: npt.NDArray[np.bool_], sureness: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """The finds (N, F, F) without the connected parts that are something else.

    Disease goes with the class too, and the model that the finder comes from has seen that. In each image the part with
    the surest place stays, and so does any other that is as sure as a quarter of the images are of theirs, because the
    thing may be in an image twice.
    """
    found = np.flatnonzero(finds.any(axis=(1, 2)))
    if not len(found):
        return finds
    kept = np.zeros_like(finds)
    surest = np.where(finds, sureness, -np.inf).max(axis=(1, 2))
    enough = np.quantile(surest[found], _AS_SURE)
    for index in found.tolist():
        parts, count = ndimage.label(finds[index], np.ones((3, 3)))
        peaks = ndimage.maximum(sureness[index], parts, np.arange(1, count + 1))
        kept[index] = np.isin(parts, 1 + np.flatnonzero(peaks >= min(enough, surest[index])))
    return kept


def _set_rate(optimizer: torch.optim.Optimizer, done: float) -> None:
    """The full learning rate in the first half, then falling to zero; ``done`` is the share of the steps done."""
    for group in optimizer.param_groups:
        group["lr"] = LEARNING_RATE * min(1.0, 2 * (1 - done))


def find(finder: Finder, view: FeedbackView) -> npt.NDArray[np.float32]:
    """How sure the finder is of each place of each training image, float32 (N, F, F) in [0, 1]; above 0.5, it's there.

    Where 0.5 lies is told by the fed-back images: halfway between the median of the surest places in those with a
    marked cell, inside of it, and of those without. Medians, because a reader may overlook or mistake some.
    """
    logits = _logits(finder, view, np.arange(len(view)))
    surest: dict[bool, list[float]] = {True: [], False: []}
    for index in view.fed_back.tolist():
        misleading = view.masks(index, logits.shape[-1])[1]
        inside = torch.from_numpy(misleading if misleading.any() else ~misleading)
        surest[bool(misleading.any())].append(float(logits[index][inside].max()))
    # Where every image has a marked cell, what lies outside of them tells.
    without = surest[False] or [float(logits[int(i)].median()) for i in view.fed_back]
    threshold = (float(np.median(surest[True])) + float(np.median(without))) / 2
    return torch.sigmoid(logits - threshold).numpy()


def _logits(finder: Finder, view: FeedbackView, indices: npt.NDArray[np.int64], batch_size: int = 128) -> Tensor:
    """The finder's logits (B, F, F) of un-edited images, on the CPU."""
    with torch.inference_mode(), evaluation_mode(finder):
        parts = [
            finder(view.normalised(view.images(indices[start : start + batch_size])))[:, 0].float().cpu()
            for start in range(0, len(indices), batch_size)
        ]
    return torch.cat(parts)


def _bag_loss(logits: Tensor, bags: Tensor, size: int) -> Tensor:
    """Cross entropy: the surest place in each bag should mislead, and the surest in each cell outside of them not.

    Args:
        logits: (B, 1, F, F).
        bags: (B, 2, S, S) in [0, 1], where something misleads: marked by a reader, pasted.
        size: cells along each side of the grid.
    """
    covered = functional.adaptive_avg_pool2d(bags, logits.shape[-1])
    inside = covered > _INSIDE
    surest = logits.expand_as(covered).masked_fill(~inside, -torch.inf).amax((2, 3))
    there = inside.any(3).any(2)
    loss = functional.softplus(-surest[there]).sum() / there.sum().clamp(min=1)
    outside = (covered < _OUTSIDE).all(1, keepdim=True)
    cells = functional.adaptive_max_pool2d(logits.masked_fill(~outside, -1e4), min(size, logits.shape[-1]))
    return loss + functional.softplus(cells).mean()


def _varied(images: Tensor, truth: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images in [0, 1] and their masks, mirrored, turned, zoomed and shifted together; grey values changed a little."""
    count = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    angle, scale = uniform(-0.1, 0.1), uniform(0.9, 1.1)
    mirror = (torch.rand(count, generator=generator) < 0.5).float() * 2 - 1
    across, down = uniform(-0.1, 0.1), uniform(-0.1, 0.1)  # of half the image's side
    rows = [
        torch.stack([angle.cos() * mirror / scale, -angle.sin() / scale, across], 1),
        torch.stack([angle.sin() * mirror / scale, angle.cos() / scale, down], 1),
    ]
    places = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False).to(images.device)
    warped = functional.grid_sample(images, places, padding_mode="border", align_corners=False)
    moved = functional.grid_sample(truth, places, padding_mode="zeros", align_corners=False)
    gain, offset = uniform(0.9, 1.1), 0.02 * torch.randn(count, generator=generator)
    noise = 0.02 * torch.randn(images.shape, generator=generator)
    varied = warped * gain.view(-1, 1, 1, 1).to(images.device) + offset.view(-1, 1, 1, 1).to(images.device)
    return varied + noise.to(images.device), moved
