"""Puts the network's answers, tile by tile, into one map of the slide."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.geometry import TileGrid
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Spacing
from nodescan.errors import ModelError

Tile = tuple[int, int]
"""The (row, column) of its core's first cell."""


def fitted_tiles(grid: TileGrid, wanted: NDArray[np.bool_]) -> tuple[Tile, ...]:
    """Tiles whose cores answer every wanted cell once, row by row. wanted : bool, grid.map_shape.

    Each row of tiles, and each tile in it, begins at the first cell that is still to be answered. That takes fewer
    tiles, with less glass in them, than a fixed grid.
    """
    cells = grid.tile.cells
    tiles: list[Tile] = []
    below = 0
    for row in np.flatnonzero(wanted.any(axis=1)).tolist():
        if row < below:
            continue
        below, right = row + cells, 0
        for column in np.flatnonzero(wanted[row:below].any(axis=0)).tolist():
            if column >= right:
                tiles.append((row, column))
                right = column + cells
    return tuple(tiles)


def tiles_with(grid: TileGrid, tiles: Iterable[Tile], cells: NDArray[np.bool_]) -> Iterator[Tile]:
    """Those of the tiles that answer any of the cells. cells : bool, grid.map_shape."""
    return (tile for tile in tiles if cells[cells_of(grid, *tile)].any())


def cells_of(grid: TileGrid, row: int, column: int) -> tuple[slice, slice]:
    """The map's cells that the tile answers; slicing crops what lies outside the frame."""
    return slice(row, row + grid.tile.cells), slice(column, column + grid.tile.cells)


class MapBuilder:
    """Collects the answers of one slide; no two cores overlap, so stitching is assignment, never blending.

    A cell is examined only where it was wanted (tissue), its tile was placed, and nothing marked it unread;
    everywhere else its value is 0 and examined is False. Not safe to fill from several threads.
    """

    def __init__(self, grid: TileGrid, *, frame_spacing: Spacing, wanted: NDArray[np.bool_]) -> None:
        """frame_spacing: of the frame's pixels; wanted : bool, grid.map_shape, one value a cell of stride_px."""
        if wanted.shape != grid.map_shape:
            raise ValueError(f"wanted has shape {wanted.shape}, the grid's map has {grid.map_shape}")
        self._grid = grid
        self._spacing = frame_spacing.scaled(grid.tile.stride_px)
        self._wanted = wanted.astype(np.bool_)
        self._values = np.zeros(grid.map_shape, dtype=np.float32)
        self._examined = np.zeros(grid.map_shape, dtype=np.bool_)
        self._settled = np.zeros(grid.map_shape, dtype=np.bool_)

    def place(
        self, row: int, column: int, answers: NDArray[np.float32], *, judged: NDArray[np.bool_] | None = None
    ) -> None:
        """Takes one tile's answers.

        answers : float32 (cells, cells) in [0, 1], one a cell of stride_px; judged : bool, the same shape, False where
        an answer doesn't count (it saw damage), None: all count. Cells outside the frame are cropped, cells not
        wanted are left out. Raises ModelError where an answer is no probability.
        """
        cells = self._grid.tile.cells
        if answers.shape != (cells, cells):
            raise ValueError(f"tile ({row}, {column}) was answered with shape {answers.shape}, not {(cells, cells)}")
        self._settle(row, column)
        window = cells_of(self._grid, row, column)
        wanted = self._wanted[window]
        inside = answers[: wanted.shape[0], : wanted.shape[1]]
        # NaN fails both comparisons: an answer that is no number must never read as "no tumour"
        if not ((inside >= 0) & (inside <= 1))[wanted].all():
            raise ModelError(
                f"the network's answer for tile ({row}, {column}) is not a probability between 0 and 1; "
                "the weights or the precision are unsound: run on the CPU in full precision, or use another model"
            )
        counted = wanted if judged is None else wanted & judged[: wanted.shape[0], : wanted.shape[1]]
        self._values[window] = np.where(counted, inside, np.float32(0))
        self._examined[window] = counted

    def mark_unread(self, row: int, column: int) -> None:
        """Says that the tile could not be read: its cells stay unexamined."""
        self._settle(row, column)

    def result(self) -> ProbabilityMap:
        """The map so far, a copy; spacing is that of a cell. Tiles neither placed nor marked count as not examined."""
        return ProbabilityMap(self._values.copy(), self._examined.copy(), self._spacing)

    def _settle(self, row: int, column: int) -> None:
        """Every cell is answered at most once. A second answer is a mistake of the caller, never an update."""
        rows, columns = self._grid.map_shape
        if not (0 <= row < rows and 0 <= column < columns):
            raise ValueError(f"tile ({row}, {column}) lies outside a map of {rows} x {columns} cells")
        window = cells_of(self._grid, row, column)
        if self._settled[window].any():
            raise ValueError(f"a cell of tile ({row}, {column}) was already answered or marked unread")
        self._settled[window] = True
