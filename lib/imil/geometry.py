"""Where a 2D image lies in space, as its file says, so that what is made from it can be laid over it."""

from dataclasses import dataclass

from imil.errors import BadInput

MAX_PIXELS = 100_000_000
"""Larger images are refused before their pixels are read: they're damaged, an attack, or not radiographs."""


@dataclass(frozen=True)
class Geometry:
    """Spacing, origin and direction in the form that SimpleITK gives them: by file axis, x first, in mm, LPS.

    A single-slice 3D file has three axes; ``flat_axis`` is the one (0 = x, 1 = y, 2 = z) whose size is 1 and that the
    2D image leaves out.
    """

    spacing: tuple[float, ...] = (1.0, 1.0)
    origin: tuple[float, ...] = (0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 1.0)
    flat_axis: int | None = None

    @property
    def ndim(self) -> int:
        """2 or 3: the number of axes of the file."""
        return len(self.spacing)


def check_size(name: str, rows: int, cols: int) -> None:
    """Refuse an image that is empty or too large.

    Raises:
        BadInput: naming the size and the limit.
    """
    if min(rows, cols) < 1:
        raise BadInput(f"{name} is {rows} x {cols} pixels; an image needs at least one.")
    if rows * cols > MAX_PIXELS:
        raise BadInput(f"{name} is {rows} x {cols} pixels; at most {MAX_PIXELS // 1_000_000} million are allowed.")


def flat_axis(name: str, size: tuple[int, ...]) -> int | None:
    """The axis that a single-slice file of ``size`` (by file axis) leaves out as a 2D image; None if it has two.

    Where several axes have size 1, the last of them is the slice axis.

    Raises:
        BadInput: naming the shape, if it's a volume or has a single axis.
    """
    if len(size) == 2:
        return None
    shape = " x ".join(str(length) for length in size)
    if len(size) == 3 and 1 in size:
        return 2 - size[::-1].index(1)
    if len(size) < 2:
        raise BadInput(f"{name} has a single axis ({shape}); a 2D image is needed.")
    raise BadInput(
        f"{name} is a volume of {shape} voxels; slices of volumes aren't supported yet, save the slice as its own file."
    )
