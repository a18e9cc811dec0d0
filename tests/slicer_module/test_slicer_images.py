"""Images as the Slicer module reads them against the server's own reader, which is the reference."""

import gzip
import itertools
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from IMILLib.images import Picture, read_picture
from PIL import Image

from imil import images

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (37, 53)).astype(np.uint8)
DEEP = RANDOM.integers(200, 4000, (37, 53)).astype(np.uint16)
COLOUR = RANDOM.integers(0, 256, (37, 53, 3)).astype(np.uint8)
SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")
TURNS = [(order, signs) for order in ((0, 1), (1, 0)) for signs in itertools.product((1.0, -1.0), repeat=2)]
"""The 8 ways in which an image's two axes can lie along those of a plane."""


def shown(picture: Picture) -> np.ndarray:
    """Grey levels 0 to 255 as a window from low to high shows them."""
    if picture.high <= picture.low:
        return np.zeros(picture.pixels.shape)
    scaled = (picture.pixels.astype(np.float64) - picture.low) / (picture.high - picture.low)
    return np.clip(scaled, 0, 1) * 255


def read_as_the_server(path: Path) -> Picture:
    """Read a file; fails unless pixels, their places, their grey levels and the geometry are the server's."""
    ours, theirs = read_picture(path.read_bytes(), path.name), images.read_image(path)
    assert ours.pixels.dtype in (np.uint8, np.int16, np.uint16, np.int32, np.float32)
    assert ours.pixels.flags.c_contiguous
    np.testing.assert_allclose(shown(ours), theirs.as_uint8(), atol=0.51)
    geometry = theirs.geometry
    assert ours.geometry["shape"] == list(theirs.pixels.shape)
    assert ours.geometry["flat_axis"] == geometry.flat_axis
    np.testing.assert_allclose(ours.geometry["spacing"], geometry.spacing, rtol=1e-6)
    np.testing.assert_allclose(ours.geometry["origin"], geometry.origin, atol=1e-6)
    np.testing.assert_allclose(ours.geometry["direction"], geometry.direction, atol=1e-6)
    assert json.loads(json.dumps(ours.geometry)) == ours.geometry
    check_places(ours, path)
    return ours


def check_places(picture: Picture, path: Path) -> None:
    """Each corner lies where SimpleITK puts that pixel, and has the grey value that SimpleITK has there."""
    if path.suffix == ".png":  # SimpleITK can't read all of them, and they have no place in space
        np.testing.assert_array_equal(picture.ijk_to_ras, np.diag([-1.0, -1.0, 1.0, 1.0]))
        return
    image = SimpleITK.ReadImage(str(path))
    flat = picture.geometry["flat_axis"]
    rows, cols = picture.pixels.shape
    for row, col in itertools.product((0, rows // 2, rows - 1), (0, cols // 3, cols - 1)):
        index = [col, row]
        if flat is not None:
            index.insert(flat, 0)
        index += [0] * (image.GetDimension() - len(index))
        place = (*image.TransformIndexToPhysicalPoint(index), 0.0)[:3]
        ras = picture.ijk_to_ras @ [col, row, 0, 1]
        np.testing.assert_allclose(ras[:3], [-place[0], -place[1], place[2]], atol=1e-4)


def saved(path: Path, array: np.ndarray, **geometry: tuple[float, ...]) -> Path:
    image = SimpleITK.GetImageFromArray(array, isVector=False)
    for name, value in geometry.items():
        getattr(image, f"Set{name.capitalize()}")(value)
    SimpleITK.WriteImage(image, str(path))
    return path


# -- PNG and JPEG ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("array", [GREY, DEEP, GREY[:1, :1], GREY[:, :1]], ids=["8 bit", "16 bit", "1x1", "1 column"])
def test_grey_png(tmp_path: Path, array: np.ndarray) -> None:
    Image.fromarray(array).save(tmp_path / "a.png")
    picture = read_as_the_server(tmp_path / "a.png")
    assert picture.pixels.dtype == array.dtype
    np.testing.assert_array_equal(picture.pixels, array)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "1", "L"])
def test_other_png_modes(tmp_path: Path, mode: str) -> None:
    Image.fromarray(COLOUR).convert(mode).save(tmp_path / "a.png")
    picture = read_as_the_server(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels, images.read_image(tmp_path / "a.png").pixels)
    assert (picture.pixels.dtype, picture.low, picture.high) == (np.uint8, 0, 255)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("kind", [0, 3], ids=["grey", "palette"])
def test_png_of_few_bits(tmp_path: Path, bits: int, kind: int) -> None:
    small = (GREY >> (8 - bits)).astype(np.uint8)
    picture = Image.fromarray(small, "P" if kind == 3 else "L")
    if kind == 3:
        picture.putpalette([value for level in range(1 << bits) for value in (level * 9, 255 - level * 5, 40)])
        picture.save(tmp_path / "a.png", bits=bits)
    else:
        (tmp_path / "a.png").write_bytes(_png(small, bits))
    read_as_the_server(tmp_path / "a.png")


@pytest.mark.parametrize(("channels", "kind"), [(3, 2), (4, 6), (2, 4)], ids=["RGB", "RGBA", "grey and alpha"])
def test_16_bit_colour_png(tmp_path: Path, channels: int, kind: int) -> None:
    array = RANDOM.integers(0, 65536, (6, 5, channels)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(_png(array, 16, kind))
    picture = read_as_the_server(tmp_path / "a.png")
    assert picture.pixels.dtype == np.uint8


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg(tmp_path: Path, mode: str) -> None:
    smooth = np.add.outer(np.arange(37), np.arange(53)).astype(np.uint8)
    picture = (
        Image.fromarray(smooth) if mode == "L" else Image.fromarray(np.dstack([smooth, smooth // 2, 255 - smooth]))
    )
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees, if one believes it
    picture.save(tmp_path / "a.jpg", quality=90, exif=exif, dpi=(254, 127))
    ours, theirs = read_picture((tmp_path / "a.jpg").read_bytes(), "a.jpg"), images.read_image(tmp_path / "a.jpg")
    # Decoders differ by a level or two in how they round chrominance.
    np.testing.assert_allclose(ours.pixels, theirs.pixels, atol=0 if mode == "L" else 2)
    assert ours.geometry["spacing"] == pytest.approx(theirs.geometry.spacing)
    assert ours.geometry["spacing"] == pytest.approx([0.1, 0.2])
    check_places(ours, tmp_path / "a.jpg")


@pytest.mark.parametrize("array", [GREY, DEEP])
def test_png_with_a_transparent_grey(tmp_path: Path, array: np.ndarray) -> None:
    Image.fromarray(array).save(tmp_path / "a.png", transparency=int(array[3, 4]))
    assert b"tRNS" in (tmp_path / "a.png").read_bytes()
    np.testing.assert_array_equal(read_as_the_server(tmp_path / "a.png").pixels, array)


def test_png_with_a_transparent_colour(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.png", transparency=(1, 2, 3))
    read_as_the_server(tmp_path / "a.png")
    Image.fromarray(COLOUR).convert("P").save(tmp_path / "p.png", transparency=3)
    read_as_the_server(tmp_path / "p.png")


def _png(array: np.ndarray, bits: int, kind: int = 0) -> bytes:
    """A PNG file as Pillow can't write it."""
    import struct
    import zlib

    if bits == 16:
        rows = [b"\0" + row.astype(">u2").tobytes() for row in array]
    else:
        fields = [np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel() for row in array]
        rows = [b"\0" + np.packbits(row).tobytes() for row in fields]
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", array.shape[1], array.shape[0], bits, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(rows))),
        (b"IEND", b""),
    ]
    packed = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


# -- NIfTI, NRRD, MetaImage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "f4", "f8"])
def test_pixel_types(tmp_path: Path, suffix: str, kind: str) -> None:
    array = (DEEP.astype(np.float64) / 20 - (0 if kind[0] == "u" else 90)).astype(kind)
    read_as_the_server(saved(tmp_path / f"a{suffix}", array))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "shape", [(5, 7), (1, 5, 7), (5, 1, 7), (5, 7, 1), (1, 1, 5, 7), (1, 5, 1, 7), (1, 1, 1), (6, 1, 1)]
)
def test_single_slices_whatever_the_axis(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    array = RANDOM.integers(-500, 500, shape).astype(np.int16)
    read_as_the_server(saved(tmp_path / f"a{suffix}", array))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("order", "signs"), TURNS)
@pytest.mark.parametrize("flat", [None, 0, 1, 2])
def test_the_8_flips_and_transpositions(
    tmp_path: Path, suffix: str, order: tuple[int, int], signs: tuple[float, float], flat: int | None
) -> None:
    """Rows and columns are always the file's own; only where they lie in space differs."""
    turn = np.zeros((2, 2))
    turn[order[0], 0], turn[order[1], 1] = signs
    if flat is None:
        path = saved(
            tmp_path / f"a{suffix}", DEEP, spacing=(0.4, 1.7), origin=(-30.0, 12.5), direction=tuple(turn.ravel())
        )
        picture = read_picture(path.read_bytes(), path.name)
        if suffix.startswith(".nii"):
            # NIfTI has no 2D directions: SimpleITK reads back what it could keep.
            picture = read_as_the_server(path)
    else:
        whole = np.eye(3)
        plane = [axis for axis in range(3) if axis != flat]
        whole[np.ix_(plane, plane)] = turn
        spacing, array = [0.4, 1.7], np.expand_dims(DEEP, 2 - flat)
        spacing.insert(flat, 3.0)
        path = saved(
            tmp_path / f"a{suffix}", array, spacing=tuple(spacing), origin=(-30.0, 12.5, 7.0),
            direction=tuple(whole.ravel()),
        )  # fmt: skip
        picture = read_as_the_server(path)
    np.testing.assert_array_equal(picture.pixels, DEEP)
    check_places(picture, path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_oblique_planes(tmp_path: Path, suffix: str) -> None:
    a, b = np.radians([25, 40])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    path = saved(tmp_path / f"a{suffix}", DEEP[None], spacing=(0.3, 0.6, 5.0), direction=tuple(turn.ravel()))
    read_as_the_server(path)


def test_nifti_packed_under_the_wrong_name(tmp_path: Path) -> None:
    saved(tmp_path / "a.nii.gz", DEEP[None])
    content = (tmp_path / "a.nii.gz").read_bytes()
    np.testing.assert_array_equal(read_picture(content, "a.nii").pixels, DEEP)
    np.testing.assert_array_equal(read_picture(gzip.decompress(content), "a.nii.gz").pixels, DEEP)


def test_nifti_scaling(tmp_path: Path) -> None:
    import struct

    saved(tmp_path / "a.nii", DEEP[None])
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[112:120] = struct.pack("<2f", 0.5, -20)
    (tmp_path / "a.nii").write_bytes(content)
    picture = read_as_the_server(tmp_path / "a.nii")
    np.testing.assert_allclose(picture.pixels, DEEP * 0.5 - 20)


# -- what is refused ---------------------------------------------------------------------------------------------------


def refused(content: bytes, name: str, *words: str) -> None:
    with pytest.raises(ValueError, match=r"\.$") as caught:
        read_picture(content, name)
    sentence = str(caught.value)
    assert name in sentence
    assert "\n" not in sentence
    assert tempfile.gettempdir() not in sentence
    for word in words:
        assert word in sentence


def test_nothing_and_nonsense_are_refused(tmp_path: Path) -> None:
    refused(b"", "a.png", "empty")
    refused(b"hello", "b/cüse #1.txt", "format")
    refused(b"\x89PNG\r\n\x1a\nnothing", "a.png")
    refused(b"NRRD0004\nnothing\n\n", "a.nrrd")
    refused(b"nothing", "a.nii")
    refused(b"nothing", "a.dcm")


def test_volumes_and_colour_volumes_are_refused(tmp_path: Path) -> None:
    volume = saved(tmp_path / "a.nrrd", np.zeros((3, 5, 7), np.int16))
    refused(volume.read_bytes(), "a.nrrd", "7 x 5 x 3")
    colour = SimpleITK.GetImageFromArray(COLOUR, isVector=True)
    SimpleITK.WriteImage(colour, str(tmp_path / "c.nrrd"))
    refused((tmp_path / "c.nrrd").read_bytes(), "c.nrrd", "colour")


def test_headers_that_point_to_files_of_this_computer_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.raw"
    secret.write_bytes(bytes(35))
    nrrd = f"NRRD0004\ntype: uint8\ndimension: 2\nsizes: 7 5\nencoding: raw\ndata file: {secret}\n\n"
    assert SimpleITK.ReadImage(str(_written(tmp_path / "a.nrrd", nrrd))).GetSize() == (7, 5)
    refused(nrrd.encode(), "a.nrrd", "another file")
    refused(nrrd.replace("data file", "DATAFILE").encode(), "a.nrrd", "another file")
    meta = f"ObjectType = Image\nNDims = 2\nDimSize = 7 5\nElementType = MET_UCHAR\nElementDataFile = {secret}\n"
    assert SimpleITK.ReadImage(str(_written(tmp_path / "a.mha", meta))).GetSize() == (7, 5)
    refused(meta.encode(), "a.mha", "another file")


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_huge_headers_are_refused_before_a_pixel_is_read() -> None:
    import struct
    import zlib

    nrrd = b"NRRD0004\ntype: uint8\ndimension: 2\nsizes: 60000 60000\nencoding: gzip\n\n" + gzip.compress(bytes(100))
    refused(nrrd, "a.nrrd", "3600000000")
    head = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    refused(png + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")), "a.png", "3600000000")


@pytest.mark.parametrize("suffix", [".png", ".nrrd", ".mha"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_files_cut_off_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    saved(tmp_path / f"a{suffix}", DEEP)
    content = (tmp_path / f"a{suffix}").read_bytes()
    refused(content[: int(len(content) * share)], f"a{suffix}")


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([".png", ".nrrd", ".mha", ".nii.gz", ".jpg"]), st.data())
def test_damaged_files_raise_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: st.DataObject
) -> None:
    content = bytearray(saved(tmp_path_factory.getbasetemp() / f"damaged{suffix}", GREY).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content) - 1, 400)))] = data.draw(st.integers(0, 255))
    try:
        read_picture(bytes(content), f"damaged{suffix}")
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_no_temporary_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    content = saved(tmp_path / "a.png", GREY).read_bytes()
    read_picture(content, "../../etc/a.png")
    refused(content[:60], "a.png")
    assert list(folder.iterdir()) == []
