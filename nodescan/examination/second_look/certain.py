"""Certain deposits, which exist and keep their class whatever the small errors of the fast map: step 5."""

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
from nodescan.imaging.doubts import find_waists, parts_of, pieces_step, unsure_um
from nodescan.imaging.outlines import threshold_step
from nodescan.imaging.segmentation import FoundFoci, SegmentationSettings, find_deposits
from nodescan.imaging.sizing import to_shape

_MOST_APART_CELLS = 2.0
"""Between lowest and highest values a diameter differs by 10 to 25 um. If it differs more, it depends on single
cells."""


@dataclass(frozen=True, slots=True)
class Certainty:
    """places: one in each certain deposit. doubts: places at which exact values may make more deposits certain."""

    places: tuple[PlaceUm, ...]
    doubts: tuple[PlaceUm, ...]


def certain_deposits(
    known: FastMap,
    settings: SegmentationSettings,
    *,
    cut_off: Callable[[Deposit], bool],
    borders: Callable[[Deposit], bool] | None,
) -> Certainty:
    """The deposits that surely exist on the true map and surely have the class found, and places that leave others
    open.

    The true map lies between the lowest and the highest values (FastMap). A deposit is certain if all of this holds:

    1. It is found on the lowest and on the highest values, with the same class, above isolated tumour cells.
    2. Its two lengths are about the same, and so are the classes of its parts if it has a waist.
    3. It is borderline with both lengths, or with neither.
    4. It is cut off on both, or on neither.
    5. Its parts that could be deposits hang together on every possible true map.
    6. It can't be a part of a longer deposit on any of these maps (imaging/doubts.py).
    7. It doesn't border on tissue that wasn't examined.

    Its size may still differ a little. cut_off: whether an edge of the scan cuts a deposit off. borders: whether a
    deposit borders on tissue that wasn't examined; None: all was examined.
    """
    both = _low_and_high(known, settings)
    if both is None:
        return Certainty((), ())

    def marked(found: Deposit) -> Deposit:
        sized = found.metastasis > Metastasis.ITC  # no other is certain, and there may be hundreds
        return as_cut_off(found, known.rule) if sized and cut_off(found) else found

    lows = [replace(low, deposit=low.deposit and marked(low.deposit)) for low in both.lows]
    highs = [high for high in map(marked, both.highs) if high.metastasis > Metastasis.ITC]
    inner = [high for high in highs if borders is None or not borders(high)]
    sure, doubts = _judged(inner, lows, apart_um=_MOST_APART_CELLS * known.probability.spacing.mean)
    kept, outgrown = _no_parts(sure, both, known.rule)
    return Certainty(tuple(one.place for one in kept), (*doubts, *outgrown))


@dataclass(frozen=True, slots=True)
class _LowDeposit:
    """What is left of a deposit on the lowest values. place: its deepest point.

    deposit: None if it may be no deposit, because it is too small or below the seed threshold. component: the label of
    the component on the highest values that holds its deepest point, 0 if none does.
    """

    deposit: Deposit | None
    place: Point
    component: int = 0


@dataclass(frozen=True, slots=True)
class _LowAndHigh:
    """The smallest and the largest deposits possible; the true ones lie between.

    high_foci, highs: on the highest values that the true map may have. lows: what is left of them on the lowest values,
    even if it is very small, because it may be larger on the true map. What can't reach the seed threshold is left out.
    """

    high_foci: FoundFoci
    highs: tuple[Deposit, ...]
    lows: tuple[_LowDeposit, ...]


def _low_and_high(known: FastMap, settings: SegmentationSettings) -> _LowAndHigh | None:
    """None if no deposit can be certain.

    This is the case if there is no deposit above isolated tumour cells, if foci are joined over a gap, if the pattern
    of foci differs between the lowest and the highest values, or if outline threshold and seed threshold are too close
    together.
    """
    rule, tolerance, probability = known.rule, known.tolerance, known.probability
    low, high = rule.threshold - tolerance, rule.threshold + tolerance
    low_seed = rule.seed_threshold - tolerance
    if settings.joining_gap_um > 0 or low <= pieces_step(rule.threshold) or high > low_seed:
        return None
    foci = FoundFoci(known.highest, probability, rule=rule, settings=settings)
    highs = foci.deposits()
    if largest_class(highs) <= Metastasis.ITC:  # as on most slides: nothing more needs be traced
        return None
    faint = replace(rule, seed_threshold=rule.seed_threshold - 2 * tolerance)
    any_size = replace(settings, smallest_area_um2=SquareMicrometers(0))
    low_foci = FoundFoci(known.lowest, probability, rule=faint, settings=any_size)
    surely_foci = low_foci.of_seeds(rule.seed_threshold, smallest_area_um2=settings.smallest_area_um2)
    surely = surely_foci.deposits()
    if _patterns(foci, highs) != _patterns(surely_foci, surely):
        return None
    return _LowAndHigh(foci, highs, _that_may_count(low_foci, foci, surely))


def _that_may_count(low_foci: FoundFoci, high_foci: FoundFoci, surely: Sequence[Deposit]) -> tuple[_LowDeposit, ...]:
    """The low deposits that may reach the seed threshold on the true map, because a highest value near their cells
    does.

    surely: those that count as deposits even on the lowest values.
    """
    rule, probability, highest = high_foci.rule, high_foci.probability, high_foci.smoothed
    may_count = (low_foci.smoothed >= rule.threshold) & (highest >= rule.seed_threshold)
    components_of, _ = components(highest >= rule.threshold)
    sure_centres = {found.centre_um for found in surely}
    found: list[_LowDeposit] = []
    for low in low_foci.deposits():
        shape = to_shape(low.outline)
        left, top, right, bottom = shape.bounds
        (first, left_at), (last, right_at) = (cell_at(at, probability) for at in ((left, top), (right, bottom)))
        if may_count[max(0, first - 1) : last + 2, max(0, left_at - 1) : right_at + 2].any():
            place = _deepest(shape, probability.spacing.mean / 4)
            component = int(components_of[cell_at(_xy(place), probability)])
            found.append(_LowDeposit(low if low.centre_um in sure_centres else None, place, component))
    return tuple(found)


def _judged(
    highs: Sequence[Deposit], lows: Sequence[_LowDeposit], *, apart_um: float
) -> tuple[list["_Sure"], list[PlaceUm]]:
    """Deposits for which conditions 1 to 5 hold, and places at which exact values may make others certain."""
    sure: list[_Sure] = []
    doubts: list[PlaceUm] = []
    for high in highs:
        inside = _within(high, lows)
        if (one := _certain(high, inside, apart_um)) is not None:
            sure.append(one)
        else:
            doubts += _spots(high, inside, apart_um)
    return sure, doubts


def _within(high: Deposit, lows: Sequence[_LowDeposit]) -> list[_LowDeposit]:
    """The low deposits that belong, or may belong, to the high one.

    They lie within its outline or are in the same component as one that does: the outline is corrected, and so leaves
    out thin parts.
    """
    outline = to_shape(high.outline)
    covered = {id(low) for low in lows if outline.covers(low.place)}
    own = {low.component for low in lows if id(low) in covered} - {0}
    return [low for low in lows if id(low) in covered or low.component in own]


def _spots(high: Deposit, inside: Sequence[_LowDeposit], apart_um: float) -> list[PlaceUm]:
    """Places at which exact values may make the deposit certain.

    These are pieces that may be other deposits, and the ends of its diameter if these may not belong to it.
    """
    sure = [(low.deposit, low) for low in inside if low.deposit and low.deposit.metastasis > Metastasis.ITC]
    if not sure:
        return []
    largest, main = max(sure, key=lambda one: one[0].diameter_um)
    ends = high.endpoints_um if high.diameter_um - largest.diameter_um > apart_um else ()
    return [*(_xy(low.place) for low in inside if low is not main), *ends]


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
    """A certain deposit: a place in it, and the least possible sum of its size and uncertainty."""

    place: PlaceUm
    least_um: float
    metastasis: Metastasis


def _no_parts(sure: Sequence[_Sure], both: _LowAndHigh, rule: DecisionRule) -> tuple[list[_Sure], list[PlaceUm]]:
    """The deposits that can't be parts of a longer one, and the ends of the longer ones that the others may be parts
    of.

    Checked at both thresholds that doubts.py tries.
    """
    if not sure:
        return [], []
    joined = both.high_foci.at(rule.threshold - threshold_step(rule.threshold)).deposits()
    left, ends = _never_outgrown(sure, joined, lambda one: one.least_um)
    if len(both.highs) > 1 and any(one.metastasis is not Metastasis.MACRO for one in left):
        deep = both.high_foci.at(rule.threshold - pieces_step(rule.threshold)).deposits()
        several = [whole for whole, parts in zip(deep, parts_of(deep, both.highs), strict=True) if len(parts) > 1]
        off_um = unsure_um(rule, both.high_foci.probability.spacing)
        left, more = _never_outgrown(left, several, lambda one: one.metastasis.longest_um - off_um)
        ends += more
    return left, ends


def _never_outgrown(
    sure: Sequence[_Sure], wholes: Sequence[Deposit], most_um: Callable[[_Sure], float]
) -> tuple[list[_Sure], list[PlaceUm]]:
    """The deposits that are no part of a whole that may be longer than most_um on some map, and the ends of such
    wholes."""
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


def _certain(high: Deposit, inside: Sequence[_LowDeposit], apart_um: float) -> _Sure | None:
    """The deposit's place and least length if it is certain, else None. inside: see _within."""
    if len(inside) != 1:
        return None
    low, place = inside[0].deposit, inside[0].place
    if low is None or low.cut_off is not high.cut_off:
        return None
    if low.metastasis is not high.metastasis or high.metastasis <= Metastasis.ITC:
        return None
    # The uncertainty depends on how the size changes with the threshold, which differs a little between maps.
    less_um, more_um = sorted((low.diameter_uncertainty_um, high.diameter_uncertainty_um))
    moved_um, apart_in_that_um = high.diameter_um - low.diameter_um, more_um - less_um
    surely_um, perhaps_um = less_um - apart_in_that_um, more_um + apart_in_that_um
    near = [_near_limit(low, high, by_um) for by_um in (surely_um - moved_um, perhaps_um + moved_um)]
    if moved_um > apart_um or near not in ([2, 2], [0, 0]) or _parts(low) != _parts(high):
        return None
    return _Sure(_xy(place), low.diameter_um + surely_um, low.metastasis)


def _near_limit(low: Deposit, high: Deposit, by_um: float) -> int:
    """How many of the two are borderline if by_um is their uncertainty."""
    return sum(is_borderline(one.diameter_um, Micrometers(by_um)) for one in (low, high))


def _parts(deposit: Deposit) -> list[Metastasis]:
    """The classes of its two parts if it has a waist and so may be two foci, else none."""
    waists = find_waists([deposit], joining_gap_um=Micrometers(0.0))
    return [classify(Micrometers(length_um)) for waist in waists for length_um in waist.parts_um]


def _deepest(outline: BaseGeometry, step_um: float) -> Point:
    """The inner point farthest from the outline, to within the step. It also lies inside outlines at other
    thresholds."""
    circle = maximum_inscribed_circle([outline], tolerance=[step_um])  # from its centre to its rim
    return Point(get_coordinates(circle)[0])


def _xy(point: Point) -> PlaceUm:
    return point.x, point.y


def _patterns(foci: FoundFoci, deposits: Sequence[Deposit]) -> tuple[object, ...]:
    """The statements about all foci together: whether they are dispersed, and the class for each joining gap."""
    by_gap = [gap_reading(gap_um, foci.deposits(gap_um)).metastasis for gap_um in JOINING_GAPS_UM]
    return [flag.code for flag in dispersed_flags(deposits)], by_gap
