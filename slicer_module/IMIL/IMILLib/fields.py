"""Reading JSON of unknown quality: each value is checked for its type and range when it's taken out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .errors import ServerError
from .i18n import _

T = TypeVar("T")

_REQUIRED: Any = object()
_ROUNDING = 1e-4
MAX_TEXT = 100_000
"""Longest single text in characters; the server's longest is a rationale of 2000."""


def nonsense(what: str, field: str, value: object) -> ServerError:
    """The error for a value that can't be what it is."""
    shown = _("missing") if value is None else repr(value)
    return ServerError(
        "nonsense",
        _(
            "The server's answer can't be used: {field} of {what} is {value}; another version of IMIL may run there."
        ).format(field=field, what=what, value=shown if len(shown) <= 60 else shown[:57] + "..."),
    )


class Fields:
    """The fields of a JSON object.

    Args:
        value: what was received.
        what: how errors call the object.

    Raises:
        ServerError: ``nonsense`` if it's no object. Every method raises the same if the field is missing and has no
            default, or has another type or range.
    """

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise ServerError(
                "nonsense",
                _("The server's answer can't be used: {what} is not a JSON object.").format(what=what),
            )
        self._values = value
        self._what = what

    def text(self, name: str, default: Any = _REQUIRED) -> str:
        """A text; null counts as the default where there is one."""
        value = self._get(name, default)
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise nonsense(self._what, name, value)
        return value

    def flag(self, name: str, default: Any = _REQUIRED) -> bool:
        value = self._get(name, default)
        if not isinstance(value, bool):
            raise nonsense(self._what, name, value)
        return value

    def whole(self, name: str, low: int = 0, default: Any = _REQUIRED) -> int:
        """A whole number of at least ``low``."""
        value = self._get(name, default)
        if not is_whole(value) or value < low:
            raise nonsense(self._what, name, value)
        return value

    def number(self, name: str, low: float, high: float, default: Any = _REQUIRED) -> float:
        """A finite number in ``[low, high]``."""
        value = self._get(name, default)
        if not is_number(value) or not low <= value <= high:
            raise nonsense(self._what, name, value)
        return float(value)

    def probability(self, name: str) -> float:
        """A number in [0, 1]; what rounding put beyond is put back."""
        return min(max(self.number(name, -_ROUNDING, 1 + _ROUNDING), 0.0), 1.0)

    def probabilities(self, name: str, default: Any = _REQUIRED) -> tuple[float, ...]:
        """A list of such numbers."""
        return tuple(min(max(float(value), 0.0), 1.0) for value in self.items(name, is_probability, default))

    def whole_or_none(self, name: str) -> int | None:
        return None if self._values.get(name) is None else self.whole(name)

    def number_or_none(self, name: str, low: float, high: float) -> float | None:
        return None if self._values.get(name) is None else self.number(name, low, high)

    def objects(self, name: str, default: Any = _REQUIRED) -> dict[str, Any]:
        """A JSON object as it is."""
        value = self._get(name, default)
        if not isinstance(value, dict):
            raise nonsense(self._what, name, value)
        return value

    def items(self, name: str, check: Callable[[Any], bool], default: Any = _REQUIRED) -> tuple[Any, ...]:
        """A list whose items all pass ``check``."""
        value = self._get(name, default)
        if not isinstance(value, (list, tuple)):
            raise nonsense(self._what, name, value)
        for item in value:
            if not check(item):
                raise nonsense(self._what, name, item)
        return tuple(value)

    def texts(self, name: str, default: Any = _REQUIRED) -> tuple[str, ...]:
        return self.items(name, is_text, default)

    def edges(self, name: str) -> tuple[int, ...]:
        """Cell edges in pixels: at least two whole numbers that rise from 0."""
        edges = self.items(name, is_whole)
        if len(edges) < 2 or edges[0] != 0 or any(after <= before for before, after in zip(edges, edges[1:])):
            raise nonsense(self._what, name, list(edges))
        return edges

    def cells(self, name: str, count: int) -> tuple[int, ...]:
        """Cell numbers below ``count``, without repeats."""
        cells = self.items(name, lambda cell: is_whole(cell) and 0 <= cell < count, ())
        if len(set(cells)) < len(cells):
            raise nonsense(self._what, name, list(cells))
        return cells

    def parsed(self, name: str, parse: Callable[[Any], T]) -> tuple[T, ...]:
        """A list of objects, each parsed."""
        return tuple(parse(item) for item in self.items(name, is_object))

    def _get(self, name: str, default: Any) -> Any:
        value = self._values.get(name)
        if value is not None:
            return value
        if default is not _REQUIRED:
            return default
        raise nonsense(self._what, name, None)


def is_text(value: object) -> bool:
    """Whether it's a text of sensible length."""
    return isinstance(value, str) and len(value) <= MAX_TEXT


def is_object(value: object) -> bool:
    """Whether it's a JSON object."""
    return isinstance(value, dict)


def is_whole(value: object) -> bool:
    """Whether it's a whole number; true and false aren't."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether it's a finite number; true and false aren't."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) < 1e300 and math.isfinite(value)


def is_probability(value: object) -> bool:
    """Whether it's a number from 0 to 1, or beyond by no more than rounding does."""
    return isinstance(value, (int, float)) and is_number(value) and -_ROUNDING <= value <= 1 + _ROUNDING


def is_metrics(value: object) -> bool:
    """Whether it's an object of numbers, or null where one is undefined."""
    return isinstance(value, dict) and all(item is None or is_number(item) for item in value.values())


def same_length(what: str, field: str, values: Sequence[Any], others: Sequence[Any]) -> None:
    """Raises ServerError ``nonsense`` unless both have as many items."""
    if len(values) != len(others):
        raise nonsense(what, field, list(values))
