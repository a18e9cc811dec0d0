"""What several test packages share."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# The Slicer module's texts import slicer, and that VTK, which then decides how it will render. The Slicer host, which
# may come later in the same process, needs this.
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

MakeImages = Callable[..., Path]


def write_tiny_images(folder: Path, *, count: int = 24, size: int = 32, seed: int = 0) -> Path:
    """A folder that a study can be made of: noise, with a bright blob in the class ``tb``, and masks of it.

    Every second case is ``tb``; every fourth is a test case. The blob is faint enough for some to be mispredicted.
    """
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rows = ["image,label,patient,split,lesion_mask,lung_mask"]
    lung = np.zeros((size, size), np.uint8)
    lung[size // 8 : -size // 8, size // 8 : -size // 8] = 255
    Image.fromarray(lung).save(folder / "masks" / "lung.png")
    for number in range(count):
        pixels = rng.normal(100, 40, (size, size))
        label, mask = "normal", ""
        if number % 2:
            label, mask = "tb", f"masks/lesion{number:02}.png"
            top, left = rng.integers(size // 8, size // 2, 2)
            lesion = np.zeros((size, size), np.uint8)
            lesion[top : top + size // 4, left : left + size // 4] = 255
            pixels[lesion > 0] += 45
            Image.fromarray(lesion).save(folder / mask)
        name = f"images/case{number:02}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name)
        split = "test" if number % 4 in (2, 3) and number >= count // 3 else "train"
        rows.append(f"{name},{label},p{number:02},{split},{mask},masks/lung.png")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def tiny_images(tmp_path: Path) -> Path:
    """Images, masks and a manifest, not a study yet."""
    return write_tiny_images(tmp_path / "study")
