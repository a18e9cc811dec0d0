"""Feedback modes: what a round of answers does to training.

`FeedbackMode` is the interface, `register_mode` adds one, `mode_classes` finds those of the setting ``feedback``.
"""

from imil.training.draws import Draws
from imil.training.modes.base import MODES, FeedbackMode, FeedbackView, register_mode
from imil.training.modes.combined import CombinedMode, learn, mode_classes

__all__ = [
    "MODES",
    "CombinedMode",
    "Draws",
    "FeedbackMode",
    "FeedbackView",
    "learn",
    "mode_classes",
    "register_mode",
]
