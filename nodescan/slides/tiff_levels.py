"""The levels of a TIFF whose tiles are plain JPEG: where each tile lies in the file, and how it is to be decoded."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from nodescan.slides.checked_tiles import JPEG_2000, NOTHING_TOLD, CheckedLevel, TileCheck, deflate_check, jpeg_check
from nodescan.slides.compression import coarseness
from nodescan.slides.jpeg_tiles import BadTileError, header_of, luma_steps, shared_tables, start_of_first
from nodescan.slides.stored import StoredSlide
from nodescan.slides.tiff_directories import CutOffTiffError, Directory, Tag, directories_of
from nodescan.slides.tiff_images import is_reduced
from nodescan.slides.tile_tables import TileTable, TileTables

FORMATS = frozenset({"aperio", "generic-tiff", "philips"})
"""OpenSlide's names of the formats whose levels are the tiled directories of one TIFF, one each."""

_DEFLATE, _JPEG_2000 = (8, 32946), (33003, 33005)
"""Compressions: Deflate has Adobe's number and an older one, Aperio's JPEG 2000 one for each colour space."""

_JPEG, _RGB, _YCBCR, _CONTIGUOUS, _UNNAMED = 7, 2, 6, 1, 0

_LARGEST_TILE_PX = 4096
_LARGEST_TABLES_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class TiledLevel:
    """One directory of JPEG tiles. offsets : uint64 (tiles,), row by row; shared: of jpeg_tiles.shared_tables.

    coarseness: of one of them, as of all; see compression.py.
    """

    table: TileTable
    offsets: NDArray[np.uint64]
    shared: bytes
    ycbcr: bool
    coarseness: float | None


class DeclinedError(Exception):
    """The pixels of this file can't be read here exactly as OpenSlide reads them."""


def jpeg_levels(path: Path, stored: StoredSlide) -> tuple[TiledLevel, ...] | None:
    """The levels in OpenSlide's order; None where not all pixels can be read here exactly as OpenSlide reads them.

    Raises OSError where the file can't be read: OpenSlide wouldn't notice what is damaged.
    """
    try:
        levels = _levels(path, stored, _level)
    except DeclinedError:
        return None
    whole = all(level.table.lengths.all() for level in levels)
    return levels if whole or stored.format != "aperio" else None  # OpenSlide paints missing tiles from finer levels


def checked_levels(path: Path, stored: StoredSlide) -> tuple[CheckedLevel, ...]:
    """The levels in OpenSlide's order, however they are coded. None of them where the file isn't a TIFF whose missing
    tiles OpenSlide paints white, or its directories can't be matched with OpenSlide's levels. Raises OSError."""
    try:
        return _levels(path, stored, partial(_checked, path))
    except DeclinedError:
        return ()


def tile_tables(levels: tuple[CheckedLevel, ...], stored: StoredSlide) -> TileTables | None:
    """Which tiles the levels of checked_levels() hold; None without any.

    OpenSlide paints an Aperio tile that is missing, or lies over a missing one, from finer levels. If all lack it, that
    is white, although the file may show tissue there.
    """
    tables = [level.table for level in levels]
    return TileTables(tables, stored.sizes_px, of_finest=stored.format == "aperio") if tables else None


def has_unnamed_band(path: Path, stored: StoredSlide) -> bool:
    """Whether a level has a band beyond its colours that the file doesn't declare as transparency.

    libtiff, and so OpenSlide, takes a fourth band for transparency anyway. Raises OSError.
    """
    try:
        return any(_has_unnamed_band(*each) for each in _pyramid(path, stored))
    except (DeclinedError, CutOffTiffError):
        return False


def _has_unnamed_band(stream: BinaryIO, directory: Directory) -> bool:
    coloured = directory.number(stream, Tag.PHOTOMETRIC, -1) in (_RGB, _YCBCR)
    further = coloured and directory.number(stream, Tag.SAMPLES, 1) > 3
    return further and directory.number(stream, Tag.EXTRA_SAMPLES, _UNNAMED) == _UNNAMED


_Level = TypeVar("_Level", TiledLevel, CheckedLevel)


def _levels(path: Path, stored: StoredSlide, read: Callable[[BinaryIO, Directory], _Level]) -> tuple[_Level, ...]:
    """What is read of each level, in OpenSlide's order. Raises DeclinedError where they are others than OpenSlide's."""
    try:
        levels = tuple(read(*each) for each in _pyramid(path, stored))
    except CutOffTiffError as error:
        raise DeclinedError(str(error)) from error
    if stored.format == "generic-tiff":
        levels = tuple(sorted(levels, key=lambda level: -level.table.width_px))
    tables = [level.table for level in levels]
    if len(tables) != len(stored.sizes_px) or len({table.width_px for table in tables}) < len(tables):
        raise DeclinedError("other levels than OpenSlide's")
    for table, size_px in zip(tables, stored.sizes_px, strict=True):
        stored_px = (table.width_px, table.height_px)
        clipped = stored.format == "philips" and size_px[0] <= stored_px[0] and size_px[1] <= stored_px[1]
        if stored_px != size_px and not clipped:
            raise DeclinedError("levels of other sizes than OpenSlide's")
    return levels


def _pyramid(path: Path, stored: StoredSlide) -> Iterator[tuple[BinaryIO, Directory]]:
    """The directories that OpenSlide takes for levels, as directories_of() has them: the tiled ones, of a generic TIFF
    the first and reduced images alone. Raises DeclinedError for formats that aren't so."""
    if stored.format not in FORMATS:
        raise DeclinedError(f"the format {stored.format}")
    generic = stored.format == "generic-tiff"
    for index, (stream, directory) in enumerate(directories_of(path)):
        if Tag.TILE_WIDTH in directory.entries and (index == 0 or not generic or is_reduced(stream, directory)):
            yield stream, directory


def _table(stream: BinaryIO, directory: Directory) -> TileTable:
    """A tile counts as missing if it is in one of several planes.

    Writers that leave tiles out give them no place, or that of the next one; what has one of its own had data.
    """
    width, height, tile_width, tile_height = (
        directory.number(stream, tag, 0) for tag in (Tag.WIDTH, Tag.HEIGHT, Tag.TILE_WIDTH, Tag.TILE_HEIGHT)
    )
    if min(width, height) < 1 or not (0 < tile_width <= _LARGEST_TILE_PX and 0 < tile_height <= _LARGEST_TILE_PX):
        raise DeclinedError(f"{width} x {height} px in tiles of {tile_width} x {tile_height} px")
    tiles = -(-width // tile_width) * -(-height // tile_height)
    lengths = directory.numbers(stream, Tag.TILE_LENGTHS)
    places = directory.entries.get(Tag.TILE_OFFSETS)
    if len(lengths) == 0 or len(lengths) % tiles or places is None or places.whole_numbers != len(lengths):
        raise DeclinedError("another number of tiles than its size needs")
    placed = lengths == 0
    if placed.any():  # most files leave none out: their places needn't be read for this
        offsets = directory.numbers(stream, Tag.TILE_OFFSETS)
        placed &= (offsets != 0) & ~np.isin(offsets, offsets[lengths > 0])
    by_plane = lengths.reshape(-1, tiles)
    return TileTable(
        width, height, tile_width, tile_height, by_plane.min(axis=0), placed.reshape(-1, tiles).any(axis=0)
    )


def _checked(path: Path, stream: BinaryIO, directory: Directory) -> CheckedLevel:
    table = _table(stream, directory)
    offsets, sizes = (
        directory.numbers(stream, tag).reshape(-1, len(table.lengths)) for tag in (Tag.TILE_OFFSETS, Tag.TILE_LENGTHS)
    )
    return CheckedLevel(table, path, _check_of(stream, directory, table, offsets[0]), offsets, sizes)


def _check_of(stream: BinaryIO, directory: Directory, table: TileTable, offsets: NDArray[np.uint64]) -> TileCheck:
    """How to check its tiles: JPEG, Deflate or JPEG 2000. offsets: of the tiles in their first plane."""
    if directory.number(stream, Tag.FILL_ORDER, 1) != 1:
        return NOTHING_TOLD
    compression = directory.number(stream, Tag.COMPRESSION, -1)
    if compression in _JPEG_2000:
        return JPEG_2000
    if compression in _DEFLATE:
        return deflate_check(_tile_bytes(stream, directory, table))
    if compression != _JPEG:
        return NOTHING_TOLD
    try:
        tables = _tables(stream, directory)
    except DeclinedError:
        return NOTHING_TOLD
    start = _start_of_sample(stream, table, offsets)
    size_px = (table.tile_width_px, table.tile_height_px)
    return jpeg_check(tables, size_px) if start is None or header_of(start).checkable else NOTHING_TOLD


def _tile_bytes(stream: BinaryIO, directory: Directory, table: TileTable) -> int:
    """Of the pixels of a tile of one plane; of several bit depths the largest counts."""
    planes = directory.number(stream, Tag.PLANAR, _CONTIGUOUS) != _CONTIGUOUS
    samples = 1 if planes else directory.number(stream, Tag.SAMPLES, 1)
    bits = int(directory.numbers(stream, Tag.BITS).max(initial=1))
    return table.tile_height_px * -(-table.tile_width_px * samples * bits // 8)


def _level(stream: BinaryIO, directory: Directory) -> TiledLevel:
    ycbcr = _colour_space_is_ycbcr(stream, directory)
    table = _table(stream, directory)
    tables = _tables(stream, directory)
    offsets = directory.numbers(stream, Tag.TILE_OFFSETS)
    if len(offsets) != len(table.lengths):
        raise DeclinedError("tiles of several planes, though it says that there is one")
    start = _start_of_sample(stream, table, offsets)
    if start is None:
        raise DeclinedError("no tile with a JPEG's header")
    if not header_of(start).plain:
        raise DeclinedError("a JPEG of another depth, number of channels or subsampling")
    coarse: float | None = None
    with suppress(BadTileError):  # behind its frame
        coarse = coarseness(luma_steps(start, tables))
    return TiledLevel(table, offsets, tables, ycbcr, coarse)


def _tables(stream: BinaryIO, directory: Directory) -> bytes:
    """The tables that its JPEG tiles share. Raises DeclinedError where they are none."""
    if Tag.JPEG_TABLES in directory.entries and directory.entries[Tag.JPEG_TABLES].length > _LARGEST_TABLES_BYTES:
        raise DeclinedError("JPEG tables of an absurd length")
    tables = directory.raw(stream, Tag.JPEG_TABLES)
    try:
        return shared_tables(tables) if tables else b""
    except BadTileError as error:
        raise DeclinedError(f"JPEG tables: {error}") from error


def _colour_space_is_ycbcr(stream: BinaryIO, directory: Directory) -> bool:
    """Raises DeclinedError for anything but three contiguous channels of 8 bits in JPEG."""
    photometric = directory.number(stream, Tag.PHOTOMETRIC, -1)
    plain = (
        directory.number(stream, Tag.COMPRESSION, -1) == _JPEG
        and photometric in (_RGB, _YCBCR)
        and directory.number(stream, Tag.SAMPLES, 1) == 3
        and set(directory.numbers(stream, Tag.BITS).tolist()) == {8}
        and directory.number(stream, Tag.PLANAR, _CONTIGUOUS) == _CONTIGUOUS
        and directory.number(stream, Tag.FILL_ORDER, 1) == 1
        and directory.number(stream, Tag.DEPTH, 1) == 1
    )
    if not plain:
        raise DeclinedError("tiles that are no plain JPEG of 8-bit RGB or YCbCr")
    return photometric == _YCBCR


def _start_of_sample(stream: BinaryIO, table: TileTable, offsets: NDArray[np.uint64]) -> bytes | None:
    """As jpeg_tiles.start_of_first(), of some tiles."""
    end = stream.seek(0, 2)
    return start_of_first(stream, ((min(int(offsets[tile]), end), int(table.lengths[tile])) for tile in table.sample()))
