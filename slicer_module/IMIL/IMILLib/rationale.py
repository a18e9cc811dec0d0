"""The sentence in which a reader gives her reason: "The model was focused on ... so I switched the focus to ..."."""

from __future__ import annotations

import re

from .i18n import _


def sentence(focus: str, switch: str) -> str:
    """The reason as it's sent; empty if both blanks are."""
    focus, switch = _clean(focus), _clean(switch)
    if focus and switch:
        return _both().format(focus=focus, switch=switch)
    if focus:
        return _only_focus().format(focus=focus)
    return _only_switch().format(switch=switch) if switch else ""


def blanks(text: str) -> tuple[str, str] | None:
    """What stands in the two blanks of a sentence, or None if it isn't made like that."""
    if not text.strip():
        return "", ""
    for template in (_both(), _only_focus(), _only_switch()):
        found = re.fullmatch(_pattern(template), text.strip(), re.DOTALL)
        if found is not None:
            parts = found.groupdict()
            return parts.get("focus", ""), parts.get("switch", "")
    return None


def _both() -> str:
    return _("The model was focused on {focus} so I switched the focus to {switch}.")


def _only_focus() -> str:
    return _("The model was focused on {focus}.")


def _only_switch() -> str:
    return _("I switched the focus to {switch}.")


def _pattern(template: str) -> str:
    parts = re.split(r"\{(\w+)\}", template)
    return "".join(f"(?P<{part}>.+?)" if place % 2 else re.escape(part) for place, part in enumerate(parts))


def _clean(words: str) -> str:
    return " ".join(words.split()).rstrip(".")
