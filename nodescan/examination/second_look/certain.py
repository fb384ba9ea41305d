"""Deposits that are there, and of their class, whichever way small errors of the map fall: step 5."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from shapely import STRtree, covers, get_coordinates, maximum_inscribed_circle
from shapely.geometry import Point
from shapely.geometry.base import BaseGeometry

from nodescan.domain.classification import Metastasis, is_borderline
from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit, largest_class
from nodescan.domain.doubts import JOINING_GAPS_UM, dispersed_flags, gap_reading
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Micrometers, SquareMicrometers
from nodescan.examination.second_look.fast_map import FastMap, PlaceUm, cell_at
from nodescan.imaging.components import components
from nodescan.imaging.cutting import as_cut_off
from nodescan.imaging.lowered import parts_of, pieces_step, unsure_um
from nodescan.imaging.outlines import threshold_step
from nodescan.imaging.segmentation import FoundFoci, SegmentationSettings, find_deposits, foci_on
from nodescan.imaging.sizing import to_shape

_MOST_APART_CELLS = 2.0
"""A diameter differs by 10 to 25 um between the two bounds; one that differs by more hangs on single cells."""


@dataclass(frozen=True, slots=True)
class Certainty:
    """places: one in each certain deposit. doubts: where exact values may make others certain."""

    places: tuple[PlaceUm, ...]
    doubts: tuple[PlaceUm, ...]


def certain_deposits(
    known: FastMap, settings: SegmentationSettings, *, cut_off: Callable[[Deposit], bool]
) -> Certainty:
    """Which deposits are there, and of their class, on the true map.

    A deposit is certain if it is found at both bounds (see _bounds), with one class above isolated tumour cells, about
    as long, and surely borderline or surely not, if it is cut off at both or at neither, and if all in it that could
    make a deposit hangs together on any such map, on none of which it may be a part of a longer one
    (imaging/lowered.py). Its size may still differ a little. cut_off: whether a deposit is.
    """
    bounds = _bounds(known, settings)
    if bounds is None:
        return Certainty((), ())

    def marked(found: Deposit) -> Deposit:
        sized = found.metastasis > Metastasis.ITC  # no other is certain, and there may be hundreds
        return as_cut_off(found, known.rule) if sized and cut_off(found) else found

    kept = {found.centre_um for found in bounds.least}
    cores = [(marked(core) if core.centre_um in kept else None, place) for core, place in bounds.cores]
    apart_um = _MOST_APART_CELLS * known.probability.spacing.mean
    sure: list[_Sure] = []
    doubts: list[PlaceUm] = []
    for found in map(marked, bounds.most):
        if (one := _certain(found, cores, apart_um)) is not None:
            sure.append(one)
        else:
            doubts += _spots(found, cores, apart_um)
    kept_sure, outgrown = _no_parts(sure, bounds, known.rule)
    return Certainty(tuple(one.place for one in kept_sure), (*doubts, *outgrown))


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Deposits that the true ones lie between.

    foci, most: on the highest values that the true map may have, the most there may be. cores: what is left of these on
    the lowest values, however small, as it may be larger in truth, each with its deepest point; but for what reaches
    the seed threshold on no true map. least: of the cores those that are large enough and reach it on the lowest.
    """

    foci: FoundFoci
    most: tuple[Deposit, ...]
    cores: tuple[tuple[Deposit, Point], ...]
    least: tuple[Deposit, ...]


def _bounds(known: FastMap, settings: SegmentationSettings) -> _Bounds | None:
    """None where nothing can be certain.

    That is without a deposit above isolated tumour cells; where foci are joined over a gap; where the pattern of foci
    is judged differently at the bounds; or where the outline's and the seed's threshold lie too near to each other.
    """
    rule, tolerance, probability = known.rule, known.tolerance, known.probability
    low, high = rule.threshold - tolerance, rule.threshold + tolerance
    low_seed, high_seed = rule.seed_threshold - tolerance, rule.seed_threshold + tolerance
    if settings.joining_gap_um > 0 or low <= pieces_step(rule.threshold) or high > low_seed or high_seed >= 1:
        return None
    foci = foci_on(known.highest, probability, rule, settings)
    most = foci.deposits()
    if largest_class(most) <= Metastasis.ITC:  # as on most slides: nothing more needs be traced
        return None
    faint = replace(rule, seed_threshold=rule.seed_threshold - 2 * tolerance)
    core_foci = foci_on(known.lowest, probability, faint, replace(settings, smallest_area_um2=SquareMicrometers(0)))
    least_foci = core_foci.of_seeds(rule.seed_threshold, smallest_area_um2=settings.smallest_area_um2)
    least = least_foci.deposits()
    if _patterns(foci, most) != _patterns(least_foci, least):
        return None
    return _Bounds(foci, most, _that_may_count(core_foci.deposits(), known), least)


def _that_may_count(cores: Sequence[Deposit], known: FastMap) -> tuple[tuple[Deposit, Point], ...]:
    """The cores that reach the seed threshold on some true map, each with its deepest point."""
    labels, count = components(known.lowest >= known.rule.threshold)
    peaks = ndimage.maximum(known.highest, labels, np.arange(count + 1))
    peaks[0] = 1.0  # an outline's deepest point may lie beside its cells
    step_um = known.probability.spacing.mean / 4
    deepest = [(core, _deepest(to_shape(core.outline), step_um)) for core in cores]
    seed = known.rule.seed_threshold
    return tuple(one for one in deepest if peaks[labels[cell_at(_xy(one[1]), known.probability)]] >= seed)


def _spots(found: Deposit, cores: Sequence[tuple[Deposit | None, Point]], apart_um: float) -> list[PlaceUm]:
    """Where exact values may make the deposit certain: about pieces that may be others, and about the ends of its
    diameter if that hangs on what may be no part of it. None of isolated tumour cells."""
    outline = to_shape(found.outline)
    inside = [(core, place) for core, place in cores if outline.covers(place)]
    sure = [(core, place) for core, place in inside if core is not None and core.metastasis > Metastasis.ITC]
    if not sure:
        return []
    core, middle = max(sure, key=lambda one: one[0].diameter_um)
    ends = found.endpoints_um if found.diameter_um - core.diameter_um > apart_um else ()
    return [*(_xy(place) for _, place in inside if place is not middle), *ends]


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


def _no_parts(sure: Sequence[_Sure], bounds: _Bounds, rule: DecisionRule) -> tuple[list[_Sure], list[PlaceUm]]:
    """Those that on no map may be a part of a longer deposit, at either of the thresholds that lowered.py tries, and
    the ends of the longer ones that the others may be parts of."""
    if not sure:
        return [], []
    joined = bounds.foci.at(rule.threshold - threshold_step(rule.threshold)).deposits()
    left, ends = _never_outgrown(sure, joined, lambda one: one.least_um)
    if len(bounds.most) > 1 and any(one.metastasis is not Metastasis.MACRO for one in left):
        deep = bounds.foci.at(rule.threshold - pieces_step(rule.threshold)).deposits()
        several = [whole for whole, parts in zip(deep, parts_of(deep, bounds.most), strict=True) if len(parts) > 1]
        off_um = unsure_um(rule, bounds.foci.probability.spacing)
        left, more = _never_outgrown(left, several, lambda one: one.metastasis.longest_um - off_um)
        ends += more
    return left, ends


def _never_outgrown(
    sure: Sequence[_Sure], wholes: Sequence[Deposit], most_um: Callable[[_Sure], float]
) -> tuple[list[_Sure], list[PlaceUm]]:
    """Those that are part of no whole, as far as these go on any map, longer than most_um; the ends of such wholes."""
    tree = STRtree([to_shape(whole.outline) for whole in wholes])
    left: list[_Sure] = []
    ends: list[PlaceUm] = []
    for one in sure:
        around = [wholes[int(index)] for index in tree.query(Point(one.place), predicate="intersects")]
        longer = [whole for whole in around if whole.diameter_um > most_um(one)]
        ends += [end for whole in longer for end in whole.endpoints_um]
        if not longer:
            left.append(one)
    return left, ends


def _certain(found: Deposit, cores: Sequence[tuple[Deposit | None, Point]], apart_um: float) -> _Sure | None:
    """Where and how long the deposit is if it is certain, else None.

    cores: what is left of deposits on the lowest values, each with its deepest point; None instead of one that may
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
    # The uncertainty holds how the size moves with the threshold, which no two maps have quite alike.
    low_um, high_um = sorted((core.diameter_uncertainty_um, found.diameter_uncertainty_um))
    moved_um, apart_in_that_um = found.diameter_um - core.diameter_um, high_um - low_um
    surely_um, perhaps_um = low_um - apart_in_that_um, high_um + apart_in_that_um
    near = [_near_limit(core, found, by_um) for by_um in (surely_um - moved_um, perhaps_um + moved_um)]
    if moved_um > apart_um or near not in ([2, 2], [0, 0]):
        return None
    return _Sure(_xy(place), core.diameter_um + surely_um, core.metastasis)


def _near_limit(core: Deposit, found: Deposit, by_um: float) -> int:
    """How many of the two are borderline if by_um is their uncertainty."""
    return sum(by_um > 0 and is_borderline(one.diameter_um, Micrometers(by_um)) for one in (core, found))


def _deepest(outline: BaseGeometry, step_um: float) -> Point:
    """The point farthest from the outline, to within the step: outlines of other thresholds hold it too."""
    circle = maximum_inscribed_circle([outline], tolerance=[step_um])  # from its centre to its rim
    return Point(get_coordinates(circle)[0])


def _xy(point: Point) -> PlaceUm:
    return point.x, point.y


def _patterns(foci: FoundFoci, deposits: Sequence[Deposit]) -> tuple[object, ...]:
    """What is said of the foci together: whether they are dispersed, and the class for each joining gap."""
    by_gap = [gap_reading(gap_um, foci.deposits(gap_um)).metastasis for gap_um in JOINING_GAPS_UM]
    return [flag.code for flag in dispersed_flags(deposits)], by_gap
