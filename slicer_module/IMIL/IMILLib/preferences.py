"""What is remembered from one session to the next, in Slicer's settings."""

from __future__ import annotations

import json
from typing import Any

import qt

from .overlay import COLOR_MAP, OPACITY, THRESHOLD

MAX_PHRASES = 12
"""Recent words kept for each of a reader's two blanks."""
MAX_READERS = 20
FOCUS, SWITCH = "focus", "switch"
"""The blanks of the sentence: what the model looked at, and what it should have looked at."""


class Preferences:
    """Reads and writes the group ``IMIL`` of Slicer's settings.

    A value that another version or a hand has spoilt counts as not there.
    """

    def __init__(self) -> None:
        self._settings = qt.QSettings()

    @property
    def url(self) -> str:
        return self._text("url")

    @property
    def reader(self) -> str:
        return self._text("reader")

    @property
    def token(self) -> str:
        """Empty unless somebody asked for it to be remembered."""
        return self._text("token")

    @property
    def remember_token(self) -> bool:
        return self._settings.contains(_key("token"))

    @property
    def ahead(self) -> int:
        return int(self._number("ahead", 2, 0, 20))

    @ahead.setter
    def ahead(self, value: int) -> None:
        self._put("ahead", int(value))

    @property
    def opacity(self) -> float:
        """Of the heat map, 0 to 1."""
        return self._number("opacity", OPACITY, 0, 1)

    @opacity.setter
    def opacity(self, value: float) -> None:
        self._put("opacity", float(value))

    @property
    def threshold(self) -> float:
        """Heat below it is hidden, 0 to 1."""
        return self._number("threshold", THRESHOLD, 0, 1)

    @threshold.setter
    def threshold(self, value: float) -> None:
        self._put("threshold", float(value))

    @property
    def color_map(self) -> str:
        return self._text("color_map") or COLOR_MAP

    @color_map.setter
    def color_map(self, value: str) -> None:
        self._put("color_map", value)

    def remember_connection(self, url: str, reader: str, token: str, remember_token: bool) -> None:
        """Keep address and name, and the token only if asked to: the file is plain text."""
        self._put("url", url)
        self._put("reader", reader)
        if remember_token:
            self._put("token", token)
        else:
            self.forget_token()

    def forget_token(self) -> None:
        """Remove the token from the settings."""
        self._settings.remove(_key("token"))

    def phrases(self, reader: str, blank: str) -> list[str]:
        """A reader's recent words for a blank, the latest first."""
        kept = self._all_phrases().get(reader)
        words = kept.get(blank) if isinstance(kept, dict) else None
        return [word for word in words if isinstance(word, str)][:MAX_PHRASES] if isinstance(words, list) else []

    def add_phrase(self, reader: str, blank: str, words: str) -> None:
        """Put words first in a reader's list."""
        words = words.strip()
        if not words or not reader:
            return
        everybody = self._all_phrases()
        mine = {name: self.phrases(reader, name) for name in (FOCUS, SWITCH)}
        mine[blank] = [words, *(other for other in mine[blank] if other != words)][:MAX_PHRASES]
        everybody.pop(reader, None)
        everybody[reader] = mine
        self._put("phrases", json.dumps(dict(list(everybody.items())[-MAX_READERS:])))

    def _all_phrases(self) -> dict[str, Any]:
        try:
            everybody = json.loads(self._text("phrases") or "{}")
        except ValueError:
            return {}
        return everybody if isinstance(everybody, dict) else {}

    def _text(self, name: str) -> str:
        value = self._settings.value(_key(name))
        return value if isinstance(value, str) else ""

    def _number(self, name: str, default: float, low: float, high: float) -> float:
        try:
            value = float(self._settings.value(_key(name)))
        except (TypeError, ValueError):
            return default
        return value if low <= value <= high else default

    def _put(self, name: str, value: Any) -> None:
        self._settings.setValue(_key(name), value)


def _key(name: str) -> str:
    return f"IMIL/{name}"
