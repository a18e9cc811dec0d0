"""Numbers and lists as they stand in sentences."""

import math
from collections.abc import Callable, Sequence

from imil.experiments.tables.model import Difference, Measure

Bounds = tuple[float, float]


_ROUNDING = 1e-9  # a mean of equal numbers may miss zero by this much
MOST = 6
"""Items that a sentence names; the rest stands in the table."""


def includes_zero(bounds: Bounds) -> bool:
    """Whether an interval includes zero, up to rounding errors."""
    return bounds[0] <= _ROUNDING and bounds[1] >= -_ROUNDING


def is_positive(value: float) -> bool:
    """Whether a difference is above zero with the three decimals that are shown."""
    return signed(value).startswith("+")


def intervals(over_seeds: Bounds, over_patients: Bounds) -> str:
    """Both intervals of a value in words, those that exist; empty if none does."""
    return _intervals(over_seeds, over_patients, _plain_bounds)


def difference(found: Difference) -> str:
    """A difference with its intervals in words, and whether they include zero."""
    between = _intervals(found.over_seeds, found.over_patients, _signed_bounds)
    return f"{signed(found.value)}, {between}" if between else signed(found.value)


def short_difference(found: Difference) -> str:
    """A difference with its intervals over seeds and over patients in brackets; a dash where there is none."""
    bounds = [
        "—" if math.isnan(low) else f"{signed(low)} to {signed(high)}"
        for low, high in (found.over_seeds, found.over_patients)
    ]
    return f"{signed(found.value)} [{'; '.join(bounds)}]"


def signed(value: float) -> str:
    """Three decimals with a plus or a true minus; none for what rounds to zero."""
    text = f"{value:+.3f}".replace("-", "−")
    return "0.000" if text[1:] == "0.000" else text


def p_value(value: float) -> str:
    """``p = 0.012``, or ``p < 0.001``."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def count(number: int, noun: str) -> str:
    """``1 seed``, ``2 seeds``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def titled(title: str) -> str:
    """An arm's title within a sentence: in quotes if a comma in it could be taken for one of the sentence's."""
    return f"“{title}”" if "," in title else title


def listed(items: Sequence[str], where: str = " in the table") -> str:
    """Items with semicolons between them; of many the first, and how many more there are, and where."""
    more = len(items) - MOST
    return "; ".join([*items[:MOST], *([f"and {more} more{where}"] if more > 0 else [])])


def joined(items: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def direction(value: float, measure: Measure) -> str:
    """What a difference means with the three decimals that are shown: ``better``, ``worse`` or ``equal``."""
    gain = value if measure.better == "higher" else -value
    if is_positive(gain):
        return "better"
    return "worse" if is_positive(-gain) else "equal"


def _intervals(over_seeds: Bounds, over_patients: Bounds, words: Callable[[Bounds], str]) -> str:
    parts = [
        f"over {name} {words(bounds)}"
        for name, bounds in (("seeds", over_seeds), ("patients", over_patients))
        if not math.isnan(bounds[0])
    ]
    if not parts:
        return ""
    return f"95 % interval{'s' if len(parts) > 1 else ''} {' and '.join(parts)}"


def _plain_bounds(bounds: Bounds) -> str:
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}".replace("-", "−")


def _signed_bounds(bounds: Bounds) -> str:
    return f"{signed(bounds[0])} to {signed(bounds[1])} ({'includes' if includes_zero(bounds) else 'excludes'} zero)"
