"""What the table shows, in sentences that claim no more than its intervals do."""

from collections.abc import Iterator, Sequence
from typing import Any

from imil.experiments.refocus.arms import LUNG_MASK
from imil.experiments.refocus.presets import READERS_TARGET
from imil.experiments.refocus.table import Row, is_above, is_below
from imil.experiments.tables.phrases import joined, signed

POINT = 0.01
"""A point of accuracy, the most that a mode may cost where there is no shortcut."""
Facts = dict[str, Any]
World = dict[str, Any]


def sentences(facts: Facts) -> list[str]:
    """A few for each setting and strength, and those on what the benchmark can't show."""
    found = [_on_intervals(facts)]
    for world in facts["settings"]:
        rows = [row for row in facts["rows"] if _same(row, world)]
        if rows:
            found += list(_world(world, rows, [row for row in facts["contrasts"] if _same(row, world)]))
    return found


def world_name(world: World) -> str:
    """A setting with its strength, as in ``corner, shortcut 0.95``."""
    return world["setting"] + ("" if world["shortcut"] is None else f", shortcut {world['shortcut']:g}")


def _on_intervals(facts: Facts) -> str:
    if len(facts["seeds"]) < 2:
        return "There is one seed only, so there are no intervals, and nothing is shown."
    return (
        "Intervals are 95 % t-intervals over seeds, one by one: of twenty that include no effect, one is expected to "
        "exclude it by chance."
    )


def _world(world: World, rows: Sequence[Row], contrasts: Sequence[Row]) -> Iterator[str]:
    name = world_name(world)
    modes = [row for row in rows if row["group"] == "mode"]
    if not world["marked"]:
        yield from _without_marker(name, modes)
    elif any(row["gap_closed"] is not None for row in modes):
        yield from _healed(name, world, modes)
        yield from _mistaken(name, world, rows)
        yield from _controls(name, modes, contrasts)
        yield from _lung_mask(name, modes, contrasts)
    elif modes:
        yield (
            f"{name}: the baseline isn't worse than the clean model by a margin that counts, so there is no gap, and "
            "no share of it."
        )
    if world["marked"] and not world["placed"]:
        yield (
            f"{name}: this shortcut has no place, so no cell can hold it: whatever an arm changes here, it isn't that "
            "readers showed where the model was misled."
        )
    if world["calibrated"] is False:
        yield (
            f"{name}: the setting isn't as calibrated for every seed (lowest clean accuracy "
            f"{world['lowest_clean']:.3f}, highest baseline {world['highest_baseline']:.3f})."
        )
    yield from _refusals(name, rows)


def _healed(name: str, world: World, modes: Sequence[Row]) -> Iterator[str]:
    defined = [row for row in modes if row["gap_closed"] is not None]
    best = max(defined, key=lambda row: row["gap_closed"])
    target = world["target"]
    reached = "" if target is None else f"; the figure to reach is {target:.2f}"
    yield f"{name}: the highest mean is that of {best['arm']}, which closes {_gap(best)} of the gap{reached}."
    healing = [row for row in defined if row is not best and is_above(row, "gap_closed")]
    harming = [row for row in defined if is_below(row, "gap_closed")]
    if healing:
        yield f"{name}: shown to heal as well: {joined([_short(row) for row in healing])}."
    if harming:
        yield f"{name}: shown to do harm: {joined([_short(row) for row in harming])}."
    unclear = [row for row in defined if row is not best and row not in healing and row not in harming]
    if unclear:
        yield f"{name}: neither is shown of {joined([row['arm'] for row in unclear])}."


def _mistaken(name: str, world: World, rows: Sequence[Row]) -> Iterator[str]:
    """What is left of the best mode with readers who make mistakes."""
    modes = [row for row in rows if row["group"] == "mode" and row["gap_closed"] is not None]
    best = max(modes, key=lambda row: row["gap_closed"])["arm"]
    readers = [
        row for row in rows if row["group"] == "reader" and row["mode"] == best and row["gap_closed"] is not None
    ]
    if readers:
        target = "" if world["target"] is None else f"; the figure to reach is {READERS_TARGET:.2f}"
        yield f"{name}: with readers who make mistakes it closes {joined([_short(row) for row in readers])}{target}."


def _controls(name: str, modes: Sequence[Row], contrasts: Sequence[Row]) -> Iterator[str]:
    """Of each mode that heals, which controls it's shown to be ahead of, and which not."""
    for row in modes:
        own = [one for one in contrasts if one["mode"] == row["arm"] and one["control"].startswith(f"{row['arm']}_")]
        if not own or not is_above(row, "gap_closed"):
            continue
        ahead = [one["control"] for one in own if is_above(one, "difference")]
        others = [one["control"] for one in own if one["control"] not in ahead]
        parts = [f"is shown to be ahead of {joined(ahead)}"] if ahead else []
        parts += [f"isn't shown to be ahead of {joined(others)}"] if others else []
        yield f"{name}: {row['arm']} {' but '.join(parts)}."


def _lung_mask(name: str, modes: Sequence[Row], contrasts: Sequence[Row]) -> Iterator[str]:
    against = [one for one in contrasts if one["control"] == LUNG_MASK]
    ahead = [one["mode"] for one in against if is_above(one, "difference")]
    behind = [one["mode"] for one in against if is_below(one, "difference")]
    if ahead:
        yield f"{name}: ahead of the lung mask without a reader: {joined(ahead)}."
    if behind:
        yield f"{name}: the lung mask without a reader is ahead of {joined(behind)}."


def _without_marker(name: str, modes: Sequence[Row]) -> Iterator[str]:
    for row in modes:
        if row["change"] is None or row["change_low"] is None:
            continue
        said = f"{signed(row['change'])} ({signed(row['change_low'])} to {signed(row['change_high'])})"
        if is_below(row, "change", -POINT):
            yield f"{name}: {row['arm']} costs more than a point of accuracy: {said}."
        elif is_above(row, "change", -POINT):
            yield f"{name}: {row['arm']} costs less than a point of accuracy: {said}."
        else:
            yield f"{name}: whether {row['arm']} costs a point of accuracy isn't shown: {said}."


def _refusals(name: str, rows: Sequence[Row]) -> Iterator[str]:
    """Of modes, readers and controls alike: an arm that fell back heals nothing, whatever it is."""
    refused = [row for row in rows if row["refused"]]
    if refused:
        listed = joined([f"{row['arm']} ({row['refused']} of {len(row['seeds'])})" for row in refused])
        yield (
            f"{name}: with some seeds the answers couldn't be used, and training went on without feedback: "
            f"{listed}. The first reason: {refused[0]['note']}"
        )


def _gap(row: Row) -> str:
    text = f"{row['gap_closed']:.2f}".replace("-", "−")
    if row["gap_closed_low"] is None:
        return text
    return f"{text} ({row['gap_closed_low']:.2f} to {row['gap_closed_high']:.2f})".replace("-", "−")


def _short(row: Row) -> str:
    return f"{row['arm']} {_gap(row)}"


def _same(row: Row, world: World) -> bool:
    return bool(row["setting"] == world["setting"] and row["shortcut"] == world["shortcut"])
