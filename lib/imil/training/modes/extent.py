"""How far a found thing reaches: what finds have in common around the part that the finder saw."""

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
"""With fewer finds there is no telling what they have in common; more aren't looked at."""
BACKGROUNDS = 48
"""Images without a find that a find's surroundings are estimated from."""
EXTENT = 0.3
"""Share of the largest mean difference from images without a find that still belongs to the thing."""
EXTENSIONS = 2
"""How often finds are extended; the second time from the middle of what the first has made of them."""


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
        found = np.flatnonzero(extended.any(axis=(1, 2)) & view.kept)
        if len(found) < FEWEST:
            return extended
        windows = Windows(view, extended.astype(np.uint8), found, without, np.random.default_rng(seed))
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
        wide = []
        for image, (row, col) in zip(_padded(view, found, margin), self._centres, strict=True):
            part = (slice(row, row + 2 * margin), slice(col, col + 2 * margin))
            wide.append(image[part] - mean[part])
        self._wide = torch.stack(wide)

    def fitted(self) -> Tensor:
        """The windows (n, w, w), each moved so that it fits the mean of all best."""
        for _ in range(ROUNDS):
            mean = self._narrow().mean(0)
            pattern = (mean - mean.mean()) * fading(len(mean), mean.device)
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


def fading(width: int, device: torch.device) -> Tensor:
    """Weights (width, width) in [0, 1], 1 in the middle, 0 just outside of the edges (Hann)."""
    line = torch.hann_window(width + 2, periodic=False, device=device)[1:-1]
    return line[:, None] * line[None]
