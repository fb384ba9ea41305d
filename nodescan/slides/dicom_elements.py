"""Reads the elements of a DICOM file's header carefully: the file may be damaged, or made to mislead."""

import os
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

Tag = tuple[int, int]
Place = tuple[Tag, ...]
"""An element's tag, after those of the sequences that it stands in."""

_MARK_AT = 128
_META_GROUP = 0x0002
TRANSFER_SYNTAX_UID = (_META_GROUP, 0x0010)
_IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_UNFOLLOWED = ("1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
"""Transfer syntaxes that aren't supported: big-endian and deflated."""

PIXEL_DATA = (0x7FE0, 0x0010)
ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_UNDEFINED = 0xFFFFFFFF
_LONG_VALUES = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
"""Value representations with a 4-byte length (DICOM PS3.5, 7.1.2)."""

_LONGEST, _DEEPEST = 4096, 16
"""The largest value in bytes, and the deepest nesting of sequences. A file that claims more is damaged."""


class HeaderError(Exception):
    """The header ends early, or isn't one that can be followed."""


@dataclass(frozen=True, slots=True)
class _Head:
    """length: of the value, _UNDEFINED for a sequence that ends with a mark; implicit: how what stands inside is."""

    tag: Tag
    length: int
    implicit: bool


def is_dicom(path: Path) -> bool:
    """Whether the file carries DICOM's mark (PS3.10, 7.1). Raises OSError where it can't be read."""
    with path.open("rb") as stream:
        return _is_marked(stream)


def header_values(path: Path, wanted: Collection[Place]) -> dict[Place, bytes]:
    """The values of those wanted elements that the file has, of a sequence's items the first's.

    Raises HeaderError where the file isn't DICOM or its header can't be followed to the last of them, and OSError.
    """
    values: dict[Place, bytes] = {}
    with path.open("rb") as stream:
        for place, length in followed(stream, wanted):
            values.setdefault(place, read_value(stream, length))
            if place == max(wanted):
                break
    return values


def followed(stream: BinaryIO, wanted: Collection[Place]) -> Iterator[tuple[Place, int | None]]:
    """(place, length) of each wanted element, of all items of a sequence, with the stream at its value.

    The length is None for pixels in items, which end with a mark, and the stream at the first of them. Raises
    HeaderError where the file isn't DICOM or its header can't be followed, and OSError.
    """
    if not _is_marked(stream):
        raise HeaderError("no DICOM file")
    reader = _Reader(stream, wanted)
    try:
        for place, length in reader.elements(place=(), end=None, implicit=False):
            if place == (TRANSFER_SYNTAX_UID,):
                reader.meet_syntax(text(read_value(stream, length)))
                stream.seek(-(length or 0), os.SEEK_CUR)
            if place in wanted:
                yield place, length
    except (struct.error, UnicodeDecodeError) as error:
        raise HeaderError("the header ends early, or isn't one") from error


def text(value: bytes) -> str:
    """The value as text. Raises UnicodeDecodeError."""
    return value.decode("ascii").strip("\0 ")


def _is_marked(stream: BinaryIO) -> bool:
    """Whether DICOM's mark is where it belongs; if so, the stream then stands at the first element."""
    stream.seek(_MARK_AT)
    return stream.read(4) == b"DICM"


class _Reader:
    """Goes through a file's elements, which ascend by tag, and into the sequences that wanted ones stand in."""

    def __init__(self, stream: BinaryIO, wanted: Collection[Place]) -> None:
        self._stream = stream
        self.last = max(wanted)
        self._entered = {place[:depth] for place in wanted for depth in range(1, len(place))}
        self._implicit = False

    def meet_syntax(self, syntax: str) -> None:
        """How the elements after the meta group are coded. Raises HeaderError where that can't be followed."""
        if syntax in _UNFOLLOWED:
            raise HeaderError("coded in a way that isn't followed")
        self._implicit = syntax == _IMPLICIT_LITTLE_ENDIAN

    def elements(self, *, place: Place, end: int | None, implicit: bool) -> Iterator[tuple[Place, int | None]]:
        """(place, length) of each element that holds a value, with the stream at that, up to the end of their item; of
        pixels in items as `followed` has them."""
        if len(place) > _DEEPEST:
            raise HeaderError("too many sequences within sequences")
        before = (-1, -1)
        while end is None or self._stream.tell() < end:
            head = self._head(implicit or (not place and self._implicit))
            if place and head.tag in (_ITEM_END, _SEQUENCE_END):
                return
            if head.tag <= before:
                raise HeaderError("its elements don't ascend")
            if not place and head.tag > self.last[0]:
                return
            before = head.tag
            here, start = (*place, head.tag), self._stream.tell()
            after = None if head.length == _UNDEFINED else start + head.length
            if after is None and here == (PIXEL_DATA,):
                yield here, None
                return
            if after is None or here in self._entered:
                yield from self._items(place=here, end=after, implicit=head.implicit)
            else:
                yield here, head.length
            if after is not None:
                self._stream.seek(after)

    def _items(self, *, place: Place, end: int | None, implicit: bool) -> Iterator[tuple[Place, int | None]]:
        while end is None or self._stream.tell() < end:
            group, number, length = struct.unpack("<HHI", self._stream.read(8))
            if (group, number) == _SEQUENCE_END:
                return
            if (group, number) != ITEM:
                raise HeaderError("a sequence holds something else than items")
            start = self._stream.tell()
            after = None if length == _UNDEFINED else start + length
            if after is None or place in self._entered:
                yield from self.elements(place=place, end=after, implicit=implicit)
            if after is not None:
                self._stream.seek(after)

    def _head(self, implicit: bool) -> _Head:
        """The head of the next element; the stream then stands at its value. struct.error at the end of the file."""
        group, number = struct.unpack("<HH", self._stream.read(4))
        if group == ITEM[0] or (implicit and group != _META_GROUP):
            (length,) = struct.unpack("<I", self._stream.read(4))
            return _Head((group, number), length, implicit)
        kind = self._stream.read(2)
        if kind in _LONG_VALUES:
            (length,) = struct.unpack("<2xI", self._stream.read(6))
        else:
            (length,) = struct.unpack("<H", self._stream.read(2))
        return _Head((group, number), length, kind == b"UN")  # of undefined length: implicit inside (PS3.5, 6.2.2)


def read_value(stream: BinaryIO, length: int | None, *, longest: int = _LONGEST) -> bytes:
    """The value that the stream stands at. Raises HeaderError where it is cut off, or longer than `longest`."""
    value = stream.read(min(length or 0, longest))
    if length is None or len(value) < length:
        raise HeaderError("a value is cut off, or absurdly long")
    return value
