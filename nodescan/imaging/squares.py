"""Squares of a map's cells that are judged as wholes: what part of each is something, and the areas that they make."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.units import Spacing
from nodescan.imaging.components import window_of
from nodescan.imaging.morphology import large

SMALLEST_SQUARE_MM2 = 0.054
"""A single square of 250 um, whose side is an odd number of cells, is 0.055 to 0.07 mm2: at the spacings that the
released model takes, 15 cells of 15.63 to 16 um or 17 of 14.4 to 15.62."""

_STEP_PX = 2  # every second pixel is counted: nuclei are several wide


def step_px(stride_px: int) -> int:
    """Of a cell's pixels every second one is counted, each way, where its side is even; else all."""
    return _STEP_PX if stride_px % _STEP_PX == 0 else 1


def share_of_cells(there: NDArray[np.bool_], cells: int) -> NDArray[np.float16]:
    """float16 (cells, cells) in [0, 1]: how much of each cell is `there`, bool (side, side)."""
    side = len(there) // cells
    columns = there.view(np.uint8).reshape(cells, side, cells * side).sum(axis=1, dtype=np.uint16)
    return (columns.reshape(cells, cells, side).sum(axis=2, dtype=np.uint32) / side**2).astype(np.float16)


class Squares:
    """The squares around all cells that were seen, and between them. seen : bool (H, W) at `spacing`."""

    def __init__(self, seen: NDArray[np.bool_], spacing: Spacing, side_um: float) -> None:
        self._seen, self._spacing = seen, spacing
        self._part = window_of(seen)
        self._side = [2 * round((side_um / side - 1) / 2) + 1 for side in (spacing.y, spacing.x)]

    def means(self, *shares: NDArray[np.float16] | None) -> Sequence[NDArray[np.float32]]:
        """float32 (h, w) of each: the mean of a share, (H, W), in every square, 0 where nothing was seen.

        None: the share that was seen.
        """
        seen = self._seen[self._part]
        return [
            ndimage.uniform_filter(
                np.where(seen, 1 if share is None else share[self._part], 0).astype(np.float32),
                self._side,
                mode="constant",
            )
            for share in shares
        ]

    def area(self, squares: NDArray[np.bool_], min_area_mm2: float) -> NDArray[np.bool_]:
        """bool (H, W): all that was seen of some squares, bool (h, w), in parts of min_area_mm2 or more.

        So the area found ends where another one begins, and not half a square before.
        """
        found = np.zeros_like(self._seen)
        if squares.any():
            whole = ndimage.maximum_filter(squares.view(np.uint8), self._side, mode="constant") > 0
            found[self._part] = large(whole & self._seen[self._part], min_area_mm2 * 1e6 / self._spacing.pixel_area_um2)
        return found
