"""A fourth band that a TIFF doesn't name: taken for transparency, as by OpenSlide, it would show tissue as glass."""

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
        """Whether pixels of a box of a level would be shown as glass by it. alpha : uint8 (box.height, box.width)."""
        if not self._exists or alpha.min() >= _OPAQUE:
            return False
        inner = PixelBox(0, 0, *self._sizes_px[index]).grown(-_RIM_PX).common(box).within(box)
        clear = np.zeros(alpha.shape, dtype=np.bool_)
        clear[inner] = alpha[inner] < _OPAQUE
        for place in self._tables.levels[index].missing(box) if self._tables else ():
            clear[place.common(box).within(box)] = False
        return bool(clear.any())
