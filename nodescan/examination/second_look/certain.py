"""Deposits that are there, and of their class, whichever way small errors of the map fall: step 5."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from shapely import STRtree, covers, get_coordinates, maximum_inscribed_circle
from shapely.geometry import Point
from shapely.geometry.base import BaseGeometry

from nodescan.domain.classification import Metastasis, is_borderline
from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit, largest_class
from nodescan.domain.doubts import JOINING_GAPS_UM, dispersed_flags, gap_reading
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Micrometers, SquareMicrometers
from nodescan.imaging.cutting import as_cut_off
from nodescan.imaging.lowered import parts_of, pieces_step, unsure_um
from nodescan.imaging.outlines import threshold_step
from nodescan.imaging.segmentation import FoundFoci, SegmentationSettings, find_deposits, find_foci
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

    probability: smoothed, at most `tolerance` from the true map. A deposit is certain if it is found at both bounds
    (see _bounds), with one class above isolated tumour cells, far from the limits, and about as long, if it is cut off
    at both or at neither, and if all in it that could make a deposit hangs together on any such map, on none of which
    it may be a part of a longer one (imaging/lowered.py). Its size may still differ a little. at_edge: whether a
    deposit is cut off.
    """
    bounds = _bounds(probability, rule, settings, tolerance)
    if bounds is None:
        return ()

    def marked(found: Deposit) -> Deposit:
        sized = found.metastasis > Metastasis.ITC  # no other is certain, and there may be hundreds
        return as_cut_off(found, rule) if sized and at_edge(found) else found

    kept, step_um = {found.centre_um for found in bounds.least}, probability.spacing.mean / 4
    cores = [
        (marked(core) if core.centre_um in kept else None, _deepest(to_shape(core.outline), step_um))
        for core in bounds.cores
    ]
    apart_um = _MOST_APART_CELLS * probability.spacing.mean
    sure = [one for found in bounds.most if (one := _certain(marked(found), cores, apart_um)) is not None]
    return tuple(one.place for one in _no_parts(sure, bounds, rule))


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Deposits that the true ones lie between.

    foci, most: at both thresholds less the tolerance, the most there may be. cores: what is left of these at the
    threshold plus the tolerance, however small, as it may be larger in truth. least: of the cores those that are large
    enough and reach the seed threshold plus the tolerance.
    """

    foci: FoundFoci
    most: tuple[Deposit, ...]
    cores: tuple[Deposit, ...]
    least: tuple[Deposit, ...]


def _bounds(
    probability: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings, tolerance: float
) -> _Bounds | None:
    """None where nothing can be certain.

    That is without a deposit above isolated tumour cells; where foci are joined over a gap; where the pattern of foci
    is judged differently at the bounds; or where the outline's and the seed's threshold lie too near to each other.
    """
    low, high = rule.threshold - tolerance, rule.threshold + tolerance
    low_seed, high_seed = rule.seed_threshold - tolerance, rule.seed_threshold + tolerance
    if settings.joining_gap_um > 0 or low <= pieces_step(rule.threshold) or high > low_seed or high_seed >= 1:
        return None
    foci = find_foci(probability, replace(rule, threshold=low, seed_threshold=low_seed), settings)
    most = foci.deposits()
    if largest_class(most) <= Metastasis.ITC:  # as on most slides: nothing more needs be traced
        return None
    cores = foci.at(high, replace(settings, smallest_area_um2=SquareMicrometers(0)))
    least_foci = cores.of_seeds(high_seed, smallest_area_um2=settings.smallest_area_um2)
    least = least_foci.deposits()
    if _patterns(foci, most) != _patterns(least_foci, least):
        return None
    return _Bounds(foci, most, cores.deposits(), least)


def ends_of(
    probability: ProbabilityMap, rule: DecisionRule, settings: SegmentationSettings, places: Sequence[PlaceUm]
) -> tuple[PlaceUm, ...]:
    """Both ends of the diameter of every deposit of the map that holds one of the places."""
    deposits = find_deposits(probability, rule, settings)
    held = [Point(place) for place in places]
    holders = (found for found in deposits if covers(to_shape(found.outline), held).any())
    return tuple(end for found in holders for end in found.endpoints_um)


@dataclass(frozen=True, slots=True)
class _Sure:
    """A deposit that is certain: a place in it, and the least that its size and uncertainty together can be."""

    place: PlaceUm
    least_um: float
    metastasis: Metastasis


def _no_parts(sure: Sequence[_Sure], bounds: _Bounds, rule: DecisionRule) -> Sequence[_Sure]:
    """Those that on no map may be a part of a longer deposit, at either of the thresholds that lowered.py tries."""
    low = bounds.foci.rule.threshold
    if sure:
        joined = bounds.foci.at(low - threshold_step(rule.threshold)).deposits()
        sure = _never_outgrown(sure, joined, lambda one: one.least_um)
    if len(bounds.most) > 1 and any(one.metastasis is not Metastasis.MACRO for one in sure):
        deep = bounds.foci.at(low - pieces_step(rule.threshold)).deposits()
        several = [whole for whole, parts in zip(deep, parts_of(deep, bounds.most), strict=True) if len(parts) > 1]
        off_um = unsure_um(rule, bounds.foci.probability.spacing)
        sure = _never_outgrown(sure, several, lambda one: one.metastasis.longest_um - off_um)
    return sure


def _never_outgrown(sure: Sequence[_Sure], wholes: Sequence[Deposit], most_um: Callable[[_Sure], float]) -> list[_Sure]:
    """Those that are part of no whole, as far as these go on any map, longer than most_um."""
    longest_um = np.array([whole.diameter_um for whole in wholes])
    tree = STRtree([to_shape(whole.outline) for whole in wholes])
    around = [tree.query(Point(one.place), predicate="intersects") for one in sure]
    return [
        one for one, indices in zip(sure, around, strict=True) if longest_um[indices].max(initial=0.0) <= most_um(one)
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
