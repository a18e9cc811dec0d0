"""How far a found thing reaches, and which pixels are its own: told by what finds have in common."""

from collections.abc import Iterable, Iterator
from itertools import cycle

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
FEWEST, MOST = 16, 256
"""With fewer finds there is no telling what they have in common; more are looked at in groups."""
BACKGROUNDS = 48
"""Images without a find that a find's surroundings are estimated from."""
EXTENT = 0.3
"""Share of the largest mean difference from images without a find that still belongs to the thing."""
EXTENSIONS = 2
"""How often finds are extended; the second time from the middle of what the first has made of them."""
ALIKE = 16
"""Finds like one that say what its thing looks like."""
PART = 0.2
"""Share of the largest mean difference from images without a find that a thing's own pixel has at least."""
TYPICAL = 0.6
"""Share of the finds that add about as much to an image as most do; the others may have disease behind the thing."""
FINEST = 64
"""Places along each side of what `things` gives, at most."""


def whole(
    view: FeedbackView, finds: npt.NDArray[np.bool_], without: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.bool_]:
    """The finds (N, F, F), each extended to all of the thing.

    A finder may be content with the part of a thing that's easiest to see. What finds have in common around that part
    shows the rest of it: the places of the mean window, about its middle, where the mean of the differences from images
    without a find is at least `EXTENT` of its largest. With fewer than `FEWEST` finds, they stay as they are.
    """
    extended = finds.copy()
    side, places = view.image_size, finds.shape[-1]
    for _ in range(EXTENSIONS):
        for windows, found in windows_of(view, extended.astype(np.uint8), without, seed):
            shape = _extent(windows.fitted().mean(0))
            for number, index in enumerate(found.tolist()):
                rows, cols = np.nonzero(shape) + np.array(windows.corner(number))[:, None]
                inside = (rows >= 0) & (rows < side) & (cols >= 0) & (cols < side)
                extended[index, rows[inside] * places // side, cols[inside] * places // side] = True
    return extended


def things(
    view: FeedbackView, finds: npt.NDArray[np.uint8], without: npt.NDArray[np.int64], seed: int
) -> npt.NDArray[np.uint8]:
    """The things' own pixels inside of their finds.

    A find is made of coarse places, and what lies between a thing and the edge of its find may be disease. The mean of
    the `ALIKE` windows that are most like a find's shows the thing alone. With fewer than `FEWEST` finds, and where
    nothing would be left, a find stays as it is; of several connected parts, only the largest becomes finer.

    Args:
        view: the training data.
        finds: uint8 (N, F, F), where something was found.
        without: images in which nothing was found.
        seed: which images are looked at beside the finds.

    Returns:
        uint8 (N, P, P), P being the image's side, but not more than `FINEST`.
    """
    fine = min(FINEST, view.image_size)
    found = np.flatnonzero(finds.any(axis=(1, 2)))
    own = np.zeros((len(view), fine, fine), np.uint8)
    own[found] = _resized(finds[found], fine)
    for windows, group in windows_of(view, finds, without, seed):
        for number, (index, shape) in enumerate(zip(group.tolist(), _shapes(windows.fitted()), strict=True)):
            canvas = np.zeros((view.image_size, view.image_size), np.uint8)
            _lay(canvas, shape, *windows.corner(number))
            main = _resized(largest_part(finds[index])[None].astype(np.uint8), fine)[0]
            seen = _resized(canvas[None], fine)[0] & main
            if seen.any():
                own[index] = (own[index] & ~main) | seen
    return own


def largest_part(find: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """The largest connected part of a find (F, F)."""
    parts, count = ndimage.label(find)
    largest: npt.NDArray[np.bool_] = parts == 1 + int(np.argmax(ndimage.sum_labels(find, parts, range(1, count + 1))))
    return largest


def typical(added: Tensor) -> list[int]:
    """Which of some windows or pictures (n, h, w) add about as much as most do, at least `ALIKE` if there are."""
    amounts = added.sum((1, 2))
    order = (amounts - amounts.median()).abs().argsort()
    return sorted(order[: max(ALIKE, round(TYPICAL * len(added)))].tolist())


def windows_of(
    view: FeedbackView, finds: npt.NDArray[np.uint8], without: npt.NDArray[np.int64], seed: int
) -> Iterator[tuple["Windows", npt.NDArray[np.int64]]]:
    """Windows around all finds, at most `MOST` at a time, and the images that they belong to."""
    random = np.random.default_rng(seed)
    found = random.permutation(np.flatnonzero(finds.any(axis=(1, 2)) & view.kept))
    if len(found) >= FEWEST:
        for group in np.array_split(found, -(-len(found) // MOST)):
            yield Windows(view, finds, group, without, random), group


def _shapes(added: Tensor) -> list[npt.NDArray[np.bool_]]:
    """The thing's own pixels in each of fitted windows (n, w, w), bool (w, w)."""
    weighted = added * fading(added.shape[-1], added.device)
    return [standing_out(weighted[alike].mean(0)) for alike in most_alike(weighted)]


def most_alike(windows: Tensor) -> Tensor:
    """For each of fitted windows (n, w, w) that fade out towards their edges, the `ALIKE` others that are most like it,
    int64 (n, ALIKE).
    """
    # Windows that add much more than most would show what lies behind the thing as well.
    models = torch.tensor(typical(windows), device=windows.device)
    patterns = _patterns(windows)
    likeness = patterns @ patterns[models].T
    likeness[models, torch.arange(len(models), device=windows.device)] = -2  # itself comes last
    return models[likeness.topk(ALIKE, dim=1).indices]


def _patterns(windows: Tensor) -> Tensor:
    """Windows (n, w, w) as rows (n, w * w) of length 1 and mean 0."""
    flat = (windows - windows.mean((1, 2), keepdim=True)).flatten(1)
    return flat / flat.norm(dim=1, keepdim=True).clamp(min=1e-6)


def standing_out(mean: Tensor) -> npt.NDArray[np.bool_]:
    """The connected pixels of a mean window (w, w) that differ most, bool (w, w)."""
    size = mean.abs().cpu().numpy()
    parts, _ = ndimage.label(size >= PART * size.max(), np.ones((3, 3)))
    outstanding: npt.NDArray[np.bool_] = parts == parts[np.unravel_index(size.argmax(), size.shape)]
    return outstanding


def _lay(canvas: npt.NDArray[np.uint8], shape: npt.NDArray[np.bool_], top: int, left: int) -> None:
    """Write a window (w, w) to an image's canvas (S, S), as far as it lies inside."""
    rows, cols = (slice(max(0, start), min(len(canvas), start + len(shape))) for start in (top, left))
    canvas[rows, cols] = shape[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]


def _resized(places: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Masks (n, h, h) as (n, side, side); a place is set if any part of it was."""
    masks = torch.from_numpy(places)[:, None].to(torch.float32)
    if places.shape[-1] > side:
        return functional.adaptive_max_pool2d(masks, side)[:, 0].to(torch.uint8).numpy()
    return functional.interpolate(masks, size=(side, side), mode="nearest")[:, 0].to(torch.uint8).numpy()


def _extent(mean: Tensor) -> npt.NDArray[np.bool_]:
    """The connected part of a mean window (w, w) that stands out, bool (w, w)."""
    smooth = functional.avg_pool2d(mean[None, None].abs(), 3, 1, 1, count_include_pad=False)[0, 0].cpu().numpy()
    parts, _ = ndimage.label(smooth >= EXTENT * smooth.max())
    extent: npt.NDArray[np.bool_] = parts == parts[np.unravel_index(smooth.argmax(), smooth.shape)]
    return extent


class Windows:
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
        self._backgrounds = backgrounds - mean
        self._wide = self._around(image - mean for image in _padded(view, found, margin))

    def fitted(self) -> Tensor:
        """The windows (n, w, w), each moved so that it fits the mean of all best."""
        for _ in range(ROUNDS):
            mean = self._narrow(self._wide).mean(0)
            pattern = (mean - mean.mean()) * fading(len(mean), mean.device)
            fits = functional.conv2d(self._wide[:, None], pattern[None, None])[:, 0]
            best = fits.flatten(1).argmax(1).cpu().numpy()
            self._shifts = np.stack(np.divmod(best, fits.shape[-1]), 1) - self._reach
        return self._narrow(self._wide)

    def elsewhere(self) -> Tensor:
        """As many windows (n, w, w) at the same places of images without a find, also less their mean."""
        return self._narrow(self._around(cycle(self._backgrounds)))

    def corner(self, number: int) -> tuple[int, int]:
        """Row and column of a fitted window's first pixel; may lie outside of the image."""
        row, col = np.array(self._centres[number]) + self._shifts[number] - self._half
        return int(row), int(col)

    def _around(self, images: Iterable[Tensor]) -> Tensor:
        """The places in which windows may be moved, one in each of the padded images (h, w)."""
        width = 2 * (self._half + self._reach)
        return torch.stack(
            [
                image[row : row + width, col : col + width]
                for image, (row, col) in zip(images, self._centres, strict=False)
            ]
        )

    def _narrow(self, windows: Tensor) -> Tensor:
        width = 2 * self._half
        starts = (self._shifts + self._reach).tolist()
        return torch.stack(
            [wide[row : row + width, col : col + width] for wide, (row, col) in zip(windows, starts, strict=True)]
        )


def _padded(view: FeedbackView, indices: npt.NDArray[np.int64], margin: int) -> Tensor:
    """Images (n, S + 2 margin, S + 2 margin), with their edges carried on."""
    return functional.pad(view.images(indices), (margin,) * 4, mode="replicate")[:, 0]


def _centre(find: npt.NDArray[np.uint8], side: int) -> tuple[int, int]:
    """Row and column of the middle of the largest connected part of a find (F, F), in pixels of the image."""
    row, col = ndimage.center_of_mass(largest_part(find))
    scale = side / len(find)
    return round((row + 0.5) * scale), round((col + 0.5) * scale)


def fading(width: int, device: torch.device) -> Tensor:
    """Weights (width, width) in [0, 1], 1 in the middle, 0 just outside of the edges (Hann)."""
    line = torch.hann_window(width + 2, periodic=False, device=device)[1:-1]
    return line[:, None] * line[None]
