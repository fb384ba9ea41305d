"""A deposit that is called certain is there, in its class, on every map within the tolerance."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely.geometry import Point

from nodescan.domain.classification import Metastasis
from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Micrometers, Spacing
from nodescan.examination.second_look.certain import (
    Certainty,
    _certain,
    _LowDeposit,
    _within,
    certain_deposits,
    ends_of,
)
from nodescan.examination.second_look.decisive import END_DEVIATIONS, cells_about, decisive_cells
from nodescan.examination.second_look.fast_map import FastMap, PlaceUm, fast_map
from nodescan.imaging import segmentation
from nodescan.imaging.doubts import find_waists, gap_readings, larger_at_lower_threshold
from nodescan.imaging.outlines import PAD
from nodescan.imaging.segmentation import FoundFoci, SegmentationSettings, find_deposits, find_foci
from nodescan.imaging.sizing import to_shape
from tests.examination.second_look.test_decisive import SETTINGS, all_fast, off, rough_map, rules
from tests.imaging.planted import CELL_UM, coverage, disc, either
from tests.patients.made_reports import disc as made_disc

RULE = DecisionRule(40.0, 0.6, 0.8, (), 8.0)
TOLERANCE = 0.03
SQUARE = Spacing.square(CELL_UM)


def nowhere(_: Deposit) -> bool:
    """No edge of the scan is near."""
    return False


def certainty(known: FastMap, settings: SegmentationSettings = SETTINGS) -> Certainty:
    """Of a slide that no edge cuts into, and all of which was examined."""
    return certain_deposits(known, settings, cut_off=nowhere, borders=None)


def at(place: PlaceUm, deposits: tuple[Deposit, ...]) -> Deposit | None:
    return next((found for found in deposits if to_shape(found.outline).covers(Point(place))), None)


def test_a_large_deposit_is_certain_and_one_on_a_limit_is_not() -> None:
    """0.9 mm is a micrometastasis whatever the errors, and so is one of 2,000 um that is borderline with any errors; at
    1,970 um they say whether it is borderline, and 0.2 mm may be isolated cells."""
    for diameter_um, certain in ((2000, 2), (1970, 1)):
        map_ = coverage(either(disc((900, 900), 900), disc((3000, 1600), diameter_um)), (180, 270), SQUARE)
        assert len(certainty(all_fast(map_, RULE, TOLERANCE)).places) == certain
    (place,) = certainty(all_fast(map_, RULE, TOLERANCE)).places
    assert np.hypot(place[0] - 900, place[1] - 900) < 50
    small = coverage(disc((900, 900), 220), (120, 120), SQUARE)
    assert find_deposits(small, RULE, SETTINGS)
    assert certainty(all_fast(small, RULE, TOLERANCE)).places == ()


@pytest.mark.parametrize(("line_um", "certain"), [(1300.0, True), (1350.0, False), (1400.0, True)])
def test_a_deposit_that_may_or_may_not_be_cut_off_is_not_certain(line_um: float, certain: bool) -> None:
    """Its outline runs near 1,350 um, by 5 um more or less at either threshold."""

    def at_edge(deposit: Deposit) -> bool:
        return bool(to_shape(deposit.outline).bounds[2] >= line_um)

    map_ = coverage(disc((900, 900), 900), (120, 120), SQUARE)
    bends = replace(RULE, threshold=0.5)
    found = certain_deposits(all_fast(map_, bends, TOLERANCE), SETTINGS, cut_off=at_edge, borders=None)
    assert bool(found.places) is certain


def test_a_deposit_that_is_cut_off_is_certain_as_far_from_a_limit_as_it_is_then_sure() -> None:
    """1.94 mm, with 8 um and 40 um of smoothing, is 60 um off the limit for the one and not for the other."""
    map_ = coverage(disc((1200, 1200), 1940), (160, 160), SQUARE)
    found = [
        certain_deposits(
            all_fast(map_, replace(RULE, threshold=0.5), 0.005), SETTINGS, cut_off=lambda _, cut=cut: cut, borders=None
        ).places
        for cut in (False, True)
    ]
    assert [len(places) for places in found] == [1, 0]


@given(st.integers(0, 200))
@settings(max_examples=20)
def test_with_exact_values_at_both_ends_a_length_is_as_good_as_exact(seed: int) -> None:
    """A bar of 1.2 mm, longest along its own diagonals, off by 1.4 um as it is; another deposit, which isn't asked for,
    is left alone."""
    bar, aside = coverage(either(disc((700, 700), 300), disc((1600, 700), 300)), (110, 300), SQUARE), (3500.0, 700.0)
    values = np.maximum(bar.values, coverage(disc(aside, 500), (110, 300), SQUARE).values)
    values[36:54, 45:103] = 1.0
    true = replace(bar, values=values)
    fast = off(true, 0.02, seed)
    place = (1150.0, 700.0)
    near = cells_about(ends_of(fast, RULE, SETTINGS, [place]), PAD, fast, RULE, deviations=END_DEVIATIONS)
    assert 0 < np.count_nonzero(near) < near.size / 2
    assert not near[:, 200:].any()
    mixed = replace(fast, values=np.where(near, true.values, fast.values))
    lengths = [at(place, find_deposits(map_, RULE, SETTINGS)) for map_ in (mixed, true)]
    assert lengths[0] is not None
    assert lengths[1] is not None
    assert lengths[0].diameter_um == pytest.approx(lengths[1].diameter_um, abs=0.05)


def test_two_parts_across_a_weak_bridge_are_not_certain() -> None:
    """Whether they are one deposit of 1.5 mm or two of 0.6 hangs on cells near the threshold."""

    def bridged(level: float) -> ProbabilityMap:
        parts = coverage(either(disc((800, 800), 600), disc((1700, 800), 600)), (110, 170), SQUARE)
        values = parts.values.copy()
        values[44:58, 60:100] = np.maximum(values[44:58, 60:100], level)
        return replace(parts, values=values)

    sizes = [find_deposits(bridged(level), RULE, SETTINGS)[0].diameter_um for level in (0.4, 0.95)]
    assert sizes[0] < 700
    assert sizes[1] > 1400
    certain = [len(certainty(all_fast(bridged(level), RULE, TOLERANCE)).places) for level in (0.0, 0.6, 0.95)]
    assert certain == [2, 0, 1]


def test_a_slide_without_a_large_deposit_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of isolated tumour cells none is certain, so what they are at other thresholds needs no answer.

    With a larger one each of three thresholds is traced once: at the higher one both seed thresholds have the same
    outlines.
    """
    traced: list[float] = []
    trace_foci = segmentation.trace_foci

    def counting(
        smoothed: NDArray[np.float32], probability: ProbabilityMap, rule: DecisionRule, **how: object
    ) -> object:
        traced.append(rule.threshold)
        return trace_foci(smoothed, probability, rule, **how)

    monkeypatch.setattr(segmentation, "trace_foci", counting)
    for diameter_um, times in ((150, 1), (900, 3)):
        traced.clear()
        map_ = coverage(disc((900, 900), diameter_um), (120, 120), SQUARE)
        certainty(all_fast(map_, RULE, TOLERANCE))
        assert len(traced) == times


def test_nothing_is_certain_where_foci_are_joined_across_a_gap() -> None:
    """What is joined hangs on distances between outlines."""
    map_ = coverage(disc((900, 900), 900), (120, 120), SQUARE)
    assert certainty(all_fast(map_, RULE, TOLERANCE)).places
    assert certainty(all_fast(map_, RULE, TOLERANCE), replace(SETTINGS, joining_gap_um=50.0)).places == ()


def by_gap(foci: FoundFoci) -> list[Metastasis]:
    return [reading.metastasis for reading in gap_readings(foci, found=foci.deposits())]


def parts_in(foci: FoundFoci) -> list[tuple[int, float]]:
    """How many deposits are parts of a longer one, and how long that is."""
    wholes = larger_at_lower_threshold(foci, found=foci.deposits())
    return [(len(whole.deposit_ids), whole.diameter_um) for whole in wholes]


def without_doubts(
    true: ProbabilityMap, fast: ProbabilityMap, rule: DecisionRule, tolerance: float
) -> tuple[FastMap, NDArray[np.bool_], tuple[PlaceUm, ...]]:
    """The fast map with exact values about what is in doubt, where these are, and what is certain then."""
    exact = np.zeros_like(fast.examined)
    for cells in (1, 3, 6):
        mixed = replace(fast, values=np.where(exact, true.values, fast.values))
        known = fast_map(mixed, rule, tolerance, exact)
        exact = exact | cells_about(certainty(known).doubts, cells, known.probability, known.rule)
    mixed = replace(fast, values=np.where(exact, true.values, fast.values))
    known = fast_map(mixed, rule, tolerance, exact)
    return known, exact, certainty(known).places


@pytest.mark.parametrize(("bridge", "deposits"), [(0.49, 2), (0.62, 1)])
def test_exact_values_about_a_doubt_make_a_deposit_certain(bridge: float, deposits: int) -> None:
    """Does a piece of 0.12 mm hang together with a deposit of 2.6 mm, at the threshold or at the lowered one? Two cells
    in a hundred say so; as many on the deposit's other side don't."""
    rule = replace(RULE, smoothing_um=0.0)
    true = coverage(either(disc((1500, 1500), 2600), disc((2905, 1500), 120)), (200, 230), SQUARE)
    row, column = int(1500 / CELL_UM), int(2822 / CELL_UM)
    gap = true.values[row - 1 : row + 2, column - 3 : column + 4]
    np.maximum(gap, np.float32(bridge), out=gap)
    fast = off(true, 0.045, 1)
    first = certainty(all_fast(fast, rule, 0.05))
    assert first.places == ()
    assert first.doubts
    known, exact, certain = without_doubts(true, fast, rule, 0.05)
    assert len(find_deposits(known.probability, rule, SETTINGS)) == deposits
    assert len(certain) == 1
    assert 0 < np.count_nonzero(exact) < exact.size / 50
    elsewhere = fast_map(fast, rule, 0.05, exact[:, ::-1])
    assert certainty(elsewhere).places == ()


def bar_with(beside: Callable[[NDArray[np.int_], NDArray[np.int_]], NDArray[np.float64]]) -> ProbabilityMap:
    """A bar of 1.4 mm, and what lies beside it on the map's cells: the higher value of both."""
    rows, columns = np.ogrid[:110, :130]
    bar = np.where((abs(rows - 45) <= 10) & (abs(columns - 50) <= 45), 0.9, 0.02)
    values = np.maximum(bar, beside(rows, columns)).astype(np.float32)
    values[45, 50] = 0.99
    return ProbabilityMap(values, np.ones(values.shape, np.bool_), SQUARE)


def ring_about_an_island(bridge: float) -> ProbabilityMap:
    """Its deepest point, once holes are filled, lies in an island that reaches no seed threshold."""

    def beside(rows: NDArray[np.int_], columns: NDArray[np.int_]) -> NDArray[np.float64]:
        out = np.maximum(abs(rows - 65), abs(columns - 50))
        ring = np.where(out == 4, 0.9, np.where(out <= 1, 0.6, 0.0))
        return np.where((rows > 55) & (rows < 61) & (columns == 50), bridge, ring)

    return bar_with(beside)


def thread(bridge: float) -> ProbabilityMap:
    """One cell wide and 0.3 mm long: the size correction takes it out of the outline of bar and thread."""

    def beside(rows: NDArray[np.int_], columns: NDArray[np.int_]) -> NDArray[np.float64]:
        alone = np.where((rows > 57) & (rows < 77) & (columns == 50), 0.66, 0.0)
        return np.where((rows > 55) & (rows < 58) & (columns == 50), bridge, alone)

    return bar_with(beside)


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (ring_about_an_island, DecisionRule(0.0, 0.5, 0.7, (), 8.0)),
        (thread, DecisionRule(0.0, 0.5, 0.6, ((84.7, 100.0), (207.5, 199.0)), 8.0)),
    ],
)
@pytest.mark.parametrize(("bridge", "deposits"), [(0.49, 2), (0.51, 1)])
@pytest.mark.parametrize("off_by", [-0.027, 0.027])
def test_a_piece_beside_a_certain_deposit_is_one_of_its_own_only_if_it_is_in_truth(
    made: Callable[[float], ProbabilityMap],
    rule: DecisionRule,
    bridge: float,
    deposits: int,
    off_by: float,
) -> None:
    """Whatever fast answers say of the bridge between them."""
    true = made(bridge)
    fast = replace(true, values=np.clip(true.values + np.float32(off_by), 0, 1))
    known, exact, certain = without_doubts(true, fast, rule, 0.03)
    exact |= decisive_cells(known, certain=certain)
    mixed = replace(fast, values=np.where(exact, true.values, fast.values))
    assert len(find_deposits(true, rule, SETTINGS)) == deposits
    assert len(find_deposits(mixed, rule, SETTINGS)) == deposits


BORDERED = DecisionRule(0.0, 0.6, 0.8, (), 8.0)


def piece_along_the_border(piece: float, bridge: float) -> NDArray[np.float32]:
    """A bar of 1.2 mm, and a piece in the map's first row that hangs on it by a bridge of one cell."""
    values = np.zeros((22, 92), dtype=np.float32)
    values[6:16, 5:85] = 1.0
    values[1:6, 45] = bridge
    values[0, 43:48] = piece
    return values


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("beyond", [0, 3])
def test_a_piece_along_the_border_that_may_be_a_deposit_of_its_own_leaves_nothing_certain(
    turns: int, beyond: int
) -> None:
    """Whichever border of the map it lies along, or whether some cells there were not examined."""
    for piece, certain in ((0.0, 1), (0.9, 0)):
        values = piece_along_the_border(piece, bridge=0.6 if piece else 0.0)
        values = np.rot90(np.pad(values, ((beyond, 0), (0, 0))), turns).copy()
        examined = np.ones(values.shape, np.bool_)
        np.rot90(examined, -turns)[:beyond] = False
        assert len(certainty(all_fast(ProbabilityMap(values, examined, SQUARE), BORDERED, TOLERANCE)).places) == certain


def test_a_deposit_along_the_border_parts_as_the_exact_map_says() -> None:
    """Where fast answers say 0.61 of a bridge and exact ones 0.59, there are two deposits."""
    values = piece_along_the_border(0.9, bridge=0.59)
    true = ProbabilityMap(values, np.ones(values.shape, np.bool_), SQUARE)
    fast = replace(true, values=piece_along_the_border(0.9, bridge=0.61))
    known, exact, certain = without_doubts(true, fast, BORDERED, TOLERANCE)
    exact |= decisive_cells(known, certain=certain)
    mixed = replace(fast, values=np.where(exact, true.values, fast.values))
    found, expected = (find_deposits(map_, BORDERED, SETTINGS) for map_ in (mixed, true))
    assert len(expected) == 2
    assert [deposit.metastasis for deposit in found] == [deposit.metastasis for deposit in expected]


@pytest.mark.parametrize("half_width_cells", [22.9, 23.1, 23.2, 23.4])
@pytest.mark.parametrize("off_by", [-0.02997, 0.02997])
def test_whether_a_deposit_may_be_two_foci_is_told_by_exact_values(half_width_cells: float, off_by: float) -> None:
    """Two discs of 0.93 mm run together: the whole has the waist, or none, that it has in truth (imaging/doubts.py)."""
    rows, columns = np.ogrid[:120, :190]
    discs = (np.hypot(rows - 60, columns - 95 - aside) - 30 for aside in (-38, 38))
    neck = np.maximum(abs(rows - 60) - half_width_cells, abs(columns - 95) - 38)
    values = np.clip(0.5 - np.minimum.reduce([*discs, neck]) / 6, 0.02, 0.97).astype(np.float32)
    values[60, 57] = 0.99
    true, rule = ProbabilityMap(values, np.ones(values.shape, np.bool_), SQUARE), DecisionRule(0.0, 0.5, 0.7, (), 8.0)
    fast = replace(true, values=np.clip(values + np.float32(off_by), 0, 1))
    known, exact, certain = without_doubts(true, fast, rule, 0.03)
    exact |= decisive_cells(known, certain=certain)
    mixed = replace(fast, values=np.where(exact, values, fast.values))
    waists = [find_waists(find_deposits(map_, rule, SETTINGS), joining_gap_um=0.0) for map_ in (mixed, true)]
    assert len(waists[0]) == len(waists[1])


@example(rule=replace(RULE, smoothing_um=0.0, threshold=0.2, seed_threshold=0.3), seed=228, tolerance=0.03)
@example(  # one that is borderline by 0.2 um of its uncertainty
    rule=DecisionRule(0.0, 0.2, 0.3, ((84.7, 100.0), (207.5, 199.0)), 12.0), seed=65535, tolerance=0.005
)
@example(  # a core's outline that bends near the true one
    rule=DecisionRule(0.0, 0.2, 0.5, ((84.7, 100.0), (207.5, 199.0)), 12.0), seed=5513, tolerance=0.005
)
@example(  # two deposits whose cells meet in a corner, of which one is certain
    rule=replace(RULE, smoothing_um=0.0, threshold=0.2, seed_threshold=0.3), seed=2537, tolerance=0.005
)
@example(  # one that is certain and off by more than one and a half of the two cells it may be
    rule=replace(RULE, smoothing_um=0.0, threshold=0.2, seed_threshold=0.2 + 0.1), seed=623336, tolerance=0.005
)
@given(rule=rules, seed=st.integers(0, 10**6), tolerance=st.sampled_from([0.005, 0.03]))
@settings(deadline=None, max_examples=15)
def test_classes_are_those_of_the_exact_map(rule: DecisionRule, seed: int, tolerance: float) -> None:
    """With certain deposits left as they are, but for the places that made them certain, and all else exact: as many of
    each class, and the same for every gap."""
    true = rough_map(seed, rule)
    fast = off(true, tolerance, seed)
    known, exact, certain = without_doubts(true, fast, rule, tolerance)
    exact |= decisive_cells(known, certain=certain)
    mixed = replace(fast, values=np.where(exact, true.values, fast.values))
    foci, true_foci = (find_foci(map_, rule, SETTINGS) for map_ in (mixed, true))
    found, expected = foci.deposits(), true_foci.deposits()
    assert sorted(d.metastasis for d in found) == sorted(d.metastasis for d in expected)
    assert [d.borderline for d in found].count(True) == [d.borderline for d in expected].count(True)
    assert by_gap(foci) == by_gap(true_foci)
    assert parts_in(foci) == parts_in(true_foci)
    for place in certain:
        one, other = at(place, found), at(place, expected)
        assert one is not None
        assert other is not None
        assert one.diameter_um == pytest.approx(other.diameter_um, abs=2 * max(true.spacing.x, true.spacing.y))


@pytest.mark.parametrize("seed", range(3))
def test_rounding_moves_a_certain_size_by_less_than_a_micrometre(seed: int) -> None:
    """Errors as eight bits make them, to both sides and of 0.006 about a probability of a half."""
    true = coverage(either(disc((1200, 1200), 900), disc((3200, 2300), 2600)), (260, 320), SQUARE)
    values = np.clip(true.values, 0.02, 0.98)
    noise = np.random.default_rng(seed).normal(-0.001, 0.006, values.shape) * 4 * values * (1 - values)
    fast = replace(true, values=(values + noise).astype(np.float32))
    places = certainty(all_fast(fast, RULE, TOLERANCE)).places
    assert len(places) == 2
    exact = find_deposits(replace(true, values=values), RULE, SETTINGS)
    found = find_deposits(fast, RULE, SETTINGS)
    for one, other in zip(found, exact, strict=True):
        assert abs(one.diameter_um - other.diameter_um) < 1


def sized(diameter_um: float, uncertainty_um: float = 5.0, *, found: Metastasis | None = None) -> Deposit:
    """A disc about (3000, 3000)."""
    made = made_disc(1, diameter_um, (3000.0, 3000.0))
    return replace(
        made,
        diameter_uncertainty_um=Micrometers(uncertainty_um),
        metastasis=made.metastasis if found is None else found,
    )


MIDDLE, ASIDE = Point(3000, 3000), Point(6000, 3000)


def test_a_deposit_holds_exactly_one_core_to_be_certain() -> None:
    """With none, or two, or one that may not be a deposit at all, small errors decide how many there are."""
    whole, core = sized(900), sized(895)
    for cores, certain in (
        ([_LowDeposit(core, MIDDLE)], True),
        ([_LowDeposit(core, MIDDLE), _LowDeposit(core, ASIDE)], True),
        ([], False),
        ([_LowDeposit(core, ASIDE)], False),
        ([_LowDeposit(core, MIDDLE), _LowDeposit(core, Point(3100, 3000))], False),
        ([_LowDeposit(core, MIDDLE), _LowDeposit(None, Point(3100, 3000))], False),
        ([_LowDeposit(None, MIDDLE)], False),
    ):
        sure = _certain(whole, _within(whole, cores), 30.0)
        assert (sure and sure.place) == ((3000, 3000) if certain else None)


def test_a_class_is_certain_where_both_thresholds_give_one_above_isolated_cells() -> None:
    """Cells of a smaller deposit are counted, and that takes its exact outline."""
    for found, of_core, certain in (
        (Metastasis.MICRO, Metastasis.MICRO, True),
        (Metastasis.MACRO, Metastasis.MACRO, True),
        (Metastasis.MACRO, Metastasis.MICRO, False),
        (Metastasis.ITC, Metastasis.ITC, False),
    ):
        cores = [_LowDeposit(sized(895, found=of_core), MIDDLE)]
        assert (_certain(sized(900, found=found), cores, 30.0) is not None) is certain


@pytest.mark.parametrize(("of_whole_um", "of_core_um"), [(50.0, 30.0), (30.0, 50.0)])
@pytest.mark.parametrize(
    ("whole_um", "certain"), [(1921.0, False), (1919.0, True), (290.0, False), (291.0, True), (2090.0, False)]
)
def test_a_size_is_certain_as_far_from_a_limit_as_it_may_move(
    whole_um: float, of_whole_um: float, of_core_um: float, certain: bool
) -> None:
    """By the larger uncertainty, 50 um, by what the two differ in that, 20, and in size, 10."""
    cores = [_LowDeposit(sized(whole_um - 10, of_core_um), MIDDLE)]
    assert (_certain(sized(whole_um, of_whole_um), cores, 30.0) is not None) is certain


@pytest.mark.parametrize(("apart_um", "certain"), [(10.0, True), (9.9, False)])
def test_a_size_that_hangs_on_single_cells_is_not_certain(apart_um: float, certain: bool) -> None:
    """It then differs by more between the two thresholds than cells are wide."""
    assert (_certain(sized(900), [_LowDeposit(sized(890), MIDDLE)], apart_um) is not None) is certain


def test_nothing_is_certain_where_a_joining_gap_gives_another_class_at_either_threshold() -> None:
    """Two bars of 1.1 mm about 50 um apart are each certain, but whether joined across 50 um isn't."""

    def apart(gap_um: float) -> int:
        def bars(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
            beside = abs(x - 1400) - gap_um / 2
            return (beside >= 0) & (beside <= 1100) & (abs(y - 400) <= 150)

        map_ = coverage(bars, (52, 180), SQUARE)
        return len(certainty(all_fast(map_, replace(RULE, smoothing_um=0.0), 0.1)).places)

    found = [apart(gap_um) for gap_um in (38.0, 44.0, 47.0, 50.0, 53.0, 56.0, 62.0, 110.0)]
    assert found[-1] == 2
    assert 0 in found
    assert set(found) == {0, 2}
