"""What a JPEG 2000 code stream must look like (ISO/IEC 15444-1, annexes A, B and D). OpenJPEG goes on over damage with
no more than a warning, which OpenSlide doesn't pass on: half of a tile may be missing, and tumour with it."""

import re
import struct

_START, _SIZE, _CODING, _TILE_PART, _DATA, _END = 0xFF4F, 0xFF51, 0xFF52, 0xFF90, 0xFF93, b"\xff\xd9"

_IMPOSSIBLE = re.compile(rb"\xff[\x90\x93-\xff]")
"""In packets: after 255 they have less than 144, but for the marks of where a packet and its header begin and end."""

_LONGEST_CHANCE = 16
"""Zeros in a row that a coder may write; more are as unlikely as a right guess of a key of 128 bits."""


def is_whole(stream: bytes) -> bool:
    """Whether all is there from start to end, and could have been written. Changed bytes may look like others."""
    try:
        at, empty = _main_header(stream)
        while (part := _tile_part(stream, at)) is not None:
            packets, at = part
            if _IMPOSSIBLE.search(packets) or bytes(_LONGEST_CHANCE + empty) in packets:
                return False
    except (struct.error, ValueError):
        return False
    return stream[at:].rstrip(b"\0") == _END


def _main_header(stream: bytes) -> tuple[int, int]:
    """Where the first part of a tile begins; how many packets, a zero each, say that there is nothing in them.

    Raises struct.error where the stream ends before, and ValueError where it is none.
    """
    if _number(stream, 0) != _START:
        raise ValueError("no code stream")
    at, found = 2, dict[int, int]()
    while (marker := _number(stream, at)) != _TILE_PART:
        found[marker] = at
        at = _after(stream, at)
    if not {_SIZE, _CODING} <= found.keys():
        raise ValueError("no size, or no coding style")
    components = _number(stream, found[_SIZE] + 38)
    style, _, layers, _, levels = struct.unpack_from(">BBHBB", stream, found[_CODING] + 4)
    precincts = 16 if style & 1 else 1  # where their size is stated: of so many at most, as tiles are small
    return at, components * layers * (levels + 1) * precincts


def _tile_part(stream: bytes, at: int) -> tuple[bytes, int] | None:
    """The packets of the part of a tile that begins there, and where it ends; None where none begins."""
    if stream[at : at + 2] == _END:
        return None
    marker, _, _, length = struct.unpack_from(">HHHI", stream, at)
    end = at + length if length else len(stream.rstrip(b"\0")) - len(_END)
    if marker != _TILE_PART or end > len(stream):
        raise ValueError("no part of a tile")
    at = _after(stream, at)
    while _number(stream, at) != _DATA:
        at = _after(stream, at)
    return stream[at + 2 : end], end


def _after(stream: bytes, at: int) -> int:
    """Where the segment of the marker there ends."""
    marker, length = struct.unpack_from(">HH", stream, at)
    if marker < 0xFF00 or length < 2:
        raise ValueError("no marker")
    return at + 2 + length


def _number(stream: bytes, at: int) -> int:
    return struct.unpack_from(">H", stream, at)[0]
