"""Measures deposits that somebody else outlined: binary masks over pixel corners, polygons over their vertices."""

import math
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from nodescan.domain.deposits import Deposit
from nodescan.domain.units import Micrometers, Spacing
from nodescan.imaging.components import components, windows
from nodescan.imaging.sizing import deposit_of, greatest_diameter, joined, numbered, polygons_in, united


def fill_holes(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], int, int]:
    """The mask with its holes filled, how many pixels that filled, and how many separate components lay in holes.

    mask : bool (H, W), True is tumour.
    """
    whole = ndimage.binary_fill_holes(mask)
    filled_px = int(np.count_nonzero(whole)) - int(np.count_nonzero(mask))
    return whole, filled_px, components(mask)[1] - components(whole)[1] if filled_px else 0


def stretches_of(mask: NDArray[np.bool_]) -> int:
    """How many stretches of pixels the rows of a mask, bool (H, W), have."""
    return int(np.count_nonzero(mask[:, :1])) + int(np.count_nonzero(mask[:, 1:] > mask[:, :-1]))


def measure_filled(whole: NDArray[np.bool_], spacing: Spacing, *, joining_gap_um: Micrometers) -> tuple[Deposit, ...]:
    """The 8-connected components of a mask without holes, bool (H, W), the largest first; spacing: of its pixels.

    The size is the maximum Feret diameter over pixel corners. It is too long by about 1.2 px for a digitised disc
    (clinical-rules 8) and by at most a pixel's diagonal, since each end can lie half of one outside: that diagonal is
    the stated uncertainty. Components at most joining_gap_um apart are one deposit. Pixels that meet only in a corner
    belong to one deposit, whose outline then has several polygons.
    """
    labels, _ = components(whole)
    shapes = [
        _pixel_edges(labels[rows, columns] == index, origin=(rows.start, columns.start))
        for index, (rows, columns) in enumerate(windows(labels), start=1)
    ]
    return _measured(shapes, spacing, joining_gap_um)


def measure_polygons(outlines: BaseGeometry, spacing: Spacing, *, joining_gap_um: Micrometers) -> tuple[Deposit, ...]:
    """The separate polygons of an outline, the largest first.

    outlines: polygons in px, x first, what is to be left out already cut out; spacing: um a px.

    The size is the maximum Feret diameter over the vertices; holes keep it and lessen the area. Vertices are mostly
    drawn to whole pixels, and among many of a round outline some pair lies outward by nearly half a pixel's diagonal
    at either end (0.8 to 1.3 px together, for discs): that diagonal is the stated uncertainty, as of masks. Polygons
    that touch, or are at most joining_gap_um apart, are one deposit.
    """
    return _measured(polygons_in(outlines), spacing, joining_gap_um)


def _measured(shapes_px: Sequence[BaseGeometry], spacing: Spacing, joining_gap_um: Micrometers) -> tuple[Deposit, ...]:
    """Deposits of these shapes, each with a pixel's diagonal as uncertainty."""
    if not shapes_px:
        return ()
    shapes = [affinity.scale(shape, spacing.x, spacing.y, origin=(0, 0)) for shape in shapes_px]
    groups = [united([shapes[index] for index in group]) for group in joined(shapes, joining_gap_um)]
    uncertainty_um = Micrometers(math.hypot(spacing.x, spacing.y))
    return numbered([deposit_of(group, greatest_diameter(group), uncertainty_um) for group in groups])


def _pixel_edges(component: NDArray[np.bool_], *, origin: tuple[int, int]) -> BaseGeometry:
    """The union of a component's pixels, corner to corner, in px. component : bool (h, w), its origin (row, column)."""
    padded = np.pad(component, ((0, 0), (1, 1)))
    row, start = np.nonzero(padded[:, 1:] & ~padded[:, :-1])
    _, end = np.nonzero(padded[:, :-1] & ~padded[:, 1:])
    top, left = row + origin[0], origin[1]
    return shapely.union_all(shapely.box(start + left, top, end + left, top + 1))
