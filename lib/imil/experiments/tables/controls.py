"""What the contrasts say: the method against its controls at equal budget, and its levels against each other."""

import math
from collections.abc import Sequence

from imil.experiments.arms import Arm
from imil.experiments.tables.model import PRIMARY, Contrast, LevelContrast, Table
from imil.experiments.tables.phrases import MOST, count, is_positive, joined, listed, short_difference, signed, titled
from imil.experiments.tables.shown import is_shown, no_spread

_BRACKETS = "; in brackets the 95 % intervals over seeds and over patients"
_WHAT_A_CONTROL_TESTS = {
    "random_images": "the choice of images",
    "random_cells": "the choice of cells",
    "wrong_cells": "the choice of cells",
    "cutout_same": "the place of what is blacked out",
    "repeated": "blacking anything out",
    "same_steps": "feeding these images back",
}
"""By the beginning of the control's name."""


def control_sentences(table: Table) -> list[str]:
    """Which controls the method is shown to beat and which not; where it has several levels, a sentence for each."""
    contrasts = [contrast for contrast in table.contrasts if contrast.differences]
    if not contrasts:
        return [
            "No control at equal budget stands beside the feedback here, so a difference can't be put down to what the "
            "reader chose: the same edit without her knowledge might do as well."
        ] * any(row.arm.group in ("imil", "readers") for row in table.rows)
    methods = list(dict.fromkeys(contrast.method.name for contrast in contrasts))
    of_method = [[contrast for contrast in contrasts if contrast.method.name == name] for name in methods]
    if sum(row.arm.group == "imil" for row in table.rows) > 1:
        return [_level(own, len(contrasts)) for own in of_method]
    return [sentence for own in of_method for sentence in _method(own, len(contrasts))]


def level_sentences(contrasts: Sequence[LevelContrast]) -> list[str]:
    """The verdict on the levels of the method; nothing where none could be tested."""
    found = []
    for name in dict.fromkeys(contrast.reference.name for contrast in contrasts):
        own = [one for one in contrasts if one.reference.name == name]
        tested = [one for one in own if one.differences and not math.isnan(one.differences[PRIMARY.key].p_holm)]
        if not tested:
            continue
        reference = titled(tested[0].reference.title)
        shown = [
            f"{titled(one.level.title)} {signed(one.differences[PRIMARY.key].value)}"
            for one in tested
            if is_shown(one.differences[PRIMARY.key])
        ]
        start = f"In accuracy, with Holm's correction for {count(len(tested), 'comparison')} of levels"
        if shown:
            found.append(f"{start}, shown to differ from {reference}: {listed(shown)}.")
        else:
            found.append(
                f"{start}, no level is shown to differ from {reference}. That isn't proof that they are equal."
            )
    return found


def _split(contrasts: list[Contrast]) -> tuple[list[Contrast], list[Contrast], list[Contrast]]:
    """The controls that did as well or better, those not shown to be beaten, and those shown to be."""
    as_well = [one for one in contrasts if not is_positive(one.differences[PRIMARY.key].value)]
    beaten = [one for one in contrasts if one not in as_well and is_shown(one.differences[PRIMARY.key])]
    return as_well, [one for one in contrasts if one not in as_well and one not in beaten], beaten


def _method(contrasts: list[Contrast], corrected_for: int) -> list[str]:
    method = titled(contrasts[0].method.title)
    as_well, unclear, beaten = _split(contrasts)
    found = []
    for some, start, end in (
        (as_well, f"Controls that did as well as {method} or better", "can't be credited"),
        (unclear, f"Controls that {method} isn't shown to beat", "can't be credited on this evidence"),
        (beaten, f"Controls that {method} is shown to beat, with Holm's correction for {corrected_for}", ""),
    ):
        if some:
            text = f"{start} (accuracy, {method} minus control{_BRACKETS}): {listed([_numbers(one) for one in some])}."
            found.append(f"{text} So {_tested_by(some)} {end}." if end else text)
    return found


def _numbers(contrast: Contrast) -> str:
    found = contrast.differences[PRIMARY.key]
    text = f"{titled(contrast.control.title)} {short_difference(found)}"
    return (
        f"{text} (all seeds differ by the same amount, which makes p 0 and shows little)" if no_spread(found) else text
    )


def _level(contrasts: list[Contrast], corrected_for: int) -> str:
    as_well, unclear, beaten = _split(contrasts)
    start = (
        f"{titled(contrasts[0].method.title)} against its {count(len(contrasts), 'control')}, in accuracy and with "
        f"Holm's correction for {corrected_for}:"
    )
    number = f"{len(beaten)} {'is' if len(beaten) == 1 else 'are'}" if beaten else "none is"
    parts = [f"{number} shown to be beaten{_names(beaten)}"]
    if as_well:
        parts.append(f"{len(as_well)} did as well or better{_names(as_well)}")
    text = f"{start} {' and '.join(parts)}."
    rest = [*as_well, *unclear]
    return text if not rest else f"{text[:-1]}; {_tested_by(rest)} can't be credited on this evidence."


def _names(contrasts: list[Contrast]) -> str:
    names = [titled(_without_level(one.control, one.method)) for one in contrasts]
    return f" ({listed(names)})" if names else ""


def _without_level(control: Arm, method: Arm) -> str:
    """The control's title without the ending that it shares with its level."""
    return control.title.removesuffix(method.title.removeprefix("IMIL"))


def _tested_by(contrasts: list[Contrast]) -> str:
    found = [
        next(
            (words for start, words in _WHAT_A_CONTROL_TESTS.items() if one.control.name.startswith(start)),
            f"what {titled(one.method.title)} has beyond {titled(one.control.title)}",
        )
        for one in contrasts
    ]
    words = list(dict.fromkeys(found))
    more = len(words) - MOST
    return joined([*words[:MOST], *([f"{more} more"] if more > 0 else [])])
