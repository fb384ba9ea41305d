"""Tiles that can't be read whole: the parts that can be read, and the cells that see the damage."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox, TileGeometry
from nodescan.domain.units import Spacing
from nodescan.interfaces import Slide
from nodescan.reading_in_parts import read_in_parts

_PART_PX = 64
"""Damage is located in squares of so many pixels. Few files have smaller tiles, and each failed read takes time."""

MOST_DAMAGED = 150
"""Only the first so many damaged tiles of a slide are read in parts. Each takes up to 120 reads, and OpenSlide opens
the file again after a failed one, in 7 ms for a TIFF. A slide with more damage than that has failed anyway."""


@dataclass(frozen=True, slots=True)
class DamagedTile:
    """pixels : uint8 (h, w, 3), white where damaged; damaged : bool (h, w)."""

    pixels: NDArray[np.uint8]
    damaged: NDArray[np.bool_]

    def damaged_cells(self, tile: TileGeometry, block_px: int | None) -> NDArray[np.bool_]:
        """bool (cells, cells): the core's cells that see damage, within the margin on every side of them.

        block_px: side of the blocks that focus is judged on, or None. If one cell of a block sees damage, all of its
        cells count.
        """
        view = tile.stride_px + 2 * tile.margin_px
        windows = sliding_window_view(self.damaged, (view, view))[:: tile.stride_px, :: tile.stride_px]
        seen: NDArray[np.bool_] = np.any(windows, axis=(2, 3), keepdims=True)[..., 0, 0]
        if block_px is None:
            return seen
        core = self.damaged[tile.margin_px :, tile.margin_px :][: tile.core_px, : tile.core_px]
        count, cells = tile.core_px // block_px, block_px // tile.stride_px
        blocks = core.reshape(count, block_px, count, block_px).any(axis=(1, 3))
        return seen | blocks.repeat(cells, axis=0).repeat(cells, axis=1)


def read_damaged(slide: Slide, box: PixelBox, spacing: Spacing) -> DamagedTile:
    """The readable parts of a box of the frame at `spacing`."""
    pixels = np.full((box.height, box.width, 3), 255, dtype=np.uint8)
    damaged = np.zeros((box.height, box.width), dtype=np.bool_)
    for part, seen in read_in_parts(slide, box, spacing, smallest_px=_PART_PX, worth_it=lambda: True):
        if seen is None:
            damaged[part.within(box)] = True
        else:
            pixels[part.within(box)] = seen
    return DamagedTile(pixels, damaged)
