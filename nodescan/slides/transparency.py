"""Areas that OpenSlide shows as transparent although they are no glass: lost areas, and a fourth band without a
meaning."""

import math
from contextlib import suppress
from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox
from nodescan.errors import NotASlideError
from nodescan.slides.conversion import three_bands
from nodescan.slides.openslide_handles import HandlePool
from nodescan.slides.stored import StoredSlide
from nodescan.slides.tiff_levels import has_unnamed_band
from nodescan.slides.tile_tables import TileTables

_BLOCK_PX, _PATCH_PX, _LEAST_PX = 128, 16, 8
"""No level has smaller tiles than a block, so that each tile holds the middle of one. A patch around the middle tells
whether the block is transparent, as neighbouring tiles may lie a pixel off. A block that the level's end cuts counts
only if at least _LEAST_PX of it are left: levels' sides are rounded."""


class LostAreas:
    """The lost areas of one file, in blocks of each level's own fixed grid. Safe to use from several threads.

    Scanners leave glass out of all levels alike, as transparent: that is nothing lost. Finer levels are looked at in
    the middle of a transparent block, a pixel each, and what was found is kept: much of a slide may be left out.
    """

    def __init__(self, handles: HandlePool) -> None:
        self._handles = handles
        self._sizes_px = handles.stored.sizes_px
        self._levels = {level.index: level for level in handles.stored.levels()}
        self._known: dict[tuple[int, int, int], bool] = {}

    def has_lost(self, index: int, box: PixelBox, alpha: NDArray[np.uint8]) -> bool:
        """Whether a box of a level meets a lost area. alpha : uint8 (box.height, box.width), as the level has it."""
        if index == 0 or alpha.min() > 0:
            return False
        level = PixelBox(0, 0, *self._sizes_px[index])
        for whole in box.blocks(_BLOCK_PX, _BLOCK_PX):
            block = whole.common(level)
            patch = _middle(block)
            met = block.common(box)
            holds_patch = patch.common(box) == patch
            shown = alpha[patch.within(box)].any() if holds_patch else alpha[met.within(box)].all()
            if not shown and self._is_lost(index, block):
                return True
        return False

    def _is_lost(self, index: int, block: PixelBox) -> bool:
        key = (index, block.left, block.top)
        if key not in self._known:
            self._known[key] = (
                min(block.width, block.height) >= _LEAST_PX
                and self._is_finer_there(index, block)
                and not self._handles.read_level(index, _middle(block))[..., 3].any()
            )
        return self._known[key]

    def _is_finer_there(self, index: int, block: PixelBox) -> bool:
        """Whether a finer level shows something in the middle of the block. What can't be decoded is there, too."""
        level = self._levels[index]
        x = (block.left + block.width / 2) * level.factor_x
        y = (block.top + block.height / 2) * level.factor_y
        for finer in (self._levels[number] for number in range(index) if number in self._levels):
            pixel = PixelBox(math.floor(x / finer.factor_x), math.floor(y / finer.factor_y), 1, 1)
            try:
                if self._handles.read_level(finer.index, pixel)[0, 0, 3] > 0:
                    return True
            except openslide.OpenSlideError:
                return True
        return False


def _middle(block: PixelBox) -> PixelBox:
    wide, high = min(block.width, _PATCH_PX), min(block.height, _PATCH_PX)
    return PixelBox(block.left + (block.width - wide) // 2, block.top + (block.height - high) // 2, wide, high)


UNNAMED = "a fourth band that the file doesn't say is transparency"

_OPAQUE, _RIM_PX = 250, 2
"""Rounding leaves 254, and a level's last pixels are blended with what lies beyond it, where OpenSlide resamples."""


class UnnamedBand:
    """Whether a file has such a band, and where it isn't opaque. Raises OSError.

    tables: of the file's levels. Without them the slide isn't refused, as what is clear may never have been scanned;
    but none of it counts as glass.
    """

    def __init__(self, path: Path, stored: StoredSlide, tables: TileTables | None) -> None:
        self._path, self._sizes_px = path, stored.sizes_px
        self._exists, self._tables = has_unnamed_band(path, stored), tables

    def check(self, handles: HandlePool) -> None:
        """Raises NotASlideError where the middle of any of some tiles isn't opaque."""
        if not self._exists or self._tables is None:
            return
        for index, table in enumerate(self._tables.levels):
            for tile in table.sample():
                row, column = divmod(tile, table.tiles_across)
                whole = PixelBox(
                    column * table.tile_width_px, row * table.tile_height_px, table.tile_width_px, table.tile_height_px
                )
                seen = whole.common(PixelBox(0, 0, *self._sizes_px[index]))
                middle = PixelBox(seen.left + seen.width // 2, seen.top + seen.height // 2, 1, 1)
                with suppress(openslide.OpenSlideError):  # a damaged tile is told when it is read
                    if self.hides(index, middle, handles.read_level(index, middle)[..., 3]):
                        remedy = f"keep its colours alone: {three_bands(self._path)}"
                        reason = f"holds {UNNAMED}, but that would be read as transparency"
                        raise NotASlideError(self._path.name, reason, remedy)

    def hides(self, index: int, box: PixelBox, alpha: NDArray[np.uint8]) -> bool:
        """Whether this band would show pixels of a box of a level as glass. alpha : uint8 (box.height, box.width)."""
        if not self._exists or alpha.min() >= _OPAQUE:
            return False
        inner = PixelBox(0, 0, *self._sizes_px[index]).grown(-_RIM_PX).common(box).within(box)
        clear = np.zeros(alpha.shape, dtype=np.bool_)
        clear[inner] = alpha[inner] < _OPAQUE
        for place in self._tables.levels[index].missing(box) if self._tables else ():
            clear[place.common(box).within(box)] = False
        return bool(clear.any())
