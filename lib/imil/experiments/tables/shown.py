"""When a difference counts as shown: one rule for sentences, page and figures."""

import math

from imil.experiments.tables.model import Difference
from imil.experiments.tables.phrases import includes_zero

ALPHA = 0.05


def is_shown(found: Difference) -> bool:
    """Whether a difference counts as shown.

    Its corrected p-value over seeds is below 0.05, and its interval over patients excludes zero. Without such an
    interval, as with a single patient, it isn't shown, nor where the seeds have no spread.
    """
    bounds = found.over_patients
    return found.p_holm < ALPHA and not math.isnan(bounds[0]) and not includes_zero(bounds) and not no_spread(found)


def no_spread(found: Difference) -> bool:
    """Whether all seeds differ by the very same amount, so that a t-test has no spread to go by and its p is 0."""
    return found.p == 0 and found.over_seeds[0] == found.over_seeds[1]
