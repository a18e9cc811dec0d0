"""Image files of every format but DICOM, masks and heat maps."""

import gzip
import io
import struct
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imil.errors import BadInput, TooLarge
from imil.images import (
    IMAGE_SUFFIXES,
    Image2D,
    check_image,
    is_image_file,
    read_geometry,
    read_image,
    read_mask,
    read_size,
    read_square,
    resize,
    write_float,
    write_mask,
)

GREY = np.arange(35, dtype=np.uint8).reshape(5, 7) * 7
VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")


def save_itk(path: Path, array: np.ndarray, **geometry: tuple[float, ...]) -> Path:
    image = SimpleITK.GetImageFromArray(array, isVector=False)
    for name, value in geometry.items():
        getattr(image, f"Set{name.capitalize()}")(value)
    SimpleITK.WriteImage(image, str(path))
    return path


def test_8_bit_png_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.pixels.dtype == np.float32
    np.testing.assert_array_equal(image.pixels, GREY)
    assert (image.low, image.high, image.geometry.ndim) == (0, 255, 2)
    np.testing.assert_array_equal(image.as_uint8(), GREY)
    assert read_size(tmp_path / "a.png") == (5, 7)


def test_16_bit_png_runs_from_its_smallest_to_its_largest_value(tmp_path: Path) -> None:
    deep = (GREY.astype(np.uint16) + 1000) * 3
    Image.fromarray(deep).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels, deep)
    assert (image.low, image.high) == (deep.min(), deep.max())
    shown = image.as_uint8()
    assert (shown.min(), shown.max()) == (0, 255)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "1"])
def test_other_png_modes_become_luminance(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(np.dstack([GREY, GREY // 2, 255 - GREY])).convert(mode)
    picture.save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels, np.asarray(picture.convert("RGB").convert("L")))
    assert (image.low, image.high) == (0, 255)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_keeps_its_pixels_where_they_are(tmp_path: Path, mode: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees, if one believes it
    Image.fromarray(GREY).convert(mode).save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert read_image(tmp_path / "a.jpg").pixels.shape == (5, 7)


@pytest.mark.parametrize("options", [{}, {"dpi": (300, 150)}, {"dpi": (72, 72)}])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_picture_geometry_is_that_of_simpleitk(
    tmp_path: Path, suffix: str, options: dict[str, tuple[int, int]]
) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(GREY).save(path, **options)
    image = SimpleITK.ReadImage(str(path))
    geometry = read_geometry(path)
    assert geometry.spacing == pytest.approx(image.GetSpacing())
    assert (geometry.origin, geometry.direction) == (image.GetOrigin(), image.GetDirection())


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (5, 1, 7), (5, 7, 1), (1, 1, 5, 7), (1, 5, 1, 7)])
def test_single_slices_are_2d_whatever_the_axis(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    path = save_itk(tmp_path / f"a{suffix}", GREY.astype(np.float32).reshape(shape) - 30)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, GREY.astype(np.float32) - 30)
    assert (image.low, image.high) == (-30, 208)
    assert image.geometry.ndim == min(len(shape), 3)
    assert read_size(path) == (5, 7)


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 1), (1, 6), (6, 1, 1)])
def test_tiny_images_are_read(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    image = read_image(save_itk(tmp_path / f"a{suffix}", np.full(shape, 4, np.int16)))
    assert image.pixels.ndim == 2
    assert image.pixels.size == np.prod(shape)
    assert not image.as_uint8().any()


def test_1x1_png(tmp_path: Path) -> None:
    Image.fromarray(GREY[1:2, 1:2]).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").pixels.tolist() == [[GREY[1, 1]]]
    assert (read_square(tmp_path / "a.png", 4) == GREY[1, 1]).all()


def test_geometry_of_nrrd(tmp_path: Path) -> None:
    geometry = {"spacing": (0.2, 0.3), "origin": (5.0, -6.0), "direction": (0.0, 1.0, -1.0, 0.0)}
    found = read_image(save_itk(tmp_path / "a.nrrd", GREY, **geometry)).geometry
    assert {name: getattr(found, name) for name in geometry} == geometry


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
@pytest.mark.parametrize("shape", [(2, 5, 7), (3, 1, 5, 7)])
def test_volumes_are_refused_by_their_shape(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    path = save_itk(tmp_path / f"a{suffix}", np.zeros(shape, np.int16))
    with pytest.raises(BadInput, match=r"volume of 7 x 5 x .*slices of volumes aren't supported yet"):
        read_image(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_nan_and_infinity_are_refused(tmp_path: Path, suffix: str, value: float) -> None:
    array = GREY.astype(np.float32)
    array[2, 3] = value
    path = save_itk(tmp_path / f"a{suffix}", array)
    for read in (read_image, check_image):
        with pytest.raises(BadInput, match="1 of 35 pixels that are NaN or infinite"):
            read(path)


def test_nan_filled_nifti(tmp_path: Path) -> None:
    path = save_itk(tmp_path / "a.nii.gz", np.full((1, 5, 7), np.nan, np.float64))
    with pytest.raises(BadInput, match=r"a\.nii\.gz has 35 of 35 pixels"):
        read_square(path, 8)


def test_values_beyond_float32_are_infinite(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="infinite"):
        read_image(save_itk(tmp_path / "a.nrrd", np.array([[0.0, 1e300]])))


def test_huge_and_tiny_ranges_are_shown_without_overflow(tmp_path: Path) -> None:
    for scale in (3e38, 1e-38):
        values = np.array([[-1, 0, 1]], np.float32) * np.float32(scale)
        image = read_image(save_itk(tmp_path / "a.nrrd", values))
        assert image.as_uint8().tolist() == [[0, 128, 255]]


def truncated(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg", *VOLUME_SUFFIXES])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95])
def test_truncated_files_are_named(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 50)).astype(np.uint8)
    path = tmp_path / f"cut{suffix}"
    if suffix in VOLUME_SUFFIXES:
        save_itk(path, noise)
    else:
        Image.fromarray(noise).save(path)
    with pytest.raises(BadInput, match=r"^cut\.") as error:
        check_image(truncated(path, share))
    assert "\n" not in str(error.value)
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize("suffix", [*IMAGE_SUFFIXES, ".mhd", ".tif", ""])
def test_empty_and_wrong_files_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"odd{suffix}"
    for content in (b"", b"GIF89a", b"\0" * 1000, bytes(range(256)) * 20):
        path.write_bytes(content)
        for read in (read_image, read_size, check_image):
            with pytest.raises(BadInput, match=r"^odd") as error:
                read(path)
            assert "\n" not in str(error.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(BadInput, match="can't be opened"):
            read_image(path)
    with pytest.raises(BadInput, match=r"^sub/x\.png can't be opened"):
        read_image(tmp_path / "none.png", "sub/x.png")


def test_content_counts_more_than_the_suffix(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels, GREY)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(11_000, 11_000), (100_000, 100_000)])
def test_decompression_bombs_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header(*size))
    with pytest.raises(BadInput, match=r"bomb\.png .*(100 million|exceeds limit)"):
        read_image(tmp_path / "bomb.png")


def test_files_that_point_to_other_files_are_refused(tmp_path: Path) -> None:
    save_itk(tmp_path / "a.nhdr", GREY)
    save_itk(tmp_path / "a.mhd", GREY)
    (tmp_path / "b.mha").write_bytes((tmp_path / "a.mhd").read_bytes())
    (tmp_path / "b.nrrd").write_bytes((tmp_path / "a.nhdr").read_bytes())
    save_itk(tmp_path / "c.img", GREY)
    (tmp_path / "c.hdr").rename(tmp_path / "c.nii")
    for name in ("a.nhdr", "a.mhd", "b.mha", "b.nrrd", "c.nii"):
        with pytest.raises(BadInput, match="keeps its pixels in another file"):
            read_image(tmp_path / name)


def test_colour_and_vector_volumes_are_refused(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.zeros((5, 7, 3), np.uint8), isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(BadInput, match="3 values in each pixel"):
        read_image(tmp_path / "a.nrrd")


def test_nifti_headers_are_checked_before_they_are_followed(tmp_path: Path) -> None:
    path = save_itk(tmp_path / "a.nii", GREY)
    content = bytearray(path.read_bytes())
    content[108:112] = struct.pack("<f", 2e9)
    path.write_bytes(content)
    with pytest.raises(BadInput, match="header of 2000000000 bytes"):
        read_image(path)
    (tmp_path / "b.nii").write_bytes(struct.pack("<i", 540) + bytes(600))
    with pytest.raises(BadInput, match="NIfTI-2"):
        read_image(tmp_path / "b.nii")


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_pixels_are_those_of_simpleitk(tmp_path: Path, kind: str, order: str) -> None:
    path = save_itk(tmp_path / "a.nii", (GREY // 2).astype(kind))
    little = path.read_bytes()
    if order == ">":
        big = nibabel.load(path)
        nibabel.Nifti1Image(np.asarray(big.dataobj), big.affine, big.header.as_byteswapped(">")).to_filename(path)
        assert path.read_bytes()[:4] != little[:4]
    np.testing.assert_array_equal(read_image(path).pixels, SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))))


def test_nifti_scaling(tmp_path: Path) -> None:
    content = bytearray(save_itk(tmp_path / "a.nii", GREY).read_bytes())
    for slope, intercept, expected in ((2.0, -3.0, GREY * 2.0 - 3), (0.0, 5.0, GREY), (np.nan, 0.0, GREY)):
        content[112:120] = struct.pack("<2f", slope, intercept)
        (tmp_path / "a.nii").write_bytes(content)
        np.testing.assert_array_equal(read_image(tmp_path / "a.nii").pixels, expected)


def test_nifti_colour_is_refused(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.zeros((5, 7, 3), np.uint8), isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "a.nii"))
    with pytest.raises(BadInput, match="grey image"):
        read_image(tmp_path / "a.nii")


def test_nrrd_headers_that_skip_are_refused(tmp_path: Path) -> None:
    path = save_itk(tmp_path / "a.nrrd", GREY)
    path.write_bytes(path.read_bytes().replace(b"\ntype:", b"\nbyte skip: 1000000000000\ntype:", 1))
    with pytest.raises(BadInput, match="skip 1000000000000"):
        read_image(path)


def test_resize_is_a_mean_over_the_pixels_it_merges() -> None:
    checks = np.indices((64, 64)).sum(0).astype(np.float32) % 2
    small = resize(checks, 8)
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, 0.5, atol=0.01)
    np.testing.assert_array_equal(resize(checks, 64), checks)
    assert resize(checks[:20], 16).shape == (16, 16)


def test_square_is_the_shown_image_made_small(tmp_path: Path) -> None:
    deep = np.add.outer(np.arange(50), np.arange(70)).astype(np.uint16) * 100
    Image.fromarray(deep).save(tmp_path / "a.png")
    Image.fromarray((deep // 100).astype(np.uint8)).save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        image = read_image(tmp_path / name)
        square = read_square(tmp_path / name, 16)
        assert square.dtype == np.uint8
        np.testing.assert_allclose(square, resize(image.as_uint8().astype(np.float32), 16), atol=1)


def test_image_files_are_known_by_suffix_or_content(tmp_path: Path) -> None:
    for name in ("a.PNG", "a.Nii.Gz", "a.dcm"):
        (tmp_path / name).write_bytes(b"")
        assert is_image_file(tmp_path / name)
    for name, content in (
        ("1.2.840", b"\0" * 128 + b"DICM"),
        ("readme.txt", b"x"),
        ("DICOMDIR", b"\0" * 128 + b"DICM"),
    ):
        (tmp_path / name).write_bytes(content)
        assert is_image_file(tmp_path / name) == (name == "1.2.840")


geometries = st.fixed_dictionaries(
    {
        "spacing": st.lists(st.floats(0.01, 10), min_size=3, max_size=3),
        "origin": st.lists(st.floats(-500, 500), min_size=3, max_size=3),
        "angle": st.floats(-3, 3),
        "shape": st.tuples(st.integers(1, 9), st.integers(1, 9)),
        "flat": st.sampled_from([None, 0, 1, 2]),
        "suffix": st.sampled_from([".nii.gz", ".nrrd"]),
        "like": st.sampled_from([".nii.gz", ".nrrd", ".mha"]),
        "seed": st.integers(0, 99),
    }
)


@settings(deadline=None, max_examples=60)
@given(geometries)
def test_masks_and_heat_maps_lie_over_their_image(tmp_path_factory: pytest.TempPathFactory, case: dict) -> None:
    folder = tmp_path_factory.mktemp("round")
    shape, flat = case["shape"], case["flat"]
    rng = np.random.default_rng(case["seed"])
    grey = rng.integers(0, 1000, shape).astype(np.int16)
    cos, sin = np.cos(case["angle"]), np.sin(case["angle"])
    if flat is None:
        array, direction = grey, (cos, -sin, sin, cos)
    else:
        array, direction = np.expand_dims(grey, 2 - flat), (cos, -sin, 0, sin, cos, 0, 0, 0, 1)
    ndim = array.ndim
    like = save_itk(
        folder / f"like{case['like']}",
        array,
        spacing=tuple(case["spacing"][:ndim]),
        origin=tuple(case["origin"][:ndim]),
        direction=tuple(float(value) for value in direction),
    )
    shape = read_image(like).pixels.shape  # 3D with several axes of size 1 has more than one way to be 2D
    mask = rng.integers(0, 3, shape).astype(np.uint8)
    heat = rng.random(shape).astype(np.float32)
    label, map_path = folder / f"mask{case['suffix']}", folder / "heat.nii.gz"
    write_mask(label, mask, like)
    write_float(map_path, heat, like)
    image = SimpleITK.ReadImage(str(like))
    np.testing.assert_array_equal(read_mask(label, shape), mask)
    for path, values in ((label, mask), (map_path, heat)):
        written = SimpleITK.ReadImage(str(path))
        assert written.GetSize() == image.GetSize()
        np.testing.assert_allclose(written.GetSpacing(), image.GetSpacing(), rtol=1e-5)
        np.testing.assert_allclose(written.GetOrigin(), image.GetOrigin(), atol=1e-3)
        np.testing.assert_allclose(written.GetDirection(), image.GetDirection(), atol=1e-5)
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(written).reshape(shape), values)
    assert not list(folder.glob(".*"))


def test_png_masks_round_trip_and_heat_maps_over_pictures(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    mask = (GREY % 3).astype(np.uint8)
    write_mask(tmp_path / "m.png", mask, tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", (5, 7)), mask)
    write_float(tmp_path / "h.nii.gz", GREY / np.float32(300), tmp_path / "a.png")
    assert SimpleITK.ReadImage(str(tmp_path / "h.nii.gz")).GetSize() == (7, 5)


def test_palette_masks_give_their_indices(tmp_path: Path) -> None:
    picture = Image.fromarray((GREY % 3).astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", (5, 7)), GREY % 3)


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    mask = np.zeros((5, 7), np.uint8)
    for name in ("m.jpg", "m", "m.nii.gz.exe"):
        with pytest.raises(BadInput, match="must end in"):
            write_mask(tmp_path / name, mask, tmp_path / "a.png")
    with pytest.raises(BadInput, match="7 x 5 pixels"):
        write_mask(tmp_path / "m.png", mask.T, tmp_path / "a.png")
    with pytest.raises(BadInput, match="NIfTI"):
        write_float(tmp_path / "h.png", mask.astype(np.float32), tmp_path / "a.png")
    with pytest.raises(BadInput, match="can't be written"):
        write_mask(tmp_path / "none" / "m.nii.gz", mask, tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_masks_of_another_size_are_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    save_itk(tmp_path / "a.nrrd", GREY)
    for name in ("a.png", "a.nrrd"):
        with pytest.raises(BadInput, match="5 x 7 pixels, but its image is 7 x 5"):
            read_mask(tmp_path / name, (7, 5))


def test_masks_need_whole_numbers(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_mask(save_itk(tmp_path / "a.nii", GREY.astype(np.float64)), (5, 7)), GREY)
    for value in (0.5, -1, 256, np.nan, np.inf):
        path = save_itk(tmp_path / "b.nii", np.full((5, 7), value))
        with pytest.raises(BadInput, match="holds the value"):
            read_mask(path, (5, 7))


def test_masks_of_other_kinds_are_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.jpg")
    Image.fromarray(np.dstack([GREY] * 3)).save(tmp_path / "b.png")
    with pytest.raises(BadInput, match="jpeg file"):
        read_mask(tmp_path / "a.jpg", (5, 7))
    with pytest.raises(BadInput, match="colour PNG"):
        read_mask(tmp_path / "b.png", (5, 7))


def test_a_label_of_1_gb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.nrrd"
    with path.open("wb") as file:
        file.write(b"NRRD0004\n")
        file.truncate(2**30)  # a hole: it takes no space
    with pytest.raises(TooLarge, match="1073741824 bytes"):
        read_mask(path, (5, 7))


def test_a_label_that_unpacks_to_gigabytes_is_refused_by_its_header(tmp_path: Path) -> None:
    header = bytearray(save_itk(tmp_path / "x.nii", GREY).read_bytes()[:352])
    header[40:56] = struct.pack("<8h", 3, 30_000, 30_000, 1, 1, 1, 1, 1)
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        file.write(header)
        file.write(bytes(2**20))
    (tmp_path / "m.nii.gz").write_bytes(packed.getvalue())
    (tmp_path / "m.png").write_bytes(png_header(100_000, 100_000))
    for name in ("m.nii.gz", "m.png"):
        with pytest.raises(BadInput, match=r"m\..*(million|exceeds limit)"):
            read_mask(tmp_path / name, (5, 7))


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damaged_files_never_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from([".png", ".jpg", *VOLUME_SUFFIXES]))
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    if suffix in VOLUME_SUFFIXES:
        save_itk(path, GREY)
    else:
        Image.fromarray(GREY).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    for read in (read_image, read_size, lambda path: read_mask(path, (5, 7))):
        try:
            read(path)
        except BadInput as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_constant_images_are_black() -> None:
    grey = np.full((3, 3), 7, np.float32)
    assert not Image2D(grey, 7, 7, read_geometry).as_uint8().any()
