"""Sizes of a lesion map's lesions from the outlines that it was drawn from, which no coarse pixel makes longer."""

import math
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from nodescan.annotations.outline_masks import pixels_inside
from nodescan.domain.geometry import max_feret
from nodescan.domain.units import Spacing
from nodescan.evaluation.lesions import LEVEL_PX, LesionMap


def outlined_sizes_um(lesions: shapely.MultiPolygon, found: LesionMap, level0: Spacing) -> dict[int, float]:
    """Greatest diameter by label: of all outlines with a pixel in it, and the gaps between them that growth closed.

    lesions: in px of level 0, which `found` was drawn from; level0: its spacing.
    """
    points: dict[int, list[NDArray[np.float64]]] = {}
    for polygon in lesions.geoms:
        outer = shapely.get_coordinates(polygon.exterior)
        for label in _labels_of(polygon, found):
            points.setdefault(label, []).append(outer * (level0.x, level0.y))
    return {label: max_feret(np.concatenate(outlines)).diameter_um for label, outlines in points.items()}


def _labels_of(polygon: shapely.Polygon, found: LesionMap) -> Sequence[int]:
    """The labels at the pixels whose centre lies in a polygon; none where it is too small to hold one."""
    row0, column0 = found.origin
    rings = [shapely.get_coordinates(ring) / LEVEL_PX for ring in (polygon.exterior, *polygon.interiors)]
    (left, top), (right, bottom) = rings[0].min(axis=0) - (column0, row0), rings[0].max(axis=0) - (column0, row0)
    height, width = found.labels.shape
    rows = slice(max(0, math.floor(top)), max(0, min(height, math.ceil(bottom))))
    columns = slice(max(0, math.floor(left)), max(0, min(width, math.ceil(right))))
    window = found.labels[rows, columns]
    if not window.size:
        return ()
    inside = pixels_inside([ring - (column0 + columns.start, row0 + rows.start) for ring in rings], window.shape)
    return [int(label) for label in np.unique(window[inside]) if label]
