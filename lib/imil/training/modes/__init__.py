"""Feedback modes: what a round of answers does to training.

`FeedbackMode` is the interface, `register_mode` adds one, `mode_classes` finds those of the setting ``feedback``.
"""

from imil.training.draws import Draws
from imil.training.modes.base import MODES, FeedbackMode, FeedbackView, register_mode
from imil.training.modes.camalign import CamAlign
from imil.training.modes.combined import CombinedMode, learn, mode_classes
from imil.training.modes.counterfactual import Counterfactual
from imil.training.modes.guidedmix import GuidedCutMix, GuidedMixUp
from imil.training.modes.propagate import Propagate
from imil.training.modes.randomise import Randomise
from imil.training.modes.rrr import RightReasons

__all__ = [
    "MODES",
    "CamAlign",
    "CombinedMode",
    "Counterfactual",
    "Draws",
    "FeedbackMode",
    "FeedbackView",
    "GuidedCutMix",
    "GuidedMixUp",
    "Propagate",
    "Randomise",
    "RightReasons",
    "learn",
    "mode_classes",
    "register_mode",
]
