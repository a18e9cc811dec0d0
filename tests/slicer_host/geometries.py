"""Image files in every geometry that cells must be painted exactly in, and pictures that show where one is in them.

    geometry = GEOMETRIES["nifti +x-y"]
    path = geometry.write(folder, geometry.rows_numbered())    # the row of cells can be read off each pixel
    grid = geometry.grid                                       # the server's own

Nothing here needs Slicer. Arrays are (rows, cols) as `imil.images.read_image` gives them, bigger = brighter.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from imil.grid import Grid

DIGITAL_RADIOGRAPH = "1.2.840.10008.5.1.4.1.1.1.1"
STEP = 15
"""From one row of cells to the next in `numbered` pictures; 16 rows fit into 8 bits, and none of them is black."""


@dataclass(frozen=True)
class Geometry:
    """A file's format, its size and its cells, and where it lies in the patient.

    Attributes:
        name: for people and for pytest.
        suffix: of the file; DICOM and PNG have their own writers, all others are written by SimpleITK.
        grid: the cells, as the server cuts them.
        spacing: mm from one column to the next, and from one row to the next.
        columns_go, rows_go: unit vectors (left, posterior, superior): where the next column and the next row are. None
            if the file doesn't say.
        elements: more DICOM elements.
    """

    name: str
    suffix: str
    grid: Grid
    spacing: tuple[float, float] = (1.0, 1.0)
    columns_go: tuple[float, float, float] | None = None
    rows_go: tuple[float, float, float] | None = None
    elements: dict[str, object] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        return self.grid.height, self.grid.width

    def write(self, folder: Path, pixels: np.ndarray, stem: str = "case") -> Path:
        """Write uint8 pixels, which readers get back as they are here; the file's path."""
        path = folder / f"{stem}{self.suffix}"
        if self.suffix == ".png":
            Image.fromarray(pixels).save(path)
        elif self.suffix == ".dcm":
            write_dicom(path, pixels, self)
        else:
            write_by_simpleitk(path, pixels, self)
        return path

    def rows_numbered(self) -> np.ndarray:
        """A picture whose grey value is that of the row of cells: `STEP` for the first, twice that for the second."""
        return self._numbered(self.grid.row_edges)[:, None].repeat(self.grid.width, axis=1)

    def columns_numbered(self) -> np.ndarray:
        """Likewise for the columns of cells."""
        return self._numbered(self.grid.col_edges)[None].repeat(self.grid.height, axis=0)

    def one_cell(self, cell: int, value: float = 255, dtype: type = np.uint8) -> np.ndarray:
        """A picture that is 0 but for one cell."""
        picture = np.zeros(self.shape, dtype)
        picture[self.grid.cell_slices(cell)] = value
        return picture

    def _numbered(self, edges: list[int]) -> np.ndarray:
        return np.repeat(np.arange(1, len(edges), dtype=np.uint8) * STEP, np.diff(edges))


def write_dicom(path: Path, pixels: np.ndarray, geometry: Geometry) -> None:
    """A digital radiograph; MONOCHROME1 is stored inverted, as it should be."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DIGITAL_RADIOGRAPH
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128, is_implicit_VR=False, is_little_endian=True)
    inverted = geometry.elements.get("PhotometricInterpretation") == "MONOCHROME1"
    across, down = geometry.spacing
    elements: dict[str, object] = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "Modality": "DX",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "PixelSpacing": [down, across],
        "PixelData": (255 - pixels if inverted else pixels).tobytes() + b"\0" * (pixels.size % 2),
    }
    if geometry.columns_go is not None:
        elements["ImageOrientationPatient"] = [*geometry.columns_go, *geometry.rows_go]
        elements["ImagePositionPatient"] = [-20.0, 30.0, 40.0]
    for keyword, value in (elements | geometry.elements).items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


def write_by_simpleitk(path: Path, pixels: np.ndarray, geometry: Geometry) -> None:
    """A single-slice 3D file, with whatever format the suffix stands for."""
    image = SimpleITK.GetImageFromArray(pixels[None])
    image.SetSpacing((*geometry.spacing, 2.0))
    image.SetOrigin((-20.0, 30.0, 40.0))
    across, down = np.array(geometry.columns_go), np.array(geometry.rows_go)
    # The third axis always points the same way, so half of the geometries are left-handed, as files of scanners are.
    through = np.cross(across, down)
    through *= np.sign(through[np.argmax(np.abs(through))])
    image.SetDirection(np.stack([across, down, through], axis=1).ravel().tolist())
    SimpleITK.WriteImage(image, str(path))


def _flips() -> list[Geometry]:
    """NIfTI with columns and rows along x and y, in both orders and all directions."""
    made = []
    for first, second in ("xy", "yx"):
        for one, other in itertools.product((1, -1), repeat=2):
            axes = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0)}
            columns_go = tuple(one * part for part in axes[first])
            rows_go = tuple(other * part for part in axes[second])
            name = f"nifti {'+-'[one < 0]}{first}{'+-'[other < 0]}{second}"
            made.append(Geometry(name, ".nii.gz", Grid(3, 4, 61, 83), (0.5, 0.7), columns_go, rows_go))
    return made


def _oblique(turned: float, tilted: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Axial, turned in the plane and tilted out of it; in degrees."""
    a, b = np.radians([turned, tilted])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    axes = tilt @ turn
    return tuple(axes[:, 0].tolist()), tuple(axes[:, 1].tolist())


def _all() -> dict[str, Geometry]:
    coronal = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
    made = [
        Geometry("png 64 x 64", ".png", Grid(4, 4, 64, 64)),
        Geometry("png 2047 x 1535", ".png", Grid(4, 4, 1535, 2047)),
        Geometry("png 1 x 5 cells", ".png", Grid(1, 5, 37, 101)),
        Geometry("png 16 x 16 cells", ".png", Grid(16, 16, 211, 190)),
        Geometry("png one pixel high", ".png", Grid(1, 8, 1, 64)),
        Geometry("dicom plain", ".dcm", Grid(4, 4, 96, 80)),
        Geometry("dicom non-square pixels", ".dcm", Grid(5, 3, 90, 121), (0.2, 0.35)),
        Geometry(
            "dicom monochrome1",
            ".dcm",
            Grid(4, 4, 96, 80),
            (0.14, 0.14),
            elements={"PhotometricInterpretation": "MONOCHROME1"},
        ),
        Geometry("dicom coronal", ".dcm", Grid(4, 3, 96, 80), (0.4, 0.3), *coronal),
        Geometry("dicom coronal flipped", ".dcm", Grid(4, 3, 96, 80), (0.4, 0.3), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
        Geometry("dicom sagittal", ".dcm", Grid(4, 3, 96, 80), (0.4, 0.3), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
        *_flips(),
        Geometry("nrrd oblique", ".nrrd", Grid(3, 4, 61, 83), (0.5, 0.7), *_oblique(20, 15)),
        Geometry("mha coronal transposed", ".mha", Grid(3, 4, 61, 83), (0.5, 0.7), coronal[1], coronal[0]),
    ]
    return {geometry.name: geometry for geometry in made}


GEOMETRIES = _all()
