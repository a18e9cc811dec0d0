"""Checkpoints that are either whole or not there.

A checkpoint is written to a temporary file in the same folder, flushed to the disk, then renamed over the old one. A
process that is killed at any moment, or a disk that fills up, leaves the last whole checkpoint in place.
"""

import contextlib
import hashlib
import io
import os
import pickle
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from imil.errors import BadInput, ImilError, NotFound
from imil.files import sync_folder

TEMPORARY_SUFFIX = ".tmp"


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Replace the checkpoint at ``path`` with ``state``, all or nothing.

    Args:
        path: the file; its folder is made where it's missing. Left-over temporary files of the folder are removed.
        state: tensors, numbers, strings, None, and lists, tuples and dicts of them: what `load` reads.

    Raises:
        ImilError: if the disk is full or the folder can't be written to. The old checkpoint is still there.
    """
    # Serialised in memory first: torch's own file writer turns a full disk into errors that hide their cause.
    content = io.BytesIO()
    torch.save(dict(state), content)
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f"*.pt{TEMPORARY_SUFFIX}"):
            leftover.unlink()
        with temporary.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ImilError(
            f"The checkpoint {path} can't be written: {error.strerror or error}; the last one is still whole, so make "
            "room (or check the folder's permissions) and train again to go on from there."
        ) from error


def load(path: Path) -> dict[str, Any]:
    """The state saved at ``path``, on the CPU. Runs no code from the file (``weights_only``).

    Raises:
        NotFound: if there is no such file.
        BadInput: if it's damaged or no checkpoint.
    """
    if not path.is_file():
        raise NotFound(f"There is no checkpoint at {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch doesn't compare the checksums that it writes
        if damaged is not None:
            raise zipfile.BadZipFile(f"wrong checksum in {damaged}")
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise ValueError(f"it holds a {type(state).__name__}")
    except (
        zipfile.BadZipFile,
        zlib.error,
        pickle.UnpicklingError,
        RuntimeError,
        ValueError,
        EOFError,
        OSError,
        LookupError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(
            f"The checkpoint {path} is damaged or isn't one ({reason}); delete it to go on from an older one, or start "
            "a new run."
        ) from error
    return state


def weights_sha256(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of a ``state_dict``, in order of the names; 64 hex digits."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
