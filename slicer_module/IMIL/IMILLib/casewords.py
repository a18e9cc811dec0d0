"""A case and its answers in words, for the panel. No Qt."""

from __future__ import annotations

import re

from .i18n import _
from .records import Case, PreviousAnswer, QueueRow, Receipt

BREAK_HERE = "\u200b"
"""A space without width: lets a label break a long name there instead of growing."""
LONGEST_PIECE = 16
LONGEST_WORD = 20
"""Letters that fit into a line of the narrowest label, however wide they are."""
_WORD = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")


def breakable(text: str) -> str:
    """Text whose long words (names of files, addresses) a narrow label can break; short words stay as they are."""
    return _WORD.sub(lambda found: _with_breaks(found.group()), text)


def unbroken(text: str) -> str:
    """What `breakable` was given: for the clipboard."""
    return text.replace(BREAK_HERE, "")


def _with_breaks(word: str) -> str:
    """Breaks after separators, and within what has none."""
    pieces, length = [], 0
    for letter in word:
        pieces.append(letter)
        length += 1
        if letter in "/\\_-.,;:?&=" or length >= LONGEST_PIECE:
            pieces.append(BREAK_HERE)
            length = 0
    return "".join(pieces)


def shortened(name: str, limit: int = 24) -> str:
    """A name without its middle, if it's longer than ``limit`` characters."""
    if len(name) <= limit:
        return name
    kept = limit - 1
    return f"{name[: kept - kept // 2]}\u2026{name[len(name) - kept // 2 :]}"


def percent(share: float) -> str:
    """A probability; never 100 % unless it's certain."""
    if 0.995 <= share < 1:
        return _("over 99 %")
    if 0 < share < 0.005:
        return _("under 1 %")
    return _("{percent:.0f} %").format(percent=100 * share)


def short_percent(share: float) -> str:
    """As `percent`, for a narrow column."""
    if 0.995 <= share < 1:
        return _("> 99 %")
    return _("< 1 %") if 0 < share < 0.005 else percent(share)


def why_queued(case: Case) -> str:
    """The reason for which a case is in the queue."""
    reasons = {
        "misprediction": _("The model is wrong here, and sure of it."),
        "least_confident": _("Among the model's predictions, this is one of the least sure."),
        "class_balanced": _("Among the images of its class, this is one that the model finds hardest."),
        "out_of_fold": _("Models that were not trained on this image get it wrong."),
        "random": _("Chosen at random."),
    }
    return reasons.get(case.reason, case.reason)


def how_made(case: Case) -> str:
    """Method and layer of the heat map, run and epoch of the model."""
    method = {"gradcam": "Grad-CAM"}.get(case.cam_method, case.cam_method) or _("Heat map")
    where = _("{method} at layer {layer}").format(method=method, layer=case.cam_layer) if case.cam_layer else method
    return _("{what}; run {run}, epoch {epoch}.").format(what=where, run=case.run, epoch=case.epoch)


def marked(cells: int, misleading: int) -> str:
    """How much is marked."""
    if not cells and not misleading:
        return _("Nothing is marked yet.")
    parts = []
    if cells:
        parts.append(_("1 cell matters") if cells == 1 else _("{count} cells matter").format(count=cells))
    if misleading:
        parts.append(_("{count} misled the model").format(count=misleading))
    return ", ".join(parts) + "."


def in_words(answer: PreviousAnswer) -> str:
    """An earlier answer, without its reason."""
    if answer.action == "grid":
        return marked(len(answer.cells), len(answer.misleading)).rstrip(".")
    return {
        "skip": _("skipped"),
        "relabel": _("relabelled {label}").format(label=answer.new_label),
        "exclude": _("excluded"),
    }.get(answer.action, answer.action)


def earlier(answer: PreviousAnswer | None, sent: bool) -> str:
    """What a new answer would replace; empty if nothing."""
    if answer is not None:
        return _("You answered this case: {answer}. A new answer replaces it.").format(answer=in_words(answer))
    return _("You answered this case. A new answer replaces it.") if sent else ""


def confirmed(receipt: Receipt | None) -> str:
    """The server's receipt; empty without one."""
    if receipt is None:
        return ""
    if receipt.remaining:
        return _("Saved; {count} left.").format(count=receipt.remaining)
    return _("Saved; that was the last case of this round.")


def waiting(pending: int, refused: int) -> str:
    """Answers that aren't confirmed; empty if all are."""
    parts = []
    if pending == 1:
        parts.append(_("1 answer waits to be sent."))
    elif pending:
        parts.append(_("{count} answers wait to be sent.").format(count=pending))
    if refused == 1:
        parts.append(_("1 answer was refused."))
    elif refused:
        parts.append(_("{count} answers were refused.").format(count=refused))
    return " ".join(parts)


def row_state(row: QueueRow, reader: str) -> str:
    """The state of a queued case as the table shows it."""
    if row.mine:
        return _("yours") if row.action == "grid" else _("yours: {action}").format(action=_action(row.action))
    if row.state == "done":
        return _("done")
    if row.holder:
        return _("for you") if row.holder == reader else _("held")
    return _("open")


def row_reader(row: QueueRow) -> str:
    """Who answered a case, or else who has it."""
    return ", ".join(row.readers) or row.holder


def whose(row: QueueRow) -> str:
    """Why a queued case can't be opened."""
    if row.state == "done":
        return _("{name} was answered by {reader}.").format(name=row.id, reader=", ".join(row.readers) or _("another"))
    return _("{name} is with {reader} now.").format(name=row.id, reader=row.holder or _("another reader"))


def _action(action: str) -> str:
    return {"skip": _("skipped"), "relabel": _("relabelled"), "exclude": _("excluded")}.get(action, action)
