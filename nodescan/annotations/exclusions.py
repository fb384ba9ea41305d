"""Outlines as shapes: mended, united, and with others cut out of them, but for slivers where two borders were one."""

from collections.abc import Collection, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from nodescan.errors import AnnotationError

_SLIVER_PX = 1.0
"""Vertices lie on whole pixels: of two borders that were to be one, one is off by less."""

_NOISE_PX = 1e-3
"""What is narrower is rounding alone."""


_MOST_CROSSINGS = 5_000
"""Beside those of a drawn line that runs along itself. Mending so many takes 0.1 s; hand-drawn outlines have a few."""

_MOST_MET = 4
"""Lines, each way, that a line meets beside its neighbours where an outline is drawn twice."""

_PAIRS_AT_ONCE = 200_000

_MOST_AT_ONCE = 1_000
"""Outlines that GEOS is given in one call, which takes a second; the time grows with the square of their number. Of
more each is seen to with those that it meets alone. That gives other digits, so few are not parted."""


def without(tumour: shapely.MultiPolygon, excluded: shapely.MultiPolygon) -> shapely.MultiPolygon:
    """The tumour with the exclusions cut out, as valid polygons in level-0 px.

    What is left along an exclusion, no wider than a pixel, is no tumour: such a strip is as long as the border, and
    its length would be taken for a deposit's size. Thin parts that the pathologist drew elsewhere stay.
    """
    parts, others = shapely.get_parts(tumour), shapely.get_parts(excluded)
    if len(parts) < 2 or len(parts) + len(others) <= _MOST_AT_ONCE:
        return _without(tumour, excluded)
    of_part, met = shapely.STRtree(others).query(parts, predicate="dwithin", distance=_SLIVER_PX)
    cut = {part: others[met[of_part == part]] for part in np.unique(of_part).tolist()}
    left = [_without(united(parts[part : part + 1].tolist()), united(near)) for part, near in cut.items()]
    return united([*np.delete(parts, list(cut)), *left])


def _without(tumour: shapely.MultiPolygon, excluded: shapely.MultiPolygon) -> shapely.MultiPolygon:
    rest = tumour.difference(excluded)
    near = _grown(excluded)
    if not shapely.intersects(tumour, near):
        return united([rest])
    thick = shapely.buffer(
        shapely.buffer(rest, -_SLIVER_PX / 2, join_style="mitre"), _SLIVER_PX / 2, join_style="mitre"
    )
    thin = united([rest.difference(thick).difference(near)])
    return united([thick, *(part for part in thin.geoms if not shapely.buffer(part, -_NOISE_PX).is_empty)])


def cut_out_whole(
    source: str, drawn: Sequence[tuple[str, shapely.Geometry]], excluded: shapely.MultiPolygon
) -> list[str]:
    """Names of tumour outlines that lie in what is cut out, to a pixel. Raises AnnotationError where all of them do.

    drawn: name and shape of each outline of tumour in `source`.
    """
    near = _grown(excluded)
    shapely.prepare(near)
    gone = [name for name, shape in drawn if shapely.covers(near, shape)]
    if gone and len(gone) == len(drawn):
        raise AnnotationError(
            f"{source}: all its tumour lies within outlines that are cut out of it, and nothing is left; delete those, "
            "or put them into a group or class to be ignored"
        )
    return gone


def united(shapes: Collection[shapely.Geometry]) -> shapely.MultiPolygon:
    """One valid MultiPolygon; lines and points that cutting leaves over have no area and are dropped."""
    all_parts = shapely.get_parts(shapely.get_parts(list(shapes)))
    at_once = len(all_parts) <= _MOST_AT_ONCE
    whole = shapely.union_all(list(shapes)) if at_once else shapely.disjoint_subset_union_all(all_parts)
    parts = shapely.get_parts(shapely.get_parts(whole))
    return shapely.MultiPolygon([part for part in parts if isinstance(part, shapely.Polygon) and not part.is_empty])


def _grown(excluded: shapely.MultiPolygon) -> shapely.Geometry:
    """By what a border may be off."""
    parts = shapely.get_parts(excluded)
    if len(parts) <= _MOST_AT_ONCE:
        return shapely.buffer(excluded, _SLIVER_PX)
    return united(shapely.buffer(parts, _SLIVER_PX).tolist())


def repaired(polygon: shapely.Polygon) -> shapely.Geometry:
    """The polygon made valid: every area that its ring runs around, be it twice."""
    return shapely.make_valid(polygon, method="structure", keep_collapsed=False)


def cross_too_often(rings: Sequence[NDArray[np.float64]]) -> bool:
    """Whether the rings cross themselves and one another too often to be mended. rings : (n, 2), closed or not."""
    starts, ends = np.concatenate(rings), np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    long = (starts != ends).any(axis=1)
    lines = np.asarray(shapely.linestrings(np.stack([starts[long], ends[long]], axis=1)))
    tree = shapely.STRtree(lines)
    left = 2 * _MOST_CROSSINGS + (3 + 2 * _MOST_MET) * len(lines)  # counted from both lines, each of which meets itself
    at_once = max(16, _PAIRS_AT_ONCE // max(len(lines), 1))
    for first in range(0, len(lines), at_once):
        left -= tree.query(lines[first : first + at_once], predicate="intersects").shape[1]
        if left < 0:
            return True
    return False
