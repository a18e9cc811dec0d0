"""DICOM radiographs as a grey image: rescale, value-of-interest (VOI) window or table, MONOCHROME1, compressed pixels.

The grey pipeline is that of DICOM PS3.3: modality transformation (C.11.1), VOI transformation (C.11.2), then the
photometric interpretation (C.7.6.3.1.2).
"""

import functools
import math
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from imil.errors import BadInput
from imil.geometry import Geometry, check_size

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1")
_USED = (
    *("Modality", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "SOPClassUID"),
    *("BitsAllocated", "BitsStored", "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction", "PixelSpacing", "ImagerPixelSpacing"),
    *("ImagePlanePixelSpacing", "NominalScannedPixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"),
)
_PROJECTIONS = ("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1", "12.1", "12.2")
"""Computed and digital radiography, mammography, intra-oral, angiography, fluoroscopy: storage classes whose
PixelSpacing may be a calibration at some depth, so that the spacing at the detector counts."""
_JPEG_FAMILY = "1.2.840.10008.1.2.4."
"""What the transfer syntaxes of JPEG, JPEG-LS, JPEG 2000 and MPEG begin with."""
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_UNDONE = ("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "PhotometricInterpretation")
_WINDOW_TOP = 255.0


def read_size(path: Path, name: str) -> tuple[int, int]:
    """(rows, cols) from the header.

    Raises:
        BadInput: as `read_grey`, apart from what only the pixels show.
    """
    return _check(_load(path, name, pixels=False), name, pixels=False)


def read_grey(path: Path, name: str) -> tuple[npt.NDArray[Any], float | None, float | None, Geometry]:
    """The pixels (rows, cols), bigger = brighter, the values shown as black and white (None: not given), the geometry.

    A VOI window's output runs from 0 to 255 without rounding, a VOI table's over the range its descriptor names. The
    first of several windows or tables is used, a table before a window; a window whose width makes no sense is ignored.

    Raises:
        BadInput: if it can't be read, has no pixels, several frames or colour, or its pixels are damaged.
    """
    dataset = _load(path, name, pixels=True)
    shape = _check(dataset, name, pixels=True)
    stored = _stored_values(dataset, path, name)
    if stored.shape != shape:
        raise BadInput(f"{name} holds pixels of shape {stored.shape}, but its header says {shape[0]} x {shape[1]}.")
    try:
        pixels = _modality(stored, dataset)
        pixels, low, high = _voi(pixels, dataset)
    except Exception as error:  # pydicom raises whatever a damaged table leads it to
        raise BadInput(f"{name} has a rescale, window or lookup table that can't be used: {_brief(error)}.") from error
    if low is None and pixels is stored and pixels.dtype == np.uint8:
        low, high = 0.0, 255.0
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        pixels, low, high = _inverted(pixels, low, high)
    return pixels, low, high, _geometry(dataset)


def read_geometry(path: Path, name: str) -> Geometry:
    """Spacing, position and orientation from the header, the values that SimpleITK (GDCM) has for the file.

    Raises:
        BadInput: if the header can't be read.
    """
    return _geometry(_load(path, name, pixels=False))


def _load(path: Path, name: str, *, pixels: bool) -> "Dataset":
    import pydicom

    _quieten()
    try:
        with path.open("rb") as file:
            preamble = file.read(132)[128:] == b"DICM"
        if preamble:
            syntax = str(pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID", ""))
            if syntax in _DEFLATED:  # pydicom would inflate it to any size
                raise BadInput(f"{name} is stored 'deflated', which isn't supported; save it uncompressed.")
        dataset = pydicom.dcmread(path, force=not preamble, stop_before_pixels=not pixels)
        for keyword in _USED:  # values are converted when first asked for; damaged ones shall be found here
            dataset.get(keyword)
    except (BadInput, MemoryError):
        raise
    except Exception as error:  # pydicom raises whatever a damaged byte leads it to
        raise BadInput(f"{name} is truncated or damaged: {_brief(error)}.") from error
    if not preamble:
        _complete(dataset, name)
    return dataset


@functools.cache
def _quieten() -> None:
    """Silence pydicom on values against the standard: several warnings for each file, which nobody here can mend."""
    warnings.filterwarnings("ignore", module=r"pydicom\.")


def _complete(dataset: "Dataset", name: str) -> None:
    """What a file without preamble and header group leaves to be guessed."""
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if "SOPClassUID" not in dataset:
        raise BadInput(f"{name} isn't a DICOM file, or its header is cut off.")
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit = dataset.is_implicit_VR
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian


def _check(dataset: "Dataset", name: str, *, pixels: bool) -> tuple[int, int]:
    """(rows, cols) of a file that holds one grey image."""
    try:
        rows, cols = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
        frames, samples = int(dataset.get("NumberOfFrames") or 1), int(dataset.get("SamplesPerPixel") or 1)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{name} has a header whose Rows, Columns or NumberOfFrames isn't a number.") from error
    if not rows or not cols or (pixels and not any(keyword in dataset for keyword in _PIXELS)):
        kind = _brief(dataset.get("Modality") or "unknown modality")
        raise BadInput(f"{name} is a DICOM file without pixels ({kind}); leave it out of the study.")
    if frames > 1:
        raise BadInput(
            f"{name} has {frames} frames; only DICOM files with one frame are supported, save it as its own."
        )
    photometric = _brief(dataset.get("PhotometricInterpretation") or "none")
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise BadInput(
            f"{name} is a colour DICOM file (PhotometricInterpretation {photometric}); MONOCHROME1 or MONOCHROME2 is "
            "needed."
        )
    check_size(name, rows, cols)
    return rows, cols


def _stored_values(dataset: "Dataset", path: Path, name: str) -> npt.NDArray[Any]:
    try:
        return np.reshape(dataset.pixel_array, (int(dataset.Rows), int(dataset.Columns)))
    except MemoryError:
        raise
    except Exception as error:  # pydicom raises whatever a damaged byte leads it to
        syntax = str(dataset.file_meta.get("TransferSyntaxUID"))
        if not syntax.startswith(_JPEG_FAMILY):
            raise BadInput(f"{name} is truncated or damaged: {_brief(error)}.") from error
        return _decode_with_gdcm(dataset, name)


def _decode_with_gdcm(dataset: "Dataset", name: str) -> npt.NDArray[Any]:
    """Stored values by SimpleITK's GDCM, which decodes what pydicom has no handler for (JPEG lossless, JPEG-LS, ...).

    GDCM would rescale and invert, so it gets a copy without the attributes that make it.
    """
    from imil import itk

    kept = {keyword: dataset[keyword] for keyword in _UNDONE if keyword in dataset}
    try:
        for keyword in kept:
            del dataset[keyword]
        dataset.PhotometricInterpretation = "MONOCHROME2"
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "image.dcm")
            dataset.save_as(copy, write_like_original=True)
            return itk.read_array(copy, "dicom", name)[0]
    except (ValueError, AttributeError, TypeError) as error:
        syntax = dataset.file_meta.TransferSyntaxUID.name
        raise BadInput(f"{name} has pixels ({syntax}) that can't be decoded: {_brief(error)}.") from error
    finally:
        for element in kept.values():
            dataset.add(element)


def _modality(stored: npt.NDArray[Any], dataset: "Dataset") -> npt.NDArray[Any]:
    if "ModalityLUTSequence" in dataset:
        from pydicom.pixel_data_handlers.util import apply_modality_lut

        return np.asarray(apply_modality_lut(stored, dataset))
    slope = dataset.get("RescaleSlope")
    intercept = dataset.get("RescaleIntercept")
    slope, intercept = float(1 if slope is None else slope), float(0 if intercept is None else intercept)
    if (slope, intercept) == (1, 0):
        return stored
    with np.errstate(over="ignore", invalid="ignore"):
        return (stored * slope + intercept).astype(np.float32)


def _voi(pixels: npt.NDArray[Any], dataset: "Dataset") -> tuple[npt.NDArray[Any], float | None, float | None]:
    if dataset.get("VOILUTSequence"):
        from pydicom.pixel_data_handlers.util import apply_voi

        whole = pixels if pixels.dtype.kind in "iu" else np.rint(pixels).astype(np.int64)
        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        return np.asarray(apply_voi(whole, dataset)), 0.0, float(2**bits - 1)
    center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR")
    if center is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
        return pixels, None, None
    return _windowed(pixels, center, width, function), 0.0, _WINDOW_TOP


def _windowed(pixels: npt.NDArray[Any], center: float, width: float, function: str) -> npt.NDArray[np.float32]:
    """Through a window onto [0, 255]: DICOM PS3.3, C.11.2.1.2.1 (LINEAR), C.11.2.1.3 (SIGMOID and LINEAR_EXACT)."""
    values: npt.NDArray[Any] = pixels.astype(np.float64 if pixels.dtype.itemsize > 2 else np.float32)
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return np.asarray(_WINDOW_TOP / (1 + np.exp(-4 * (values - center) / width)), np.float32)
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    elif function != "LINEAR_EXACT":
        raise ValueError(f"unknown VOILUTFunction {function!r}")
    if width == 0:
        return np.where(values <= center, 0, _WINDOW_TOP).astype(np.float32)
    values -= center - width / 2
    values *= _WINDOW_TOP / width
    return np.clip(values, 0, _WINDOW_TOP, out=values).astype(np.float32, copy=False)


def _inverted(
    pixels: npt.NDArray[Any], low: float | None, high: float | None
) -> tuple[npt.NDArray[Any], float | None, float | None]:
    """MONOCHROME1: the smallest value is white. Mirrored about the middle of the range, so the range stays."""
    bottom, top = (float(pixels.min()), float(pixels.max())) if low is None or high is None else (low, high)
    if pixels.dtype == np.uint8 and bottom + top == 255:
        return 255 - pixels, low, high
    exact = np.float64 if pixels.dtype.kind in "iu" and pixels.dtype.itemsize > 2 else np.float32
    return np.subtract(bottom + top, pixels, dtype=exact).astype(np.float32, copy=False), low, high


def _geometry(dataset: "Dataset") -> Geometry:
    """As GDCM has it: the storage class says which attribute gives the spacing; what makes no sense is ignored."""
    storage = str(dataset.get("SOPClassUID") or "").removeprefix(_STORAGE)
    if storage in _PROJECTIONS:
        sources = ["ImagerPixelSpacing"]
    elif storage == "481.1":
        sources = ["ImagePlanePixelSpacing"]
    else:
        sources = ["PixelSpacing", *(["NominalScannedPixelSpacing"] if storage == "7" else [])]
    spacing = next((found for keyword in sources if (found := _numbers(dataset.get(keyword), 2))), (1.0, 1.0))
    down, across = spacing if min(spacing) > 0 else (1.0, 1.0)
    origin = _numbers(dataset.get("ImagePositionPatient"), 3) or (0.0, 0.0, 0.0)
    cosines = np.array(_numbers(dataset.get("ImageOrientationPatient"), 6) or (1.0, 0, 0, 0, 1, 0)).reshape(2, 3)
    axes = np.stack([*cosines, np.cross(*cosines)], axis=1)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=0.01):
        axes = np.eye(3)
    return Geometry((across, down, 1.0), origin, tuple(float(cosine) for cosine in axes.flat), flat_axis=2)


def _numbers(value: Any, count: int) -> tuple[float, ...]:
    """``count`` finite numbers, or none."""
    try:
        numbers = tuple(float(number) for number in value)
    except (TypeError, ValueError):
        return ()
    return numbers if len(numbers) == count and all(math.isfinite(number) for number in numbers) else ()


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, str | float | int):
        return float(value)
    return float(value[0]) if len(value) else None


def _brief(said: object) -> str:
    """What an error or a header says, fit for a sentence."""
    text = str(said).strip() or type(said).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in text.split("\n")[0])[:200].rstrip(".")
