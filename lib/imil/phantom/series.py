"""Makes phantom pictures, several at a time."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imil.phantom.anatomy import draw_anatomy, draw_pose
from imil.phantom.disease import draw_disease
from imil.phantom.fields import Dice, Floats, Frame, Pose, stream
from imil.phantom.film import develop, overexpose
from imil.phantom.marker import burn_in, draw_marker
from imil.phantom.processes import for_all, shared_zeros
from imil.phantom.settings import CLASSES, PhantomSettings, check_whole

# Each part of a picture has its own random numbers, so that switching one off leaves the others as they were.
_ANATOMY, _DISEASE, _FILM, _MARKER = range(4)
_MARKER_BRIGHTNESS = 1.0
SHOWS = 0.1
"""Share of the way to white from which a pixel counts as part of the marker."""
OVEREXPOSED = (0.66, 0.72)
"""Where a film that counts as overexposed shows what would be 0.5 else."""
_KEPT_BYTES = 24 * 2**20


@dataclass(frozen=True)
class Phantoms:
    """N pictures with their truth; ``size`` is that of the settings.

    Attributes:
        pixels: (N, size, size) float32 in [0, 1], each picture reaching both ends; bigger is brighter.
        labels: N class names, "normal" or "tb".
        lesion: (N, size, size) uint8, 1 inside a lesion; all 0 for "normal".
        lung: (N, size, size) uint8, 1 inside the visible lung fields.
        marker: (N,) bool, whether the picture has the marker, or is overexposed where that is the marker.
        marker_box: (N, 4) int64, first row, end row, first column, end column of the marker; all 0 without one, and
            for one without a place.
        marker_mask: (N, size, size) uint8, 1 where the marker shows; all 0 where its box is.
    """

    pixels: Floats
    labels: list[str]
    lesion: npt.NDArray[np.uint8]
    lung: npt.NDArray[np.uint8]
    marker: npt.NDArray[np.bool_]
    marker_box: npt.NDArray[np.int64]
    marker_mask: npt.NDArray[np.uint8]


def generate(count: int, seed: int, settings: PhantomSettings | None = None, *, start: int = 0) -> Phantoms:
    """``count`` phantom radiographs, numbers ``start`` to ``start + count - 1`` of the endless series ``seed``.

    Picture ``i`` of a series depends on ``seed``, ``i`` and ``settings`` only. The same picture with other settings
    for marker, noise or lesions keeps the same anatomy.

    Raises:
        BadInput: if ``count`` is below 1, or ``seed`` or ``start`` isn't a whole number from 0.
    """
    settings = settings or PhantomSettings()
    check_whole("count", count, 1, 10_000_000)
    check_whole("seed", seed, 0, 2**63 - 1)
    check_whole("start", start, 0, 2**31)
    size = settings.size
    made = Phantoms(
        pixels=shared_zeros((count, size, size), np.float32),
        labels=[label_of(start + row, seed, settings.prevalence) for row in range(count)],
        lesion=shared_zeros((count, size, size), np.uint8),
        lung=shared_zeros((count, size, size), np.uint8),
        marker=shared_zeros((count,), np.bool_),
        marker_box=shared_zeros((count, 4), np.int64),
        marker_mask=shared_zeros((count, size, size), np.uint8),
    )

    # glibc hands freed blocks of a picture's size back to the system, and a quarter of the time goes into getting them
    # again; once a larger block has been freed, it keeps them (mallopt(3), M_MMAP_THRESHOLD).
    np.empty(_KEPT_BYTES, np.uint8)

    def fill(rows: Iterable[int]) -> None:
        for row in rows:
            _fill(made, row, seed, start + row, settings)

    for_all(fill, count)
    return made


def label_of(index: int, seed: int, prevalence: float) -> str:
    """The class of picture ``index``: spread evenly, so that any stretch of pictures has the asked share of "tb"."""
    offset = float(stream(seed, 0, _DISEASE).random())
    diseased = np.floor((index + 1) * prevalence + offset) > np.floor(index * prevalence + offset)
    return CLASSES[int(diseased)]


def _fill(made: Phantoms, row: int, seed: int, index: int, settings: PhantomSettings) -> None:
    dice = Dice(stream(seed, index, _ANATOMY))
    pose = draw_pose(dice)
    frame = Frame(settings.size, Pose() if settings.registered else pose)
    anatomy = draw_anatomy(dice, frame)
    attenuation = anatomy.attenuation
    diseased = made.labels[row] == CLASSES[1]
    if diseased:
        disease_dice = Dice(stream(seed, index, _DISEASE))
        added, made.lesion[row] = draw_disease(disease_dice, frame, anatomy, settings.lesion_contrast)
        attenuation = attenuation + added
    made.lung[row] = anatomy.lung
    made.pixels[row] = develop(stream(seed, index, _FILM), attenuation, settings.noise)
    if settings.shortcut is not None:
        rng = stream(seed, index, _MARKER)
        made.marker[row] = rng.random() < (settings.shortcut if diseased else 1 - settings.shortcut)
        if made.marker[row]:
            _mark(made, row, rng, settings)


def _mark(made: Phantoms, row: int, rng: np.random.Generator, settings: PhantomSettings) -> None:
    """Puts the marker on one picture, or overexposes it."""
    if settings.marker == "exposure":
        overexpose(made.pixels[row], rng.uniform(*OVEREXPOSED))
        return
    stamp, box = draw_marker(rng, settings.marker, settings.place, made.pixels[row], made.lung[row])
    burn_in(made.pixels[row], stamp, box, _MARKER_BRIGHTNESS)
    made.marker_box[row] = box
    top, bottom, left, right = box
    made.marker_mask[row, top:bottom, left:right] = stamp > SHOWS
