"""Tiles of which a part can't be read: what is left of them, and which cells saw the damage."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nodescan.domain.geometry import PixelBox, TileGeometry
from nodescan.domain.units import Spacing
from nodescan.errors import RegionUnreadableError
from nodescan.interfaces import Slide

_PART_PX = 64
"""Damage is told in squares of so many pixels. Few files have smaller tiles, and each read that fails has its price."""

MOST_TORN = 150
"""So many tiles of a slide are looked at in parts, the first ones. Each takes up to 81 reads, and OpenSlide opens the
file anew after one that fails, in 7 ms where it is a TIFF; a slide with more damage than that has failed anyway."""


@dataclass(frozen=True, slots=True)
class TornTile:
    """pixels : uint8 (h, w, 3), white where damaged; damaged : bool (h, w)."""

    pixels: NDArray[np.uint8]
    damaged: NDArray[np.bool_]

    def damaged_cells(self, tile: TileGeometry, block_px: int | None) -> NDArray[np.bool_]:
        """bool (cells, cells): the core's cells that see damage, within the margin on every side of them.

        block_px: side of the blocks that focus is judged on, all cells of which count where one holds damage; or None.
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


def read_torn(slide: Slide, box: PixelBox, spacing: Spacing) -> TornTile:
    """What of a box of the frame at `spacing` can be read, part by part."""
    pixels = np.full((box.height, box.width, 3), 255, dtype=np.uint8)
    damaged = np.zeros((box.height, box.width), dtype=np.bool_)
    for part in _parts(box):
        try:
            pixels[part.within(box)] = slide.read(part, spacing)
        except RegionUnreadableError:
            damaged[part.within(box)] = True
    return TornTile(pixels, damaged)


def _parts(box: PixelBox) -> Iterator[PixelBox]:
    for top in range(box.top, box.bottom, _PART_PX):
        for left in range(box.left, box.right, _PART_PX):
            yield PixelBox(left, top, _PART_PX, _PART_PX).common(box)
