"""Heat maps: which part of an image a classifier's answer rests on."""

from imil.explain import gradcam as _gradcam  # noqa: F401  (registers gradcam)
from imil.explain.gradients import input_gradients
from imil.explain.heatmaps import METHODS, HeatMapMethod, HeatMaps, heat_maps, register_method
from imil.explain.layers import target_layer

__all__ = ["METHODS", "HeatMapMethod", "HeatMaps", "heat_maps", "input_gradients", "register_method", "target_layer"]
