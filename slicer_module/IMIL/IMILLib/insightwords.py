"""What a round taught, in words and table rows for the panel. No Qt."""

from __future__ import annotations

from .casewords import percent, short_percent
from .i18n import _
from .insightrecords import CellFacts, Find, Insight

NOTHING = "\u2013"
"""In the place of a value that isn't known."""


def title(insight: Insight) -> str:
    """The page's heading."""
    return _("What the answers of round {round} taught").format(round=insight.round)


def told(insight: Insight) -> str:
    """The server's sentences, and what there is to do."""
    lines = [*insight.sentences, *insight.notes]
    if insight.open:
        lines.append(_("Nothing of this has been done yet: it happens to all images when training goes on."))
    return "\n".join(lines)


def number(value: float | None) -> str:
    """A change of log-odds, for a narrow column."""
    return NOTHING if value is None else f"{value:.2f}"


def share(value: float | None) -> str:
    """A share, for a narrow column."""
    return NOTHING if value is None else short_percent(value)


def find_state(insight: Insight, find: Find, reader: str) -> str:
    """What becomes of a find, and who said so."""
    said = insight.last_word(find.id)
    who = "" if said is None or said.reader == reader else f" ({said.reader})"
    if find.vetoed:
        return _("vetoed") + who
    if find.corrected:
        return _("corrected") + who
    return _("found") if find.found else NOTHING


def find_row(insight: Insight, find: Find, reader: str) -> tuple[str, ...]:
    """A row of the table of images: image, label, how sure, influence, state."""
    return (
        find.id,
        find.label,
        share(find.score),
        number(find.influence),
        find_state(insight, find, reader),
    )


def find_facts(insight: Insight, find: Find, reader: str, painted: int) -> str:
    """All about the image on the screen, in sentences."""
    parts = []
    if not insight.looks:
        parts.append(_("Class {label}.").format(label=find.label))
    elif find.score is None:
        parts.append(_("Class {label}; the model found nothing here.").format(label=find.label))
    else:
        parts.append(
            _("Class {label}; found here, with {sure} certainty.").format(label=find.label, sure=percent(find.score))
        )
    if find.influence is not None:
        parts.append(_("Without it the model's log-odds change by {change:.2f}.").format(change=find.influence))
    said = insight.last_word(find.id)
    who = _("you") if said is None or said.reader == reader else said.reader
    if find.vetoed:
        parts.append(_("Vetoed by {who}: nothing is done to it.").format(who=who))
    elif find.corrected:
        parts.append(_("Where it is was corrected by {who}.").format(who=who))
    if painted:
        parts.append(_("You marked 1 cell.") if painted == 1 else _("You marked {count} cells.").format(count=painted))
    return " ".join(parts)


def cell_state(insight: Insight, cell: int) -> str:
    """What becomes of a cell in all images."""
    if cell in insight.vetoed:
        return _("vetoed")
    return _("swapped") if cell in insight.swapped else NOTHING


def cell_row(insight: Insight, facts: CellFacts) -> tuple[str, ...]:
    """A row of the table of cells: row, column, chosen, misled, heat, influence, state."""
    row, column = divmod(facts.cell, insight.grid_size)
    return (
        str(row + 1),
        str(column + 1),
        share(facts.chosen),
        share(facts.misled),
        share(facts.heat),
        number(facts.influence),
        cell_state(insight, facts.cell),
    )


def cell_facts(insight: Insight, cell: int, name: str) -> str:
    """The cell at the pointer, in one line."""
    facts = insight.cells[cell]
    parts = [_("chosen {share}").format(share=share(facts.chosen)), _("heat {share}").format(share=share(facts.heat))]
    if facts.influence is not None:
        parts.append(_("influence {number}").format(number=number(facts.influence)))
    if cell in insight.vetoed or cell in insight.swapped:
        parts.append(cell_state(insight, cell))
    return f"{name}: {', '.join(parts)}"


def cells_in_order(insight: Insight) -> list[CellFacts]:
    """Those that are, or were to be, swapped come first; then the hottest."""
    planned = {*insight.swapped, *insight.vetoed}
    return sorted(insight.cells, key=lambda facts: (facts.cell not in planned, -(facts.heat or 0.0), facts.cell))


def waiting(pending: int) -> str:
    """Corrections that aren't confirmed; empty if all are."""
    if pending == 1:
        return _("1 correction is on its way.")
    return _("{count} corrections are on their way.").format(count=pending) if pending else ""
