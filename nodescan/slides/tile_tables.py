"""Which tiles the levels of a TIFF hold, and which are lost: a level lacks them although a finer one has them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox

_SAMPLE = 8
"""So many tiles of a level, or nearly twice as many, tell how all are coded."""


@dataclass(frozen=True, slots=True)
class TileTable:
    """Which tiles a level holds. width_px, height_px: as stored, a format may show less of it.

    lengths : uint64 (tiles,), row by row; a length of 0 is a tile that was never scanned, or was lost. placed : bool
    (tiles,), which of these have a place in the file all the same, so that it is their length that was lost.
    """

    width_px: int
    height_px: int
    tile_width_px: int
    tile_height_px: int
    lengths: NDArray[np.uint64]
    placed: NDArray[np.bool_]

    @property
    def tiles_across(self) -> int:
        return -(-self.width_px // self.tile_width_px)

    def met(self, box: PixelBox) -> tuple[slice, slice]:
        """(rows, columns) of the tiles that a box of the level meets."""
        wide, high = self.tile_width_px, self.tile_height_px
        rows = slice(max(0, box.top // high), math.ceil(box.bottom / high))
        return rows, slice(max(0, box.left // wide), math.ceil(box.right / wide))

    def has_placed(self, box: PixelBox) -> bool:
        """Whether a box of the level meets a tile whose length was lost."""
        return bool(self.placed.any() and self.placed.reshape(-1, self.tiles_across)[self.met(box)].any())

    def sample(self) -> list[int]:
        """A few of the tiles that have data, by their number in `lengths`, spread over the level."""
        present = np.flatnonzero(self.lengths)
        return present[:: max(1, len(present) // _SAMPLE)].tolist()

    def missing(self, box: PixelBox) -> list[PixelBox]:
        """The tiles without data that a box of the level meets."""
        wide, high = self.tile_width_px, self.tile_height_px
        rows, columns = self.met(box)
        met = self.lengths.reshape(-1, self.tiles_across)[rows, columns]
        if met.all():
            return []
        return [
            PixelBox((columns.start + column) * wide, (rows.start + row) * high, wide, high)
            for row, column in np.argwhere(met == 0).tolist()
        ]


@dataclass(frozen=True, slots=True)
class TileTables:
    """The tile tables of a slide's levels, the finest first.

    sizes_px: of each level as it is shown. Between levels places are moved by the ratios of these, as stored levels may
    be padded to whole tiles. of_finest: the scanner leaves no tile out, so what the finest level lacks is lost at every
    level, whatever that level holds there.
    """

    levels: Sequence[TileTable]
    sizes_px: tuple[tuple[int, int], ...]
    of_finest: bool = False

    def has_lost(self, index: int, box: PixelBox) -> bool:
        """Whether a box of a level overlaps a lost tile: missing there but not in a finer level, or `placed`.

        With of_finest: whether a missing tile of the finest level reaches a pixel or more into the box.
        """
        if self.of_finest:
            return self._lacks_finest(index, box)
        level = self.levels[index]
        return level.has_placed(box) or any(self._is_finer_there(index, place) for place in level.missing(box))

    def _lacks_finest(self, index: int, box: PixelBox) -> bool:
        """Parts of a pixel don't count, because levels' sizes are rounded."""
        across, down = self._ratios(0, index)
        met = _on_finer(box, across, down)
        reach = (met.common(place) for place in self.levels[0].missing(met))
        return any(part.width >= across and part.height >= down for part in reach)

    def _is_finer_there(self, index: int, place: PixelBox) -> bool:
        """A pixel along the tile's border doesn't count, because levels' sizes are rounded."""
        inner = place.grown(-1)
        for finer, table in enumerate(self.levels[:index]):
            met = table.met(_on_finer(inner, *self._ratios(finer, index)))
            if table.lengths.reshape(-1, table.tiles_across)[met].any():
                return True
        return False

    def _ratios(self, finer: int, index: int) -> tuple[float, float]:
        """Pixels of the finer level, across and down, to one of the other."""
        (wide, high), (own_wide, own_high) = self.sizes_px[finer], self.sizes_px[index]
        return wide / own_wide, high / own_high


def _on_finer(box: PixelBox, across: float, down: float) -> PixelBox:
    """The pixels of a finer level that the box touches."""
    left, top = math.floor(box.left * across), math.floor(box.top * down)
    return PixelBox(left, top, math.ceil(box.right * across) - left, math.ceil(box.bottom * down) - top)
