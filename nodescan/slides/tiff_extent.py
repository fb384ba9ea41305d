"""How far a TIFF's own directory says the file must reach, to tell a cut-off file from one that no reader knows."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_DATA_OFFSETS = (273, 324)
_DATA_COUNTS = (279, 325)
"""Tags of strips and tiles (TIFF 6.0, sections 8 and 15)."""

_NUMBER_CODES = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Field types that hold offsets and counts: SHORT, LONG, IFD and BigTIFF's LONG8, IFD8."""

_MAX_DIRECTORIES = 10_000


@dataclass(frozen=True, slots=True)
class _Layout:
    """Byte order and widths: classic TIFF counts with 2 and points with 4 bytes, BigTIFF with 8 and 8."""

    order: str
    entries_code: str
    pointer_code: str

    @property
    def pointer_bytes(self) -> int:
        return struct.calcsize(self.pointer_code)


def is_tiff(path: Path) -> bool:
    """Whether the file begins as a TIFF or BigTIFF does. Raises OSError where it can't be read."""
    with path.open("rb") as stream:
        return _layout(stream.read(4)) is not None


def missing_bytes(path: Path) -> int:
    """How many bytes the directories point to beyond the end of the file, 0 where none; at least, for a directory
    that is missing itself may point further. Raises OSError.
    """
    size = path.stat().st_size
    furthest = 0
    with path.open("rb") as stream:
        layout = _layout(stream.read(4))
        if layout is None:
            return 0
        stream.seek(4 if layout.pointer_bytes == 4 else 8)
        seen: set[int] = set()
        try:
            offset = _read(stream, layout, layout.pointer_code)
            while offset and offset not in seen and len(seen) < _MAX_DIRECTORIES:
                seen.add(offset)
                furthest = max(furthest, offset + struct.calcsize(layout.entries_code))
                stream.seek(offset)
                data_end, offset = _directory(stream, layout, size)
                furthest = max(furthest, data_end)
        except struct.error:  # the directory itself ends with the file
            furthest = max(furthest, size + 1)
    return max(0, furthest - size)


def _layout(magic: bytes) -> _Layout | None:
    order = {b"II": "<", b"MM": ">"}.get(magic[:2])
    if order is None or len(magic) < 4:
        return None
    (version,) = struct.unpack(f"{order}H", magic[2:4])
    return {42: _Layout(order, "H", "I"), 43: _Layout(order, "Q", "Q")}.get(version)


def _directory(stream: BinaryIO, layout: _Layout, size: int) -> tuple[int, int]:
    """(end of the last strip or tile, offset of the next directory); the stream stands at a directory."""
    offsets: list[tuple[int, ...]] = []
    counts: list[tuple[int, ...]] = []
    entry_bytes = 4 + 2 * layout.pointer_bytes
    entries = stream.read(_read(stream, layout, layout.entries_code) * entry_bytes)
    following = _read(stream, layout, layout.pointer_code)
    for start in range(0, len(entries), entry_bytes):
        entry = entries[start : start + entry_bytes]
        (tag,) = struct.unpack(f"{layout.order}H", entry[:2])
        if tag in _DATA_OFFSETS:
            offsets.append(_values(stream, layout, entry, size))
        elif tag in _DATA_COUNTS:
            counts.append(_values(stream, layout, entry, size))
    ends = (
        start + count
        for starts, lengths in zip(offsets, counts, strict=False)
        for start, count in zip(starts, lengths, strict=False)
    )
    return max(ends, default=0), following


def _values(stream: BinaryIO, layout: _Layout, entry: bytes, size: int) -> tuple[int, ...]:
    """The numbers of one directory entry, which stand in it where they fit, else where it points."""
    kind, count = struct.unpack(f"{layout.order}H{layout.pointer_code}", entry[2 : 4 + layout.pointer_bytes])
    code = _NUMBER_CODES.get(kind)
    if code is None:
        return ()
    length = count * struct.calcsize(code)
    value = entry[4 + layout.pointer_bytes :]
    if length > layout.pointer_bytes:
        (offset,) = struct.unpack(f"{layout.order}{layout.pointer_code}", value)
        if offset + length > size:
            raise struct.error("the values lie beyond the end of the file")
        stream.seek(offset)
        value = stream.read(length)
    return struct.unpack(f"{layout.order}{count}{code}", value[:length])


def _read(stream: BinaryIO, layout: _Layout, code: str) -> int:
    (value,) = struct.unpack(f"{layout.order}{code}", stream.read(struct.calcsize(code)))
    return value
