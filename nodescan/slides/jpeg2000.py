"""What a JPEG 2000 code stream must look like (ISO/IEC 15444-1, annexes A, B and D). OpenJPEG goes on over damage with
no more than a warning, which OpenSlide doesn't pass on: half of a tile may be missing, and tumour with it."""

import re
import struct

_START, _SIZE, _CODING, _TILE_PART, _DATA, _END = 0xFF4F, 0xFF51, 0xFF52, 0xFF90, 0xFF93, b"\xff\xd9"

_IMPOSSIBLE = re.compile(rb"\xff[\x90\x93-\xff]")
"""In packets: after 255 they have less than 144, but for the marks of where a packet and its header begin and end."""

_LONGEST_CHANCE = 16
"""A coder writes at most so many zeros in a row; more are as unlikely as guessing a key of 128 bits."""


def is_whole(stream: bytes) -> bool:
    """Whether the stream is complete and could have been written by a coder. Some changed bytes can't be told."""
    try:
        at, empty = _main_header(stream)
        while (part := _tile_part(stream, at)) is not None:
            packets, at = part
            if _IMPOSSIBLE.search(packets) or bytes(_LONGEST_CHANCE + empty) in packets:
                return False
    except (struct.error, ValueError):
        return False
    return stream[at : at + len(_END)] == _END  # imagecodecs before 2024.9.22 left its buffer behind it


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
    return at, _packets(stream, found[_SIZE], found[_CODING])


def _packets(stream: bytes, size: int, coding: int) -> int:
    """How many packets a tile has at most: one for each precinct, layer, resolution and component (annex B.6)."""
    width, height, left, top, tile_width, tile_height, tile_left, tile_top, components = struct.unpack_from(
        ">8IH", stream, size + 6
    )
    style, _, layers, _, levels = struct.unpack_from(">BBHBB", stream, coding + 4)
    if not style & 1:  # no size of precincts is stated: each resolution is one
        return components * layers * (levels + 1)
    straddling = int(any((left, top, tile_left, tile_top)) or width > tile_width or height > tile_height)
    precincts = 0
    for resolution, exponents in enumerate(struct.unpack_from(f">{levels + 1}B", stream, coding + 14)):
        reduced = 1 << levels - resolution
        across = -(-min(width, tile_width) // (reduced << (exponents & 15)))
        down = -(-min(height, tile_height) // (reduced << (exponents >> 4)))
        precincts += (across + straddling) * (down + straddling)
    return components * layers * precincts


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
