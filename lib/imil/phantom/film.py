"""From attenuation to a picture: exposure, quantum noise, grain, contrast."""

import numpy as np

from imil.phantom.fields import Floats, blur, smooth_noise


def develop(rng: np.random.Generator, attenuation: Floats, noise: float) -> Floats:
    """A picture in [0, 1] that reaches both ends, as an automatic window would show it.

    Quantum noise grows with attenuation, since fewer photons arrive; the grain is the same everywhere. Both are
    given per pixel, whatever the picture's size.
    """
    size = attenuation.shape[0]
    bias, grain = float(rng.uniform(0.42, 0.58)), np.float32(0.010 * noise * rng.uniform(0.7, 1.4))
    picture = attenuation + smooth_noise(rng, size, 4) * np.float32(0.01)
    if noise:
        picture += _quantum_noise(rng, size) * (picture + np.float32(0.5)) * grain
    # Two percentiles of a sparse sample: robust, and what is beyond them is shown as plain black or white.
    sample = picture[1::3, 1::3]
    ranks = (int(0.01 * sample.size), int(0.997 * sample.size))
    low, high = np.partition(sample, ranks, axis=None)[list(ranks)]
    picture -= low
    picture *= 1 / (high - low)
    np.maximum(picture, 0, out=picture)
    np.minimum(picture, 1, out=picture)
    return _contrast(picture, bias)


def overexpose(picture: Floats, bias: float) -> None:
    """Brightens a finished picture, in place: ends stay as they are, 0.5 goes to ``bias``."""
    picture[:] = _contrast(picture, bias)


def _quantum_noise(rng: np.random.Generator, size: int) -> Floats:
    """(size, size) noise of about unit variance, partly blurred by the detector.

    Uniform numbers are four times as quick as normal ones, and sums of them look the same.
    """
    white = rng.random((size + 2, size + 2), dtype=np.float32)
    white -= np.float32(0.5)
    noise = blur(white, 1)
    noise *= np.float32(3.1)
    noise += white[1:-1, 1:-1] * np.float32(1.9)
    return noise


def _contrast(picture: Floats, bias: float) -> Floats:
    """Schlick's bias curve: 0 and 1 stay, 0.5 goes to ``bias``.

    Schlick, "Fast Alternatives to Perlin's Bias and Gain Functions", Graphics Gems IV, 1994.
    """
    slope = np.float32(1 / bias - 2)
    return picture / (slope * (1 - picture) + 1)
