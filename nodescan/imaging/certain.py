"""Deposits that are there, and of their class, whichever way small errors of the map fall."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from shapely import STRtree, covers, get_coordinates, maximum_inscribed_circle
from shapely.geometry import Point
from shapely.geometry.base import BaseGeometry

from nodescan.domain.classification import MICRO_LIMIT_UM, Metastasis, is_borderline
from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit, largest_class
from nodescan.domain.doubts import JOINING_GAPS_UM, dispersed_flags, gap_reading
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Micrometers, SquareMicrometers
from nodescan.imaging.cutting import as_cut_off
from nodescan.imaging.lowered import at_lowered, parts_of, pieces_step, unsure_um
from nodescan.imaging.outlines import threshold_step
from nodescan.imaging.segmentation import FoundFoci, SegmentationSettings, find_foci
from nodescan.imaging.sizing import to_shape

_MOST_APART_CELLS = 2.0
"""A diameter differs by 10 to 25 um between the two thresholds; one that differs by more hangs on single cells."""

PlaceUm = tuple[float, float]
"""x and y of a point, in um from the canvas' top left."""


def certain_deposits(
    probability: ProbabilityMap,
    rule: DecisionRule,
    settings: SegmentationSettings,
    *,
    tolerance: float,
    at_edge: Callable[[Deposit], bool],
) -> tuple[PlaceUm, ...]:
    """A place in each deposit whose existence and class are those of the true map.

    probability: smoothed, at most `tolerance` from the true map. Then the true deposits lie between those found at
    thresholds that much lower and that much higher. A deposit is certain if it is found at both, with one class above
    isolated tumour cells, far from the limits, and about as long, if it is cut off at both or at neither, and if all
    in it that could make a deposit hangs together on any such map, on none of which it may be a part of a longer one
    (lowered.larger_at_lower_threshold). Its size may still differ a little. at_edge: whether a deposit is cut off.

    Empty where foci are joined over a gap, where the pattern of foci is judged differently at the two thresholds, or
    where the outline's and the seed's threshold lie too near to each other for the tolerance.
    """
    low, high = rule.threshold - tolerance, rule.threshold + tolerance
    seeds = rule.seed_threshold - tolerance, rule.seed_threshold + tolerance
    if settings.joining_gap_um > 0 or low <= pieces_step(rule.threshold) or high > seeds[0] or seeds[1] >= 1:
        return ()
    most = find_foci(probability, replace(rule, threshold=low, seed_threshold=seeds[0]), settings)
    large = most.deposits(settings.joining_gap_um)
    if largest_class(large) <= Metastasis.ITC:  # as on most slides: nothing more needs be traced
        return ()
    whole = replace(settings, smallest_area_um2=SquareMicrometers(0))  # it may be larger in truth
    parts = find_foci(probability, replace(rule, threshold=high, seed_threshold=seeds[0]), whole)
    least = parts.of_seeds(seeds[1], smallest_area_um2=settings.smallest_area_um2)
    small = least.deposits(settings.joining_gap_um)
    if _patterns(most, large) != _patterns(least, small):
        return ()
    there = {found.centre_um for found in small}
    step_um = probability.spacing.mean / 4

    def told(found: Deposit) -> Deposit:
        sized = found.metastasis > Metastasis.ITC  # no other is certain, and there may be hundreds
        return as_cut_off(found, rule) if sized and at_edge(found) else found

    cores = [
        (told(found) if found.centre_um in there else None, _deepest(to_shape(found.outline), step_um))
        for found in parts.deposits(settings.joining_gap_um)
    ]
    apart_um = _MOST_APART_CELLS * probability.spacing.mean
    sure = [one for found in large if (one := _certain(told(found), cores, apart_um)) is not None]
    off_um = unsure_um(rule, probability.spacing)

    def wholes_at(step: float) -> tuple[Deposit, ...]:
        farthest = replace(rule, threshold=low, seed_threshold=seeds[0])
        return at_lowered(probability, farthest, settings, step=step).deposits(settings.joining_gap_um)

    if sure:
        sure = _never_outgrown(sure, wholes_at(threshold_step(rule.threshold)), lambda one: one.least_um)
    if len(large) > 1 and any(one.metastasis is not Metastasis.MACRO for one in sure):
        wide = wholes_at(pieces_step(rule.threshold))
        several = [whole for whole, parts in zip(wide, parts_of(wide, large), strict=True) if len(parts) > 1]
        sure = _never_outgrown(sure, several, lambda one: _MOST_UM[one.metastasis] - off_um)
    return tuple(one.place for one in sure)


def ends_of(
    probability: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings, places: Sequence[PlaceUm]
) -> tuple[PlaceUm, ...]:
    """Both ends of the diameter of every deposit of the map that holds one of the places."""
    deposits = find_foci(probability, rule, settings).deposits(settings.joining_gap_um)
    held = [Point(place) for place in places]
    holders = (found for found in deposits if covers(to_shape(found.outline), held).any())
    return tuple(end for found in holders for end in found.endpoints_um)


@dataclass(frozen=True, slots=True)
class _Sure:
    """A deposit that is certain: a place in it, and the least that its size and uncertainty together can be."""

    place: PlaceUm
    least_um: float
    metastasis: Metastasis


_MOST_UM = {Metastasis.MICRO: MICRO_LIMIT_UM, Metastasis.MACRO: math.inf}
"""The greatest size of each class that a certain deposit may have."""


def _never_outgrown(
    sure: Sequence[_Sure], wholes: Sequence[Deposit], least_um: Callable[[_Sure], float]
) -> list[_Sure]:
    """Those that are part of no whole, as far as these go on any map, longer than least_um; see lowered."""
    longest_um = np.array([whole.diameter_um for whole in wholes])
    tree = STRtree([to_shape(whole.outline) for whole in wholes])
    around = [tree.query(Point(one.place), predicate="intersects") for one in sure]
    return [
        one for one, indices in zip(sure, around, strict=True) if longest_um[indices].max(initial=0.0) <= least_um(one)
    ]


def _certain(found: Deposit, cores: Sequence[tuple[Deposit | None, Point]], apart_um: float) -> _Sure | None:
    """Where and how long the deposit is if it is certain, else None.

    cores: what is left of deposits at the higher threshold, each with its deepest point; None instead of one that may
    not be a deposit at all.
    """
    outline = to_shape(found.outline)
    inside = [(core, place) for core, place in cores if outline.covers(place)]
    if len(inside) != 1:
        return None
    core, place = inside[0]
    if core is None or core.cut_off is not found.cut_off:
        return None
    if core.metastasis is not found.metastasis or found.metastasis <= Metastasis.ITC:
        return None
    moved_um = found.diameter_um - core.diameter_um
    # The uncertainty holds how the size moves with the threshold, which no two maps have quite alike.
    slack_um = max(core.diameter_uncertainty_um, found.diameter_uncertainty_um) + moved_um
    slack_um += abs(core.diameter_uncertainty_um - found.diameter_uncertainty_um)
    near = (is_borderline(deposit.diameter_um, Micrometers(slack_um)) for deposit in (core, found))
    if moved_um > apart_um or any(near):
        return None
    surely_um = min(core.diameter_uncertainty_um, found.diameter_uncertainty_um)
    surely_um -= abs(core.diameter_uncertainty_um - found.diameter_uncertainty_um)
    return _Sure((place.x, place.y), core.diameter_um + surely_um, core.metastasis)


def _deepest(outline: BaseGeometry, step_um: float) -> Point:
    """The point farthest from the outline, to within the step: outlines of other thresholds hold it too."""
    circle = maximum_inscribed_circle([outline], tolerance=[step_um])  # from its centre to its rim
    return Point(get_coordinates(circle)[0])


def _patterns(foci: FoundFoci, deposits: Sequence[Deposit]) -> tuple[object, ...]:
    """What is said of the foci together: whether they are dispersed, and the class for each joining gap."""
    by_gap = [gap_reading(gap_um, foci.deposits(gap_um)).metastasis for gap_um in JOINING_GAPS_UM]
    return [flag.code for flag in dispersed_flags(deposits)], by_gap
