"""What of a slide is to be shown to the network: the tiles that hold tissue."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import TileGeometry, TileGrid
from nodescan.domain.maps import TissueMask
from nodescan.domain.units import Spacing
from nodescan.imaging.coverage import coverage
from nodescan.imaging.stitching import Tile, fitted_tiles, tiles_with
from nodescan.interfaces import Slide, TilePredictor


@dataclass(frozen=True, slots=True)
class Survey:
    """What is to be shown to the network. wanted : bool (H, W), the cells that touch tissue; tiles: laid
    on them, row by row; spacing: of the frame's pixels; tissue: what they come of."""

    grid: TileGrid
    spacing: Spacing
    wanted: NDArray[np.bool_]
    tiles: tuple[Tile, ...]
    tissue: TissueMask

    def around(self, cells: NDArray[np.bool_], tile: TileGeometry) -> "Survey":
        """What is to be shown for some cells' sake: those of its tiles that answer them, or other tiles fitted to them.

        cells : bool (H, W). tile: the tiles' geometry. What a network that pads says of a cell depends on the tile that
        it lies in, so such a one is asked in the survey's own.
        """
        if tile == self.grid.tile:
            return replace(self, tiles=tuple(tiles_with(self.grid, self.tiles, cells)))
        grid = replace(self.grid, tile=tile)
        return replace(self, grid=grid, tiles=fitted_tiles(grid, cells))


def plan(slide: Slide, tissue: TissueMask, predictor: TilePredictor) -> Survey:
    """The tiles that tissue needs. Raises UnmeasurableError where the slide has no magnification the model accepts."""
    spacing = slide.frame_spacing(*predictor.spacing_range_um)
    grid = TileGrid(*slide.frame_size(spacing), predictor.geometry)
    cell = spacing.scaled(predictor.geometry.stride_px)
    wanted = coverage(tissue.wanted, tissue.spacing, shape=grid.map_shape, spacing=cell) > 0
    return Survey(grid, spacing, wanted, fitted_tiles(grid, wanted), tissue)
