"""What SimpleITK doesn't tell of a DICOM file: where a value lies in it, and lookup tables.

The layout is that of DICOM PS3.5, chapter 7: elements of a tag, perhaps a type, a length and a value; sequences of
items, whose lengths may be left open.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MODALITY_TABLE, VOI_TABLE = 0x00283000, 0x00283010
PHOTOMETRIC = 0x00280004
PIXEL_REPRESENTATION = 0x00280103
WINDOW_CENTER, WINDOW_WIDTH, WINDOW_FUNCTION = 0x00281050, 0x00281051, 0x00281056
RESCALE_INTERCEPT, RESCALE_SLOPE = 0x00281052, 0x00281053
_DESCRIPTOR, _DATA = 0x00283002, 0x00283006
_TRANSFER_SYNTAX = 0x00020010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_OPEN = 0xFFFFFFFF
_IMPLICIT, _BIG_ENDIAN = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.2"
_DEFLATED = (b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.8.1")


@dataclass(frozen=True)
class Table:
    """A lookup table: ``values`` (uint8 or uint16) from the input ``first`` on, of ``bits`` bits each."""

    first: int
    bits: int
    values: np.ndarray

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """The values for pixels of any shape and type; those below and above the table get its first and last."""
        index = np.rint(pixels).astype(np.int64) - self.first
        return self.values[np.clip(index, 0, len(self.values) - 1)]


@dataclass(frozen=True)
class _Element:
    tag: int
    kind: bytes
    start: int
    end: int
    next: int


class Tags:
    """The grey-scale elements of a DICOM file's top level (group 0028).

    Args:
        content: the file.

    Raises:
        ValueError: if it's stored 'deflated', or its structure is damaged before the pixels.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._order, self._explicit = "<", True
        try:
            self._found = self._read()
        except (struct.error, IndexError, RecursionError) as error:
            raise ValueError("its elements don't follow one another") from error

    def text(self, tag: int) -> str:
        """A value as text, the first of several; empty if there is none."""
        element = self._found.get(tag)
        if element is None:
            return ""
        value = self._content[element.start : element.end]
        return value.split(b"\\")[0].decode("latin-1").strip(" \0")

    def number(self, tag: int) -> float | None:
        """A decimal string's value, the first of several. Raises ValueError if it isn't one."""
        text = self.text(tag)
        return float(text) if text else None

    def whole(self, tag: int) -> int:
        """A 16-bit value; 0 if there is none."""
        element = self._found.get(tag)
        if element is None or element.end - element.start < 2:
            return 0
        return int(struct.unpack_from(f"{self._order}H", self._content, element.start)[0])

    def place(self, tag: int) -> tuple[int, int]:
        """First byte of a value in the file, and the byte after it; (0, 0) if there is none."""
        element = self._found.get(tag)
        return (0, 0) if element is None else (element.start, element.end)

    def table(self, tag: int) -> Table | None:
        """The first table of a sequence, or None. Raises ValueError if it's damaged."""
        sequence = self._found.get(tag)
        if sequence is None or sequence.start == sequence.end:
            return None
        try:
            _tag, _kind, length, start = self._header(sequence.start, self._explicit)
            end = sequence.end if length == _OPEN else start + length
            return self._table({element.tag: element for element in self._elements(start, end, self._explicit)})
        except (struct.error, IndexError, KeyError) as error:
            raise ValueError("its lookup table is damaged") from error

    def _table(self, item: dict[int, _Element]) -> Table:
        descriptor, data = item[_DESCRIPTOR], item[_DATA]
        signed = descriptor.kind == b"SS" or (descriptor.kind != b"US" and self.whole(PIXEL_REPRESENTATION) == 1)
        count, first, bits = struct.unpack_from(f"{self._order}HHH", self._content, descriptor.start)
        if signed and first >= 1 << 15:
            first -= 1 << 16
        count = count or 1 << 16
        narrow = data.end - data.start < 2 * count
        values = np.frombuffer(self._content, "u1" if narrow else f"{self._order}u2", count, data.start)
        return Table(first, bits, values.astype(np.uint8 if narrow else np.uint16))

    def _read(self) -> dict[int, _Element]:
        position = 132 if self._content[128:132] == b"DICM" else 0
        syntax = b""
        for element in self._elements(position, len(self._content), True):
            if element.tag >> 16 != 2:
                break
            position = element.next
            if element.tag == _TRANSFER_SYNTAX:
                syntax = self._content[element.start : element.end].strip(b" \0")
        if syntax in _DEFLATED:
            raise ValueError("it is stored 'deflated'")
        self._order = ">" if syntax == _BIG_ENDIAN else "<"
        self._explicit = syntax != _IMPLICIT if syntax else self._content[position + 4 : position + 6].isalpha()
        found = {}
        for element in self._elements(position, len(self._content), self._explicit):
            if element.tag >> 16 > 0x0028:
                break
            found[element.tag] = element
        return found

    def _elements(self, position: int, end: int, explicit: bool) -> Iterator[_Element]:
        while position < end:
            tag, kind, length, start = self._header(position, explicit)
            if tag in (_ITEM_END, _SEQUENCE_END):
                return
            if length == _OPEN and tag >> 16 <= 0x0028:
                stop, position = self._open_end(start, explicit and kind != b"UN")
            else:
                stop = position = min(start + length, end)
            yield _Element(tag, kind, start, stop, position)

    def _open_end(self, position: int, explicit: bool) -> tuple[int, int]:
        """Where a sequence of open length ends, and where the next element begins."""
        while True:
            tag, _kind, length, start = self._header(position, explicit)
            if tag == _SEQUENCE_END:
                return position, start
            if tag != _ITEM:
                raise IndexError(position)
            if length != _OPEN:
                position = start + length
                continue
            position = start
            while self._header(position, explicit)[0] != _ITEM_END:
                position = next(self._elements(position, len(self._content), explicit)).next
            position += 8

    def _header(self, position: int, explicit: bool) -> tuple[int, bytes, int, int]:
        """Tag, type, length, and where the value begins."""
        group, element = struct.unpack_from(f"{self._order}HH", self._content, position)
        tag = group << 16 | element
        if not explicit or group == 0xFFFE:
            return tag, b"", struct.unpack_from(f"{self._order}I", self._content, position + 4)[0], position + 8
        kind = self._content[position + 4 : position + 6]
        if kind in _LONG:
            return tag, kind, struct.unpack_from(f"{self._order}I", self._content, position + 8)[0], position + 12
        return tag, kind, struct.unpack_from(f"{self._order}H", self._content, position + 6)[0], position + 8
