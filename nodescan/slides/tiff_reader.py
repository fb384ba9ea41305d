"""TIFF-like slides with JPEG tiles, fetched by their place in the file and decoded in the caller's thread."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.errors import RegionUnreadableError
from nodescan.slides.jpeg_tiles import BadTileError, decode_tile
from nodescan.slides.opened_file import OpenedFile
from nodescan.slides.openslide_reader import openslide_format, stored_slide
from nodescan.slides.tiff_levels import FORMATS, TiledLevel, jpeg_levels
from nodescan.slides.tile_cache import TileCache
from nodescan.slides.tile_file import TileFile
from nodescan.slides.tile_tables import TileTables

SUFFIXES = frozenset({".btf", ".qptiff", ".svs", ".tf2", ".tf8", ".tif", ".tiff"})

_MOST_BYTES_A_PIXEL, _LARGEST_HEADER_BYTES = 6, 1_000_000
"""A tile's JPEG is seldom larger than its pixels, of 3 bytes, and never twice as large but for what scanners put into
its header: what claims to be larger is damaged."""

_SHARED_BELOW = 1 / 8
"""Of a box, so much at its lower end is in the next row of boxes, too: a scan's overlap by twice the margin, 64 of
576 px for the released model. What is above it isn't asked for again once its row is read."""


def open_tiff(path: Path, kept_bytes: int) -> OpenedFile | None:
    """None where the pixels wouldn't come out here as OpenSlide gives them: such a file is left to OpenSlide.

    Raises NotASlideError where OpenSlide declines the file, and OSError.
    """
    if openslide_format(path) not in FORMATS:  # quicker told than to open one
        return None
    stored = stored_slide(path)
    tiled = jpeg_levels(path, stored)
    if tiled is None:
        return None
    tables = TileTables([level.table for level in tiled], stored.sizes_px)
    levels = JpegLevels(path, tiled, kept_bytes=kept_bytes)
    return OpenedFile(stored, levels, tables, tuple(level.coarseness for level in tiled))


class JpegLevels:
    """An opened_file.LevelPixels: the level's own pixels, also where OpenSlide would shift them by a fraction.

    Each tile is decoded once where boxes are read row by row, as far as `kept_bytes` reach; see tile_cache.py.
    """

    def __init__(self, path: Path, levels: tuple[TiledLevel, ...], *, kept_bytes: int) -> None:
        """Raises OSError where the file can't be opened."""
        self._name = path.name
        self._levels = levels
        self._file = TileFile(path)
        self._cache = TileCache(kept_bytes)

    def read_level(self, index: int, box: PixelBox) -> NDArray[np.uint8]:
        """uint8 (box.height, box.width, 3) RGB of a box inside the level. Raises RegionUnreadableError."""
        table = self._levels[index].table
        pixels = np.empty((box.height, box.width, 3), dtype=np.uint8)
        wide, high = table.tile_width_px, table.tile_height_px
        for tile in box.blocks(wide, high):
            met = tile.common(box)
            number = tile.top // high * table.tiles_across + tile.left // wide
            never_scanned = table.lengths[number] == 0
            if never_scanned:
                pixels[met.within(box)] = 255
                continue
            needed_below = tile.bottom > box.bottom - box.height * _SHARED_BELOW
            pixels[met.within(box)] = self._tile(index, number, lasts=needed_below)[met.within(tile)]
        return pixels

    def close(self) -> None:
        """Lets the file and the tiles go; reading afterwards raises ValueError."""
        self._file.close()
        self._cache.clear()

    def _tile(self, index: int, number: int, *, lasts: bool) -> NDArray[np.uint8]:
        try:
            return self._cache.get((index, number), lambda: self._decoded(self._levels[index], number), lasts=lasts)
        except BadTileError as error:
            raise RegionUnreadableError(self._name, str(error)) from error
        except OSError as error:
            raise RegionUnreadableError(self._name, error.strerror or str(error)) from error

    def _decoded(self, level: TiledLevel, number: int) -> NDArray[np.uint8]:
        offset, length = int(level.offsets[number]), int(level.table.lengths[number])
        size_px = (level.table.tile_width_px, level.table.tile_height_px)
        if length > _MOST_BYTES_A_PIXEL * size_px[0] * size_px[1] + _LARGEST_HEADER_BYTES:
            raise BadTileError(f"a compressed tile of {length:,} bytes")
        return decode_tile(self._file.read(offset, length), level.shared, ycbcr=level.ycbcr, size_px=size_px)
