"""DICOM radiographs, made here with pydicom."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    generate_uid,
)

from imil.errors import BadInput
from imil.images import check_image, read_geometry, read_image, read_size, read_square, write_mask

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning:pydicom")

STORED = np.arange(35, dtype=np.uint16).reshape(5, 7) * 100


def dataset(pixels: np.ndarray = STORED, **elements: Any) -> FileDataset:
    """A digital radiograph (DX); an element given as None is left out."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    bits = pixels.dtype.itemsize * 8
    found = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128, is_implicit_VR=False, is_little_endian=True)
    values = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "Modality": "DX",
        "Rows": pixels.shape[-2],
        "Columns": pixels.shape[-1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PixelData": pixels.tobytes(),
    } | elements
    for keyword, value in values.items():
        if value is not None:
            setattr(found, keyword, value)
    return found


def saved(path: Path, pixels: np.ndarray = STORED, **elements: Any) -> Path:
    dataset(pixels, **elements).save_as(path)
    return path


def lut(values: list[int], first: int, bits: int) -> list[Dataset]:
    item = Dataset()
    item.LUTDescriptor = [len(values), first, bits]
    item.add_new("LUTData", "US", values)
    item.ModalityLUTType = "US"
    return [item]


def test_stored_values_run_from_smallest_to_largest(tmp_path: Path) -> None:
    image = read_image(saved(tmp_path / "a.dcm"))
    np.testing.assert_array_equal(image.pixels, STORED)
    assert (image.low, image.high) == (0, 3400)
    assert read_size(tmp_path / "a.dcm") == (5, 7)


def test_8_bit_files_run_from_0_to_255(tmp_path: Path) -> None:
    small = (STORED // 20).astype(np.uint8)
    for photometric, expected in (("MONOCHROME2", small), ("MONOCHROME1", 255 - small)):
        path = saved(tmp_path / "a.dcm", small, PhotometricInterpretation=photometric)
        image = read_image(path)
        assert (image.low, image.high) == (0, 255)
        np.testing.assert_array_equal(image.pixels, expected)
        np.testing.assert_array_equal(image.as_uint8(), expected)
        assert read_square(path, 7).shape == (7, 7)


def test_rescale_and_signed_values(tmp_path: Path) -> None:
    signed = STORED.astype(np.int16) - 1000
    image = read_image(saved(tmp_path / "a.dcm", signed, RescaleSlope="0.5", RescaleIntercept="-3"))
    np.testing.assert_allclose(image.pixels, signed * 0.5 - 3)


def test_window_by_hand(tmp_path: Path) -> None:
    """PS3.3, C.11.2.1.2.1 with center 11, width 5: black up to 8.5, white above 12.5, in between a line."""
    values = np.arange(7, 16, dtype=np.uint16)[None]
    image = read_image(saved(tmp_path / "a.dcm", values, WindowCenter=11, WindowWidth=5))
    expected = [0, 0, *(((value - 10.5) / 4 + 0.5) * 255 for value in (9, 10, 11, 12)), 255, 255, 255]
    np.testing.assert_allclose(image.pixels[0], expected, atol=1e-4)
    assert (image.low, image.high) == (0, 255)
    exact = read_image(saved(tmp_path / "b.dcm", values, WindowCenter=11, WindowWidth=4, VOILUTFunction="LINEAR_EXACT"))
    np.testing.assert_allclose(exact.pixels[0], np.clip((values[0] - 11.0) / 4 + 0.5, 0, 1) * 255, atol=1e-4)
    soft = read_image(saved(tmp_path / "c.dcm", values, WindowCenter=11, WindowWidth=4, VOILUTFunction="SIGMOID"))
    np.testing.assert_allclose(soft.pixels[0], 255 / (1 + np.exp(-4 * (values[0] - 11.0) / 4)), atol=1e-4)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@settings(deadline=None, max_examples=20)
@given(st.floats(-2000, 8000), st.floats(1.5, 9000), st.booleans())
def test_window_agrees_with_pydicom(
    tmp_path_factory: pytest.TempPathFactory, function: str, center: float, width: float, inverted: bool
) -> None:
    from pydicom.pixel_data_handlers.util import apply_windowing

    center, width = round(center, 2), round(width, 2)
    found = dataset(
        WindowCenter=center,
        WindowWidth=width,
        VOILUTFunction=function,
        PhotometricInterpretation="MONOCHROME1" if inverted else "MONOCHROME2",
    )
    path = tmp_path_factory.getbasetemp() / "window.dcm"
    found.save_as(path)
    expected = apply_windowing(STORED, found) / 65535 * 255
    np.testing.assert_allclose(read_image(path).pixels, 255 - expected if inverted else expected, atol=0.02)


def test_the_window_works_on_rescaled_values_and_the_first_one_counts(tmp_path: Path) -> None:
    found = read_image(
        saved(tmp_path / "a.dcm", RescaleSlope=2, RescaleIntercept=-100, WindowCenter=[1000, 5], WindowWidth=[2001, 9])
    )
    expected = np.clip((STORED * 2.0 - 100 - 999.5) / 2000 + 0.5, 0, 1) * 255
    np.testing.assert_allclose(found.pixels, expected, atol=1e-3)


@pytest.mark.parametrize("width", [0, -5, 0.5])
def test_a_window_without_sense_is_ignored(tmp_path: Path, width: float) -> None:
    assert read_image(saved(tmp_path / "a.dcm", WindowCenter=5, WindowWidth=width)).high == 3400


def test_a_window_of_width_1_is_a_step(tmp_path: Path) -> None:
    image = read_image(saved(tmp_path / "a.dcm", WindowCenter=1000, WindowWidth=1))
    np.testing.assert_array_equal(image.pixels, np.where(STORED > 999.5, 255, 0))


def test_monochrome1_is_inverted_after_the_window(tmp_path: Path) -> None:
    window = {"WindowCenter": 500, "WindowWidth": 400, "RescaleSlope": 2, "RescaleIntercept": 7}
    plain = read_image(saved(tmp_path / "a.dcm", **window))
    inverted = read_image(saved(tmp_path / "b.dcm", PhotometricInterpretation="MONOCHROME1", **window))
    np.testing.assert_allclose(inverted.pixels, 255 - plain.pixels)
    assert (inverted.low, inverted.high) == (0, 255)


def test_monochrome1_without_a_window(tmp_path: Path) -> None:
    image = read_image(saved(tmp_path / "a.dcm", PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(image.pixels, 3400 - STORED.astype(np.float32))
    assert (image.low, image.high) == (0, 3400)


def test_voi_table_comes_before_the_window(tmp_path: Path) -> None:
    small = (STORED // 100).astype(np.uint16)
    image = read_image(
        saved(tmp_path / "a.dcm", small, VOILUTSequence=lut([5, 60, 700], 3, 10), WindowCenter=1, WindowWidth=9)
    )
    np.testing.assert_array_equal(image.pixels, np.array([5, 60, 700])[np.clip(small.astype(int) - 3, 0, 2)])
    assert (image.low, image.high) == (0, 1023)


def test_modality_table(tmp_path: Path) -> None:
    small = (STORED // 100).astype(np.uint16)
    image = read_image(saved(tmp_path / "a.dcm", small, ModalityLUTSequence=lut([9, 8, 7], 0, 16)))
    np.testing.assert_array_equal(image.pixels, np.array([9, 8, 7])[np.clip(small, 0, 2)])


def test_damaged_tables_are_named(tmp_path: Path) -> None:
    broken = Dataset()
    broken.LUTExplanation = "empty"
    with pytest.raises(BadInput, match=r"a\.dcm .*lookup table"):
        read_image(saved(tmp_path / "a.dcm", VOILUTSequence=[broken]))
    with pytest.raises(BadInput, match="NaN or infinite"):
        read_image(saved(tmp_path / "b.dcm", RescaleSlope="1e300"))


def test_one_frame_is_fine_and_several_are_refused_by_their_number(tmp_path: Path) -> None:
    assert read_image(saved(tmp_path / "a.dcm", NumberOfFrames=1)).pixels.shape == (5, 7)
    path = saved(tmp_path / "b.dcm", np.stack([STORED] * 3), NumberOfFrames=3)
    for read in (read_image, read_size):
        with pytest.raises(BadInput, match=r"b\.dcm has 3 frames"):
            read(path)


@pytest.mark.parametrize(
    ("photometric", "samples"), [("RGB", 3), ("YBR_FULL_422", 3), ("PALETTE COLOR", 1), (None, 1), ("MONOCHROME2", 3)]
)
def test_colour_is_refused_by_its_name(tmp_path: Path, photometric: str | None, samples: int) -> None:
    path = saved(tmp_path / "a.dcm", PhotometricInterpretation=photometric, SamplesPerPixel=samples)
    with pytest.raises(BadInput, match=rf"colour DICOM file \(PhotometricInterpretation {photometric or 'none'}\)"):
        read_image(path)


def test_files_without_pixels_are_refused(tmp_path: Path) -> None:
    for elements in ({"PixelData": None}, {"Rows": None}, {"Rows": 0}):
        with pytest.raises(BadInput, match=r"a\.dcm is a DICOM file without pixels \(DX\)"):
            read_image(saved(tmp_path / "a.dcm", **elements))


def test_huge_files_are_refused_by_their_header(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="60000 x 60000 pixels; at most 100 million"):
        read_image(saved(tmp_path / "a.dcm", Rows=60000, Columns=60000))


def test_dicom_is_known_without_a_suffix(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(saved(tmp_path / "IM000001")).pixels, STORED)


def test_files_without_a_preamble(tmp_path: Path) -> None:
    found = dataset()
    found.preamble = None
    found.file_meta = FileMetaDataset()
    found.is_implicit_VR = True
    found.save_as(tmp_path / "a.dcm", write_like_original=True)
    assert (tmp_path / "a.dcm").read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels, STORED)
    assert ImplicitVRLittleEndian.is_implicit_VR


def test_run_length_encoding(tmp_path: Path) -> None:
    found = dataset(RescaleSlope=2, RescaleIntercept=1)
    found.compress(RLELossless)
    found.save_as(tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels, STORED * 2.0 + 1)


def test_jpeg_baseline(tmp_path: Path) -> None:
    import io

    from PIL import Image

    grey = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(grey).save(content, "JPEG", quality=100)
    found = dataset(grey, PixelData=encapsulate([content.getvalue()]))
    found["PixelData"].is_undefined_length = True
    found.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    found.save_as(tmp_path / "a.dcm")
    np.testing.assert_allclose(read_image(tmp_path / "a.dcm").pixels, grey, atol=2)


@pytest.mark.parametrize(("compressor", "name"), [("JPEG2000", "JPEG 2000"), ("JPEG", "JPEG Lossless")])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_compressed_pixels(tmp_path: Path, compressor: str, name: str, photometric: str) -> None:
    """JPEG lossless has no handler in pydicom, so it goes by GDCM; rescale and inversion must happen once."""
    noise = np.random.default_rng(0).integers(0, 4096, (1, 64, 48)).astype(np.uint16)
    writer = SimpleITK.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.SetUseCompression(True)
    writer.SetCompressor(compressor)
    writer.SetFileName(str(tmp_path / "a.dcm"))
    writer.Execute(SimpleITK.GetImageFromArray(noise))
    found = pydicom.dcmread(tmp_path / "a.dcm")
    assert found.file_meta.TransferSyntaxUID.name.startswith(name)
    found.PhotometricInterpretation = photometric
    found.RescaleSlope, found.RescaleIntercept = 2, -50
    found.save_as(tmp_path / "a.dcm")
    values = noise[0] * 2.0 - 50
    expected = values if photometric == "MONOCHROME2" else values.min() + values.max() - values
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels, expected)


def test_deflated_files_are_refused_before_they_are_inflated(tmp_path: Path) -> None:
    found = dataset()
    found.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    found.save_as(tmp_path / "a.dcm")
    with pytest.raises(BadInput, match="deflated"):
        read_image(tmp_path / "a.dcm")


STORAGE = {
    "CR": "1",
    "DX": "1.1",
    "DX for processing": "1.1.1",
    "MG": "1.2",
    "IO": "1.3",
    "CT": "2",
    "MR": "4",
    "secondary capture": "7",
    "XA": "12.1",
    "RF": "12.2",
    "RT image": "481.1",
}


@pytest.mark.parametrize("storage", STORAGE.values(), ids=STORAGE.keys())
@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"PixelSpacing": [0.3, 0.4], "ImagerPixelSpacing": [0.2, 0.1], "ImagePlanePixelSpacing": [0.5, 0.6]},
        {"NominalScannedPixelSpacing": [0.7, 0.8], "ImagerPixelSpacing": [0.2, 0.1]},
        {"PixelSpacing": [0.3, 0.4], "ImagePositionPatient": [1, 2, 3], "ImageOrientationPatient": [0, 1, 0, 0, 0, -1]},
    ],
)
def test_geometry_is_that_of_simpleitk(tmp_path: Path, storage: str, elements: dict[str, Any]) -> None:
    found = dataset(SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{storage}", **elements)
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID
    path = tmp_path / "a.dcm"
    found.save_as(path)
    image = SimpleITK.ReadImage(str(path))
    for geometry in (read_geometry(path), read_image(path).geometry):
        np.testing.assert_allclose(geometry.spacing, image.GetSpacing())
        np.testing.assert_allclose(geometry.origin, image.GetOrigin())
        np.testing.assert_allclose(geometry.direction, image.GetDirection())
    write_mask(tmp_path / "m.nii.gz", (STORED % 3).astype(np.uint8), path)
    mask = SimpleITK.ReadImage(str(tmp_path / "m.nii.gz"))
    assert mask.GetSize() == image.GetSize() == (7, 5, 1)
    np.testing.assert_allclose(mask.GetDirection(), image.GetDirection())


@pytest.mark.parametrize(
    "elements",
    [
        {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"ImageOrientationPatient": [1, 0, 0]},
        {"ImagePositionPatient": [1]},
        {"ImagerPixelSpacing": [0, 0]},
        {"ImagerPixelSpacing": 3},
    ],
)
def test_geometry_without_sense_is_ignored(tmp_path: Path, elements: dict[str, Any]) -> None:
    path = saved(tmp_path / "a.dcm", **elements)
    assert read_geometry(path).spacing == (1, 1, 1)
    write_mask(tmp_path / "m.nrrd", (STORED % 3).astype(np.uint8), path)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8, 0.97])
@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_files_are_named(tmp_path: Path, share: float, compressed: bool) -> None:
    found = dataset(np.random.default_rng(0).integers(0, 4096, (64, 48)).astype(np.uint16))
    if compressed:
        found.compress(RLELossless)
    found.save_as(tmp_path / "cut.dcm")
    content = (tmp_path / "cut.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BadInput, match=r"^cut\.dcm") as error:
        check_image(tmp_path / "cut.dcm")
    assert "\n" not in str(error.value)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damaged_files_never_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.dcm"
    found = dataset(WindowCenter=5, WindowWidth=9, RescaleSlope=2, ImagerPixelSpacing=[1, 2])
    if data.draw(st.booleans()):
        found.compress(RLELossless)
    found.save_as(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    for read in (read_image, read_size, read_geometry):
        try:
            read(path)
        except BadInput as error:
            assert "\n" not in str(error)  # noqa: PT017
