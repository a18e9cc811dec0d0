"""One phantom picture as a file: the same grey values in each format, up to rounding."""

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from imil.phantom.fields import Floats

Kind = Literal["png", "png16", "nifti", "dicom"]
SUFFIXES: dict[Kind, str] = {"png": ".png", "png16": ".png", "nifti": ".nii.gz", "dicom": ".dcm"}
FILM_WIDTH = 350.0
"""Width of the film in mm."""
# DICOM: the stored values that show as white and as black (MONOCHROME1), and those of what is brighter or darker.
_WHITE, _BLACK, _BEYOND_WHITE, _BEYOND_BLACK = 600, 3400, 300, 3900
_LARGEST_NIFTI = 4095
_CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_UID_SPACE = "imil phantom"


def load_libraries(kinds: Iterable[Kind]) -> None:
    """Imports what the kinds need, before threads do: two at once meet half-imported modules."""
    needed = {"dicom": "pydicom", "nifti": "imil.itk"}
    for kind in kinds:
        if kind in needed:
            importlib.import_module(needed[kind])


def write_picture(path: Path, pixels: Floats, kind: Kind, *, seed: int, index: int) -> None:
    """Writes a picture (rows, cols) of values in [0, 1] that reaches 0 and 1; ``seed`` and ``index`` make its UIDs."""
    if kind == "dicom":
        _write_dicom(path, pixels, seed, index)
    elif kind == "nifti":
        from imil.geometry import Geometry
        from imil.itk import write_array

        spacing = FILM_WIDTH / pixels.shape[1]
        write_array(path, np.rint(pixels * _LARGEST_NIFTI).astype(np.int16), Geometry((spacing, spacing)))
    else:
        largest, dtype = (65535, np.uint16) if kind == "png16" else (255, np.uint8)
        Image.fromarray(np.rint(pixels * largest).astype(dtype)).save(path)


def write_bits(path: Path, mask: npt.NDArray[np.uint8]) -> None:
    """Writes a mask of 0 and 1 as a 1-bit PNG."""
    Image.fromarray(mask * np.uint8(255)).convert("1").save(path)


def stored_values(pixels: Floats) -> npt.NDArray[np.uint16]:
    """The 12-bit values a DICOM file stores: inverted, and beyond the window where the picture is black or white.

    A reader that ignores the window shows these too pale, one that ignores MONOCHROME1 shows a negative.
    """
    values: Floats = np.rint(_BLACK - pixels * (_BLACK - _WHITE))
    values[pixels == 0] = _BEYOND_BLACK
    values[pixels == 1] = _BEYOND_WHITE
    return values.astype(np.uint16)


def _write_dicom(path: Path, pixels: Floats, seed: int, index: int) -> None:
    """A Computed Radiography image (DICOM PS3.3 A.2) with MONOCHROME1 and a linear VOI window (C.11.2.1.2)."""
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.uid import UID, generate_uid

    def uid(what: str) -> UID:
        return generate_uid(entropy_srcs=[_UID_SPACE, str(seed), str(index), str(pixels.shape), what])

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(_CR_IMAGE)
    meta.MediaStorageSOPInstanceUID = uid("instance")
    meta.TransferSyntaxUID = UID(_EXPLICIT_LITTLE)
    meta.ImplementationClassUID = generate_uid(entropy_srcs=[_UID_SPACE])
    dataset: Dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    name = f"{index + 1:05d}"
    rows, columns = pixels.shape
    values: dict[str, object] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "ImageType": ["DERIVED", "PRIMARY"],
        "SOPClassUID": _CR_IMAGE,
        "SOPInstanceUID": uid("instance"),
        "StudyDate": "",
        "StudyTime": "",
        "AccessionNumber": "",
        "Modality": "CR",
        "Manufacturer": "IMIL phantom",
        "ReferringPhysicianName": "",
        "SeriesDescription": "Simulated frontal chest radiograph",
        "PatientName": f"Phantom^{name}",
        "PatientID": f"patient-{name}",
        "PatientBirthDate": "",
        "PatientSex": "",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "StudyInstanceUID": uid("study"),
        "SeriesInstanceUID": uid("series"),
        "StudyID": "1",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "PatientOrientation": ["L", "F"],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME1",
        "Rows": rows,
        "Columns": columns,
        "PixelSpacing": [f"{FILM_WIDTH / rows:.6g}", f"{FILM_WIDTH / columns:.6g}"],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        # The linear window runs from centre - 0.5 - (width - 1) / 2 to centre - 0.5 + (width - 1) / 2.
        "WindowCenter": f"{(_WHITE + _BLACK + 1) / 2:g}",
        "WindowWidth": str(_BLACK - _WHITE + 1),
        "PixelData": stored_values(pixels).astype("<u2").tobytes(),
    }
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OW"
    dataset.save_as(path, write_like_original=False)
