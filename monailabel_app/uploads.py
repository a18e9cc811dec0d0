"""Uploaded files on their way to a reader that needs a path."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_SUFFIXES = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"NRRD", ".nrrd"),
    (b"\x1f\x8b", ".nii.gz"),
    (b"ObjectType", ".mha"),
    (b"NDims", ".mha"),
)


@contextmanager
def received_file(source: BinaryIO) -> Iterator[Path]:
    """Copy an upload to a temporary file that is removed afterwards.

    The file's ending comes from its content: no name that a client sent becomes part of a path.
    """
    with tempfile.TemporaryDirectory(prefix="imil-") as folder:
        path = Path(folder) / f"upload{_suffix(source)}"
        with path.open("wb") as target:
            shutil.copyfileobj(source, target, 1024 * 1024)
        yield path


def _suffix(source: BinaryIO) -> str:
    source.seek(0)
    head = source.read(132)
    source.seek(0)
    if head[128:132] == b"DICM":
        return ".dcm"
    return next((suffix for magic, suffix in _SUFFIXES if head.startswith(magic)), ".nii")
