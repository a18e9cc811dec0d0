"""Procedural frontal chest radiographs with known lesions, lungs and, if asked for, a known shortcut.

from imil.phantom import PhantomSettings, generate
phantoms = generate(100, seed=0, settings=PhantomSettings(size=256, shortcut=0.9))
"""

from imil.phantom.series import Phantoms, generate
from imil.phantom.settings import CLASSES, PhantomSettings
from imil.phantom.writer import write_phantoms

__all__ = ["CLASSES", "PhantomSettings", "Phantoms", "generate", "write_phantoms"]
