"""Seeded damage to slide files: the same seed gives the same bytes."""

import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import tifffile

from tests.faults import spoilt

SOURCES: Mapping[str, Callable[[Path], Path]] = {
    "tif": lambda path: spoilt.plain_tiff(path, side_px=384, tile_px=128, levels=2),
    "svs": lambda path: spoilt.aperio(path, side_px=384),
}
"""A small pyramid, and a small file as an Aperio scanner writes it."""

_ODD_NUMBERS = (0, 1, 2, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_ENTRY_BYTES = 12


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a small-endian classic TIFF keeps what. entries: offset of each directory entry; data: of tile offsets
    and lengths, as written in the file."""

    entries: tuple[int, ...]
    data: tuple[int, ...]


def mutated(source: bytes, layout: Layout, seed: int) -> bytes:
    """The file with one to three pieces of damage."""
    rng = random.Random(seed)
    content = bytearray(source)
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice(KINDS)(content, layout, rng)
    return bytes(content)


def layout_of(path: Path) -> Layout:
    """Found before anything is damaged."""
    with tifffile.TiffFile(path) as tiff:
        tags = [tag for page in tiff.pages if isinstance(page, tifffile.TiffPage) for tag in page.tags.values()]
    data = [
        tag.valueoffset + 4 * index
        for tag in tags
        if tag.code in (spoilt.TILE_OFFSETS, spoilt.TILE_COUNTS)
        for index in range(tag.count)
    ]
    return Layout(tuple(tag.offset for tag in tags), tuple(data))


def _flip_bits(content: bytearray, layout: Layout, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 4, 64))):
        if content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _overwrite_block(content: bytearray, layout: Layout, rng: random.Random) -> None:
    length = min(len(content), rng.choice((1, 16, 512, 8192)))
    start = rng.randrange(len(content) - length + 1)
    content[start : start + length] = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))


def _truncate(content: bytearray, layout: Layout, rng: random.Random) -> None:
    del content[rng.randrange(len(content) + 1) :]


def _repeat_block(content: bytearray, layout: Layout, rng: random.Random) -> None:
    """A block is read twice, so that all behind it is shifted."""
    start = rng.randrange(len(content) + 1)
    content[start:start] = content[start : start + rng.choice((1, 512))]


def _edit_entry(content: bytearray, layout: Layout, rng: random.Random) -> None:
    """Tag, type, number or value of a directory entry becomes another."""
    at = rng.choice(layout.entries)
    field, code = rng.choice(((0, "<H"), (2, "<H"), (4, "<I"), (8, "<I"), (8, "<I")))
    _put(content, at + field, code, _number(content, rng))


def _edit_header(content: bytearray, layout: Layout, rng: random.Random) -> None:
    """Byte order, version, or where the first directory lies."""
    at, code = rng.choice(((0, "<H"), (2, "<H"), (4, "<I")))
    _put(content, at, code, _number(content, rng))


def _edit_tile(content: bytearray, layout: Layout, rng: random.Random) -> None:
    """A tile is said to lie elsewhere, or to have another length."""
    _put(content, rng.choice(layout.data), "<I", _number(content, rng))


def _swap_entries(content: bytearray, layout: Layout, rng: random.Random) -> None:
    first, second = rng.choice(layout.entries), rng.choice(layout.entries)
    kept = content[first : first + _ENTRY_BYTES]
    content[first : first + _ENTRY_BYTES] = content[second : second + _ENTRY_BYTES]
    content[second : second + _ENTRY_BYTES] = kept


def _number(content: bytearray, rng: random.Random) -> int:
    return rng.choice((*_ODD_NUMBERS, rng.randrange(2**32), rng.randrange(len(content) + 1)))


def _put(content: bytearray, at: int, code: str, value: int) -> None:
    size = struct.calcsize(code)
    if at + size <= len(content):
        struct.pack_into(code, content, at, value % 2 ** (8 * size))


KINDS: tuple[Callable[[bytearray, Layout, random.Random], None], ...] = (
    _flip_bits,
    _overwrite_block,
    _truncate,
    _repeat_block,
    _edit_entry,
    _edit_entry,
    _edit_entry,
    _edit_header,
    _edit_tile,
    _edit_tile,
    _swap_entries,
)
"""Fields are named more than once, for their damage goes deepest."""
