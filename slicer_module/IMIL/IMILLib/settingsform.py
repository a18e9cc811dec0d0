"""The form for the settings of a new run, made of what the server says of each. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .i18n import _

WHOLE, NUMBER, TEXT, FLAG, CHOICE, EPOCHS = "whole", "number", "text", "flag", "choice", "epochs"
"""Kinds of fields: a whole number, any number, a line of text, yes or no, one of several, a list of epochs."""
MODES = "modes"
"""Another kind: one of several, or several of them joined by +."""
MAX_WHOLE = 2**31 - 1
"""The largest number that a spin box can hold."""
_KINDS = {"integer": WHOLE, "number": NUMBER, "boolean": FLAG, "array": EPOCHS}


@dataclass(frozen=True)
class Field:
    """One setting: ``kind`` is one of the above; ``minimum`` and ``maximum`` are None where there is no limit."""

    name: str
    kind: str
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    @classmethod
    def parse(cls, name: str, described: dict[str, Any]) -> Field:
        """From the server's description: ``type``, ``default``, ``help``; perhaps ``choices, minimum, maximum``."""
        choices = tuple(str(choice) for choice in described.get("choices") or ())
        of_choices = MODES if name == "feedback" else CHOICE
        return cls(
            name=name,
            kind=of_choices if choices else _KINDS.get(str(described.get("type")), TEXT),
            default=described.get("default"),
            help=str(described.get("help", "")),
            choices=choices,
            minimum=_number_or_none(described.get("minimum")),
            maximum=_number_or_none(described.get("maximum")),
        )

    @property
    def label(self) -> str:
        """The name as people read it."""
        known = {
            "imil_epochs": _("Rounds after epochs"),
            "num_outliers": _("Cases per round"),
            "lr": _("Learning rate"),
            "amp": _("Mixed precision"),
            "heatmap": _("Heat map"),
            "feedback": _("Feedback mode"),
            "insight": _("Once it has learnt"),
        }
        return known.get(self.name) or self.name.replace("_", " ").capitalize()

    @property
    def limits(self) -> str:
        """What is allowed, in words; empty if everything is."""
        if self.minimum is None and self.maximum is None:
            return ""
        if self.maximum is None:
            return _("at least {minimum}").format(minimum=_plain(self.minimum))
        if self.minimum is None:
            return _("at most {maximum}").format(maximum=_plain(self.maximum))
        return _("{minimum} to {maximum}").format(minimum=_plain(self.minimum), maximum=_plain(self.maximum))

    def text(self, value: Any) -> str:
        """A value as it's shown and typed."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        if isinstance(value, (list, tuple)):
            return ", ".join(_plain(part) for part in value)
        return _plain(value) if isinstance(value, (int, float)) else str(value)

    def value(self, text: str) -> Any:
        """What was typed, as the server takes it.

        Raises:
            ValueError: one sentence with the value and what is allowed.
        """
        if self.kind == EPOCHS:
            return [self._number(part, int) for part in text.replace(",", " ").split()]
        if self.kind == NUMBER:
            return self._number(text, float)
        if self.kind == WHOLE:
            return self._number(text, int)
        if self.kind in (CHOICE, MODES):
            return self._chosen(text)
        return text.strip()

    def _chosen(self, text: str) -> str:
        names = [name.strip() for name in text.split("+")] if self.kind == MODES else [text]
        unknown = next((name for name in names if name not in self.choices), None)
        if unknown is not None:
            raise ValueError(
                _("{label} can't be {value!r}; choose one of: {choices}.").format(
                    label=self.label, value=unknown, choices=", ".join(self.choices)
                )
            )
        return "+".join(names)

    def _number(self, text: str, convert: type) -> Any:
        allowed = _("a whole number") if convert is int else _("a number")
        if self.limits:
            allowed = f"{allowed}, {self.limits}"
        try:
            value = convert(text.strip())
        except ValueError:
            value = None
        low = self.minimum if self.minimum is not None else float("-inf")
        high = self.maximum if self.maximum is not None else float("inf")
        if value is None or not low <= value <= high:
            raise ValueError(
                _("{label} can't be {value!r}; it must be {allowed}.").format(
                    label=self.label, value=text.strip(), allowed=allowed
                )
            )
        return value


class SettingsForm:
    """What somebody has chosen for a new run: a preset, and what differs from it.

    Attributes:
        fields: all settings, in the server's order.
        presets: names of the presets.
        preset: the chosen one; empty if there are none.

    Args:
        settings: by name what `Field.parse` takes.
        presets: by name, values by name of a setting.
    """

    def __init__(self, settings: dict[str, dict[str, Any]], presets: dict[str, dict[str, Any]]) -> None:
        self.fields = tuple(Field.parse(name, described) for name, described in settings.items())
        self.presets = tuple(presets)
        self.preset = self.presets[0] if presets else ""
        self._preset_values = presets
        self._typed: dict[str, Any] = {}
        self._problems: dict[str, str] = {}

    def choose(self, preset: str) -> None:
        """Begin with a preset; what was changed before is forgotten."""
        self.preset = preset
        self.reset()

    def reset(self) -> None:
        """Back to the preset's values."""
        self._typed.clear()
        self._problems.clear()

    def given(self, field: Field) -> Any:
        """The value of the preset."""
        value = self._preset_values.get(self.preset, {}).get(field.name, field.default)
        return list(value) if isinstance(value, tuple) else value

    def value(self, field: Field) -> Any:
        """The value as it stands."""
        return self._typed.get(field.name, self.given(field))

    def put(self, field: Field, value: Any) -> None:
        """Take what a widget has: text for most kinds, a number or truth value where the widget has one."""
        self._typed.pop(field.name, None)
        self._problems.pop(field.name, None)
        if isinstance(value, str):
            try:
                value = field.value(value)
            except ValueError as error:
                self._problems[field.name] = str(error)
                return
        if value != self.given(field):
            self._typed[field.name] = value

    @property
    def changed(self) -> dict[str, Any]:
        """What differs from the preset, in the server's order."""
        return {field.name: self._typed[field.name] for field in self.fields if field.name in self._typed}

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each field that can't be used."""
        found = [self._problems[field.name] for field in self.fields if field.name in self._problems]
        return (*found, *self._misplaced_rounds())

    def _misplaced_rounds(self) -> list[str]:
        epochs = self._current("epochs")
        if not isinstance(epochs, int):
            return []
        return [
            _("A round can't follow epoch {epoch}: rounds come after epochs 1 to {last}.").format(
                epoch=epoch, last=epochs - 1
            )
            for epoch in self._current("imil_epochs") or ()
            if not 1 <= epoch < epochs
        ]

    @property
    def differences(self) -> str:
        """What differs from the preset, in words."""
        parts = [
            _("{label}: {value} (preset: {given})").format(
                label=field.label,
                value=field.text(self.value(field)) or _("empty"),
                given=field.text(self.given(field)) or _("empty"),
            )
            for field in self.fields
            if field.name in self._typed
        ]
        return "; ".join(parts)

    @property
    def values(self) -> dict[str, Any]:
        """All values as they stand."""
        return {field.name: self.value(field) for field in self.fields}

    def request(self) -> dict[str, Any]:
        """The fields of the request that starts a run."""
        return {"preset": self.preset, **self.changed} if self.preset else self.changed

    def _current(self, name: str) -> Any:
        field = next((field for field in self.fields if field.name == name), None)
        return None if field is None or name in self._problems else self.value(field)


def _number_or_none(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
