"""Classifiers by name: IMIL's own registry first, then every classifier of timm."""

from imil.networks import small as _small  # noqa: F401  (registers imil_small)
from imil.networks import small_resnet as _small_resnet  # noqa: F401  (registers imil_resnet8)
from imil.networks.registry import create_network, network_names, normalisation, register_network

__all__ = ["create_network", "network_names", "normalisation", "register_network"]
