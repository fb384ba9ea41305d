"""Reads the directories of a TIFF or BigTIFF carefully: the file may be damaged, cut off, or made to mislead."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_NUMBER_BYTES = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}
"""Field types that hold whole numbers: BYTE, SHORT, LONG, IFD and BigTIFF's LONG8, IFD8; and the bytes of one."""

_BYTES_OF_TYPE = {2: 1, 7: 1, **_NUMBER_BYTES}
"""With ASCII and UNDEFINED."""

_MAX_DIRECTORIES, _MAX_ENTRIES = 10_000, 4096
_CLASSIC_BYTES = 2**32
"""What a pointer of 4 bytes can reach. A longer classic TIFF is an NDPI, whose pointers are other ones."""

_MAX_FIELD_BYTES = 2**28
"""More than the offsets of 30 million tiles; what claims to be longer is damaged."""


class Tag(IntEnum):
    """Fields of TIFF 6.0, with libtiff's ImageDepth and Adobe's XMP."""

    SUBFILE_TYPE = 254
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    DESCRIPTION = 270
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES = 277
    STRIP_LENGTHS = 279
    PLANAR = 284
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_LENGTHS = 325
    EXTRA_SAMPLES = 338
    JPEG_TABLES = 347
    XMP = 700
    DEPTH = 32997


class CutOffTiffError(Exception):
    """A part that the file points to isn't in it, or is absurdly long. at: where that part would end."""

    def __init__(self, at: int) -> None:
        super().__init__(f"the file should reach byte {at:,}")
        self.at = at


@dataclass(frozen=True, slots=True)
class Layout:
    """Byte order and widths: classic TIFF counts with 2 and points with 4 bytes, BigTIFF with 8 and 8."""

    order: str
    entries_code: str
    pointer_code: str

    @property
    def pointer_bytes(self) -> int:
        return struct.calcsize(self.pointer_code)

    @property
    def first_directory_at(self) -> int:
        """Where the offset of the first directory stands."""
        return 4 if self.pointer_bytes == 4 else 8

    @property
    def is_big_endian_classic(self) -> bool:
        """Whether OpenSlide declines the file for its byte order alone."""
        return self.order == ">" and self.pointer_bytes == 4


@dataclass(frozen=True, slots=True)
class Entry:
    """One field: `count` values of type `kind`, which stand in the file from `offset` on."""

    kind: int
    count: int
    offset: int

    @property
    def length(self) -> int:
        """Bytes of all values; 0 for a type that holds neither whole numbers nor text."""
        return self.count * _BYTES_OF_TYPE.get(self.kind, 0)

    @property
    def whole_numbers(self) -> int:
        """How many whole numbers it holds: none where it is of another type, as of fractions."""
        return self.count if self.kind in _NUMBER_BYTES else 0


@dataclass(frozen=True, slots=True)
class Directory:
    """entries by tag; of a tag that comes twice, the first, as libtiff has it."""

    layout: Layout
    entries: Mapping[int, Entry]

    def number(self, stream: BinaryIO, tag: int, default: int) -> int:
        """The field's first whole number. CutOffTiffError where the file ends before it."""
        values = self.numbers(stream, tag)
        return int(values[0]) if len(values) else default

    def numbers(self, stream: BinaryIO, tag: int) -> NDArray[np.uint64]:
        """uint64 (n,): the field's whole numbers, none where it is missing or of another type.

        Raises CutOffTiffError where the file ends before them: nothing larger than the file is ever allocated.
        """
        entry = self.entries.get(tag)
        width = _NUMBER_BYTES.get(entry.kind) if entry else None
        if width is None:
            return np.zeros(0, np.uint64)
        kind = np.dtype(f"{self.layout.order}u{width}")
        return np.frombuffer(self.raw(stream, tag), kind).astype(np.uint64)

    def raw(self, stream: BinaryIO, tag: int) -> bytes:
        """The field's bytes as they stand, b"" where it is missing. CutOffTiffError where the file ends before them."""
        entry = self.entries.get(tag)
        if entry is None:
            return b""
        return _read(stream, entry.offset, entry.length)


def layout_of(magic: bytes) -> Layout | None:
    """The layout that the first four bytes of a file tell, None where it is no TIFF."""
    order = {b"II": "<", b"MM": ">"}.get(magic[:2])
    if order is None or len(magic) < 4:
        return None
    (version,) = struct.unpack(f"{order}H", magic[2:4])
    return {42: Layout(order, "H", "I"), 43: Layout(order, "Q", "Q")}.get(version)


def layout_in(path: Path) -> Layout | None:
    """The layout of a TIFF or BigTIFF, None where the file is none. Raises OSError where it can't be read."""
    with path.open("rb") as stream:
        return layout_of(stream.read(4))


def directories_of(path: Path) -> Iterator[tuple[BinaryIO, Directory]]:
    """As directories(), of a file, with what it is read by; none of what is no TIFF. Raises OSError, too."""
    with path.open("rb") as stream:
        layout = layout_of(stream.read(4))
        if layout is not None:
            for directory in directories(stream, layout):
                yield stream, directory


def directories(stream: BinaryIO, layout: Layout) -> Iterator[Directory]:
    """The chain of directories, each once, at most 10,000; without those that only SubIFDs point to.

    Nothing for a file that is longer than its pointers can reach: they would point to pixels. Raises CutOffTiffError at
    a directory that lies, in part or whole, beyond the end of the file, or has thousands of entries.
    """
    if layout.pointer_bytes == 4 and stream.seek(0, 2) > _CLASSIC_BYTES:
        return
    offset = _number(stream, layout, layout.first_directory_at)
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < _MAX_DIRECTORIES:
        seen.add(offset)
        directory, offset = _directory(stream, layout, offset)
        yield directory


def _directory(stream: BinaryIO, layout: Layout, start: int) -> tuple[Directory, int]:
    """The directory that stands at `start`, and the offset of the next."""
    width = layout.pointer_bytes
    entry_bytes = 4 + 2 * width
    count_bytes = struct.calcsize(f"{layout.order}{layout.entries_code}")
    (count,) = struct.unpack(f"{layout.order}{layout.entries_code}", _read(stream, start, count_bytes))
    first = start + count_bytes
    if count > _MAX_ENTRIES:
        raise CutOffTiffError(first + count * entry_bytes)
    table = _read(stream, first, count * entry_bytes)
    entries: dict[int, Entry] = {}
    for place in range(0, len(table), entry_bytes):
        tag, kind, values = struct.unpack_from(f"{layout.order}HH{layout.pointer_code}", table, place)
        value_at = place + 4 + width
        entry = Entry(kind, values, first + value_at)
        if entry.length > width:
            (offset,) = struct.unpack_from(f"{layout.order}{layout.pointer_code}", table, value_at)
            entry = Entry(kind, values, offset)
        entries.setdefault(tag, entry)
    return Directory(layout, entries), _number(stream, layout, first + len(table))


def _number(stream: BinaryIO, layout: Layout, offset: int) -> int:
    """The pointer that stands at `offset`."""
    (value,) = struct.unpack(f"{layout.order}{layout.pointer_code}", _read(stream, offset, layout.pointer_bytes))
    return value


def _read(stream: BinaryIO, offset: int, length: int) -> bytes:
    """Exactly these bytes. The length is checked first: a damaged one may be larger than any memory."""
    end = offset + length
    if length > _MAX_FIELD_BYTES or end > stream.seek(0, 2):
        raise CutOffTiffError(end)
    stream.seek(offset)
    values = stream.read(length)
    if len(values) < length:
        raise CutOffTiffError(end)
    return values
