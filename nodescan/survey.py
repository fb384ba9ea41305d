"""What of a slide is to be shown to the network: the tiles that hold tissue."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import TileGrid
from nodescan.domain.maps import TissueMask
from nodescan.domain.units import Spacing
from nodescan.imaging.coverage import coverage
from nodescan.imaging.stitching import Tile, fitted_tiles
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


def plan(slide: Slide, tissue: TissueMask, predictor: TilePredictor) -> Survey:
    """The tiles that tissue needs. Raises UnmeasurableError where the slide has no magnification the model accepts."""
    spacing = slide.frame_spacing(*predictor.spacing_range_um)
    grid = TileGrid(*slide.frame_size(spacing), predictor.geometry)
    cell = spacing.scaled(predictor.geometry.stride_px)
    wanted = coverage(tissue.wanted, tissue.spacing, shape=grid.map_shape, spacing=cell) > 0
    return Survey(grid, spacing, wanted, fitted_tiles(grid, wanted), tissue)
