"""Which cells of a coarse grid a fine mask touches."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodescan.domain.units import Spacing

_ROWS = 256
"""Cells that are divided at a time. In float64 all cells of a large slide at once would take more memory than all
else."""


def coverage(
    mask: NDArray[np.bool_], mask_spacing: Spacing, *, shape: tuple[int, int], spacing: Spacing
) -> NDArray[np.float32]:
    """Share of each cell's pixels that are set, float32 `shape` in [0, 1].

    mask : bool (H, W) at mask_spacing; shape, spacing: of the cells. Both grids start at the same corner. Every mask
    pixel that a cell touches counts, so a cell with any mask in it is above 0. Outside the mask nothing is set.
    """
    rows = _reach(shape[0], spacing.y / mask_spacing.y, mask.shape[0])
    columns = _reach(shape[1], spacing.x / mask_spacing.x, mask.shape[1])
    counter = np.int32 if mask.size < 2**31 else np.int64
    top, bottom = _extent(mask, axis=0)  # a section is a small part of its slide
    left, right = _extent(mask[top:bottom], axis=1)
    part = mask[top:bottom, left:right]
    in_columns = _sums(part, np.clip(columns, left, right) - left, counter)
    # along rows numpy adds up several times as fast
    total = _sums(np.ascontiguousarray(in_columns.T), np.clip(rows, top, bottom) - top, counter).T
    high, wide = rows[1] - rows[0], columns[1] - columns[0]
    share = np.empty(shape, dtype=np.float32)
    for first in range(0, shape[0], _ROWS):
        some = slice(first, first + _ROWS)
        share[some] = total[some] / np.maximum(np.outer(high[some], wide), 1)
    return share


def _extent(mask: NDArray[np.bool_], *, axis: int) -> tuple[int, int]:
    """Along an axis the first that holds anything, and one past the last; (0, 0) where nothing does."""
    held = np.flatnonzero(np.any(mask, axis=1 - axis))
    return (int(held[0]), int(held[-1]) + 1) if len(held) else (0, 0)


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
