"""Boxes, tiles and the greatest diameter, in pixels of the analysis frame or in um, never mixed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from nodescan.domain.units import Micrometers


@dataclass(frozen=True, slots=True)
class PixelBox:
    """A rectangle in integer pixels of one frame; it may overhang the slide, the reader pads with white."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height

    def common(self, other: "PixelBox") -> "PixelBox":
        """The area that both cover, of no width or height if they don't overlap."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return PixelBox(left, top, max(0, right - left), max(0, bottom - top))

    @property
    def window(self) -> tuple[slice, slice]:
        """(rows, columns) of this box, which doesn't overhang, in an array of its frame."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def within(self, outer: "PixelBox") -> tuple[slice, slice]:
        """(rows, columns) of this box in an array that holds the pixels of `outer`, which covers it."""
        top, left = self.top - outer.top, self.left - outer.left
        return slice(top, top + self.height), slice(left, left + self.width)

    def blocks(self, width_px: int, height_px: int) -> Iterator["PixelBox"]:
        """The whole blocks that the box overlaps, row by row, of a grid that begins at the frame's origin."""
        for top in range(self.top - self.top % height_px, self.bottom, height_px):
            for left in range(self.left - self.left % width_px, self.right, width_px):
                yield PixelBox(left, top, width_px, height_px)

    def grown(self, margin_px: int) -> "PixelBox":
        """The box with `margin_px` more on every side."""
        return PixelBox(
            self.left - margin_px, self.top - margin_px, self.width + 2 * margin_px, self.height + 2 * margin_px
        )


@dataclass(frozen=True, slots=True)
class TileGeometry:
    """A model's tile: the network sees the core and a margin on every side, and answers each cell of stride_px in the
    core.

    padded: the network pads, so its answer for a cell depends on the whole tile; else on the margin around the cell.
    """

    core_px: int
    margin_px: int
    stride_px: int
    padded: bool = False

    def __post_init__(self) -> None:
        if self.stride_px < 1 or self.core_px < 1 or self.margin_px < 0 or self.core_px % self.stride_px:
            raise ValueError(f"core must be a positive multiple of the stride and margin not negative: {self}")

    @property
    def input_px(self) -> int:
        return self.core_px + 2 * self.margin_px

    @property
    def cells(self) -> int:
        """Answers along one side of a core."""
        return self.core_px // self.stride_px


@dataclass(frozen=True, slots=True)
class TileGrid:
    """Cells of stride_px that cover a frame of width x height px, and the tiles that may be laid on them.

    A tile is named by the first cell of its core, (row, column); it may overhang the frame.
    """

    width: int
    height: int
    tile: TileGeometry

    @property
    def map_shape(self) -> tuple[int, int]:
        """(rows, columns) of the stride-sized cells that cover the frame."""
        return math.ceil(self.height / self.tile.stride_px), math.ceil(self.width / self.tile.stride_px)

    def core(self, row: int, column: int) -> PixelBox:
        stride, size = self.tile.stride_px, self.tile.core_px
        return PixelBox(column * stride, row * stride, size, size)

    def input_box(self, row: int, column: int) -> PixelBox:
        """What the network is shown to answer the core."""
        return self.core(row, column).grown(self.tile.margin_px)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Tiles side by side from the top left, whose cores partition the frame."""
        (rows, columns), cells = self.map_shape, self.tile.cells
        return ((row, column) for row in range(0, rows, cells) for column in range(0, columns, cells))


@dataclass(frozen=True, slots=True)
class Feret:
    """The greatest caliper diameter and the two points (x, y) in um that span it."""

    diameter_um: Micrometers
    start_um: tuple[float, float]
    end_um: tuple[float, float]


def max_feret(points_um: NDArray[np.float64]) -> Feret:
    """Greatest distance between any two points.

    points_um : float64 (n, 2), x and y in um, n >= 1. Raises ValueError on an empty array.
    Rule: clinical-rules 8, the size of a deposit is the maximum Feret diameter of its outline. The two
    farthest points of a set are corners of its convex hull, so only those are compared.
    """
    if len(points_um) == 0:
        raise ValueError("no points to measure")
    corners = _hull(np.asarray(points_um, dtype=np.float64))
    best, pair = -1.0, (0, 0)
    for first in range(0, len(corners), 256):  # block by block: memory stays linear in the hull
        apart = corners[first : first + 256, None, :] - corners[None, :, :]
        squared = apart[..., 0] ** 2 + apart[..., 1] ** 2
        row, column = divmod(int(squared.argmax()), len(corners))
        if squared[row, column] > best:
            best, pair = float(squared[row, column]), (first + row, column)
    start, end = corners[pair[0]], corners[pair[1]]
    return Feret(Micrometers(math.sqrt(best)), (float(start[0]), float(start[1])), (float(end[0]), float(end[1])))


def _hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The corners of the convex hull, or the points themselves if all lie on one line."""
    unique = np.unique(points, axis=0)
    if len(unique) < 4:
        return unique
    try:
        return unique[ConvexHull(unique).vertices]
    except QhullError:
        return unique
