"""Image files as the server sends them, read from memory; masks as the server takes them.

Array axes are the server's: rows run along the file's second axis, columns along its first. Nothing here needs Slicer.
"""

from __future__ import annotations

import re
import struct
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from . import dicomtags, greys, pngfile
from .dicomtags import Tags
from .i18n import _

MAX_PIXELS = 1 << 28
_READERS = {
    "png": "PNGImageIO",
    "jpg": "JPEGImageIO",
    "dcm": "GDCMImageIO",
    "nrrd": "NrrdImageIO",
    "nii": "NiftiImageIO",
    "nii.gz": "NiftiImageIO",
    "mha": "MetaImageIO",
}
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_RED, _GREEN, _BLUE = 19595, 38470, 7471
"""ITU-R 601-2 luminance, in 65536ths."""
_HEADER = 348
_UINT8, _FLOAT32 = 2, 16


@dataclass(frozen=True)
class Picture:
    """A grey image.

    Attributes:
        pixels: (rows, cols) uint8, int16, uint16, int32 or float32; bigger = brighter.
        ijk_to_ras: float64 (4, 4): from (column, row, 0, 1) to mm, right-anterior-superior.
        low: shown as black; ``high`` as white.
        geometry: what `write_mask` needs; can be kept as JSON.
    """

    pixels: np.ndarray
    ijk_to_ras: np.ndarray
    low: float
    high: float
    geometry: dict[str, Any]


def read_picture(content: bytes, name: str) -> Picture:
    """Read a PNG, JPEG, DICOM, NRRD, NIfTI or MetaImage file.

    Colour PNG and JPEG become luminance (ITU-R 601-2); transparency is ignored. A single-slice 3D file is 2D.

    Args:
        content: the file.
        name: its name, by whose suffix NIfTI and MetaImage are known; also what errors call it.

    Raises:
        ValueError: a sentence, if it's damaged, too large, a volume, or of another format.
    """
    try:
        return _read(content, name)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise ValueError(
            _("The image {name} can't be shown: {reason}.").format(name=name, reason=_reason(error))
        ) from None


def read_heat_map(content: bytes, shape: tuple[int, int]) -> np.ndarray:
    """A heat map float32 (rows, cols) in [0, 1] from a NIfTI-1 file, compressed or not.

    Args:
        content: the file.
        shape: (rows, cols) of its image.

    Raises:
        ValueError: a sentence, if it's damaged, of another size, or has other values.
    """
    try:
        return _heat_map(content, shape)
    except (ValueError, struct.error, zlib.error) as error:
        raise ValueError(_("The heat map can't be shown: {reason}.").format(reason=_reason(error))) from None


def read_find(content: bytes, shape: tuple[int, int]) -> np.ndarray:
    """Where something was found, bool (rows, cols), from a NIfTI-1 file of uint8, compressed or not.

    Args:
        content: the file.
        shape: (rows, cols) of its image.

    Raises:
        ValueError: a sentence, if it's damaged or of another size.
    """
    try:
        return _nifti(content, shape, _UINT8, "u1") > 0
    except (ValueError, struct.error, zlib.error) as error:
        raise ValueError(_("What was found can't be shown: {reason}.").format(reason=_reason(error))) from None


def write_mask(mask: np.ndarray, geometry: dict[str, Any]) -> bytes:
    """A mask uint8 (rows, cols) as a compressed NRRD file in the geometry of its image (`Picture.geometry`).

    Raises:
        ValueError: if the mask hasn't the image's size.
    """
    shape = tuple(geometry["shape"])
    if mask.shape != shape:
        raise ValueError(f"The mask is {mask.shape} pixels, but its image {shape} (rows, columns).")
    spacing, flat = geometry["spacing"], geometry["flat_axis"]
    dimension = len(spacing)
    sizes = [shape[1], shape[0]]
    if flat is not None:
        sizes.insert(flat, 1)
    axes = np.reshape(geometry["direction"], (dimension, dimension)) * spacing
    header = [
        "NRRD0004",
        "type: uint8",
        f"dimension: {dimension}",
        "space: left-posterior-superior" if dimension == 3 else f"space dimension: {dimension}",
        f"sizes: {' '.join(map(str, sizes))}",
        f"space directions: {' '.join(_vector(axes[:, axis]) for axis in range(dimension))}",
        f"kinds: {' '.join(['domain'] * dimension)}",
        "encoding: gzip",
        f"space origin: {_vector(geometry['origin'])}",
        "",
        "",
    ]
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = packer.compress(np.ascontiguousarray(mask, np.uint8).tobytes()) + packer.flush()
    return "\n".join(header).encode("ascii") + packed


# -- pictures ----------------------------------------------------------------------------------------------------------


def _read(content: bytes, name: str) -> Picture:
    kind = _kind(content, name)
    tags, with_alpha = None, False
    if kind == "png":
        content, with_alpha = pngfile.readable(content)
    if kind == "dcm":
        tags = Tags(content)
        content = _without_inversion(content, tags)
    _check_whole(content, kind)
    image, flat = _load(content, kind)
    array = SimpleITK.GetArrayFromImage(image)
    if with_alpha:
        array = pngfile.grey_channel(array)
    elif kind in ("png", "jpg"):
        array = _luminance(array, image.GetNumberOfComponentsPerPixel())
    cols, rows = (length for axis, length in enumerate(image.GetSize()[:3]) if axis != flat)
    pixels = _narrowed(array.reshape(rows, cols))
    pixels, low, high = greys.plain(pixels) if tags is None else greys.of_dicom(pixels, tags)
    geometry = _geometry(image, flat, (rows, cols))
    return Picture(_narrowed(pixels), _ijk_to_ras(geometry), low, high, geometry)


def _kind(content: bytes, name: str) -> str:
    lower = name.lower()
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if content[128:132] == b"DICM" or lower.endswith((".dcm", ".dicom")):
        return "dcm"
    if content.startswith(b"NRRD"):
        return "nrrd"
    for suffix in ("nii.gz", "nii", "mha"):
        if lower.endswith(f".{suffix}"):
            # A .nii file may be compressed all the same; SimpleITK goes by the name.
            return "nii.gz" if suffix == "nii" and content.startswith(b"\x1f\x8b") else suffix
    raise ValueError(_("it is empty") if not content else _("its format is unknown"))


def _check_whole(content: bytes, kind: str) -> None:
    """Refuse headers that point to other files: those would be files of this computer."""
    if kind == "nrrd":
        header = re.split(rb"\r?\n\r?\n", content[: 1 << 20], maxsplit=1)[0]
        if re.search(rb"^\s*data ?file\s*:", header, re.IGNORECASE | re.MULTILINE):
            raise ValueError(_("its pixels are in another file"))
    if kind == "mha":
        found = re.search(rb"^\s*ElementDataFile\s*=\s*([^\r\n]*)", content[: 1 << 20], re.MULTILINE)
        if found is None or found.group(1).strip().upper() != b"LOCAL":
            raise ValueError(_("its pixels are in another file"))


def _load(content: bytes, kind: str) -> tuple[SimpleITK.Image, int | None]:
    """The image, and the axis of a single-slice 3D file that the 2D image leaves out."""
    with tempfile.TemporaryDirectory(prefix="imil-") as folder:
        path = Path(folder, f"image.{kind}")
        path.write_bytes(content)
        reader = SimpleITK.ImageFileReader()
        reader.SetImageIO(_READERS[kind])
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        size, components = reader.GetSize(), reader.GetNumberOfComponents()
        if components != 1 and kind not in ("png", "jpg"):
            raise ValueError(_("it is in colour") if components in (3, 4) else _("it isn't a grey image"))
        count = 1
        for length in size:
            count *= length
        if not 1 <= count * components <= MAX_PIXELS * 4 or count > MAX_PIXELS:
            raise ValueError(
                _("it has {count} pixels; at most {limit} are shown").format(count=count, limit=MAX_PIXELS)
            )
        flat = _flat_axis(size)
        return reader.Execute(), flat


def _flat_axis(size: tuple[int, ...]) -> int | None:
    """None for a 2D file. Where several axes have size 1, the last of them is the slice axis, as on the server."""
    used = len(size)
    while used > 3 and size[used - 1] == 1:
        used -= 1
    if used == 2:
        return None
    if used == 3 and 1 in size[:3]:
        return 2 - size[:3][::-1].index(1)
    shape = " x ".join(str(length) for length in size)
    raise ValueError(_("it is a volume of {shape} voxels, not one slice").format(shape=shape))


def _without_inversion(content: bytes, tags: Tags) -> bytes:
    """A MONOCHROME1 file as MONOCHROME2: SimpleITK would invert the stored values before it rescales them."""
    if tags.text(dicomtags.PHOTOMETRIC) != "MONOCHROME1":
        return content
    start, _end = tags.place(dicomtags.PHOTOMETRIC)
    return content[:start] + b"MONOCHROME2" + content[start + len("MONOCHROME2") :]


def _luminance(array: np.ndarray, components: int) -> np.ndarray:
    """Grey of a PNG or JPEG: the server reduces colour to 8 bit."""
    if components == 1:
        return array
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    red, green, blue = (array[..., channel].astype(np.uint32) for channel in range(3))
    return ((red * _RED + green * _GREEN + blue * _BLUE + (1 << 15)) >> 16).astype(np.uint8)


def _narrowed(pixels: np.ndarray) -> np.ndarray:
    """In one of the types that a `Picture` may have."""
    if pixels.dtype in (np.uint8, np.int16, np.uint16, np.int32, np.float32):
        return np.ascontiguousarray(pixels)
    if pixels.dtype == np.int8:
        return pixels.astype(np.int16)
    return pixels.astype(np.float32)


def _geometry(image: SimpleITK.Image, flat: int | None, shape: tuple[int, int]) -> dict[str, Any]:
    """As the server has it: spacing, origin and direction by file axis, in mm, LPS."""
    dimension = 2 if flat is None else 3
    direction = np.reshape(image.GetDirection(), (image.GetDimension(),) * 2)[:dimension, :dimension]
    return {
        "shape": list(shape),
        "spacing": list(image.GetSpacing()[:dimension]),
        "origin": list(image.GetOrigin()[:dimension]),
        "direction": [float(cosine) for cosine in direction.flat],
        "flat_axis": flat,
    }


def _ijk_to_ras(geometry: dict[str, Any]) -> np.ndarray:
    dimension = len(geometry["spacing"])
    lps = np.eye(4)
    lps[:dimension, :dimension] = np.reshape(geometry["direction"], (dimension, dimension)) * geometry["spacing"]
    lps[:dimension, 3] = geometry["origin"]
    flat = geometry["flat_axis"]
    if flat is not None:
        order = [axis for axis in range(3) if axis != flat] + [flat, 3]
        lps = lps[:, order]
    return _LPS_TO_RAS @ lps


# -- heat maps and masks -----------------------------------------------------------------------------------------------


def _heat_map(content: bytes, shape: tuple[int, int]) -> np.ndarray:
    values = _nifti(content, shape, _FLOAT32, "f4")
    if not (values.min() >= -1e-3 and values.max() <= 1 + 1e-3):  # false for NaN as well
        raise ValueError(_("it has values outside 0 to 1"))
    return np.clip(values, 0, 1, out=values)


def _nifti(content: bytes, shape: tuple[int, int], wanted: int, letters: str) -> np.ndarray:
    """The values (rows, cols) of a NIfTI-1 file of the wanted type; ``letters`` is NumPy's name of it."""
    dtype = np.dtype(letters)
    count = shape[0] * shape[1]
    data = _unpacked(content, _HEADER + (1 << 16) + dtype.itemsize * count)
    if len(data) < _HEADER or data[344:347] != b"n+1":
        raise ValueError(_("it is no NIfTI file"))
    order = "<" if struct.unpack_from("<i", data)[0] == _HEADER else ">"
    dimensions = struct.unpack_from(f"{order}8h", data, 40)
    (kind,) = struct.unpack_from(f"{order}h", data, 70)
    offset = int(struct.unpack_from(f"{order}f", data, 108)[0])
    lengths = [length for length in dimensions[1 : 1 + max(0, min(7, dimensions[0]))] if length != 1]
    if lengths != [length for length in (shape[1], shape[0]) if length != 1]:
        raise ValueError(_("it hasn't the size of its image"))
    if kind != wanted or offset < _HEADER or len(data) < offset + dtype.itemsize * count:
        raise ValueError(_("it is incomplete, or its values are of another type"))
    return np.frombuffer(data, dtype.newbyteorder(order), count, offset).reshape(shape).astype(dtype)


def _unpacked(content: bytes, limit: int) -> bytes:
    if not content.startswith(b"\x1f\x8b"):
        return content
    unpacker = zlib.decompressobj(31)
    data = unpacker.decompress(content, limit)
    if not unpacker.eof:
        raise ValueError(_("it is cut off, or larger than its image"))
    return data


def _vector(numbers: Any) -> str:
    return f"({','.join(repr(float(number)) for number in numbers)})"


def _reason(error: BaseException) -> str:
    """What SimpleITK says, without where in its source and on which object and file."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1] if lines else type(error).__name__
    last = re.sub(r"^(sitk::|ITK )?ERROR: ", "", last)
    last = re.sub(r"^\w+\s?\(0x[0-9a-f]+\): ", "", last)
    last = re.sub(r"\S*[/\\]imil-\w+[/\\]\S*", "the file", last)
    return last.rstrip(".")[:300]
