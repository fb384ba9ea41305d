"""Averages pixels by area on one global grid, so that each depends only on its own place."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Axis:
    """`count` output pixels from global index `start`; pixel i covers the source pixels step * [i, i + 1)."""

    start: int
    count: int
    step: float

    @property
    def source_start(self) -> int:
        """First source pixel that is touched."""
        return math.floor(self.start * self.step)

    @property
    def source_count(self) -> int:
        """How many source pixels are touched."""
        return math.ceil((self.start + self.count) * self.step) - self.source_start

    def taps(self) -> list[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """The source pixels under each output pixel, first to last: (offset from source_start, share of the pixel).

        Both arrays are (count,); the shares of one output pixel add up to 1.
        """
        index = np.arange(self.start, self.start + self.count, dtype=np.float64)
        begin, end = index * self.step, (index + 1) * self.step
        first = np.floor(begin)
        taps: list[tuple[NDArray[np.intp], NDArray[np.float32]]] = []
        for tap in range(math.ceil(self.step) + 1):
            covered = np.minimum(end, first + tap + 1) - np.maximum(begin, first + tap)
            offset = np.minimum(first + tap - self.source_start, self.source_count - 1)
            taps.append((offset.astype(np.intp), (np.maximum(covered, 0) / self.step).astype(np.float32)))
        return taps


def resample(source: NDArray[np.uint8], rows: Axis, columns: Axis) -> NDArray[np.uint8]:
    """uint8 (rows.count, columns.count, 3) RGB, each pixel the mean of the area that it covers.

    source : uint8 (rows.source_count, columns.source_count, 3) RGB, from the first touched pixel on.
    Whole steps give the exact mean of a block, halves rounded up; others weigh the border pixels by their share.
    """
    if rows.step.is_integer() and columns.step.is_integer():
        return _block_mean(source, int(rows.step), int(columns.step))
    return _area_mean(source, rows, columns)


def _block_mean(source: NDArray[np.uint8], down: int, across: int) -> NDArray[np.uint8]:
    """source : uint8 (H * down, W * across, 3) -> uint8 (H, W, 3)."""
    block = down * across
    if block == 1:
        return source
    kind = np.uint16 if block * 255 + block // 2 < 2**16 else np.uint64
    lines = source[0::down].astype(kind)
    for offset in range(1, down):
        lines += source[offset::down]
    total = lines[:, 0::across].copy()
    for offset in range(1, across):
        total += lines[:, offset::across]
    total += kind(block // 2)
    total //= kind(block)
    return total.astype(np.uint8)


def _area_mean(source: NDArray[np.uint8], rows: Axis, columns: Axis) -> NDArray[np.uint8]:
    """Sums tap by tap, never over an axis: the order of additions, and so the last bit, is the same for every box."""
    lines = np.zeros((rows.count, source.shape[1], 3), dtype=np.float32)
    for offset, share in rows.taps():
        lines += source[offset] * share[:, None, None]
    pixels = np.zeros((rows.count, columns.count, 3), dtype=np.float32)
    for offset, share in columns.taps():
        pixels += lines[:, offset] * share[None, :, None]
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
