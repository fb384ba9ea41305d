"""Tiles of a TIFF, held against what they say of themselves, where a decoder hands out whatever damage decodes to.

Deflate has a checksum behind a tile's last pixel, where libtiff stops reading; OpenJPEG only warns.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.slides import jpeg2000
from nodescan.slides.tile_file import TileFile
from nodescan.slides.tile_tables import TileTable

_PIECE_BYTES = 2**20
"""So much of a tile is unpacked at a time, and let go."""


@dataclass(frozen=True, slots=True)
class TileCheck:
    """holds: whether a tile's bytes are what was written, as far as they tell. said: of a tile that isn't."""

    said: str
    holds: Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class CheckedLevel(TileTable):
    """check: of its tiles, None where they tell nothing. offsets, sizes : uint64 (planes, tiles), each row by row."""

    check: TileCheck | None
    offsets: NDArray[np.uint64]
    sizes: NDArray[np.uint64]


class CheckedTiles:
    """The tiles of one file that can be checked. Safe to use from several threads. Raises OSError where it can't be
    opened."""

    def __init__(self, path: Path, levels: tuple[CheckedLevel, ...]) -> None:
        self._levels = levels
        self._file = TileFile(path) if any(level.check for level in levels) else None
        self._whole: dict[tuple[int, int], bool] = {}
        self._trusted: dict[str, bool] = {}

    def damage(self, index: int, box: PixelBox) -> str:
        """What is said of a damaged tile that a box of a level meets, "" where there is none.

        Raises ValueError once closed.
        """
        level = self._levels[index] if self._file is not None else None
        if level is None or level.check is None or not self._is_trusted(level.check):
            return ""
        met = np.arange(len(level.lengths)).reshape(-1, level.tiles_across)[level.met(box)]
        return "" if all(self._is_whole(index, tile) for tile in met.ravel().tolist()) else level.check.said

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _is_trusted(self, check: TileCheck) -> bool:
        """Whether it holds for any of a sample of all levels' tiles: a program may write no checksums.

        Of one level it would tell nothing: a coarse one may have one tile, and that be damaged.
        """
        if check.said not in self._trusted:
            tiles = (
                (i, tile) for i, level in enumerate(self._levels) if level.check is check for tile in level.sample()
            )
            self._trusted[check.said] = any(self._is_whole(index, tile) for index, tile in tiles)
        return self._trusted[check.said]

    def _is_whole(self, index: int, tile: int) -> bool:
        """Of a tile without data, too: whether it was lost is asked elsewhere."""
        key = (index, tile)
        if key not in self._whole:
            level, check = self._levels[index], self._levels[index].check
            places = zip(level.offsets[:, tile].tolist(), level.sizes[:, tile].tolist(), strict=True)
            self._whole[key] = all(size == 0 or self._holds(check, offset, size) for offset, size in places)
        return self._whole[key]

    def _holds(self, check: TileCheck | None, offset: int, size: int) -> bool:
        assert self._file is not None
        assert check is not None
        try:
            return check.holds(self._file.read(offset, size))
        except OSError:
            return False


def _ends_with_its_sum(packed: bytes) -> bool:
    unpacking = zlib.decompressobj()
    try:
        while not unpacking.eof:
            piece = unpacking.decompress(packed, _PIECE_BYTES)
            packed = unpacking.unconsumed_tail
            if not piece and not packed:
                return unpacking.eof
    except zlib.error:
        return False
    return True


DEFLATE = TileCheck("its checksum is wrong", _ends_with_its_sum)
JPEG_2000 = TileCheck("its code stream is broken", jpeg2000.is_whole)
