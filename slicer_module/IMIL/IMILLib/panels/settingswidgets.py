"""The widgets of a settings form: one for each setting, of the kind that fits it, by groups."""

from __future__ import annotations

from typing import Any, Callable

import qt

from ..casewords import shortened
from ..settingsform import CHOICE, FLAG, MAX_WHOLE, MODES, WHOLE, Field, SettingsForm
from ..settingsgroups import grouped, has_effect
from .widgets import fill, on, quietly, tip

LONGEST_LABEL = 32
"""Letters of a setting's name; the tooltip and screen readers have the rest."""


class SettingsWidgets:
    """Fills a form layout with a row for each setting and keeps both sides the same.

    Rows of settings that have no effect beside the others are hidden, unless somebody has changed them.

    Args:
        layout: a QFormLayout.
        on_change: called after somebody changed a value.
        titles: whether each group has its title.
    """

    def __init__(self, layout: Any, on_change: Callable[[], None], titles: bool = True) -> None:
        self._layout, self._on_change, self._titles = layout, on_change, titles
        self._form: SettingsForm | None = None
        self._widgets: list[tuple[Field, Any]] = []

    def build(self, form: SettingsForm) -> None:
        """Make the rows for a server's settings."""
        self._form = form
        while self._layout.rowCount() > 0:
            self._layout.removeRow(0)
        self._widgets = []
        for title, fields in grouped(form.fields):
            if self._titles:
                self._layout.addRow(_title(title))
            self._widgets += [(field, self._widget(field)) for field in fields]
        self.refresh()

    def refresh(self) -> None:
        """Show the form's values."""
        for field, widget in self._widgets:
            value = self._form.value(field)
            if field.kind == FLAG:
                quietly(widget, widget.setChecked, bool(value))
            elif field.kind == CHOICE:
                fill(widget, field.choices, str(value))
            elif field.kind == MODES:
                fill(widget, field.choices, str(value))
                quietly(widget, widget.setEditText, str(value))
            elif field.kind == WHOLE and not isinstance(value, str):
                quietly(widget, widget.setValue, int(value))
            else:
                quietly(widget, widget.setText, field.text(value))
        self._show_rows()

    def _show_rows(self) -> None:
        values, changed = self._form.values, self._form.changed
        for field, widget in self._widgets:
            shown = field.name in changed or has_effect(field.name, values)
            widget.setVisible(shown)
            self._layout.labelForField(widget).setVisible(shown)

    def _widget(self, field: Field) -> Any:
        widget, changed = self._make(field)
        help_text = f"{field.help} ({field.limits})" if field.limits else field.help
        widget.setToolTip(tip(help_text))
        widget.setAccessibleName(field.label)
        label = qt.QLabel(shortened(field.label, LONGEST_LABEL))
        label.setToolTip(tip(help_text if label.text == field.label else f"{field.label}. {help_text}"))
        label.setBuddy(widget)
        self._layout.addRow(label, widget)
        on(changed, lambda: self._put(field, widget))
        return widget

    def _make(self, field: Field) -> tuple[Any, Any]:
        """A widget and the signal that says that it changed."""
        if field.kind == FLAG:
            widget = qt.QCheckBox()
            return widget, widget.toggled
        if field.kind in (CHOICE, MODES):
            widget = qt.QComboBox()
            widget.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
            widget.setMinimumContentsLength(8)
            if field.kind == CHOICE:
                return widget, widget.currentIndexChanged
            widget.setEditable(True)
            widget.setInsertPolicy(qt.QComboBox.NoInsert)
            return widget, widget.editTextChanged
        if field.kind == WHOLE:
            widget = qt.QSpinBox()
            low = -MAX_WHOLE if field.minimum is None else max(-MAX_WHOLE, int(field.minimum))
            high = MAX_WHOLE if field.maximum is None else min(MAX_WHOLE, int(field.maximum))
            widget.setRange(low, high)
            return widget, widget.valueChanged
        widget = qt.QLineEdit()
        return widget, widget.textEdited

    def _put(self, field: Field, widget: Any) -> None:
        if field.kind == FLAG:
            self._form.put(field, bool(widget.checked))
        elif field.kind in (CHOICE, MODES):
            self._form.put(field, str(widget.currentText))
        elif field.kind == WHOLE:
            self._form.put(field, int(widget.value))
        else:
            self._form.put(field, str(widget.text))
        self._show_rows()
        self._on_change()


def _title(text: str) -> Any:
    label = qt.QLabel(text)
    font = label.font
    font.setBold(True)
    label.setFont(font)
    return label
