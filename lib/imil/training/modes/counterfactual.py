"""`counterfactual`: what misled the model is found in all images, taken off, and added as a decoy to any."""

import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import entr
from torch import Tensor, nn

from imil.errors import BadInput
from imil.findingwords import percent
from imil.grid import Grid
from imil.settings import RunSettings
from imil.training.draws import Draws
from imil.training.insight import Insight
from imil.training.modes.base import FeedbackMode, FeedbackView, register_mode
from imil.training.modes.cutouts import Cutout, cut_out
from imil.training.modes.decoys import add, lay, make_decoys
from imil.training.modes.extent import things, whole
from imil.training.modes.finder import find, refine, surest_parts, train_finder
from imil.training.modes.layers import layers
from imil.training.modes.renormalising import renormalise
from imil.training.modes.swapping import (
    MARGIN,
    MEASURED,
    TRIES,
    as_pixels,
    blended,
    least_overlapping,
    margins,
    widened,
    with_soft_rim,
)
from imil.training.requirements import without_misleading

THRESHOLD = 0.5
"""How sure the finder must be of a place."""
IN_PLACE = 0.5
"""How often a decoy is pasted where it was cut out, rather than anywhere."""
LEAST_TOLD = 0.05
"""Bits that a find must tell about the class. A thing in 65 % of one class and 35 % of the other tells 0.07."""
MIN_DONORS = 10
"""With fewer images in which nothing was found, all of them are donors."""
TAKEN_OFF = "It looks alike in the images: what it adds to each is taken off, and what shows through it stays."
SWAPPED = (
    "It can't be taken off without a trace: its place is swapped for that of another image, with what is under it."
)
"""What a reader is told about how finds leave an image."""
OTHER_CELLS = 0.2
"""Share of the fed-back images' unmarked cells that are cut out to teach the finder that seams mean nothing."""


@register_mode("counterfactual")
class Counterfactual(FeedbackMode):
    """Every image is trained on as it might have been without what misled the model, or with it, whatever its class.

    1. A finder learns from the cells that readers called misleading, and finds the like in all training images.
    2. At each draw, what was found is taken off the image: what it adds is known from finds that are alike. Where they
       aren't, the place is replaced by that of an image in which nothing was found.
    3. In the latter case images without a find lose the place of another image's find, so that the edit itself tells
       nothing (sham edits).
    4. With probability ``decoys``, what misled is then added to the image, at its own place or anywhere; the label
       stays.
    5. After the last epoch, statistics of batch normalisation are estimated anew on the un-edited images.

    It's IMIL's own. It needs no registered images, and no reader's word on images that nobody looked at.
    """

    learns = True
    rewinds = True

    def __init__(self, view: FeedbackView, settings: RunSettings, insight: Insight | None = None) -> None:
        super().__init__(view, settings, insight)
        assert insight is not None  # it learns
        self._finds = insight.finds
        self._found = np.flatnonzero(insight.found & view.kept)
        without = without_finds(view, insight.finds)
        self._layers = layers(view, insight.finds, without, settings.seed)
        if self._layers:
            self._decoys = list(self._layers.values())
        else:
            self._things = things(view, insight.finds, without, settings.seed)
            self._donors = _Donors(view, insight.finds)
            self._decoys = make_decoys(view, self._things, settings.seed)

    @classmethod
    def learn(cls, view: FeedbackView, network: nn.Module, settings: RunSettings, seed: int) -> dict[str, Any]:
        """The finds in all training images; see `FeedbackMode.learn`."""
        started = time.monotonic()
        marked = [index for index, case in view.cases.items() if case.misleading]
        missing = without_misleading(view.cases.values())
        if missing is not None:
            raise BadInput(missing)
        misleading = [_cell_cutout(view, index, view.masks(index)[1]) for index in marked]
        finder = train_finder(
            network, view, [one for one in misleading if one], _other_cutouts(view, np.random.default_rng(seed)), seed
        )
        sureness = find(finder, view)
        finds = surest_parts(sureness > THRESHOLD, sureness)
        finds = refine(finder, view, whole(view, finds, without_finds(view, finds), seed), seed)
        finds = _with_readers_word(view, finds)
        _check_finds(view, finds)
        places = finds.astype(np.uint8)
        return {
            "finds": places,
            "scores": sureness.max(axis=(1, 2)),
            "find_influence": find_influence(view, network, finds, seed),
            "notes": (TAKEN_OFF if layers(view, places, without_finds(view, finds), settings.seed) else SWAPPED,),
            "seconds": time.monotonic() - started,
        }

    def edit(self, draws: Draws, random: np.random.Generator) -> Draws:
        """The batch with what was found taken off or swapped out, sham edits, and decoys."""
        if self._layers:
            for place, index in enumerate(draws.index.tolist()):
                if index in self._layers:
                    lay(draws.images[place, 0], self._layers[index], -1.0)
        elif len(self._found):
            shams = self._found[random.integers(0, len(self._found), len(draws.index))]
            own = self._finds[draws.index].any(axis=(1, 2))
            whose = np.where(own, draws.index, shams)
            donors = self._donors.draw(self._finds[whose], self.view.labels[draws.index], random)
            draws.images = _swapped(self.view, draws.images, self._things[whose], donors)
        draws.images = add(draws.images, self._decoys, self.settings.decoys, random, share_in_place=IN_PLACE)
        return draws

    def finish(self, network: nn.Module, images: Iterable[Tensor]) -> None:
        """Estimate the statistics of batch normalisation anew, see `renormalise`."""
        renormalise(network, images)


def find_influence(
    view: FeedbackView, network: nn.Module, finds: npt.NDArray[np.bool_], seed: int
) -> npt.NDArray[np.float32]:
    """Absolute change of each image's log-odds of its label when what was found in it is swapped out, float32 (N,)."""
    random = np.random.default_rng(seed)
    influence = np.zeros(len(view), np.float32)
    pools = _Donors(view, finds.astype(np.uint8))
    with_finds = np.flatnonzero(finds.any(axis=(1, 2)))
    for start in range(0, len(with_finds), MEASURED):
        indices = with_finds[start : start + MEASURED]
        images, labels = view.images(indices), view.labels[indices]
        places = finds[indices].astype(np.uint8)
        without = _swapped(view, images, places, pools.draw(places, labels, random))
        change = margins(network, view, without, labels) - margins(network, view, images, labels)
        influence[indices] = change.abs().numpy()
    return influence


def without_finds(view: FeedbackView, finds: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """int64: the images in which nothing was found, if there are `MIN_DONORS`; otherwise all that aren't excluded."""
    without = np.flatnonzero(~finds.any(axis=(1, 2)) & view.kept)
    return without if len(without) >= MIN_DONORS else np.flatnonzero(view.kept)


def _swapped(view: FeedbackView, images: Tensor, places: npt.NDArray[np.uint8], donors: Tensor) -> Tensor:
    """The images with the found places, widened, of the donors."""
    return blended(images, donors, with_soft_rim(_pixels_of(view, places)))


def _pixels_of(view: FeedbackView, places: npt.NDArray[np.uint8]) -> Tensor:
    """Found places (B, F, F) as widened masks (B, 1, S, S) of 0 and 1."""
    return widened(as_pixels(view, places), round(MARGIN * view.image_size))


class _Donors:
    """Where swapped places come from.

    An image of the same class is the best donor: what it puts in says nothing new about the class. Where the thing lies
    at one place in all of them, an image in which nothing was found takes its part.
    """

    def __init__(self, view: FeedbackView, finds: npt.NDArray[np.uint8]) -> None:
        self._view, self._finds = view, finds
        kept = np.flatnonzero(view.kept)
        self._without = without_finds(view, finds)
        self._of_class = {int(label): kept[view.labels[kept] == label] for label in np.unique(view.labels[kept])}

    def draw(self, places: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], random: np.random.Generator) -> Tensor:
        """A donor for each image, float32 (B, 1, S, S), with nothing found in or beside the places (B, F, F), if that
        can be had.
        """
        numbers = random.random((2, len(places), TRIES))
        same = np.empty((len(places), TRIES), np.int64)
        for label in np.unique(labels):
            rows, pool = labels == label, self._of_class.get(int(label), self._without)
            same[rows] = pool[(numbers[0, rows] * len(pool)).astype(np.int64)]
        other = self._without[(numbers[1] * len(self._without)).astype(np.int64)]
        return self._view.images(least_overlapping(places, self._finds, np.concatenate([same, other], 1)))


def _cell_cutout(view: FeedbackView, index: int, places: npt.NDArray[np.bool_]) -> Cutout | None:
    image = view.images(np.array([index]))[0]
    return cut_out(image, torch.from_numpy(places[None]).to(view.device, torch.float32))


def _other_cutouts(view: FeedbackView, random: np.random.Generator) -> list[Cutout]:
    """Random cells of the fed-back images that readers called neither relevant nor misleading."""
    cutouts = []
    for index in view.fed_back.tolist():
        case = view.cases[index]
        named = {*case.cells, *case.misleading}
        others = [cell for cell in range(case.grid_size**2) if cell not in named]
        taken = [cell for cell, number in zip(others, random.random(len(others)), strict=True) if number < OTHER_CELLS]
        if taken:
            grid = Grid.square(case.grid_size, (view.image_size, view.image_size))
            cutouts.append(_cell_cutout(view, index, grid.mask(taken) == 1))
    return [one for one in cutouts if one is not None]


def _with_readers_word(view: FeedbackView, finds: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """In fed-back images the reader's word counts: what she marked, as finely as the finder sees it there; elsewhere
    what was found, but not in cells that matter.
    """
    side = finds.shape[-1]
    for index in view.fed_back.tolist():
        relevant, misleading = view.masks(index, side)
        inside = finds[index] & misleading
        finds[index] = (inside if inside.any() else misleading) | (finds[index] & ~relevant)
    return finds


def _check_finds(view: FeedbackView, finds: npt.NDArray[np.bool_]) -> None:
    found = finds.any(axis=(1, 2))
    asked = np.isin(np.arange(len(view)), view.fed_back)
    if not found[~asked & view.kept].any():
        raise BadInput(
            "What was marked as misleading was found in none of the other images; mark it in more images, ask for more "
            "cases, or go on with another feedback mode."
        )
    present = np.unique(view.labels[view.kept])
    shares = np.array([found[(view.labels == label) & view.kept].mean() for label in present])
    if told_by(shares) < LEAST_TOLD:
        where = ", ".join(
            f"{percent(share)} of {view.classes[label]!r}" for label, share in zip(present, shares, strict=True)
        )
        raise BadInput(
            f"What was marked as misleading was found too evenly in the classes ({where}) to be what tells them apart; "
            "mark only the cells that hold it, ask for more cases, or go on with another feedback mode."
        )


def told_by(shares: npt.NDArray[np.float64]) -> float:
    """Bits that a find tells about the class: their mutual information, with all classes equally frequent.

    Args:
        shares: (C,) in [0, 1], of each class's images with a find.
    """
    either = np.append(shares, shares.mean())
    bits = (entr(either) + entr(1 - either)) / np.log(2)
    return float(bits[-1] - bits[:-1].mean())
