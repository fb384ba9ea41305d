"""Checks tiles for damage where OpenSlide would return whatever the damaged bytes decode to.

Deflate has a checksum after a tile's last pixel, where libtiff stops reading. OpenJPEG and libjpeg only warn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodescan.deflate import ends_with_its_sum
from nodescan.domain.geometry import PixelBox
from nodescan.slides import jpeg2000, jpeg_tiles
from nodescan.slides.tile_file import TileFile
from nodescan.slides.tile_tables import TileTable

DEFLATE_SAID = "its checksum is wrong"


@dataclass(frozen=True, slots=True)
class TileCheck:
    """holds: whether a tile's bytes are undamaged, as far as can be told. said: the message for a damaged tile."""

    said: str
    holds: Callable[[bytes], bool]


NOTHING_TOLD = TileCheck("", lambda _: True)
"""The check of tiles that can't be checked."""


@dataclass(frozen=True, slots=True)
class CheckedLevel:
    """A level's tiles and how to check them.

    path: the file that they are in. offsets, sizes : uint64 (planes, tiles), each row by row.
    """

    table: TileTable
    path: Path
    check: TileCheck
    offsets: NDArray[np.uint64]
    sizes: NDArray[np.uint64]


class CheckedTiles:
    """The tiles of one slide that can be checked. Safe to use from several threads. Raises OSError where a file can't
    be opened."""

    def __init__(self, levels: tuple[CheckedLevel, ...]) -> None:
        self._levels = levels
        self._files: dict[Path, TileFile] = {}
        self._whole: dict[tuple[int, int], bool] = {}
        self._trusted: dict[str, bool] = {}
        try:
            for path in sorted({level.path for level in levels if level.check is not NOTHING_TOLD}):
                self._files[path] = TileFile(path)
        except OSError:
            self.close()
            raise

    def damage(self, index: int, box: PixelBox) -> str:
        """The message for a damaged tile that a box of a level overlaps, "" if there is none.

        Raises ValueError once closed.
        """
        if not self._files:
            return ""
        level = self._levels[index]
        if level.check is NOTHING_TOLD or not self._is_trusted(level.check.said):
            return ""
        table = level.table
        met = np.arange(len(table.lengths)).reshape(-1, table.tiles_across)[table.met(box)]
        return "" if all(self._is_whole(index, tile) for tile in met.ravel().tolist()) else level.check.said

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _is_trusted(self, said: str) -> bool:
        """Whether this check passes for any tile of a sample. If not, the program may have written no checksums.

        The sample is from all levels: a coarse level may have only one tile, and that may be damaged.
        """
        if said not in self._trusted:
            levels = ((index, level) for index, level in enumerate(self._levels) if level.check.said == said)
            tiles = ((index, tile) for index, level in levels for tile in level.table.sample())
            self._trusted[said] = any(self._is_whole(index, tile) for index, tile in tiles)
        return self._trusted[said]

    def _is_whole(self, index: int, tile: int) -> bool:
        """True also for a tile without data: TileTables knows whether it was lost."""
        key = (index, tile)
        if key not in self._whole:
            level = self._levels[index]
            places = zip(level.offsets[:, tile].tolist(), level.sizes[:, tile].tolist(), strict=True)
            self._whole[key] = all(size == 0 or self._holds(level, offset, size) for offset, size in places)
        return self._whole[key]

    def _holds(self, level: CheckedLevel, offset: int, size: int) -> bool:
        try:
            return level.check.holds(self._files[level.path].read(offset, size))
        except OSError:
            return False


def jpeg_check(tables: bytes, size_px: tuple[int, int]) -> TileCheck:
    """Of JPEG tiles of this (width, height). tables: those that they share, see jpeg_tiles.shared_tables."""
    return TileCheck("its JPEG is broken", lambda tile: jpeg_tiles.is_whole(tile, tables, size_px=size_px))


def deflate_check(tile_bytes: int) -> TileCheck:
    """Of Deflate tiles that unpack to `tile_bytes` each. Data after these bytes is ignored: libtiff stops at the tile's
    end, too."""
    return TileCheck(DEFLATE_SAID, lambda tile: ends_with_its_sum(tile, tile_bytes) is True)


JPEG_2000 = TileCheck("its code stream is broken", jpeg2000.is_whole)
