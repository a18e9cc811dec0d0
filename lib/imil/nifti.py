"""NIfTI-1 headers and pixels, read here because SimpleITK turns NaN into 0 and fills a cut-off file with zeros.

Geometry is left to SimpleITK (`imil.itk`). Field positions are those of the NIfTI-1 standard's ``nifti1.h``.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from imil.errors import BadInput

_LENGTH = 348
_LENGTH_VERSION_2 = 540
_MAX_OFFSET = 2**20
_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """What is needed to read the pixels."""

    dtype: np.dtype[Any]
    offset: int
    """Bytes before the first pixel."""
    slope: float
    intercept: float


def read_header(path: Path, name: str) -> Header:
    """Check and read the header.

    Raises:
        BadInput: if it's cut off, NIfTI-2, keeps its pixels in another file, or has pixels that aren't plain numbers.
    """
    with _content(path, name) as file:
        head = file.read(_LENGTH)
    lengths = {order: struct.unpack(f"{order}i", head[:4].ljust(4))[0] for order in "<>"}
    order = next((order for order, length in lengths.items() if length == _LENGTH), "")
    if not order or len(head) < _LENGTH:
        version2 = _LENGTH_VERSION_2 in lengths.values()
        found = "is NIfTI-2; save it as NIfTI-1" if version2 else "isn't a NIfTI file, or its header is cut off"
        raise BadInput(f"{name} {found}.")
    if head[344:347] == b"ni1":
        raise BadInput(f"{name} keeps its pixels in another file (.img); save it as one .nii.gz file.")
    (kind,) = struct.unpack(f"{order}h", head[70:72])
    offset, slope, intercept = struct.unpack(f"{order}3f", head[108:120])
    if not 0 <= offset <= _MAX_OFFSET:
        raise BadInput(f"{name} has a header of {offset:.0f} bytes; at most {_MAX_OFFSET} are allowed.")
    if kind not in _TYPES:
        raise BadInput(f"{name} has pixels of the type {kind}, which isn't a plain number; a grey image is needed.")
    if slope == 0 or not math.isfinite(slope) or not math.isfinite(intercept):  # the standard: then there is no scaling
        slope, intercept = 1.0, 0.0
    return Header(np.dtype(order + _TYPES[kind]), max(int(offset), _LENGTH), slope, intercept)


def read_pixels(path: Path, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The pixels in the order of the file (last axis fastest), in the file's type, or scaled as float32.

    Raises:
        BadInput: as `read_header`, and if pixels are missing or damaged.
    """
    header = read_header(path, name)
    count = math.prod(shape)
    with _content(path, name) as file:
        file.read(header.offset)
        data = file.read(count * header.dtype.itemsize)
        file.read(1)  # at the end of a compressed file this checks its checksum
    if len(data) < count * header.dtype.itemsize:
        raise BadInput(f"{name} is truncated: it holds {len(data) // header.dtype.itemsize} of {count} pixels.")
    stored = np.frombuffer(data, header.dtype).reshape(shape)
    if (header.slope, header.intercept) == (1, 0):
        return stored
    with np.errstate(over="ignore", invalid="ignore"):
        return (stored.astype(np.float64) * header.slope + header.intercept).astype(np.float32)


@contextmanager
def _content(path: Path, name: str) -> Iterator[BinaryIO | gzip.GzipFile]:
    """The file's bytes, unpacked if they're compressed."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            yield gzip.GzipFile(fileobj=file) if zipped else file
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{name} is truncated or damaged: {error}.") from error
