"""A training image on the screen with what was found in it, for a reader to look at and to correct."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .client import Client
from .grid import CellGrid
from .i18n import _
from .images import Picture, read_find, read_picture
from .insightrecords import Find
from .marks import Marks

if TYPE_CHECKING:
    from collections.abc import Hashable


@dataclass(frozen=True)
class LoadedFind:
    """An image with its find, decoded; made in a worker thread.

    Attributes:
        find: the facts; ``picture`` the image; ``grid`` the cells over it.
        mask: bool (rows, cols), where something was found.
        version: changes with ``mask``.
    """

    find: Find
    picture: Picture
    grid: CellGrid
    mask: np.ndarray
    version: Hashable


def load(client: Client, find: Find, grid_size: int, version: Hashable, picture: Picture | None = None) -> LoadedFind:
    """Fetch and decode what isn't here yet.

    Raises:
        ServerError: if a request fails.
        ValueError: if a file can't be read, or the image is smaller than the grid.
    """
    picture = picture or read_picture(client.image(find.id), find.id)
    shape = picture.pixels.shape
    if min(shape) < grid_size:
        raise ValueError(
            _("The image {name} has {rows} x {cols} pixels, too few for a grid of {size} x {size} cells.").format(
                name=find.id, rows=shape[0], cols=shape[1], size=grid_size
            )
        )
    grid = CellGrid.square(grid_size, shape)
    if find.corrected:
        mask = grid.inside(find.cells)
    else:
        mask = read_find(client.find(find.id), shape) if find.found else np.zeros(shape, bool)
    return LoadedFind(find, picture, grid, mask, version)


def rim(mask: np.ndarray) -> np.ndarray:
    """The part of a mask, bool (rows, cols), that is near its border: a hundredth of the image wide."""
    width = max(1, min(mask.shape) // 100)
    padded = np.pad(mask, width)
    rows, cols = mask.shape
    steps = (0, width, 2 * width)
    inside = np.all([padded[down : down + rows, right : right + cols] for down in steps for right in steps], axis=0)
    return mask & ~inside


class OpenFind:
    """What a reader looks at; ``marks`` are the cells in which she says that it is.

    Attributes:
        image: the image's name.
        picture, grid, version: see `LoadedFind`.
        vetoed: nothing is done to what was found.
        marks: the cells that she painted.
        paintable: whether she may paint.
    """

    def __init__(self, loaded: LoadedFind, paintable: bool, marks: Marks | None = None) -> None:
        self.image = loaded.find.id
        self.paintable = paintable
        self.picture, self.grid = loaded.picture, loaded.grid
        self.marks = Marks(loaded.grid.num_cells) if marks is None else marks
        self.take(loaded)

    def take(self, loaded: LoadedFind) -> None:
        """Another find in the same image; what she painted stays."""
        self._mask, self.version, self.vetoed = loaded.mask, loaded.version, loaded.find.vetoed

    @property
    def overlay(self) -> np.ndarray:
        """What is shown over the image: float32 (rows, cols), 1 where something was found; its rim, if vetoed."""
        return (rim(self._mask) if self.vetoed else self._mask).astype(np.float32)

    @property
    def title(self) -> str:
        return self.image

    @property
    def overlay_title(self) -> str:
        """What the node of ``overlay`` is called."""
        return _("IMIL find in {title}").format(title=self.image)

    @property
    def painted(self) -> tuple[int, ...]:
        """The cells that she painted, ascending."""
        return tuple(cell for cell, mark in enumerate(self.marks.values) if mark)
