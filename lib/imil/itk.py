"""Files that SimpleITK reads and writes: NIfTI, NRRD, MetaImage, compressed DICOM; its errors in one sentence.

Headers are checked before SimpleITK sees a file: a file must hold its own pixels (a header that points to another file
could name any file on this machine, and would hash without its pixels), and its header must be of sensible size.
"""

import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imil import nifti
from imil.errors import BadInput
from imil.geometry import Geometry, check_size, flat_axis

READERS = {"nifti": "NiftiImageIO", "nrrd": "NrrdImageIO", "meta": "MetaImageIO", "dicom": "GDCMImageIO"}
_FORMATS = {"nifti": "NIfTI", "nrrd": "NRRD", "meta": "MetaImage", "dicom": "DICOM"}
_MAX_HEADER = 2**20


def read_header(path: Path, kind: str, name: str) -> tuple[tuple[int, int], Geometry]:
    """(rows, cols) and geometry, without the pixels.

    Raises:
        BadInput: if the header can't be read, or it isn't one 2D grey image.
    """
    reader, shape, geometry = _open(path, kind, name)
    del reader
    return shape, geometry


def read_array(
    path: Path, kind: str, name: str, check: Callable[[tuple[int, int]], None] | None = None
) -> tuple[npt.NDArray[Any], Geometry]:
    """The pixels (rows, cols) in the type the file has them, scaled as its header says, and the geometry.

    ``check`` is called with (rows, cols) before a pixel is read, and may raise.

    Raises:
        BadInput: as `read_header`, and if the pixels are cut off or damaged.
    """
    import SimpleITK

    reader, shape, geometry = _open(path, kind, name)
    if check is not None:
        check(shape)
    if kind == "nifti":
        return nifti.read_pixels(path, name, shape), geometry
    try:
        array: npt.NDArray[Any] = SimpleITK.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise BadInput(f"{name} is truncated or damaged: {_reason(error)}.") from error
    return array.reshape(shape), geometry


def write_array(path: Path, array: npt.NDArray[Any], geometry: Geometry) -> None:
    """Write a 2D array (rows, cols) with the geometry of the image it belongs to, compressed, all or nothing.

    Raises:
        BadInput: if it can't be written.
    """
    import SimpleITK

    if geometry.flat_axis is not None:
        array = np.expand_dims(array, 2 - geometry.flat_axis)
    image = SimpleITK.GetImageFromArray(array, isVector=False)
    temporary = path.with_name(f".{secrets.token_hex(4)}.tmp.{path.name}")
    try:
        image.SetSpacing(geometry.spacing)
        image.SetOrigin(geometry.origin)
        image.SetDirection(geometry.direction)
        SimpleITK.WriteImage(image, str(temporary), useCompression=True, compressionLevel=1)
        temporary.replace(path)
    except RuntimeError as error:
        raise BadInput(f"{path.name} can't be written: {_reason(error)}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _open(path: Path, kind: str, name: str) -> tuple[Any, tuple[int, int], Geometry]:
    """A SimpleITK reader that has read the header, with what is in it."""
    import SimpleITK

    if kind == "nifti":
        nifti.read_header(path, name)
    elif kind == "nrrd":
        _check_nrrd(path, name)
    elif kind == "meta":
        _check_meta(path, name)
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO(READERS[kind])
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise BadInput(f"{name} can't be read as {_FORMATS[kind]}: {_reason(error)}.") from error
    if reader.GetNumberOfComponents() != 1:
        raise BadInput(f"{name} has {reader.GetNumberOfComponents()} values in each pixel; a grey image is needed.")
    size = reader.GetSize()
    used = len(size)
    while used > 3 and size[used - 1] == 1:
        used -= 1
    flat = flat_axis(name, size[:used])
    cols, rows = (length for axis, length in enumerate(size[:used]) if axis != flat)
    check_size(name, rows, cols)
    direction = np.reshape(reader.GetDirection(), (len(size), len(size)))[:used, :used]
    geometry = Geometry(
        reader.GetSpacing()[:used], reader.GetOrigin()[:used], tuple(float(cosine) for cosine in direction.flat), flat
    )
    return reader, (rows, cols), geometry


def _check_nrrd(path: Path, name: str) -> None:
    with path.open("rb") as file:
        head = file.read(_MAX_HEADER)
    lines = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0].decode("latin-1").splitlines()
    for line in lines:
        field, _, value = line.partition(":")
        field, value = field.strip().lower().replace(" ", ""), value.strip()
        if field == "datafile":
            raise BadInput(f"{name} keeps its pixels in another file ({value}); save it as one .nrrd file.")
        if field in ("byteskip", "lineskip") and value != "0":
            raise BadInput(f"{name} asks to skip {value} bytes or lines before its pixels; save it again without.")


def _check_meta(path: Path, name: str) -> None:
    with path.open("rb") as file:
        head = file.read(_MAX_HEADER)
    found = re.search(rb"^\s*ElementDataFile\s*=\s*([^\r\n]*)", head, re.MULTILINE)
    if found is None:
        raise BadInput(f"{name} isn't a MetaImage file, or its header is cut off.")
    if found[1].strip().upper() != b"LOCAL":
        other = found[1].strip().decode("latin-1")
        raise BadInput(f"{name} keeps its pixels in another file ({other}); save it as one .mha file.")


def _reason(error: RuntimeError) -> str:
    """What SimpleITK says, without where in its source and on which object."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1] if lines else "no reason given"
    last = re.sub(r"^(sitk::|ITK )?ERROR: ", "", last)
    last = re.sub(r"^\w+\s?\(0x[0-9a-f]+\): ", "", last)
    last = re.sub(r"(\"|')?/\S+/([^/\s\"']+)(\"|')?", r"\2", last)
    return last.rstrip(".")
