"""From outlines in micrometres to numbered deposits: what is joined, how long it is, what class that makes it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from nodescan.domain.classification import classify
from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit, Polygon
from nodescan.domain.geometry import Feret, max_feret
from nodescan.domain.slide import BoundsUm
from nodescan.domain.units import Micrometers, SquareMicrometers

_ROUNDING_UM = 1e-6
"""Sizes are rounded to this. Rounding errors of a slide's coordinates are smaller."""


def joined(shapes: Sequence[BaseGeometry], gap_um: Micrometers) -> tuple[tuple[int, ...], ...]:
    """Indices of the shapes that belong together: each at most gap_um from another of its group, in um.

    A gap of 0 joins what touches (clinical-rules 2: components are joined only across a stated gap).
    """
    _, groups = connected_components(_links(shapes, gap_um), directed=False)
    order = np.argsort(groups, kind="stable")
    borders = np.flatnonzero(np.diff(groups[order])) + 1
    return tuple(tuple(int(index) for index in group) for group in np.split(order, borders) if len(group))


def deposit_of(shape: BaseGeometry, size: Feret, uncertainty_um: Micrometers) -> Deposit:
    """An unnumbered deposit (id 0) of this outline in um and this greatest diameter; its cells were not counted."""
    return Deposit(
        id=0,
        diameter_um=size.diameter_um,
        diameter_uncertainty_um=uncertainty_um,
        endpoints_um=(size.start_um, size.end_um),
        area_um2=SquareMicrometers(shape.area),
        centre_um=(shape.centroid.x, shape.centroid.y),
        metastasis=classify(size.diameter_um),
        outline=to_polygons(shape),
    )


def numbered(deposits: Sequence[Deposit]) -> tuple[Deposit, ...]:
    """The deposits, the largest first, counted from 1; equal ones from top to bottom, left to right."""
    ordered = sorted(deposits, key=lambda found: (-found.diameter_um, found.centre_um[1], found.centre_um[0]))
    return tuple(replace(found, id=number) for number, found in enumerate(ordered, start=1))


def greatest_diameter(shape: BaseGeometry) -> Feret:
    """Maximum Feret diameter over all vertices of the outline, which is exact for polygons (clinical-rules 8).

    Rounded to a picometre, so that a length of exactly 2 mm stays exact although its coordinates are rounded.
    """
    size = max_feret(shapely.get_coordinates(shape))
    return replace(size, diameter_um=Micrometers(round(size.diameter_um, 6)))


def corrected_um(measured_um: Micrometers, rule: DecisionRule, *, smallest_um: Micrometers) -> Micrometers:
    """A diameter less the rule's excess.

    The result is at least smallest_um, or at least measured_um if that is smaller.
    """
    return Micrometers(max(measured_um - rule.excess_um(measured_um), min(measured_um, smallest_um)))


def corrected(size: Feret, rule: DecisionRule, *, smallest_um: Micrometers) -> Feret:
    """The corrected diameter (corrected_um), both ends moved in by half the difference along it."""
    return _shortened(size, corrected_um(size.diameter_um, rule, smallest_um=smallest_um))


def within(shape: BaseGeometry, size: Feret, bounds: BoundsUm) -> tuple[BaseGeometry, Feret]:
    """The part of an outline in um that lies within the bounds, and its greatest diameter: at most `size`, both ends
    within.

    An outline that lies outside altogether is returned unchanged, so that no deposit is lost.
    """
    kept = shapely.box(bounds.left, bounds.top, bounds.right, bounds.bottom)
    if kept.covers(shape) and kept.covers(shapely.LineString((size.start_um, size.end_um))):
        return shape, size
    clipped = shapely.MultiPolygon(polygons_in(shape.intersection(kept)))
    if clipped.is_empty:
        return shape, size
    longest = greatest_diameter(clipped)
    return clipped, _shortened(longest, Micrometers(min(longest.diameter_um, size.diameter_um)))


def _shortened(size: Feret, diameter_um: Micrometers) -> Feret:
    start, end = np.asarray(size.start_um), np.asarray(size.end_um)
    inward = (end - start) / size.diameter_um * (size.diameter_um - diameter_um) / 2
    start, end = start + inward, end - inward
    return Feret(diameter_um, (float(start[0]), float(start[1])), (float(end[0]), float(end[1])))


def offset_inward(shape: BaseGeometry, measured: Feret, true: Feret) -> BaseGeometry:
    """The outline of what is true.diameter_um long where the map shows measured.diameter_um, in um.

    Each part is offset by half the difference; a part that this would split or swallow is scaled about its
    centroid instead, because a deposit never falls apart by a correction of its size.
    """
    excess_um = measured.diameter_um - true.diameter_um
    if excess_um == 0:
        return shape
    parts: list[BaseGeometry] = []
    for part in polygons_in(shape):
        moved = part.buffer(-excess_um / 2)
        if moved.is_empty or moved.geom_type != "Polygon":
            factor = true.diameter_um / measured.diameter_um
            moved = affinity.scale(part, factor, factor, origin="centroid")
        parts.append(moved)
    return shapely.union_all(parts)


def polygons_in(shape: BaseGeometry) -> tuple[shapely.Polygon, ...]:
    """The polygons of a shape, in its order; lines and points that a repair left over have no area and are none."""
    parts = shapely.get_parts(shapely.get_parts(shape))
    return tuple(part for part in parts if isinstance(part, shapely.Polygon) and not part.is_empty)


def united(shapes: Sequence[BaseGeometry]) -> BaseGeometry:
    """The shapes as one; a single one as it is."""
    return shapes[0] if len(shapes) == 1 else shapely.union_all(list(shapes))


def filled(shape: BaseGeometry) -> BaseGeometry:
    """The shape without its holes."""
    return shapely.union_all([shapely.Polygon(part.exterior) for part in polygons_in(shape)])


def to_polygons(shape: BaseGeometry) -> tuple[Polygon, ...]:
    """The domain's polygons, rings not closed."""
    return tuple(
        Polygon(_ring(part.exterior), tuple(_ring(hole) for hole in part.interiors)) for part in polygons_in(shape)
    )


def to_shape(outline: Sequence[Polygon]) -> BaseGeometry:
    """The domain's polygons as one shapely geometry."""
    return shapely.MultiPolygon([(part.exterior, list(part.holes)) for part in outline])


def _links(shapes: Sequence[BaseGeometry], gap_um: Micrometers) -> coo_array:
    """A sparse matrix, float64 (N, N), with 1 for pairs of shapes at most gap_um apart: enough pairs to find all
    groups.

    Its indices are int32, whatever shapely's are: with wider ones scipy 1.11.1 silently makes one group of all. GEOS
    may find shapes that touch in a corner not to be within 0 of each other, so _ROUNDING_UM is allowed for.
    """
    within_um = gap_um + _ROUNDING_UM
    crowd = _crowds(shapes, gap_um)
    _, first = np.unique(crowd, return_index=True)
    asked = _of_smaller_crowds(shapes, crowd, within_um)
    tree = shapely.STRtree(list(shapes))
    near_asked, near = tree.query(tree.geometries[asked], predicate="dwithin", distance=within_um)
    one = np.concatenate((np.arange(len(shapes)), asked[near_asked])).astype(np.int32)
    other = np.concatenate((first[crowd], near)).astype(np.int32)
    return coo_array((np.ones(len(one), dtype=np.float64), (one, other)), shape=(len(shapes), len(shapes)))


def _crowds(shapes: Sequence[BaseGeometry], gap_um: Micrometers) -> NDArray[np.int32]:
    """A number for each shape, int32 (N,): shapes with the same number surely belong together. No shape may be empty.

    With thousands of specks, each has hundreds of neighbours, too many pairs to measure. A point of every shape is put
    into a square cell, of a side so small that points in cells that touch are less than gap_um apart.
    """
    if gap_um <= _ROUNDING_UM or len(shapes) < 2:
        return np.arange(len(shapes), dtype=np.int32)
    points, shape_of = shapely.get_coordinates(list(shapes), return_index=True)
    _, first = np.unique(shape_of, return_index=True)
    cells, cell_of = np.unique(np.floor(points[first] / (gap_um / 3)), axis=0, return_inverse=True)
    one, other = KDTree(cells).query_pairs(1.5, output_type="ndarray").astype(np.int32).T
    touching = coo_array((np.ones(len(one)), (one, other)), shape=(len(cells), len(cells)))
    return connected_components(touching, directed=False)[1][cell_of.ravel()]


def _of_smaller_crowds(shapes: Sequence[BaseGeometry], crowd: NDArray[np.int32], within_um: float) -> NDArray[np.intp]:
    """Indices of shapes to seek neighbours of: of every two crowds whose boxes are near, those of the smaller one."""
    bounds, size = np.array([shape.bounds for shape in shapes]).reshape(-1, 4), np.bincount(crowd)
    low, high = np.full((len(size), 2), np.inf), np.full((len(size), 2), -np.inf)
    np.minimum.at(low, crowd, bounds[:, :2])
    np.maximum.at(high, crowd, bounds[:, 2:])
    boxes = shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1])
    one, other = shapely.STRtree(boxes).query(boxes, predicate="dwithin", distance=within_um)
    smaller = one[(one != other) & (size[one] <= size[other])]
    return np.flatnonzero(np.isin(crowd, smaller))


def _ring(ring: shapely.LinearRing) -> NDArray[np.float64]:
    return shapely.get_coordinates(ring)[:-1]
