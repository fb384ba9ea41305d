"""What can't be read whole is read in parts: what is left of a tile then, and which cells saw the damage."""

from collections.abc import Callable, Iterator
from contextlib import suppress
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

MOST_DAMAGED = 150
"""So many tiles of a slide are looked at in parts, the first ones. Each takes up to 120 reads, and OpenSlide opens the
file anew after one that fails, in 7 ms where it is a TIFF; a slide with more damage than that has failed anyway."""


@dataclass(frozen=True, slots=True)
class DamagedTile:
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


def read_damaged(slide: Slide, box: PixelBox, spacing: Spacing) -> DamagedTile:
    """What of a box of the frame at `spacing` can be read, part by part."""
    pixels = np.full((box.height, box.width, 3), 255, dtype=np.uint8)
    damaged = np.zeros((box.height, box.width), dtype=np.bool_)
    for part, seen in read_in_parts(slide, box, spacing, smallest_px=_PART_PX, worth_it=lambda: True):
        if seen is None:
            damaged[part.within(box)] = True
        else:
            pixels[part.within(box)] = seen
    return DamagedTile(pixels, damaged)


def read_in_parts(
    slide: Slide, box: PixelBox, spacing: Spacing, *, smallest_px: int, worth_it: Callable[[], bool]
) -> Iterator[tuple[PixelBox, NDArray[np.uint8] | None]]:
    """The parts of a box of the frame with their pixels, uint8 (height, width, 3) RGB at `spacing`; None for those of
    smallest_px or less that can't be read.

    worth_it: asked after each read that failed, whether to go on narrowing down what can't be read.
    """
    pixels = None
    with suppress(RegionUnreadableError):
        pixels = slide.read(box, spacing)
    if pixels is not None or not worth_it() or max(box.width, box.height) <= smallest_px:
        yield box, pixels
        return
    for part in _quarters(box, smallest_px):
        yield from read_in_parts(slide, part, spacing, smallest_px=smallest_px, worth_it=worth_it)


def _quarters(box: PixelBox, smallest_px: int) -> Iterator[PixelBox]:
    """The box in parts of half its longer side, rounded up to the smallest part times a power of two."""
    side = smallest_px
    while 2 * side < max(box.width, box.height):
        side *= 2
    for top in range(box.top, box.bottom, side):
        for left in range(box.left, box.right, side):
            yield PixelBox(left, top, min(side, box.right - left), min(side, box.bottom - top))
