"""Deposits that narrow to a waist: two foci look so that lie too near for the map to part them."""

import math
from collections.abc import Sequence
from itertools import takewhile

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from nodescan.domain.classification import ITC_LIMIT_UM, MICRO_LIMIT_UM
from nodescan.domain.deposits import Deposit
from nodescan.domain.doubts import Waist
from nodescan.domain.units import Micrometers
from nodescan.imaging.sizing import filled, greatest_diameter, polygons_in, to_shape

NARROW = 0.8
"""A waist is at most so wide, as a part of the less broad of the two broadest parts beside it. The 28 pairs of phantom
discs of 150 to 1,500 um that ran together, 30 um apart, have 0.21 to 0.78; single discs, ellipses and crescents (22 on
phantoms, 6 of real patches) 0.96 and more, or never part. Of 85 real outlines of 0.2 to 4.4 mm (CAMELYON16), drawn
through the released model's label rule and smoothing, 6 are narrow; no class hangs on any of them."""

LEAST_SHARE = 0.07
"""A part has at least so much of the deposit's area: a bump on its border is no focus. A disc of 0.6 mm has it beside
one of 1.9 mm, the longest that is no macrometastasis by itself."""

LONGEST_UM = Micrometers(2.2 * MICRO_LIMIT_UM)
"""Of what is longer, one of two parts is a macrometastasis anyway."""

_MOST = 10
"""So many of the largest deposits are looked at; a slide's class and size hang on these."""

_STEPS = 100
"""Outlines are eroded by steps of this part of their length."""

_SIMPLER = 500
"""Outlines are simplified by this part of their length: at 2 mm the grid that they were drawn on, at 0.2 mm a tenth."""

_CORNERS = 4
"""Straight pieces that stand for a quarter of a circle: of a waist's width they miss 2 %."""


def find_waists(deposits: Sequence[Deposit], *, joining_gap_um: Micrometers) -> tuple[Waist, ...]:
    """The waists of the largest deposits, which come largest first; isolated tumour cells have none to tell of.

    Nor has what the settings join across a gap: `foci_joined` tells of that.
    """
    seen = takewhile(lambda deposit: deposit.diameter_um > ITC_LIMIT_UM, deposits)
    near = [deposit for deposit in seen if deposit.diameter_um <= LONGEST_UM][:_MOST]
    if joining_gap_um > 0:
        near = [deposit for deposit in near if len(deposit.outline) == 1]
    waists = (_waist(deposit) if len(deposit.outline) == 1 else _touching(deposit) for deposit in near)
    return tuple(filter(None, waists))


def _touching(deposit: Deposit) -> Waist | None:
    """Of outlines that the map parts, and that touch once corrected (`find_deposits`): a waist of no width."""
    parts = polygons_in(filled(to_shape(deposit.outline)))
    least_um2 = LEAST_SHARE * sum(part.area for part in parts)
    lengths = [greatest_diameter(part).diameter_um for part in parts if part.area >= least_um2]
    return Waist(deposit.id, Micrometers(0.0), tuple(sorted(lengths, reverse=True))) if len(lengths) > 1 else None


def _waist(deposit: Deposit) -> Waist | None:
    """Where erosion first parts the outline into two of LEAST_SHARE; None where it does not, or not at a waist.

    What two parts have in common when they are widened again goes to each by half: a part ends in the middle of the
    waist, half its width beyond where the erosion parted it.
    """
    fine_um = deposit.diameter_um / _SIMPLER
    shape = filled(to_shape(deposit.outline)).simplify(fine_um)
    widest_um = NARROW * _inscribed_radius_um(shape, fine_um)
    for step in range(1, _STEPS):
        half_um = step * deposit.diameter_um / _STEPS
        if half_um > widest_um:
            return None
        eroded = polygons_in(shape.buffer(-half_um, quad_segs=_CORNERS))
        parts = [(core, core.buffer(half_um, quad_segs=_CORNERS)) for core in eroded] if len(eroded) > 1 else []
        parts = [(core, part) for core, part in parts if part.area >= LEAST_SHARE * shape.area]
        if len(parts) > 1:
            broadest = sorted((2 * (half_um + _inscribed_radius_um(core, fine_um)) for core, _ in parts), reverse=True)
            lengths = sorted((greatest_diameter(part).diameter_um - half_um for _, part in parts), reverse=True)
            narrow = 2 * half_um <= NARROW * broadest[1]
            return Waist(deposit.id, Micrometers(2 * half_um), tuple(map(Micrometers, lengths))) if narrow else None
    return None


def _inscribed_radius_um(shape: BaseGeometry, fine_um: float) -> float:
    centre, border = shapely.get_coordinates(shapely.maximum_inscribed_circle(shape, tolerance=np.array(fine_um)))
    return math.dist(centre, border)
