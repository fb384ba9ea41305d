"""Deflate tiles of a TIFF, held against their checksums: libtiff stops at a tile's last pixel, which comes before, and
hands out whatever a damaged tile unpacks to."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.slides.tile_file import TileFile
from nodescan.slides.tile_tables import TileTable

_PIECE_BYTES = 2**20
"""So much of a tile is unpacked at a time, and let go."""


@dataclass(frozen=True, slots=True)
class DeflatedLevel(TileTable):
    """deflated: whether its tiles are Deflate. offsets, sizes : uint64 (planes, tiles), each plane row by row."""

    deflated: bool
    offsets: NDArray[np.uint64]
    sizes: NDArray[np.uint64]


class DeflatedTiles:
    """The deflated tiles of one file. Safe to use from several threads. Raises OSError where it can't be opened."""

    def __init__(self, path: Path, levels: tuple[DeflatedLevel, ...]) -> None:
        self._levels = levels
        self._file = TileFile(path) if any(level.deflated for level in levels) else None
        self._whole: dict[tuple[int, int], bool] = {}
        self._summed: dict[int, bool] = {}

    def has_damaged(self, index: int, box: PixelBox) -> bool:
        """Whether a box of a level meets a tile whose checksum is wrong. Raises ValueError once closed."""
        if self._file is None or not self._levels[index].deflated or not self._is_summed(index):
            return False
        level = self._levels[index]
        met = np.arange(len(level.lengths)).reshape(-1, level.tiles_across)[level.met(box)]
        return not all(self._is_whole(index, tile) for tile in met.ravel().tolist())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _is_summed(self, index: int) -> bool:
        """Whether any of a sample of tiles has a right checksum: a program may write none."""
        if index not in self._summed:
            self._summed[index] = any(self._is_whole(index, tile) for tile in self._levels[index].sample())
        return self._summed[index]

    def _is_whole(self, index: int, tile: int) -> bool:
        """Of a tile without data, too: whether it was lost is asked elsewhere."""
        key = (index, tile)
        if key not in self._whole:
            level = self._levels[index]
            places = zip(level.offsets[:, tile].tolist(), level.sizes[:, tile].tolist(), strict=True)
            self._whole[key] = all(size == 0 or self._ends_well(offset, size) for offset, size in places)
        return self._whole[key]

    def _ends_well(self, offset: int, size: int) -> bool:
        assert self._file is not None
        unpacking = zlib.decompressobj()
        try:
            packed = self._file.read(offset, size)
            while not unpacking.eof:
                piece = unpacking.decompress(packed, _PIECE_BYTES)
                packed = unpacking.unconsumed_tail
                if not piece and not packed:
                    return unpacking.eof
        except (zlib.error, OSError):
            return False
        return True
