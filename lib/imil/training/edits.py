"""Edits: what can be done to one image with the cells that a reader chose in it, and nothing else.

An edit is a MONAI dictionary transform that joins by name::

    @register_edit("dim")
    class Dimd(ImageEdit):
        def change(self, image, grid, cells, misleading, random):
            ...

and is then available as the setting ``feedback=dim``. ``cutout`` and ``unedited`` don't look at the cells: they are
controls, which tell what the cells are worth. Modes that need more than the one image are in `imil.training.modes`.
"""

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import Tensor

from imil.errors import BadInput, NotFound
from imil.grid import Grid
from imil.training.augmentation import CutOut, squares


class ImageEdit(MapTransform):
    """Base of the edits. Changes a copy; the original is never altered.

    The data is a mapping with the image, float (C, H, W), under each of ``keys``, and with ``cells`` and ``misleading``
    (cell numbers) and ``grid_size``. The grid's edges are laid on the image as it is, see `imil.grid`.

    An edit that draws random numbers takes them from the generator under ``random``. Training makes one for each
    batch from the run's seed, so that a resumed run draws the same. Where there is none, a new one is seeded from
    torch's global random numbers, which a `DataLoader` seeds anew for each worker process and each epoch.

    Args:
        keys: where the images are.
        black: the pixel value that stands for black, in the scale of the images.
        allow_missing_keys: skip keys that aren't there.
    """

    deterministic: ClassVar[bool] = False
    """True where `change` draws no random numbers: torch's global ones are then left alone."""

    def __init__(self, keys: KeysCollection = "image", black: float = 0.0, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.black = black

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A shallow copy of ``data`` with changed images.

        Raises:
            BadInput: if a cell doesn't exist, no cell is relevant, or an image isn't (C, H, W).
        """
        changed = dict(data)
        random = data.get("random")
        if random is None:
            random = self._new_generator()
        for key in self.key_iterator(changed):
            image = torch.as_tensor(changed[key])
            if image.ndim != 3:
                raise BadInput(f"The image has shape {tuple(image.shape)}; feedback needs (channels, rows, columns).")
            grid = Grid.square(int(data["grid_size"]), (image.shape[-2], image.shape[-1]))
            cells, misleading = grid.check_cells(data["cells"]), grid.check_cells(data.get("misleading", ()))
            changed[key] = self.change(image, grid, cells, misleading, random)
        return changed

    def _new_generator(self) -> np.random.Generator:
        return np.random.default_rng(0 if self.deterministic else int(torch.randint(2**62, ())))

    @abstractmethod
    def change(
        self,
        image: Tensor,
        grid: Grid,
        cells: tuple[int, ...],
        misleading: tuple[int, ...],
        random: np.random.Generator,
    ) -> Tensor:
        """A changed copy of ``image``, float (C, H, W), of the same shape, dtype and device.

        All that is random comes from ``random``.
        """


IMAGE_EDITS: dict[str, type[ImageEdit]] = {}
"""The edits by name; add to it with `register_edit`."""


def register_edit(name: str) -> Callable[[type[ImageEdit]], type[ImageEdit]]:
    """Class decorator: makes an edit available under ``name``."""

    def add(edit: type[ImageEdit]) -> type[ImageEdit]:
        IMAGE_EDITS[name] = edit
        return edit

    return add


def create_image_edit(name: str, *, black: float = 0.0) -> ImageEdit:
    """The edit of that name.

    Raises:
        NotFound: if there is none of that name.
    """
    if name not in IMAGE_EDITS:
        raise NotFound(f"There is no image edit {name!r}; the edits are {', '.join(sorted(IMAGE_EDITS))}.")
    return IMAGE_EDITS[name](black=black)


@register_edit("blackout")
class Blackoutd(ImageEdit):
    """Keeps the relevant cells and sets everything else to black (Rao et al., section 3.1, callback output).

    Cells marked as misleading count as not selected. An answer without a relevant cell would leave a black image, so it
    is refused.
    """

    deterministic = True

    def change(
        self,
        image: Tensor,
        grid: Grid,
        cells: tuple[int, ...],
        misleading: tuple[int, ...],
        random: np.random.Generator,
    ) -> Tensor:
        if not cells:
            raise BadInput(
                "No relevant cell is selected, so blackout would leave nothing; select one or skip the case."
            )
        keep = torch.from_numpy(grid.mask(cells, misleading) == 1).to(image.device)
        return torch.where(keep, image, torch.full_like(image, self.black))


@register_edit("cutout")
class CutOutd(ImageEdit):
    """Sets a square at a random place to black, another one at each draw; the cells aren't looked at.

    A control for blackout: the same images are changed, but chance says where. The square is that of
    `imil.training.augmentation.CutOut`.
    """

    def change(
        self,
        image: Tensor,
        grid: Grid,
        cells: tuple[int, ...],
        misleading: tuple[int, ...],
        random: np.random.Generator,
    ) -> Tensor:
        rows, cols = image.shape[-2:]
        centre = torch.from_numpy(random.integers(0, (rows, cols))).to(image.device)
        return image.masked_fill(squares(centre[None], CutOut().side(rows, cols), rows, cols), self.black)


@register_edit("unedited")
class Uneditedd(ImageEdit):
    """Leaves the image as it is; the cells aren't looked at. A control, see the setting ``feedback_repeat``."""

    deterministic = True

    def change(
        self,
        image: Tensor,
        grid: Grid,
        cells: tuple[int, ...],
        misleading: tuple[int, ...],
        random: np.random.Generator,
    ) -> Tensor:
        return image.clone()
