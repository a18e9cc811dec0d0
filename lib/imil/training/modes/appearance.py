"""What a found thing looks like without what lies around it, and pasting that into images.

A cut-out of a find holds more than the thing: the lung behind it, and disease if there is any. Pasted into an image of
another class, that disease would be wrong there. Over many finds, the thing is what they have in common: the difference
between images with it and images without it at the same place, averaged over finds that look alike.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from imil.training.modes.base import FeedbackView

WINDOW = 22 / 64
"""Side of the window around a find, as a share of the image's side."""
SEARCH = 2 / 64
"""How far a window is moved to make it fit the others, as a share of the image's side."""
ROUNDS = 5
"""How often windows are fitted to their mean."""
ALIKE = 16
"""Finds that are averaged for one appearance."""
BACKGROUNDS = 48
"""Images without a find that a find's surroundings are estimated from."""
TYPICAL = 0.6
"""Share of the windows that appearances are made of."""
EXTENT = 0.3
"""Share of the largest mean difference from images without a find that still belongs to the thing."""
EXTENSIONS = 2
"""How often finds are extended; the second time from the middle of what the first has made of them."""
MOST = 256
"""Most finds that are looked at."""
KEPT = 64
"""Most appearances that are kept."""


@dataclass(frozen=True)
class Appearance:
    """What a thing adds to an image.

    Attributes:
        added: float32 (w, w), what it adds to pixels in [0, 1]; fades out towards the edges.
        top, left: where it was found.
    """

    added: Tensor
    top: int
    left: int


def appearances(
    view: FeedbackView, finds: npt.NDArray[np.uint8], without: npt.NDArray[np.int64], seed: int
) -> list[Appearance]:
    """Appearances of what was found in the training images; fewer than `ALIKE` finds give none.

    Args:
        view: the training data.
        finds: uint8 (N, F, F), where something was found.
        without: images in which nothing was found.
        seed: which finds are looked at, and which images beside them.
    """
    random = np.random.default_rng(seed)
    found = random.permutation(np.flatnonzero(finds.any(axis=(1, 2)) & view.kept))[:MOST]
    if len(found) < ALIKE:
        return []
    windows = _Windows(view, finds, found, without, random)
    added = windows.fitted()
    weights = _fading(added.shape[-1], view.device)
    typical = _typical(added * weights)
    added = added[typical]
    alike = _most_alike(added * weights)
    chosen = random.permutation(len(typical))[:KEPT].tolist()
    return [
        Appearance(added[alike[one]].mean(0) * weights.sqrt(), *windows.corner(int(typical[one]))) for one in chosen
    ]


def whole(
    view: FeedbackView, finds: npt.NDArray[np.bool_], without: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.bool_]:
    """The finds (N, F, F), each extended to all of the thing.

    A finder may be content with the part of a thing that's easiest to see. What finds have in common around that part
    shows the rest of it: the places of the mean window, about its middle, where the mean of the differences from images
    without a find is at least `EXTENT` of its largest. With fewer than `ALIKE` finds, they stay as they are.
    """
    extended = finds.copy()
    side, places = view.image_size, finds.shape[-1]
    for _ in range(EXTENSIONS):
        found = np.flatnonzero(extended.any(axis=(1, 2)) & view.kept)
        if len(found) < ALIKE:
            return extended
        windows = _Windows(view, extended.astype(np.uint8), found, without, np.random.default_rng(seed))
        shape = _extent(windows.fitted().mean(0))
        for number, index in enumerate(found.tolist()):
            rows, cols = np.nonzero(shape) + np.array(windows.corner(number))[:, None]
            inside = (rows >= 0) & (rows < side) & (cols >= 0) & (cols < side)
            extended[index, rows[inside] * places // side, cols[inside] * places // side] = True
    return extended


def _extent(mean: Tensor) -> npt.NDArray[np.bool_]:
    """The connected part of a mean window (w, w) that stands out, bool (w, w)."""
    smooth = functional.avg_pool2d(mean[None, None].abs(), 3, 1, 1, count_include_pad=False)[0, 0].cpu().numpy()
    parts, _ = ndimage.label(smooth >= EXTENT * smooth.max())
    extent: npt.NDArray[np.bool_] = parts == parts[np.unravel_index(smooth.argmax(), smooth.shape)]
    return extent


def add(
    images: Tensor, bank: list[Appearance], probability: float, random: np.random.Generator, *, share_in_place: float
) -> Tensor:
    """Add a random appearance to each image with some probability.

    Args:
        images: float32 (B, 1, S, S) in [0, 1]; written to.
        bank: what to add; nothing is done if it's empty.
        probability: for each image.
        random: for everything that is drawn.
        share_in_place: how often it's added where it was found; otherwise its centre lies anywhere in the image.
    """
    # The same number of draws whatever comes of them, so that one image's don't depend on another's.
    numbers: npt.NDArray[np.float64] = random.random((len(images), 5))
    if not bank:
        return images
    side = images.shape[-1]
    for place in np.flatnonzero(numbers[:, 0] < probability).tolist():
        which, where, down, across = numbers[place, 1:].tolist()
        one = bank[int(which * len(bank))]
        top, left, width = one.top, one.left, one.added.shape[0]
        if where >= share_in_place:
            top, left = int(down * side) - width // 2, int(across * side) - width // 2
        rows, cols = (slice(max(0, start), max(0, min(side, start + width))) for start in (top, left))
        part = one.added[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]
        images[place, 0][rows, cols] = (images[place, 0][rows, cols] + part).clamp_(0, 1)
    return images


class _Windows:
    """Windows around finds, less what images without a find show there."""

    def __init__(
        self,
        view: FeedbackView,
        finds: npt.NDArray[np.uint8],
        found: npt.NDArray[np.int64],
        without: npt.NDArray[np.int64],
        random: np.random.Generator,
    ) -> None:
        side = view.image_size
        self._half = max(2, round(WINDOW * side / 2))
        self._reach = max(1, round(SEARCH * side))
        margin = self._half + self._reach
        self._centres = [_centre(finds[index], side) for index in found.tolist()]
        self._shifts = np.zeros((len(found), 2), np.int64)
        backgrounds = _padded(view, random.choice(without, min(BACKGROUNDS, len(without)), replace=False), margin)
        mean = backgrounds.mean(0)
        wide = []
        for image, (row, col) in zip(_padded(view, found, margin), self._centres, strict=True):
            part = (slice(row, row + 2 * margin), slice(col, col + 2 * margin))
            wide.append(image[part] - mean[part])
        self._wide = torch.stack(wide)

    def fitted(self) -> Tensor:
        """The windows (n, w, w), each moved so that it fits the mean of all best."""
        for _ in range(ROUNDS):
            mean = self._narrow().mean(0)
            pattern = (mean - mean.mean()) * _fading(len(mean), mean.device)
            fits = functional.conv2d(self._wide[:, None], pattern[None, None])[:, 0]
            best = fits.flatten(1).argmax(1).cpu().numpy()
            self._shifts = np.stack(np.divmod(best, fits.shape[-1]), 1) - self._reach
        return self._narrow()

    def corner(self, number: int) -> tuple[int, int]:
        """Row and column of a fitted window's first pixel; may lie outside of the image."""
        row, col = np.array(self._centres[number]) + self._shifts[number] - self._half
        return int(row), int(col)

    def _narrow(self) -> Tensor:
        width = 2 * self._half
        starts = (self._shifts + self._reach).tolist()
        return torch.stack(
            [wide[row : row + width, col : col + width] for wide, (row, col) in zip(self._wide, starts, strict=True)]
        )


def _padded(view: FeedbackView, indices: npt.NDArray[np.int64], margin: int) -> Tensor:
    """Images (n, S + 2 margin, S + 2 margin), with their edges carried on."""
    return functional.pad(view.images(indices), (margin,) * 4, mode="replicate")[:, 0]


def _centre(find: npt.NDArray[np.uint8], side: int) -> tuple[int, int]:
    """Row and column of the middle of the largest connected part of a find (F, F), in pixels of the image."""
    parts, count = ndimage.label(find)
    largest = 1 + int(np.argmax(ndimage.sum_labels(find, parts, range(1, count + 1))))
    row, col = ndimage.center_of_mass(parts == largest)
    scale = side / len(find)
    return round((row + 0.5) * scale), round((col + 0.5) * scale)


def _typical(added: Tensor) -> Tensor:
    """The windows (n, w, w) that add about as much as most do, int64 (m,).

    Where disease lies behind the thing, a window adds more than that; such windows would be alike too.
    """
    amounts = added.sum((1, 2))
    order = (amounts - amounts.median()).abs().argsort()
    return order[: max(ALIKE, round(TYPICAL * len(added)))].sort().values


def _most_alike(added: Tensor) -> Tensor:
    """For each window (n, w, w) the `ALIKE` that are most like it, itself among them, int64 (n, ALIKE)."""
    flat = (added - added.mean((1, 2), keepdim=True)).flatten(1)
    flat = flat / flat.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return (flat @ flat.T).topk(ALIKE, dim=1).indices


def _fading(width: int, device: torch.device) -> Tensor:
    """Weights (width, width) in [0, 1], 1 in the middle, 0 just outside of the edges (Hann)."""
    line = torch.hann_window(width + 2, periodic=False, device=device)[1:-1]
    return line[:, None] * line[None]
