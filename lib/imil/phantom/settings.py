"""What a phantom set looks like: one validated set of options."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from imil.errors import BadInput

CLASSES = ("normal", "tb")
"""The two classes, in the order of their index."""
SMALLEST, LARGEST = 64, 2048
MarkerKind = Literal["letter", "ring", "tube", "patch", "exposure"]
"""``exposure`` isn't a thing on the film but a brighter film: a shortcut without a place."""
Place = Literal["corner", "outside", "lung", "lung_random"]
"""An upper corner beside the neck; anywhere outside the lungs; one place in the right lung; anywhere inside a lung."""


@dataclass(frozen=True)
class PhantomSettings:
    """Options of :func:`imil.phantom.generate`.

    Attributes:
        size: rows and columns of each picture, 64 to 2048.
        shortcut: P(marker | tb); P(marker | normal) is one minus it. 0.5 makes the marker independent of the class,
            ``None`` means no markers at all, in training or test.
        test_shortcut: the same for the test pictures of a written set; it counts only where ``shortcut`` is given.
        marker: what the marker is: a lead letter, a ring, a tube-like line, a faint patch, or no thing at all but a
            brighter film.
        place: where it is: in an upper corner beside the neck, anywhere outside the lungs where it shows, at one
            place of the film that lies in the right lung (nearly always, if patients are registered), or anywhere
            inside a lung. "exposure" has no place and leaves it at "corner".
        prevalence: share of class ``tb``, above 0 and below 1.
        registered: leave out each patient's own rotation, scale and shift, so that all stand alike.
        lesion_contrast: strength of the disease; 1 is the default, 0 makes the classes look the same.
        noise: strength of quantum noise and grain; 1 is the default, 0 switches both off.

    Raises:
        BadInput: if a value is out of its range.
    """

    size: int = 256
    shortcut: float | None = None
    test_shortcut: float | None = 0.5
    prevalence: float = 0.5
    registered: bool = False
    lesion_contrast: float = 1.0
    noise: float = 1.0
    marker: MarkerKind = "letter"
    place: Place = "corner"

    def __post_init__(self) -> None:
        check_whole("size", self.size, SMALLEST, LARGEST)
        for name in ("shortcut", "test_shortcut"):
            value = getattr(self, name)
            if value is not None:
                _check_range(name, value, 0.0, 1.0)
        _check_range("prevalence", self.prevalence, 0.0, 1.0)
        if self.prevalence in (0.0, 1.0):
            raise BadInput(f"prevalence {self.prevalence} leaves one class empty; choose a value between 0 and 1.")
        _check_range("lesion_contrast", self.lesion_contrast, 0.0, 10.0)
        _check_range("noise", self.noise, 0.0, 10.0)
        _check_choice("marker", self.marker, get_args(MarkerKind))
        _check_choice("place", self.place, get_args(Place))
        if self.marker == "exposure" and self.place != "corner":
            raise BadInput(f"marker 'exposure' is all over the film and has no place {self.place!r}; leave place out.")


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raises BadInput unless ``value`` is a whole number from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadInput(f"{name} {value!r} isn't a whole number from {low} to {high}; choose one in that range.")


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInput(f"{name} {value!r} isn't a number; choose one from {low:g} to {high:g}.")
    if not low <= value <= high:
        raise BadInput(f"{name} {value!r} is out of range; choose a number from {low:g} to {high:g}.")


def _check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise BadInput(f"{name} {value!r} is unknown; choose one of {', '.join(allowed)}.")
