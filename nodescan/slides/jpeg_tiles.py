"""JPEG tiles of TIFF and DICOM files: put together with the tables they share, and decoded with every warning an
error."""

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray

_START, _SCAN = 0xD8, 0xDA
_END = b"\xff\xd9"
_QUANTISATION, _HUFFMAN, _RESTART_INTERVAL = 0xDB, 0xC4, 0xDD
_PROGRESSIVE = 0xC2
_FRAMES = (0xC0, 0xC1, _PROGRESSIVE)
"""Baseline, extended and progressive frames with Huffman codes (ITU T.81, table B.1)."""

_KEPT = (_QUANTISATION, _HUFFMAN, _RESTART_INTERVAL, *_FRAMES, _SCAN)
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD8), 0xD9)

SUBSAMPLINGS = (
    ((1, 1), (1, 1), (1, 1)),  # 4:4:4
    ((2, 1), (1, 1), (1, 1)),  # 4:2:2
    ((2, 2), (1, 1), (1, 1)),  # 4:2:0
)
"""Sampling factors, across and down, of the three components, that tests compare with OpenSlide."""

_GREY = ((1, 1),)
_CHECKABLE = (
    _GREY,
    *SUBSAMPLINGS,
    ((1, 2), (1, 1), (1, 1)),  # 4:4:0
    ((4, 1), (1, 1), (1, 1)),  # 4:1:1
)
"""With those that libjpeg-turbo knows beside."""

NO_MEMORY = "nsufficient memory"
"""Part of libjpeg's message if it gets no memory, as for progressive tiles. That is no damage."""

_HEADER_BYTES = 65_536
"""Enough of a tile to hold its header."""

_LOST_BYTES = 32
"""Zeros in a row that stand for lost data where they would code coefficients of -1, 60 or more in a row: of 32,497
sound JPEGs of tissue and glass, all with such tables, none had more than 7."""

_COUNTS = 16
"""Bytes of a Huffman table that count its codes, by their length; its symbols follow, the shortest code's first."""

_AC_CLASS, _MINUS_ONE = 0x10, 0x01
"""The upper bits of a Huffman table's number where it codes all but a block's mean; in it, the symbol of a coefficient
of one bit without others of 0 before (ITU T.81, annex F): 0 stands for -1."""

_ADOBE = {ycbcr: b"\xff\xee" + struct.pack(">H5sHHHB", 14, b"Adobe", 100, 0, 0, int(ycbcr)) for ycbcr in (False, True)}
"""The marker that tells a decoder the colour space, whatever it would guess."""


class BadTileError(Exception):
    """A tile that is no JPEG of the expected kind, or is damaged."""


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What a tile's header says. sampling: (across, down) of each component."""

    width_px: int
    height_px: int
    bits: int
    sampling: tuple[tuple[int, int], ...]

    @property
    def plain(self) -> bool:
        """Whether it is of the kind that tests hold against OpenSlide."""
        return self.bits == 8 and self.sampling in SUBSAMPLINGS

    @property
    def checkable(self) -> bool:
        """Whether `is_whole` can tell of such a tile."""
        return self.bits == 8 and self.sampling in _CHECKABLE


def shared_tables(tables: bytes) -> bytes:
    """Quantisation and Huffman tables out of a TIFF's JPEGTables field, for `decode_tile`. Raises BadTileError."""
    return b"".join(segment for marker, segment in _segments(tables) if marker in (_QUANTISATION, _HUFFMAN))


def header_of(tile: bytes) -> JpegHeader:
    """The tile's header; the tile may be cut off after it. Raises BadTileError."""
    for marker, segment in _segments(tile):
        if marker in _FRAMES:
            return _header(segment)
    raise BadTileError("its JPEG has no frame that can be read")


def start_of_first(stream: BinaryIO, places: Iterable[tuple[int, int]]) -> bytes | None:
    """The first bytes of one of the tiles at these places, (offset, length) in a file: how one is coded tells of all.

    Damaged tiles are skipped here and found later. None if no tile has a header that can be read.
    """
    for offset, length in places:
        stream.seek(offset)
        start = stream.read(min(length, _HEADER_BYTES))
        with suppress(BadTileError):
            header_of(start)
            return start
    return None


def luma_steps(tile: bytes, tables: bytes) -> tuple[int, ...]:
    """The quantisation steps, in zigzag order, of luminance, or of red; () where there are none.

    The tile may be cut off after its header; tables: of `shared_tables`. Raises BadTileError.
    """
    steps: tuple[int, ...] = ()
    for jpeg in (bytes((0xFF, _START)) + tables, tile):  # a tile's own replace the shared ones
        for marker, segment in _segments(jpeg):
            if marker == _QUANTISATION:
                steps = _first_table(segment) or steps
    return steps


def decode_tile(tile: bytes, tables: bytes, *, ycbcr: bool, size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 (height, width, 3) RGB, read-only.

    tables: of `shared_tables`. ycbcr: the colour space of the TIFF's PhotometricInterpretation; as in OpenSlide it
    counts, and not what the JPEG's own markers say, for Aperio's files are RGB without saying so. size_px: (width,
    height) that the tile must have. Raises BadTileError, also where libjpeg only warns: a decoder that goes on after
    a warning makes pixels up; and MemoryError.
    """
    headers, whole = _put_together(tile, tables, ycbcr=ycbcr, size_px=size_px)
    if not all(header.plain for header in headers):
        raise BadTileError("a tile of another depth, number of channels or subsampling")
    pixels = _decoded(whole, "RGB")
    pixels.setflags(write=False)
    return pixels


def is_whole(tile: bytes, tables: bytes, *, size_px: tuple[int, int]) -> bool:
    """Whether `decode_tile` would accept the tile's data, in half the time; for `checkable` tiles.

    Brightness alone, an eighth as large: all codes are read, and on 2,100 damaged tiles of five subsamplings libjpeg
    warned of the same ones as when it made all pixels. Raises MemoryError.
    """
    try:
        _, whole = _put_together(tile, tables, ycbcr=True, size_px=size_px)
        _decoded(whole, "GRAY", min_height=1, min_width=1, min_factor=8)
    except BadTileError:
        return False
    return True


def _decoded(jpeg: bytes, colours: str, **smaller: float) -> NDArray[np.uint8]:
    try:
        return simplejpeg.decode_jpeg(jpeg, colours, strict=True, **smaller)
    except ValueError as error:
        raise (MemoryError() if NO_MEMORY in str(error) else BadTileError(str(error))) from error


def _put_together(
    tile: bytes, tables: bytes, *, ycbcr: bool, size_px: tuple[int, int]
) -> tuple[tuple[JpegHeader, ...], bytes]:
    """The tile's headers, and a JPEG of its own with the shared tables. Raises BadTileError."""
    segments = [(marker, segment) for marker, segment in _segments(tile) if marker in _KEPT]
    headers = tuple(_header(segment) for marker, segment in segments if marker in _FRAMES)
    for header in headers:
        if (header.width_px, header.height_px) != size_px:  # asked before a damaged size costs memory
            raise BadTileError(f"a tile of {header.width_px} x {header.height_px} px, not {size_px[0]} x {size_px[1]}")
    if not segments or segments[-1][0] != _SCAN:
        raise BadTileError("its JPEG ends within the header")
    whole = b"".join([b"\xff\xd8", _ADOBE[ycbcr], tables, *(segment for _, segment in segments)])
    scans = segments[-1][1]
    coded = scans[: scans.rfind(_END) if _END in scans else None]  # writers may pad a tile behind its end
    if bytes(_LOST_BYTES) in coded and _zeros_are_details(whole):
        raise BadTileError("a part of its JPEG was lost")
    return headers, whole


def _zeros_are_details(jpeg: bytes) -> bool:
    """Whether a table of a sequential JPEG codes coefficients of -1 by zeros; most others so code that none is left."""
    tables: list[int] = []
    for marker, segment in _segments(jpeg):
        if marker == _PROGRESSIVE:
            return False
        at = 4
        while marker == _HUFFMAN and at + _COUNTS < len(segment) - 1:
            if segment[at] & _AC_CLASS:
                tables.append(segment[at + 1 + _COUNTS])  # the first symbol has the code of zeros alone
            at += 1 + _COUNTS + sum(segment[at + 1 : at + 1 + _COUNTS])
    return _MINUS_ONE in tables


def _segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, segment with its marker) of the header; the last is the scan with all that follows it."""
    if jpeg[:2] != bytes((0xFF, _START)):
        raise BadTileError("not a JPEG")
    place = 2
    while place + 4 <= len(jpeg):
        if jpeg[place] != 0xFF:
            raise BadTileError("its JPEG header is damaged")
        marker = jpeg[place + 1]
        if marker == 0xFF:  # fill bytes may stand before a marker
            place += 1
            continue
        if marker in _WITHOUT_LENGTH:
            return
        (length,) = struct.unpack_from(">H", jpeg, place + 2)
        end = len(jpeg) if marker == _SCAN else place + 2 + length
        if end > len(jpeg) or length < 2:
            raise BadTileError("its JPEG ends within the header")
        yield marker, jpeg[place:end]
        place = end


def _first_table(segment: bytes) -> tuple[int, ...]:
    """Table 0 of a segment of quantisation tables (ITU T.81, B.2.4.1), of 8 or 16 bits each; () without it."""
    place = 4
    while place < len(segment):
        wide, number = segment[place] >> 4, segment[place] & 15
        length = 64 << min(wide, 1)
        table = segment[place + 1 : place + 1 + length]
        if number == 0 and len(table) == length:
            return struct.unpack(">64H" if wide else ">64B", table)
        place += 1 + length
    return ()


def _header(segment: bytes) -> JpegHeader:
    try:
        bits, height, width, components = struct.unpack_from(">BHHB", segment, 4)
        pairs = [segment[11 + 3 * index] for index in range(components)]
    except (struct.error, IndexError):
        raise BadTileError("its JPEG header is damaged") from None
    return JpegHeader(width, height, bits, tuple((pair >> 4, pair & 15) for pair in pairs))
