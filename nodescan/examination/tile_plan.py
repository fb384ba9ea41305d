"""The part of a slide that is shown to the network: the tiles that hold tissue."""

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
    """Which tiles of a slide the network is to be shown.

    wanted : bool (H, W), the cells that touch tissue; tiles: they cover these cells, row by row; spacing: of the
    frame's pixels; tissue: the mask that the cells come from.
    """

    grid: TileGrid
    spacing: Spacing
    wanted: NDArray[np.bool_]
    tiles: tuple[Tile, ...]
    tissue: TissueMask

    @property
    def cell(self) -> Spacing:
        """The spacing of the map's cells."""
        return self.spacing.scaled(self.grid.tile.stride_px)

    def around(self, cells: NDArray[np.bool_], tile: TileGeometry) -> "Survey":
        """The survey of some cells alone, in tiles of another geometry or, where `tile` is this survey's, in its own.

        cells : bool (H, W). A network that pads must get the same tiles as before, because its answer for a cell
        depends on the cell's tile.
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
