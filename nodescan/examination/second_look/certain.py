"""Deposits that are there, and of their class, whichever way small errors of the map fall: step 5."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from shapely import STRtree, covers, get_coordinates, maximum_inscribed_circle
from shapely.geometry import Point
from shapely.geometry.base import BaseGeometry

from nodescan.domain.classification import Metastasis, classify, is_borderline
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
from nodescan.imaging.waists import find_waists

_MOST_APART_CELLS = 2.0
"""A diameter differs by 10 to 25 um between the two bounds; one that differs by more hangs on single cells."""


@dataclass(frozen=True, slots=True)
class Certainty:
    """places: one in each certain deposit. doubts: where exact values may make others certain."""

    places: tuple[PlaceUm, ...]
    doubts: tuple[PlaceUm, ...]


def certain_deposits(
    known: FastMap,
    settings: SegmentationSettings,
    *,
    cut_off: Callable[[Deposit], bool],
    borders: Callable[[Deposit], bool] | None = None,
) -> Certainty:
    """Which deposits are there, and of their class, on the true map.

    A deposit is certain if it is found at both bounds (see _bounds), with one class above isolated tumour cells, about
    as long, and surely borderline or surely not, if it is cut off at both or at neither, and if all in it that could
    make a deposit hangs together on any such map, on none of which it may be a part of a longer one
    (imaging/lowered.py). Its size may still differ a little. cut_off: whether a deposit is, by an edge of the scan.
    borders: whether it borders on tissue that wasn't examined, None: all was. What may border on it isn't certain.
    """
    bounds = _bounds(known, settings)
    if bounds is None:
        return Certainty((), ())

    def marked(found: Deposit) -> Deposit:
        sized = found.metastasis > Metastasis.ITC  # no other is certain, and there may be hundreds
        return as_cut_off(found, known.rule) if sized and cut_off(found) else found

    kept = {found.centre_um for found in bounds.least}
    cores = [
        replace(core, deposit=marked(core.deposit) if core.deposit and core.deposit.centre_um in kept else None)
        for core in bounds.cores
    ]
    apart_um = _MOST_APART_CELLS * known.probability.spacing.mean
    sure: list[_Sure] = []
    doubts: list[PlaceUm] = []
    for found in map(marked, bounds.most):
        if found.metastasis <= Metastasis.ITC or (borders is not None and borders(found)):
            continue
        inside = _within(found, cores)
        if (one := _certain(found, inside, apart_um)) is not None:
            sure.append(one)
        else:
            doubts += _spots(found, inside, apart_um)
    kept_sure, outgrown = _no_parts(sure, bounds, known.rule)
    return Certainty(tuple(one.place for one in kept_sure), (*doubts, *outgrown))


@dataclass(frozen=True, slots=True)
class _Core:
    """What is left of a deposit on the lowest values. place: its deepest point.

    deposit: None where it may be none at all. component: its cells' label among all on the highest values, 0 where its
    deepest point lies in none of them.
    """

    deposit: Deposit | None
    place: Point
    component: int = 0


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Deposits that the true ones lie between.

    foci, most: on the highest values that the true map may have, the most there may be. cores: what is left of these on
    the lowest values, however small, as it may be larger in truth; but for what surely reaches the seed threshold on no
    true map. least: of the cores those that are large enough and reach it on the lowest.
    """

    foci: FoundFoci
    most: tuple[Deposit, ...]
    cores: tuple[_Core, ...]
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
    return _Bounds(foci, most, _that_may_count(core_foci, foci), least)


def _that_may_count(cores: FoundFoci, foci: FoundFoci) -> tuple[_Core, ...]:
    """The cores that may reach the seed threshold on some true map: near their cells some highest value does.

    cores, foci: as found on the lowest and on the highest values.
    """
    rule, probability, highest = foci.rule, foci.probability, foci.smoothed
    may_count = (cores.smoothed >= rule.threshold) & (highest >= rule.seed_threshold)
    components_of, _ = components(highest >= rule.threshold)
    found: list[_Core] = []
    for core in cores.deposits():
        shape = to_shape(core.outline)
        left, top, right, bottom = shape.bounds
        (first, left_at), (last, right_at) = (cell_at(at, probability) for at in ((left, top), (right, bottom)))
        if may_count[max(0, first - 1) : last + 2, max(0, left_at - 1) : right_at + 2].any():
            place = _deepest(shape, probability.spacing.mean / 4)
            found.append(_Core(core, place, int(components_of[cell_at(_xy(place), probability)])))
    return tuple(found)


def _within(found: Deposit, cores: Sequence[_Core]) -> list[_Core]:
    """The cores that are, or may be, of the deposit: within its outline, or of the same component as one that is, for
    the outline is corrected, and leaves out what is thin."""
    outline = to_shape(found.outline)
    covered = {id(core) for core in cores if outline.covers(core.place)}
    own = {core.component for core in cores if id(core) in covered} - {0}
    return [core for core in cores if id(core) in covered or core.component in own]


def _spots(found: Deposit, inside: Sequence[_Core], apart_um: float) -> list[PlaceUm]:
    """Where exact values may make the deposit certain: about pieces that may be others, and about the ends of its
    diameter if that hangs on what may be no part of it."""
    sure = [(core.deposit, core) for core in inside if core.deposit and core.deposit.metastasis > Metastasis.ITC]
    if not sure:
        return []
    largest, main = max(sure, key=lambda one: one[0].diameter_um)
    ends = found.endpoints_um if found.diameter_um - largest.diameter_um > apart_um else ()
    return [*(_xy(core.place) for core in inside if core is not main), *ends]


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


def _certain(found: Deposit, inside: Sequence[_Core], apart_um: float) -> _Sure | None:
    """Where and how long the deposit is if it is certain, else None. inside: its cores, see _within."""
    if len(inside) != 1:
        return None
    core, place = inside[0].deposit, inside[0].place
    if core is None or core.cut_off is not found.cut_off:
        return None
    if core.metastasis is not found.metastasis or found.metastasis <= Metastasis.ITC:
        return None
    # The uncertainty holds how the size moves with the threshold, which no two maps have quite alike.
    low_um, high_um = sorted((core.diameter_uncertainty_um, found.diameter_uncertainty_um))
    moved_um, apart_in_that_um = found.diameter_um - core.diameter_um, high_um - low_um
    surely_um, perhaps_um = low_um - apart_in_that_um, high_um + apart_in_that_um
    near = [_near_limit(core, found, by_um) for by_um in (surely_um - moved_um, perhaps_um + moved_um)]
    if moved_um > apart_um or near not in ([2, 2], [0, 0]) or _parts(core) != _parts(found):
        return None
    return _Sure(_xy(place), core.diameter_um + surely_um, core.metastasis)


def _near_limit(core: Deposit, found: Deposit, by_um: float) -> int:
    """How many of the two are borderline if by_um is their uncertainty."""
    return sum(by_um > 0 and is_borderline(one.diameter_um, Micrometers(by_um)) for one in (core, found))


def _parts(deposit: Deposit) -> list[Metastasis]:
    """The classes of the parts that it may be two foci of, none where it has no waist."""
    waists = find_waists([deposit], joining_gap_um=Micrometers(0.0))
    return [classify(Micrometers(length_um)) for waist in waists for length_um in waist.parts_um]


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
