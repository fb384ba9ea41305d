"""Other ways to read the map (domain/doubts.py): foci joined across gaps, lower thresholds, deposits split at
waists."""

import math
from collections.abc import Sequence
from itertools import takewhile

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from nodescan.domain.classification import ITC_LIMIT_UM, MICRO_LIMIT_UM, Metastasis, classify
from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit, largest_class
from nodescan.domain.doubts import JOINING_GAPS_UM, GapReading, Waist, Whole, gap_reading
from nodescan.domain.units import Micrometers, Spacing
from nodescan.imaging.outlines import threshold_step
from nodescan.imaging.segmentation import GRID_SHARE, FoundFoci
from nodescan.imaging.sizing import filled, greatest_diameter, joined, polygons_in, to_shape


def gap_readings(foci: FoundFoci, *, found: Sequence[Deposit]) -> tuple[GapReading, ...]:
    """One reading for the settings' own gap, which decides, then one for each other of 0, 25, 50 and 75 um.

    found: the deposits at the settings' own gap. For every other gap the foci are joined again, because specks that are
    too small alone may count together. A macrometastasis keeps its class whatever is joined to it, so then there is
    only the first reading.
    """
    own = foci.settings.joining_gap_um
    decides = gap_reading(own, found)
    if decides.metastasis is Metastasis.MACRO and own == 0:
        return (decides,)
    others = [gap_reading(gap_um, foci.deposits(gap_um)) for gap_um in JOINING_GAPS_UM if gap_um != own]
    return (decides, *others)


def outline_gap_readings(found: Sequence[Deposit], own_gap_um: Micrometers) -> tuple[GapReading, ...]:
    """The same for outlines that somebody else drew; found: the deposits that they make with this gap."""
    decides = gap_reading(own_gap_um, found)
    if len(found) < 2 or decides.metastasis is Metastasis.MACRO:
        return (decides,)
    shapes = [to_shape(deposit.outline) for deposit in found]
    return (decides, *(_joined_reading(shapes, gap_um) for gap_um in JOINING_GAPS_UM if gap_um > own_gap_um))


def _joined_reading(shapes: Sequence[BaseGeometry], gap_um: Micrometers) -> GapReading:
    groups = [shapely.GeometryCollection([shapes[one] for one in group]) for group in joined(shapes, gap_um)]
    largest_um = max(greatest_diameter(group).diameter_um for group in groups)
    return GapReading(gap_um, largest_um, classify(largest_um))


_PIECES_STEP = 0.3
"""A step of probability. If pieces become one deposit of a higher class at a threshold lower by this step, that is a
doubt. Of 10 ribbons and crescents of real patches, 2.1 to 2.5 mm long, that the map shows in pieces below 2 mm, a step
of 0.1 tells 3, of 0.2 6, of 0.3 all; of 40 other slides with two foci or more, 0.3 tells phantom discs 60 to 90 um
apart alone."""


def pieces_step(threshold: float) -> float:
    """How far the threshold is lowered to see whether deposits are pieces of one; it stays above 0."""
    return min(_PIECES_STEP, threshold / 2)


def larger_at_lower_threshold(foci: FoundFoci, *, found: Sequence[Deposit]) -> tuple[Whole, ...]:
    """Deposits at a lowered threshold that are longer than the "±" of every deposit in them allows.

    foci, found: the foci and the deposits at the rule's own threshold. "±" looks at most 2 cells beyond the outline, so
    it ignores pieces farther away and faint ends. If none of the longer deposits has a higher class, an even lower
    threshold (pieces_step) is tried: there, several deposits that become one of a higher class are returned, too.
    """
    if not found:
        return ()
    worst, threshold = largest_class(found), foci.rule.threshold
    wholes = _wholes(foci.at(threshold - threshold_step(threshold)), found)
    if len(found) < 2 or worst is Metastasis.MACRO or any(whole.longest_class > worst for whole in wholes):
        return wholes
    deep = _wholes(foci.at(threshold - pieces_step(threshold)), found)
    return (*wholes, *(whole for whole in deep if len(whole.deposit_ids) > 1 and whole.longest_class > worst))


def _wholes(lowered: FoundFoci, found: Sequence[Deposit]) -> tuple[Whole, ...]:
    """The deposits at a lowered threshold that are longer than the deposits in them can be."""
    rule, wide = lowered.rule, lowered.deposits()
    off_um = unsure_um(rule, lowered.probability.spacing)
    wholes: list[Whole] = []
    for whole, parts in zip(wide, parts_of(wide, found), strict=True):
        if parts and whole.diameter_um > max(part.diameter_um + part.diameter_uncertainty_um for part in parts):
            ids = tuple(sorted(part.id for part in parts))
            wholes.append(Whole(ids, whole.diameter_um, off_um, rule.threshold))
    return tuple(wholes)


def unsure_um(rule: DecisionRule, spacing: Spacing) -> Micrometers:
    """The part of a size's uncertainty (about 95 %) that doesn't depend on the threshold."""
    return Micrometers(rule.coverage_factor * math.hypot(GRID_SHARE * spacing.mean, rule.size_uncertainty_um))


def parts_of(wide: Sequence[Deposit], found: Sequence[Deposit]) -> list[list[Deposit]]:
    """For each of the wide deposits, the deposits found in it. A deposit belongs to the one that it overlaps most."""
    parts: list[list[Deposit]] = [[] for _ in wide]
    shapes = np.array([to_shape(whole.outline) for whole in wide])
    tree = shapely.STRtree(shapes)
    for part in found:
        outline = to_shape(part.outline)
        near = tree.query(outline, predicate="intersects")
        if near.size:
            common = shapely.intersection(outline, shapes[near])
            parts[int(near[shapely.area(common).argmax()])].append(part)  # pyright: ignore[reportUnknownMemberType]  shapely comes half typed
    return parts


NARROW = 0.8
"""The largest width of a waist, as a share of the width of the narrower of the two widest parts beside it. The 28 pairs
of phantom discs of 150 to 1,500 um that ran together, 30 um apart, have 0.21 to 0.78; single discs, ellipses and
crescents (22 on phantoms, 6 of real patches) 0.96 and more, or never part. Of 85 real outlines of 0.2 to 4.4 mm
(CAMELYON16), drawn through the released model's label rule and smoothing, 6 are narrow; no class hangs on any of
them."""

LEAST_SHARE = 0.07
"""The least share of the deposit's area in a part: a bump on the border is no focus. A disc of 0.6 mm reaches it beside
one of 1.9 mm, the longest that is no macrometastasis by itself."""

LONGEST_UM = Micrometers(2.2 * MICRO_LIMIT_UM)
"""In a longer deposit one of two parts is a macrometastasis anyway."""

_MOST = 10
"""Only so many of the largest deposits are looked at: a slide's class and size depend on these."""

_STEPS = 100
"""Outlines are eroded by steps of this part of their length."""

_SIMPLER = 500
"""Outlines are simplified by this part of their length: at 2 mm the grid that they were drawn on, at 0.2 mm a tenth."""

_CORNERS = 4
"""A quarter of a circle is drawn as so many straight pieces, which makes a waist's width 2 % too small."""


def find_waists(deposits: Sequence[Deposit], *, joining_gap_um: Micrometers) -> tuple[Waist, ...]:
    """The waists of the largest deposits. The deposits must come largest first.

    Left out are isolated tumour cells, and foci that the settings join across a gap: `foci_joined` is their flag.
    """
    seen = takewhile(lambda deposit: deposit.diameter_um > ITC_LIMIT_UM, deposits)
    near = [deposit for deposit in seen if deposit.diameter_um <= LONGEST_UM][:_MOST]
    if joining_gap_um > 0:
        near = [deposit for deposit in near if len(deposit.outline) == 1]
    waists = (_waist(deposit) if len(deposit.outline) == 1 else _touching(deposit) for deposit in near)
    return tuple(filter(None, waists))


def _touching(deposit: Deposit) -> Waist | None:
    """A waist of width 0 if the deposit's outlines are separate on the map and touch only once corrected
    (`find_deposits`)."""
    parts = polygons_in(filled(to_shape(deposit.outline)))
    least_um2 = LEAST_SHARE * sum(part.area for part in parts)
    lengths = [greatest_diameter(part).diameter_um for part in parts if part.area >= least_um2]
    return Waist(deposit.id, Micrometers(0.0), tuple(sorted(lengths, reverse=True))) if len(lengths) > 1 else None


def _waist(deposit: Deposit) -> Waist | None:
    """The place where erosion first splits the outline into two parts of LEAST_SHARE; None if there is none, or if it
    is too wide for a waist.

    The parts are widened again, and each gets half of their overlap. So a part ends in the middle of the waist, half
    the waist's width beyond the place where erosion split it.
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
