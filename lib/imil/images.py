"""Medical image files as one 2D grey image, and heat maps and masks written over them.

PNG (8 and 16 bit), JPEG, DICOM, NIfTI, NRRD and MetaImage are told apart by their content first, then by their suffix.
Array axes are those of SimpleITK's ``GetArrayFromImage``: rows run along the file's second axis, columns along its
first. Masks and heat maps use the same indices. A JPEG's EXIF orientation is ignored: pixels stay where the file has
them, as every viewer of masks expects.
"""

import secrets
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from imil.errors import BadInput, TooLarge
from imil.geometry import Geometry as Geometry
from imil.geometry import check_size

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".nii", ".nii.gz", ".nrrd", ".mha")
"""Suffixes of image files, in lower case; DICOM files are known without one."""
MASK_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".png")
"""Suffixes that a mask can be written and read with."""
MAX_MASK_BYTES = 128 * 2**20
_BY_SUFFIX = {".dcm": "dicom", ".dicom": "dicom", ".nii": "nifti", ".nii.gz": "nifti", ".mha": "meta"}
_FLOAT_SAFE = 1e30
"""Ranges beyond this overflow in float32 arithmetic."""


@dataclass(frozen=True)
class Image2D:
    """A grey image.

    ``pixels``: float32 (rows, cols), finite, bigger = brighter; the file's values after its own rescaling and window.
    ``low`` and ``high``: the values shown as black and white: 0 and 255 for 8-bit files and for DICOM with a VOI
    window, the range of the table for DICOM with a VOI table, else the smallest and largest value.
    """

    pixels: npt.NDArray[np.float32]
    low: float
    high: float
    geometry: Geometry

    def as_uint8(self) -> npt.NDArray[np.uint8]:
        """The image as shown: ``low`` or less is 0, ``high`` or more 255; all 0 if the two are equal."""
        return _shown(self.pixels, self.low, self.high)


def read_image(path: Path, name: str = "") -> Image2D:
    """Read an image file.

    Colour PNG and JPEG become luminance (ITU-R 601-2); transparency is ignored. A single-slice 3D file is 2D.

    Args:
        path: The file.
        name: What errors call it; its own name unless given.

    Raises:
        BadInput: if it's missing, empty, truncated, of an unknown format, a volume, too large, or holds NaN or
            infinity; if it's a DICOM file without pixels, with several frames, or in colour.
    """
    name = name or path.name
    kind = _kind(path, name)
    array, low, high, geometry = _decode(path, kind, name)
    pixels, low, high = _as_float(array, low, high, name)
    return Image2D(pixels, low, high, geometry)


def read_square(path: Path, size: int, name: str = "") -> npt.NDArray[np.uint8]:
    """The image as shown (see `Image2D.as_uint8`), squeezed to uint8 (size, size): what a network gets to see.

    The pixel cache holds exactly this.

    Raises:
        BadInput: as `read_image`.
    """
    name = name or path.name
    array, low, high, _ = _decode(path, _kind(path, name), name)
    if array.dtype == np.uint8 and (low, high) == (0, 255):
        return _squeezed(array, size)
    pixels, low, high = _as_float(array, low, high, name)
    return _shown(resize(pixels, size), low, high)


def check_image(path: Path, name: str = "") -> tuple[int, int]:
    """Read an image to the last pixel to see that it can be used; its (rows, cols).

    Raises:
        BadInput: as `read_image`.
    """
    name = name or path.name
    array, low, high, _ = _decode(path, _kind(path, name), name)
    if array.dtype.kind == "f":
        _as_float(array, low, high, name)
    rows, cols = array.shape
    return rows, cols


def read_size(path: Path, name: str = "") -> tuple[int, int]:
    """(rows, cols) from the header, without reading the pixels.

    Raises:
        BadInput: if the header can't be read or isn't that of one 2D grey image.
    """
    name = name or path.name
    kind = _kind(path, name)
    if kind in ("png", "jpeg"):
        with _open_picture(path, name) as picture:
            return picture.height, picture.width
    if kind == "dicom":
        from imil import dicom

        return dicom.read_size(path, name)
    from imil import itk

    return itk.read_header(path, kind, name)[0]


def read_geometry(path: Path, name: str = "") -> Geometry:
    """The geometry of an image file, without reading the pixels where the format allows it.

    Raises:
        BadInput: as `read_size`.
    """
    name = name or path.name
    kind = _kind(path, name)
    if kind in ("png", "jpeg"):
        with _open_picture(path, name) as picture:
            return _picture_geometry(picture)
    if kind == "dicom":
        from imil import dicom

        return dicom.read_geometry(path, name)
    from imil import itk

    return itk.read_header(path, kind, name)[1]


def read_mask(
    path: Path, shape: tuple[int, int], max_bytes: int = MAX_MASK_BYTES, name: str = ""
) -> npt.NDArray[np.uint8]:
    """A label mask uint8 (rows, cols) from NIfTI, NRRD or PNG, with the file's own values.

    The file's size on disk and the size in its header are checked before a pixel is read, so that a huge upload or one
    that unpacks to a huge image costs nothing.

    Args:
        path: The file.
        shape: (rows, cols) of the image it belongs to.
        max_bytes: The largest file that is opened at all.
        name: What errors call it; its own name unless given.

    Raises:
        TooLarge: if the file has more than ``max_bytes``.
        BadInput: if it has another format, another shape, several channels, or values that aren't whole numbers from 0
            to 255.
    """
    name = name or path.name
    kind = _kind(path, name)
    if (length := path.stat().st_size) > max_bytes:
        raise TooLarge(f"The mask {name} has {length} bytes; at most {max_bytes} are allowed.")
    if kind == "png":
        with _open_picture(path, name) as picture:
            _check_shape(name, (picture.height, picture.width), shape)
            if len(picture.getbands()) > 1:
                raise BadInput(f"The mask {name} is a colour PNG ({picture.mode}); save it as grey or palette PNG.")
            values = _loaded(picture, name)
    elif kind in ("nifti", "nrrd"):
        from imil import itk

        values, _ = itk.read_array(path, kind, name, lambda found: _check_shape(name, found, shape))
    else:
        raise BadInput(f"The mask {name} is a {kind} file; NIfTI, NRRD or PNG is needed.")
    return _as_labels(values, name)


def write_float(path: Path, pixels: npt.NDArray[np.float32], like: Path) -> None:
    """Write a heat map (rows, cols) as float32 NIfTI (``.nii.gz`` or ``.nii``) in the geometry of the image ``like``.

    Raises:
        BadInput: if the suffix or the shape doesn't fit, or it can't be written.
    """
    from imil import itk

    if _suffix(path.name) not in (".nii", ".nii.gz"):
        raise BadInput(f"{path.name} isn't a NIfTI file name; it must end in .nii.gz or .nii.")
    _check_shape(path.name, pixels.shape, read_size(like))
    itk.write_array(path, np.asarray(pixels, np.float32), read_geometry(like))


def write_mask(path: Path, mask: npt.NDArray[np.uint8], like: Path) -> None:
    """Write a mask (rows, cols) as NIfTI, NRRD or PNG, by suffix, in the geometry of the image ``like``; PNG has none.

    Raises:
        BadInput: if the suffix or the shape doesn't fit, or it can't be written.
    """
    suffix = _suffix(path.name)
    if suffix not in MASK_SUFFIXES:
        raise BadInput(f"{path.name} can't hold a mask; its name must end in {', '.join(MASK_SUFFIXES)}.")
    _check_shape(path.name, mask.shape, read_size(like))
    mask = np.ascontiguousarray(mask, np.uint8)
    if suffix != ".png":
        from imil import itk

        return itk.write_array(path, mask, read_geometry(like))
    from PIL import Image

    temporary = path.with_name(f".{secrets.token_hex(4)}.tmp.png")
    try:
        Image.fromarray(mask).save(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def resize(pixels: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    """To float32 (size, size): bilinear, antialiased when shrinking; the aspect ratio isn't kept."""
    return _squeezed(np.asarray(pixels, np.float32), size)


def is_image_file(path: Path) -> bool:
    """Whether a file is taken for an image: by its suffix, or as DICOM by its content."""
    if _suffix(path.name) in IMAGE_SUFFIXES:
        return True
    if path.name.upper() == "DICOMDIR":  # the table of contents of a DICOM disk has the same preamble
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _suffix(name: str) -> str:
    lower = name.lower()
    return ".nii.gz" if lower.endswith(".nii.gz") else Path(lower).suffix


def _kind(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError as error:
        raise BadInput(f"{name} can't be opened: {error.strerror}.") from error
    if not head:
        raise BadInput(f"{name} is empty (0 bytes).")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[128:] == b"DICM":
        return "dicom"
    if head.startswith(b"NRRD"):
        return "nrrd"
    suffix = _suffix(path.name)
    if suffix == ".mhd":
        raise BadInput(f"{name} keeps its pixels in another file; save it as one .mha file.")
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if suffix in IMAGE_SUFFIXES:
        raise BadInput(f"{name} is damaged: it doesn't begin as a {suffix} file does.")
    raise BadInput(f"{name} has an unknown format; known are PNG, JPEG, DICOM, NIfTI, NRRD and MetaImage (.mha).")


def _decode(path: Path, kind: str, name: str) -> tuple[npt.NDArray[Any], float | None, float | None, Geometry]:
    """Pixels in their own type, the values shown as black and white where the file fixes them, the geometry."""
    if kind in ("png", "jpeg"):
        with _open_picture(path, name) as picture:
            array = _loaded(_grey(picture, name), name)
            geometry = _picture_geometry(picture)
    elif kind == "dicom":
        from imil import dicom

        return dicom.read_grey(path, name)
    else:
        from imil import itk

        array, geometry = itk.read_array(path, kind, name)
    return (array, 0.0, 255.0, geometry) if array.dtype == np.uint8 else (array, None, None, geometry)


def _open_picture(path: Path, name: str) -> "Picture":
    from PIL import Image

    try:
        picture = Image.open(path, formats=("PNG", "JPEG"))
    except (OSError, ValueError, SyntaxError, struct.error, zlib.error, Image.DecompressionBombError) as error:
        raise _damaged(name, error) from error
    try:
        check_size(name, picture.height, picture.width)
    except BadInput:
        picture.close()
        raise
    return picture


def _grey(picture: "Picture", name: str) -> "Picture":
    """One channel: 8-bit ``L``, or 16-bit as it is."""
    if picture.mode in ("L", "I", "F") or picture.mode.startswith("I;16"):
        return picture
    try:
        return (picture.convert("RGB") if picture.mode in ("P", "PA") else picture).convert("L")
    except (OSError, ValueError, SyntaxError, struct.error, zlib.error) as error:
        raise _damaged(name, error) from error


def _loaded(picture: "Picture", name: str) -> npt.NDArray[Any]:
    try:
        picture.load()
    except (OSError, ValueError, SyntaxError, struct.error, zlib.error) as error:
        raise _damaged(name, error) from error
    return np.asarray(picture)


def _damaged(name: str, error: BaseException) -> BadInput:
    if "cannot identify" in str(error):
        return BadInput(f"{name} is truncated or damaged: its header can't be read.")
    return BadInput(f"{name} is truncated or damaged: {str(error).rstrip('.') or type(error).__name__}.")


def _picture_geometry(picture: "Picture") -> Geometry:
    """As SimpleITK has it: a JPEG's density gives the spacing in mm, a PNG's doesn't."""
    unit = {1: 25.4, 2: 10.0}.get(picture.info.get("jfif_unit", 0))
    across, down = picture.info.get("jfif_density", (0, 0))
    if unit is None or not across or not down:
        return Geometry()
    return Geometry((unit / across, unit / down))


def _as_float(
    array: npt.NDArray[Any], low: float | None, high: float | None, name: str
) -> tuple[npt.NDArray[np.float32], float, float]:
    with np.errstate(over="ignore", invalid="ignore"):
        pixels = np.ascontiguousarray(array, np.float32)
        smallest, largest = float(pixels.min()), float(pixels.max())
    if not np.isfinite([smallest, largest]).all():  # min and max of an array with a NaN are NaN
        count = int(pixels.size - np.isfinite(pixels).sum())
        raise BadInput(f"{name} has {count} of {pixels.size} pixels that are NaN or infinite; replace them.")
    return pixels, smallest if low is None else low, largest if high is None else high


def _shown(pixels: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.uint8]:
    if high <= low:
        return np.zeros(pixels.shape, np.uint8)
    wide = max(-low, high) > _FLOAT_SAFE or high - low < 1 / _FLOAT_SAFE
    values: npt.NDArray[Any] = pixels.astype(np.float64 if wide else np.float32)
    values -= low
    values *= 255 / (high - low)
    np.clip(values, 0, 255, out=values)
    return np.asarray(np.rint(values, out=values), np.uint8)


def _squeezed(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    from PIL import Image

    if array.shape == (size, size):
        return array.copy()
    return np.array(Image.fromarray(array).resize((size, size), Image.Resampling.BILINEAR))


def _check_shape(name: str, found: tuple[int, ...], expected: tuple[int, int]) -> None:
    if tuple(found) != tuple(expected):
        raise BadInput(
            f"{name} is {' x '.join(map(str, found))} pixels, but its image is {expected[0]} x {expected[1]} "
            "(rows x columns)."
        )


def _as_labels(values: npt.NDArray[Any], name: str) -> npt.NDArray[np.uint8]:
    if values.dtype in (np.uint8, np.bool_):
        return values.astype(np.uint8)
    with np.errstate(invalid="ignore"):
        wrong = ~((values >= 0) & (values <= 255) & (values == np.floor(values)))
    if wrong.any():
        raise BadInput(f"The mask {name} holds the value {values[wrong][0]}; whole numbers from 0 to 255 are needed.")
    return values.astype(np.uint8)
