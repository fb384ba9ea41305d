"""Separate pieces of tissue on a slide. Each of several serial sections of a node is a piece of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.deposits import Deposit
from nodescan.domain.maps import SMALLEST_PIECE_MM2, TissueMask
from nodescan.domain.units import Spacing
from nodescan.imaging.components import components

_GRID_UM = 16.0
"""Tissue is found on pixels of about this size, so using every second pixel of 8 um loses nothing."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """labels : int32 (H, W), the number of each pixel's piece, the largest piece 1; 0 for glass and smaller fragments.

    spacing: of its pixels; pixel (0, 0) lies at the canvas' top left. count: how many pieces there are.
    """

    labels: NDArray[np.int32]
    spacing: Spacing
    count: int

    def placed(self, deposits: Sequence[Deposit]) -> tuple[Deposit, ...]:
        """The deposits, each with its piece, or None if it lies in a smaller fragment or beside the tissue."""
        return tuple(replace(deposit, piece=self._piece_of(deposit)) for deposit in deposits)

    def _piece_of(self, deposit: Deposit) -> int | None:
        """By its centre, else by its ends: a crescent's centre may lie on glass."""
        height, width = self.labels.shape
        for x_um, y_um in (deposit.centre_um, *deposit.endpoints_um):
            row, column = int(y_um // self.spacing.y), int(x_um // self.spacing.x)
            if 0 <= row < height and 0 <= column < width and self.labels[row, column]:
                return int(self.labels[row, column])
        return None


def find_pieces(tissue: TissueMask) -> Pieces:
    """The connected parts of the tissue, seen or hidden, of at least SMALLEST_PIECE_MM2.

    Cracks are closed only as far as the tissue settings close gaps (closing_um, 0.16 mm as released). Two sections may
    lie closer to each other than the sides of a wider crack.
    """
    step = max(1, round(_GRID_UM / tissue.spacing.mean))
    spacing = tissue.spacing.scaled(step)
    labels, found = components(tissue.wanted[::step, ::step])
    pixels = np.bincount(labels.ravel(), minlength=found + 1)[1:]
    by_size = np.argsort(-pixels, kind="stable")
    count = int(np.count_nonzero(pixels * spacing.pixel_area_um2 >= SMALLEST_PIECE_MM2 * 1e6))
    numbers = np.zeros(found + 1, dtype=np.int32)
    numbers[1 + by_size[:count]] = np.arange(1, count + 1)
    return Pieces(numbers[labels], spacing, count)
