import numpy as np
import pytest
from IMILLib.colormaps import COLOR_MAPS, even, jet


def oklab(colors):
    """Oklab of sRGB bytes, written down from its definition: linear light, cone responses, cube root, opponents."""
    light = colors / 255
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    cones = (
        light
        @ np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        ).T
    )
    return (
        np.cbrt(cones)
        @ np.array(
            [
                [0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660],
            ]
        ).T
    )


@pytest.mark.parametrize("name", COLOR_MAPS)
def test_a_map_has_256_colours(name):
    colors = COLOR_MAPS[name]()
    assert colors.shape == (256, 3)
    assert colors.dtype == np.uint8


def test_the_even_maps_steps_are_equal():
    lab = oklab(even().astype(float))
    # Over 15 entries, because a single step is about as large as what rounding to bytes adds to it.
    steps = np.linalg.norm(np.diff(lab[::15], axis=0), axis=1)
    assert steps.max() / steps.min() < 1.1
    lightness = np.diff(lab[::15, 0])
    assert lightness.max() / lightness.min() < 1.1
    single = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert single.max() < 2 * np.median(single)
    assert single.min() > 0


def test_the_even_map_stands_out_from_grey_all_the_way():
    chroma = np.linalg.norm(oklab(even().astype(float))[:, 1:], axis=1)
    assert chroma.min() > 0.12


def test_jet_is_not_even():
    steps = np.linalg.norm(np.diff(oklab(jet().astype(float))[::15], axis=0), axis=1)
    assert steps.max() / steps.min() > 2


def test_jet_is_the_classic():
    import matplotlib

    theirs = matplotlib.colormaps["jet"](np.arange(256), bytes=True)[:, :3].astype(int)
    colors = jet().astype(int)
    assert np.abs(colors - theirs).max() <= 45  # matplotlib moved the corners a little
    np.testing.assert_allclose(colors[[0, 255]], [[0, 0, 128], [128, 0, 0]], atol=1)
    np.testing.assert_allclose(colors[[64, 128, 191]], [[0, 129, 255], [129, 255, 126], [255, 127, 0]], atol=3)
