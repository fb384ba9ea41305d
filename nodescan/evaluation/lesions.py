"""Lesions of a reference as the lesion task counts them: outlines grown until near ones meet, then numbered."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import regionprops

from nodescan.annotations.outline_masks import pixels_inside
from nodescan.domain.classification import ITC_LIMIT_UM
from nodescan.domain.geometry import max_feret
from nodescan.domain.units import Spacing
from nodescan.imaging.components import components, windows

LEVEL_PX = 32
"""The lesion task looks at level 5: a pixel is 32 x 32 of level 0."""

OFFICIAL_SPACING_UM = 0.243
"""um/px of every slide's level 0 in the organisers' script, though Utrecht's are 0.226."""

MERGE_UM = 75.0
"""Gaps below this merge: outlines grow by half of it. A scoring device, never used for size (clinical-rules 2)."""

OFFICIAL_ITC_UM = 275.0
"""A grown lesion whose ellipse is shorter is isolated tumour cells to the organisers' script: 200 um and the growth."""

CORNER_BIAS_PX = 1.2
"""Feret over pixel corners of a digitised disc is about this much too long (clinical-rules 8).

Of ellipses less: 0.7 px at half as wide as long, 0.3 at a quarter, below 0.33 mm. So `evaluate` tells it, and does not
subtract it from sizes: that would call thin lesions just above 0.2 mm isolated tumour cells."""

MASK_ITC_PX = 1.8
"""measured_lesions takes lesions that are longer than 200 um by up to this for isolated tumour cells, and none that is
not for a larger one: 3000 discs and ellipses of 120 to 330 um, at 0.226 to 1 um/px, 280 of them taken wrongly."""


@dataclass(frozen=True, slots=True)
class LesionMap:
    """labels : int32 (H, W) at level 5, 1 to `count`, 0 elsewhere, its pixel (0, 0) at `origin` (row, column).

    itc: the labels that the task ignores. whole: the map covers the slide, so a point outside it is an error.
    """

    labels: NDArray[np.int32]
    count: int
    itc: frozenset[int]
    origin: tuple[int, int] = (0, 0)
    whole: bool = True

    @property
    def n_lesions(self) -> int:
        return self.count - len(self.itc)


def official_lesions(mask: NDArray[np.bool_]) -> LesionMap:
    """As the organisers' script has them. mask : bool (H, W), tumour at level 5.

    Grown to every pixel nearer than 75 / (0.243 x 32 x 2) = 4.8225 px, holes filled, 8-connected; ITC where
    the ellipse's major axis is below 275 / (0.243 x 32) = 35.365 px: at another spacing that isn't 200 um, see
    official_itc_um.
    """
    labels, count = grown(mask, reach_px=MERGE_UM / (OFFICIAL_SPACING_UM * LEVEL_PX * 2))
    limit_px = OFFICIAL_ITC_UM / (OFFICIAL_SPACING_UM * LEVEL_PX)
    itc = frozenset(int(region.label) for region in regionprops(labels) if region.axis_major_length < limit_px)
    return LesionMap(labels, count, itc)


def official_itc_um(spacing_um: float) -> float:
    """About how long official_lesions' isolated tumour cells may be on a slide whose level 0 has this spacing, um."""
    return (OFFICIAL_ITC_UM - MERGE_UM) * spacing_um / OFFICIAL_SPACING_UM


def measured_lesions(mask: NDArray[np.bool_], spacing_um: float) -> LesionMap:
    """As the slide's own spacing has them. mask : bool (H, W), tumour at level 5; spacing_um: of level 0.

    The same growth in um; ITC where the greatest diameter (Feret, less growth and pixel bias) is at most 200 um, which
    is right but for MASK_ITC_PX. Outlines tell it exactly: see outlined_sizes_um.
    """
    pixel_um = spacing_um * LEVEL_PX
    labels, count = grown(mask, reach_px=MERGE_UM / 2 / pixel_um)
    itc = frozenset(
        index
        for index, (rows, columns) in enumerate(windows(labels), start=1)
        if _feret_um(labels[rows, columns] == index, pixel_um) <= ITC_LIMIT_UM
    )
    return LesionMap(labels, count, itc)


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


def grown(mask: NDArray[np.bool_], *, reach_px: float) -> tuple[NDArray[np.int32], int]:
    """int32 (H, W) labels of the mask grown to every pixel nearer than reach_px, holes filled; and how many.

    mask : bool (H, W). Done window by window: nothing further than the reach can matter, and a slide is mostly empty.
    """
    labels, count = np.zeros(mask.shape, dtype=np.int32), 0
    for rows, columns in _clusters(mask, margin_px=int(reach_px) + 2):
        window = mask[rows, columns]
        near = ndimage.distance_transform_edt(~window) < reach_px
        own, found = components(ndimage.binary_fill_holes(near))
        own[own > 0] += count
        labels[rows, columns] = own
        count += found
    return labels, count


def _clusters(mask: NDArray[np.bool_], *, margin_px: int) -> list[tuple[slice, slice]]:
    """Windows around the mask's components with a margin, united until none meet."""
    grown_px = [
        (columns.start - margin_px, rows.start - margin_px, columns.stop + margin_px, rows.stop + margin_px)
        for rows, columns in windows(components(mask)[0])
    ]
    boxes, united = np.array(grown_px).reshape(-1, 4), True
    while united:
        left, top, right, bottom = boxes.T
        parts = shapely.get_parts(shapely.union_all(shapely.box(left, top, right, bottom)))
        united = len(parts) < len(boxes)
        boxes = shapely.bounds(parts).astype(int)
    high, wide = mask.shape
    return [
        (slice(max(0, top), min(high, bottom)), slice(max(0, left), min(wide, right)))
        for left, top, right, bottom in boxes.tolist()
    ]


def _feret_um(component: NDArray[np.bool_], pixel_um: float) -> float:
    """Greatest diameter before the growth. component : bool (h, w)."""
    row, column = np.nonzero(component)
    first, last = np.full(len(component), column.max()), np.zeros(len(component), dtype=column.dtype)
    np.minimum.at(first, row, column)
    np.maximum.at(last, row, column)
    used = np.unique(row)
    corners = [
        np.column_stack((edge, used + below)) for edge in (first[used], last[used] + 1) for below in (0, 1)
    ]  # only a row's ends can be corners of the hull
    size_um = max_feret(np.concatenate(corners).astype(np.float64) * pixel_um).diameter_um
    return size_um - CORNER_BIAS_PX * pixel_um - MERGE_UM


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
