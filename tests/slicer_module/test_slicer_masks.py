"""Heat maps as the server writes them, and masks as the server reads them."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from IMILLib.images import read_heat_map, read_picture, write_mask

from imil import images
from tests.slicer_module.test_slicer_images import DEEP, GREY, RANDOM, TURNS, saved


@pytest.mark.parametrize("like", ["a.png", "a.nii.gz", "a.nrrd"])
def test_heat_map_as_the_server_writes_it(tmp_path: Path, like: str) -> None:
    image = saved(tmp_path / like, DEEP if like == "a.png" else DEEP[:, None, :])
    heat_map = RANDOM.random(DEEP.shape, np.float32)
    images.write_float(tmp_path / "heat.nii.gz", heat_map, image)
    content = (tmp_path / "heat.nii.gz").read_bytes()
    found = read_heat_map(content, DEEP.shape)
    np.testing.assert_array_equal(found, heat_map)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(read_heat_map(gzip.decompress(content), DEEP.shape), heat_map)


def test_heat_maps_that_cannot_be(tmp_path: Path) -> None:
    image = saved(tmp_path / "a.png", GREY)

    def heat_map(values: np.ndarray, suffix: str = ".nii.gz") -> bytes:
        path = saved(tmp_path / f"heat{suffix}", values)
        return path.read_bytes()

    good = np.full(GREY.shape, 0.5, np.float32)
    content = heat_map(good)
    assert read_heat_map(content, GREY.shape).shape == images.read_size(image)
    for bad, word in (
        (content[: len(content) // 2], "cut off"),
        (b"", "NIfTI"),
        (b"\x1f\x8bnonsense", "can't be shown"),
        (heat_map(good.T), "size"),
        (heat_map(good[:-1]), "size"),
        (heat_map(good + 1), "outside"),
        (heat_map(good.astype(np.float64)), "type"),
        (gzip.compress(bytes(200_000_000), 1), "larger"),
        (heat_map(good, ".nrrd"), "NIfTI"),
    ):
        with pytest.raises(ValueError, match=word):
            read_heat_map(bad, GREY.shape)
    with_nan = bytearray(gzip.decompress(content))
    with_nan[-4:] = np.float32(np.nan).tobytes()
    with pytest.raises(ValueError, match="outside"):
        read_heat_map(bytes(with_nan), GREY.shape)


@pytest.mark.parametrize("flat", [None, 0, 1, 2])
@pytest.mark.parametrize(("order", "signs"), TURNS)
def test_mask_comes_back_exactly_with_the_same_geometry(
    tmp_path: Path, order: tuple[int, int], signs: tuple[float, float], flat: int | None
) -> None:
    dimension = 2 if flat is None else 3
    plane = [axis for axis in range(dimension) if axis != flat]
    direction = np.eye(dimension)
    direction[plane, plane] = 0
    direction[plane[order[0]], plane[0]], direction[plane[order[1]], plane[1]] = signs
    array = DEEP if flat is None else np.expand_dims(DEEP, 2 - flat)
    path = saved(
        tmp_path / "a.nrrd", array, spacing=(0.1, 1 / 3, 2.0)[:dimension], origin=(-1e3, 0.7, 5.0)[:dimension],
        direction=tuple(direction.ravel()),
    )  # fmt: skip
    picture = read_picture(path.read_bytes(), path.name)
    mask = (DEEP % 3).astype(np.uint8)
    (tmp_path / "mask.nrrd").write_bytes(write_mask(mask, json.loads(json.dumps(picture.geometry))))
    np.testing.assert_array_equal(images.read_mask(tmp_path / "mask.nrrd", mask.shape), mask)
    ours, theirs = SimpleITK.ReadImage(str(tmp_path / "mask.nrrd")), SimpleITK.ReadImage(str(path))
    assert ours.GetSize() == theirs.GetSize()
    for what in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(ours, what)(), getattr(theirs, what)(), rtol=1e-12, atol=1e-12)


def test_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    picture = read_picture(saved(tmp_path / "a.png", GREY).read_bytes(), "a.png")
    with pytest.raises(ValueError, match="53, 37"):
        write_mask(np.zeros((53, 37), np.uint8), picture.geometry)
