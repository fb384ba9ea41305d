"""The tumour mask of a whole slide in little memory: a uniform block takes a byte, a mixed one a bit a pixel."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity

from nodescan.annotations.outline_masks import rasterise
from nodescan.domain.geometry import PixelBox
from nodescan.domain.units import Spacing
from nodescan.errors import UsageError
from nodescan.whole_files import written_beside
from training.patches.labelled import ARRAY_ERRORS

BLOCK_PX = 256
_NONE, _ALL, _MIXED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class BlockMask:
    """Tumour on the analysis frame. kind : uint8 (rows, columns) of blocks.

    packed : uint8 (mixed blocks, BLOCK_PX^2 / 8), their bits row by row;
    number : int32 (rows, columns), where in `packed` a mixed block stands, -1 for others.
    """

    kind: NDArray[np.uint8]
    number: NDArray[np.int32]
    packed: NDArray[np.uint8]

    def read(self, box: PixelBox) -> NDArray[np.bool_]:
        """bool (box.height, box.width): tumour in a box of the analysis frame, False outside of the frame."""
        out = np.zeros((box.height, box.width), np.bool_)
        rows = range(max(box.top // BLOCK_PX, 0), min(-(-box.bottom // BLOCK_PX), self.kind.shape[0]))
        columns = range(max(box.left // BLOCK_PX, 0), min(-(-box.right // BLOCK_PX), self.kind.shape[1]))
        for row in rows:
            for column in columns:
                if self.kind[row, column] == _NONE:
                    continue
                block = PixelBox(column * BLOCK_PX, row * BLOCK_PX, BLOCK_PX, BLOCK_PX)
                met = block.common(box)
                out[met.within(box)] = self._block(row, column)[met.within(block)]
        return out

    def cell_shares(self, stride_px: int, shape: tuple[int, int]) -> NDArray[np.float32]:
        """float32 `shape`: share of tumour in each cell of stride_px, which divides BLOCK_PX."""
        side = BLOCK_PX // stride_px
        shares = np.zeros((self.kind.shape[0] * side, self.kind.shape[1] * side), np.float32)
        for row, column in zip(*np.nonzero(self.kind), strict=True):
            block = self._block(int(row), int(column)).reshape(side, stride_px, side, stride_px).mean(axis=(1, 3))
            shares[row * side : (row + 1) * side, column * side : (column + 1) * side] = block
        return shares[: shape[0], : shape[1]]

    @property
    def tumour_px(self) -> int:
        """Pixels of tumour."""
        return int((self.kind == _ALL).sum()) * BLOCK_PX**2 + int(np.unpackbits(self.packed).sum())

    def save(self, path: Path) -> None:
        """Write it, whole or not at all. Raises OutputError."""
        with written_beside(path) as part, part.open("wb") as file:
            np.savez_compressed(file, kind=self.kind, number=self.number, packed=self.packed)

    def _block(self, row: int, column: int) -> NDArray[np.bool_]:
        if self.kind[row, column] != _MIXED:
            return np.full((BLOCK_PX, BLOCK_PX), self.kind[row, column] == _ALL)
        bits = np.unpackbits(self.packed[self.number[row, column]])
        return bits.reshape(BLOCK_PX, BLOCK_PX).astype(np.bool_)


def load_block_mask(path: Path) -> BlockMask:
    """Raises UsageError where the file isn't one that prepare wrote."""
    try:
        with np.load(path) as content:
            return BlockMask(content["kind"], content["number"], content["packed"])
    except ARRAY_ERRORS as error:
        raise UsageError(f"{path}: not a mask of the sampling index ({error}); run prepare again") from error


def empty_mask(frame_size: tuple[int, int]) -> BlockMask:
    """Of a slide without tumour. frame_size: (width, height) px of its analysis frame."""
    return _assembled(frame_size, {})


def draw_mask(
    lesions: shapely.MultiPolygon, frame_size: tuple[int, int], *, level0: Spacing, frame: Spacing
) -> BlockMask:
    """The lesions of a slide on its analysis frame, drawn band by band, so that memory is bounded.

    frame_size: (width, height) px; level0: spacing of the pixels that lesions are drawn in; frame: of the frame.
    """
    blocks: dict[tuple[int, int], NDArray[np.bool_]] = {}
    for window in _windows(lesions, frame_size, level0=level0, frame=frame):
        moved = affinity.translate(lesions, -window.left * frame.x / level0.x, -window.top * frame.y / level0.y)
        mask = rasterise(moved, (window.height, window.width), level0=level0, target=frame)
        for y in range(0, window.height, BLOCK_PX):
            for x in range(0, window.width, BLOCK_PX):
                block = mask[y : y + BLOCK_PX, x : x + BLOCK_PX]
                if block.any():
                    blocks[(window.top + y) // BLOCK_PX, (window.left + x) // BLOCK_PX] = block
    return _assembled(frame_size, blocks)


def _windows(
    lesions: shapely.MultiPolygon, frame_size: tuple[int, int], *, level0: Spacing, frame: Spacing
) -> Iterator[PixelBox]:
    """Bands of whole blocks, 8 blocks high, that cover the lesions' bounds inside the frame."""
    if lesions.is_empty:
        return
    scale = np.array([level0.x / frame.x, level0.y / frame.y])
    (left, top), (right, bottom) = np.array(lesions.bounds).reshape(2, 2) * scale
    limits = [math.ceil(size / BLOCK_PX) * BLOCK_PX for size in frame_size]
    x0, y0 = (max(math.floor(value / BLOCK_PX) * BLOCK_PX, 0) for value in (left, top))
    x1, y1 = (min(math.ceil(v / BLOCK_PX) * BLOCK_PX, limit) for v, limit in zip((right, bottom), limits, strict=True))
    for y in range(y0, y1, 8 * BLOCK_PX):
        if x1 > x0:
            yield PixelBox(x0, y, x1 - x0, min(8 * BLOCK_PX, y1 - y))


def _assembled(frame_size: tuple[int, int], blocks: dict[tuple[int, int], NDArray[np.bool_]]) -> BlockMask:
    columns, rows = (math.ceil(size / BLOCK_PX) for size in frame_size)
    kind = np.zeros((rows, columns), np.uint8)
    number = np.full((rows, columns), -1, np.int32)
    packed = []
    for (row, column), block in sorted(blocks.items()):
        kind[row, column] = _ALL if block.all() else _MIXED
        if not block.all():
            number[row, column] = len(packed)
            packed.append(np.packbits(block))
    return BlockMask(kind, number, np.array(packed, np.uint8).reshape(-1, BLOCK_PX**2 // 8))
