"""How heat map and image are shown."""

from __future__ import annotations

from typing import Any

import qt

from .. import colormaps
from ..i18n import _
from ..preferences import Preferences
from ..review import Review
from ..viewer import Viewer
from .widgets import fill, on, quietly

COLOR_MAPS = ("even", "jet")
BAR_HEIGHT = 12


class DisplayPanel:
    """Opacity, threshold and colours of the heat map, blinking, and the image as the model will see it."""

    def __init__(self, ui: Any, review: Review, viewer: Viewer, preferences: Preferences) -> None:
        self._ui, self._review, self._viewer, self._preferences = ui, review, viewer, preferences
        names = {"even": _("Even steps"), "jet": _("Jet")}
        fill(ui.color_map_combo, [names[name] for name in COLOR_MAPS], names.get(preferences.color_map, ""))
        quietly(ui.opacity_slider, ui.opacity_slider.setValue, round(100 * preferences.opacity))
        quietly(ui.threshold_slider, ui.threshold_slider.setValue, round(100 * preferences.threshold))
        on(ui.opacity_slider.valueChanged, self._set_opacity)
        on(ui.threshold_slider.valueChanged, self._set_threshold)
        on(ui.color_map_combo.currentIndexChanged, self._set_colors)
        on(ui.blink_button.clicked, self._show_heat_map)
        on(ui.preview_button.pressed, lambda: self.preview(True))
        on(ui.preview_button.released, lambda: self.preview(False))
        for apply in (self._set_opacity, self._set_threshold, self._set_colors, self._show_heat_map):
            apply()

    def blink(self) -> None:
        """Show the heat map if it's hidden, hide it if it's shown."""
        self._ui.blink_button.setChecked(not self._ui.blink_button.checked)
        self._show_heat_map()

    def toggle_preview(self) -> None:
        """The image as the model will see it, until the next call."""
        self.preview(not self._viewer.preview)

    def preview(self, wanted: bool) -> None:
        """Show the image as the model will see it, if any cell matters."""
        self._viewer.preview = wanted and self._possible
        self._ui.preview_button.setDown(self._viewer.preview)

    def refresh(self) -> None:
        """After the marks or the case changed."""
        self._ui.preview_button.setEnabled(self._possible)
        if self._viewer.preview and not self._possible:
            self.preview(False)

    @property
    def _possible(self) -> bool:
        opened = self._review.case
        return opened is not None and bool(opened.marks.cells)

    def _set_opacity(self) -> None:
        percent = self._ui.opacity_slider.value
        self._viewer.set_opacity(percent / 100)
        self._preferences.opacity = percent / 100
        self._ui.opacity_value.setText(_("{percent} %").format(percent=percent))

    def _set_threshold(self) -> None:
        percent = self._ui.threshold_slider.value
        self._viewer.set_threshold(percent / 100)
        self._preferences.threshold = percent / 100
        self._ui.threshold_value.setText(_("{percent} %").format(percent=percent))

    def _set_colors(self) -> None:
        name = COLOR_MAPS[max(0, self._ui.color_map_combo.currentIndex)]
        self._viewer.set_color_map(name)
        self._preferences.color_map = name
        self._ui.color_bar.setPixmap(_stripe(colormaps.COLOR_MAPS[name]()[::2]))

    def _show_heat_map(self) -> None:
        shown = self._ui.blink_button.checked
        self._viewer.set_heat_map_visible(shown)
        self._ui.blink_button.setText(_("Heat map: shown") if shown else _("Heat map: hidden"))


def _stripe(colors: Any) -> Any:
    """A pixmap with these colours, uint8 (n, 3), from left to right."""
    image = qt.QImage(len(colors), 1, qt.QImage.Format_RGB32)
    for place, (red, green, blue) in enumerate(colors.tolist()):
        image.setPixel(place, 0, 0xFF000000 | red << 16 | green << 8 | blue)
    return qt.QPixmap.fromImage(image).scaled(len(colors), BAR_HEIGHT)
