"""Which cells of a coarse grid a fine mask touches."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.units import Spacing


def coverage(
    mask: NDArray[np.bool_], mask_spacing: Spacing, *, shape: tuple[int, int], spacing: Spacing
) -> NDArray[np.float32]:
    """Share of each cell's pixels that are set, float32 `shape` in [0, 1].

    mask : bool (H, W) at mask_spacing; shape, spacing: of the cells. Both grids start at the same corner. Every
    mask pixel that a cell touches counts, so a cell with any mask in it is above 0; beyond the mask there is none.
    """
    rows = _reach(shape[0], spacing.y / mask_spacing.y, mask.shape[0])
    columns = _reach(shape[1], spacing.x / mask_spacing.x, mask.shape[1])
    counter = np.int32 if mask.size < 2**31 else np.int64
    in_columns = _sums(mask, columns, counter)
    total = _sums(np.ascontiguousarray(in_columns.T), rows, counter).T  # along rows numpy adds up several times as fast
    pixels = np.maximum(np.outer(rows[1] - rows[0], columns[1] - columns[0]), 1)
    return (total / pixels).astype(np.float32)


def _sums(values: NDArray[Any], reach: NDArray[np.int64], counter: type[np.int32 | np.int64]) -> NDArray[Any]:
    """(H, n): of each row, what adds up from reach[0] to one before reach[1]."""
    running: NDArray[Any] = np.zeros((values.shape[0], values.shape[1] + 1), dtype=counter)
    np.cumsum(values, axis=1, dtype=counter, out=running[:, 1:])
    first, last = (running.take(ends, axis=1) for ends in reach)
    return np.subtract(last, first)


def _reach(count: int, ratio: float, limit: int) -> NDArray[np.int64]:
    """int64 (2, count): first and one past the last mask pixel that each cell touches along one axis."""
    edges = np.arange(count + 1) * ratio
    first = np.floor(edges[:-1] + 1e-6)
    last = np.ceil(edges[1:] - 1e-6)
    return np.clip(np.stack([first, last]), 0, limit).astype(np.int64)
