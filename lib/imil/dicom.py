"""DICOM radiographs as a grey image: rescale, value-of-interest (VOI) window or table, MONOCHROME1, compressed pixels.

The grey pipeline is that of DICOM PS3.3: modality transformation (C.11.1), VOI transformation (C.11.2), then the
photometric interpretation (C.7.6.3.1.2).
"""

import tempfile
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
_UNDONE = ("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "PhotometricInterpretation")
_WINDOW_TOP = 255.0


def read_size(path: Path, name: str) -> tuple[int, int]:
    """(rows, cols) from the header.

    Raises:
        BadInput: as `read_grey`, apart from what only the pixels show.
    """
    return _check(_load(path, name, pixels=False), name, pixels=False)


def read_grey(path: Path, name: str) -> tuple[npt.NDArray[Any], float | None, float | None]:
    """The pixels (rows, cols), bigger = brighter, with the values shown as black and white; None where none are given.

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
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, NotImplementedError) as error:
        raise BadInput(f"{name} has a rescale, window or lookup table that can't be used: {error}.") from error
    if low is None and pixels is stored and pixels.dtype == np.uint8:
        low, high = 0.0, 255.0
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        pixels, low, high = _inverted(pixels, low, high)
    return pixels, low, high


def header_geometry(path: Path, name: str) -> Geometry:
    """Spacing, position and orientation by pydicom, for a file whose geometry SimpleITK can't read.

    Raises:
        BadInput: if the header can't be read.
    """
    dataset = _load(path, name, pixels=False)
    try:
        down, across = (
            float(value) for value in dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing") or (1, 1)
        )
        origin = tuple(float(value) for value in dataset.get("ImagePositionPatient") or (0, 0, 0))
        cosines = [float(value) for value in dataset.get("ImageOrientationPatient") or (1, 0, 0, 0, 1, 0)]
        along_row, along_col = np.array(cosines[:3]), np.array(cosines[3:6])
        columns = np.stack([along_row, along_col, np.cross(along_row, along_col)], axis=1)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{name} has a spacing, position or orientation that isn't made of numbers.") from error
    direction = tuple(float(cosine) for cosine in columns.flat)
    return Geometry((across, down, 1.0), origin, direction, flat_axis=2)


def _load(path: Path, name: str, *, pixels: bool) -> "Dataset":
    import pydicom

    try:
        with path.open("rb") as file:
            preamble = file.read(132)[128:] == b"DICM"
        if preamble:
            syntax = str(pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID", ""))
            if syntax in _DEFLATED:  # pydicom would inflate it to any size
                raise BadInput(f"{name} is stored 'deflated', which isn't supported; save it uncompressed.")
        dataset = pydicom.dcmread(path, force=not preamble, stop_before_pixels=not pixels)
    except (BadInput, MemoryError):
        raise
    except Exception as error:  # pydicom raises whatever a damaged byte leads it to
        raise BadInput(f"{name} is truncated or damaged: {_brief(error)}.") from error
    if not preamble:
        _complete(dataset, name)
    return dataset


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
        kind = dataset.get("Modality") or "unknown modality"
        raise BadInput(f"{name} is a DICOM file without pixels ({kind}); leave it out of the study.")
    if frames > 1:
        raise BadInput(
            f"{name} has {frames} frames; only DICOM files with one frame are supported, save it as its own."
        )
    photometric = str(dataset.get("PhotometricInterpretation") or "none")
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
        syntax = dataset.file_meta.get("TransferSyntaxUID")
        if syntax is None or not syntax.is_compressed:
            raise BadInput(f"{name} is truncated or damaged: {_brief(error)}.") from error
        return _decode_with_gdcm(dataset, name, str(syntax.name))


def _decode_with_gdcm(dataset: "Dataset", name: str, syntax: str) -> npt.NDArray[Any]:
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
    return ((bottom + top) - pixels.astype(np.float64)).astype(np.float32), low, high


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, str | float | int):
        return float(value)
    return float(value[0]) if len(value) else None


def _brief(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
