"""Draws outlines as masks at a spacing."""

import math
from collections.abc import Iterable

import numpy as np
import shapely
from numpy.typing import NDArray

from nodescan.domain.units import Spacing


def rasterise(
    lesions: shapely.MultiPolygon, shape: tuple[int, int], *, level0: Spacing, target: Spacing
) -> NDArray[np.bool_]:
    """bool (H, W) at `target` from the canvas' top left: True where a pixel's centre lies in a lesion.

    shape: (H, W) of the result; level0: spacing of the pixels that the lesions are drawn in. Row by row, each
    pixel right of a ring's crossing changes sides, so the time grows with the outline, not with the slide.
    """
    scale = np.array([level0.x / target.x, level0.y / target.y])
    mask = np.zeros(shape, dtype=np.bool_)
    for part in lesions.geoms:
        rings = [shapely.get_coordinates(ring) * scale for ring in (part.exterior, *part.interiors)]
        (left, top), (right, bottom) = rings[0].min(axis=0), rings[0].max(axis=0)
        rows = slice(max(0, math.floor(top)), min(shape[0], math.ceil(bottom)))
        columns = slice(max(0, math.floor(left)), min(shape[1], math.ceil(right)))
        if rows.start < rows.stop and columns.start < columns.stop:
            window = mask[rows, columns]
            window |= pixels_inside([ring - (columns.start, rows.start) for ring in rings], window.shape)
    return mask


def pixels_inside(rings: Iterable[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """bool `shape`: pixels whose centre has an odd number of ring edges to its left.

    rings : float64 (n, 2), x and y in px from the array's top left; the last point joins the first.
    """
    turns = np.zeros((shape[0], shape[1] + 1), dtype=np.bool_)
    for ring in rings:
        (x0, y0), (x1, y1) = ring.T, np.roll(ring, -1, axis=0).T
        first = np.clip(np.ceil(np.minimum(y0, y1) - 0.5), 0, shape[0]).astype(np.intp)
        last = np.clip(np.ceil(np.maximum(y0, y1) - 0.5), 0, shape[0]).astype(np.intp)
        rows_of_edge = last - first
        edge = np.repeat(np.arange(len(rows_of_edge)), rows_of_edge)
        row = np.arange(len(edge)) - np.repeat(np.cumsum(rows_of_edge) - rows_of_edge, rows_of_edge) + first[edge]
        slope = (x1 - x0)[edge] / (y1 - y0)[edge]
        crossing = x0[edge] + (row + 0.5 - y0[edge]) * slope
        column = np.clip(np.ceil(crossing - 0.5), 0, shape[1]).astype(np.intp)
        np.logical_xor.at(turns, (row, column), True)
    return np.logical_xor.accumulate(turns, axis=1)[:, :-1]
