"""PNG files with transparency, which SimpleITK can't read where they're grey. As on the server, it's left out."""

from __future__ import annotations

import struct
import zlib

import numpy as np

_GREY, _GREY_WITH_ALPHA, _COLOUR_WITH_ALPHA = 0, 4, 6
_DEPTH, _KIND = 24, 25
"""Where the file has its bits per channel, and what the channels are."""
_TRANSPARENCY = b"tRNS"


def readable(content: bytes) -> tuple[bytes, bool]:
    """The file in a form that SimpleITK reads, and whether its pixels have to go through `grey_channel`.

    A grey pixel with alpha has as many bytes as a grey one of twice the depth, or as one of four colours; the packing
    works on bytes, so that only the header has to say so.
    """
    content = _without_transparency(content)
    if len(content) < 33 or content[12:16] != b"IHDR" or content[_KIND] != _GREY_WITH_ALPHA:
        return content, False
    deep = content[_DEPTH] == 16
    header = content[12:_DEPTH] + bytes((8, _COLOUR_WITH_ALPHA) if deep else (16, _GREY)) + content[26:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:], True


def grey_channel(pixels: np.ndarray) -> np.ndarray:
    """The grey of such a file, uint8 (rows, cols): of 16 bits the upper 8, as the server has it."""
    return pixels[..., 0] if pixels.ndim == 3 else (pixels >> 8).astype(np.uint8)


def _without_transparency(content: bytes) -> bytes:
    """Without the chunk that says which grey or colour is transparent, and makes SimpleITK add a channel."""
    position = 8
    while position + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        if name == _TRANSPARENCY:
            return content[:position] + content[end:]
        if name == b"IDAT":
            break
        position = end
    return content
