"""Planted deposits come back: as many, as large, as sure."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from nodescan.domain.classification import Metastasis
from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit
from nodescan.domain.maps import ProbabilityMap, TissueMask
from nodescan.domain.slide import BoundsUm
from nodescan.domain.units import Spacing
from nodescan.imaging.cutting import touches_edge, touches_unexamined
from nodescan.imaging.segmentation import FoundFoci, find_deposits, find_foci, smoothed_values
from nodescan.imaging.sizing import to_shape
from tests.imaging.planted import CELL_UM, PLAIN, coverage, disc, either, map_of, settings

SQUARE = Spacing.square(CELL_UM)


@pytest.mark.parametrize("diameter_um", [150, 190, 199, 201, 210])
def test_planted_discs_have_a_mean_bias_within_4_um(diameter_um, record_property):
    """clinical-rules 8: discs at random sub-pixel offsets come back with a mean bias within 4 um."""
    rng = np.random.default_rng(diameter_um)
    errors = []
    for offset in rng.uniform(0, CELL_UM, (25, 2)):
        planted = coverage(disc((160 + offset[0], 160 + offset[1]), diameter_um), (22, 22), SQUARE)
        (deposit,) = find_deposits(planted, PLAIN, settings())
        errors.append(deposit.diameter_um - diameter_um)
        assert abs(errors[-1]) <= deposit.diameter_uncertainty_um
    record_property("bias_um", float(np.mean(errors)))
    print(f"disc {diameter_um} um: bias {np.mean(errors):+.2f} um, scatter {np.std(errors):.2f} um")
    assert abs(np.mean(errors)) < 4


def test_disc_has_its_area_and_centre():
    """Area, centre and the ends of the diameter are those of the planted disc, in um from the canvas' corner."""
    (deposit,) = find_deposits(coverage(disc((400, 250), 300), (40, 50), SQUARE), PLAIN, settings())
    assert deposit.area_um2 == pytest.approx(math.pi * 150**2, rel=0.01)
    assert deposit.centre_um == pytest.approx((400, 250), abs=1)
    for end in deposit.endpoints_um:
        assert math.dist(end, (400, 250)) == pytest.approx(150, abs=3)
    assert math.dist(*deposit.endpoints_um) == pytest.approx(deposit.diameter_um)
    assert deposit.metastasis is Metastasis.MICRO
    assert deposit.cells is None


def test_spacing_may_differ_in_x_and_y():
    """On cells of 10 x 16 um a disc measures its diameter, not an ellipse."""
    (deposit,) = find_deposits(coverage(disc((300, 320), 300), (40, 60), Spacing(10, 16)), PLAIN, settings())
    assert deposit.diameter_um == pytest.approx(300, abs=4)
    assert deposit.area_um2 == pytest.approx(math.pi * 150**2, rel=0.02)


def test_crescent_is_as_long_as_its_ends_are_apart():
    """A subcapsular half ring of radius 800 um is 1.6 mm: a micrometastasis, which the ellipse axis calls macro."""

    def crescent(x, y):
        radius = np.hypot(x - 900, y - 900)
        return (radius <= 800) & (radius >= 700) & (y >= 900)

    (deposit,) = find_deposits(coverage(crescent, (115, 116), SQUARE), PLAIN, settings())
    assert deposit.diameter_um == pytest.approx(1600, abs=6)
    assert deposit.metastasis is Metastasis.MICRO


blobs = st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(
    lambda shape: arrays(
        np.float32, shape, elements=st.sampled_from(np.float32([0.0, 0.2, 0.45, 0.55, 0.8, 1.0]).tolist())
    )
)


def brute_force(probability: ProbabilityMap, factor: int) -> list[float]:
    """Greatest extents of the components that the bilinear map shows, drawn over a fine grid of the whole map."""
    padded = np.pad(probability.values.astype(float), 3)
    rows = np.linspace(0, padded.shape[0] - 1, (padded.shape[0] - 1) * factor + 1)
    columns = np.linspace(0, padded.shape[1] - 1, (padded.shape[1] - 1) * factor + 1)
    fine = ndimage.map_coordinates(padded, np.meshgrid(rows, columns, indexing="ij"), order=1)
    labels, count = ndimage.label(fine >= 0.5, structure=np.ones((3, 3)))
    longest = []
    for label in range(1, count + 1):
        points = np.argwhere(labels == label) / factor * CELL_UM
        longest.append(max(np.linalg.norm(points - point, axis=1).max() for point in points))
    return sorted(longest, reverse=True)


@given(values=blobs)
@hypothesis_settings(max_examples=40, deadline=None)
def test_small_blobs_equal_brute_force(values):
    """As many components, each as long, as on one fine grid over the whole map, to a fine pixel at both ends."""
    framed = map_of(np.pad(values, 1))
    found = find_deposits(framed, PLAIN, settings(fill_holes=False, grid_um=2.0))
    expected = brute_force(framed, factor=8)
    assert len(found) == len(expected)
    fine_um = 2 * math.sqrt(2) * CELL_UM / 8
    for deposit, longest in zip(found, expected, strict=True):
        assert longest - 1e-3 <= deposit.diameter_um <= longest + fine_um


@given(values=blobs, down=st.integers(0, 5), right=st.integers(0, 5), turns=st.integers(0, 3))
@hypothesis_settings(max_examples=30, deadline=None)
def test_size_is_invariant_under_translation_and_quarter_turns(values, down, right, turns):
    """Where a deposit lies on the map, at its very border too, and how it is turned do not change its size."""
    plain = find_deposits(map_of(np.pad(values, 2)), PLAIN, settings())
    moved = np.rot90(np.pad(values, ((2 + down, 2), (2 + right, 3))), turns)
    again = find_deposits(map_of(np.ascontiguousarray(moved)), PLAIN, settings())
    assert [d.diameter_um for d in again] == pytest.approx([d.diameter_um for d in plain])
    uncertainties = [
        sorted(d.diameter_uncertainty_um for d in found) for found in (again, plain)
    ]  # of equal sizes, too
    assert uncertainties[0] == pytest.approx(uncertainties[1])


@given(factor=st.floats(0.4, 3))
@hypothesis_settings(max_examples=15, deadline=None)
def test_size_scales_with_spacing(factor):
    """The same map on cells twice as large shows deposits twice as long, and four times as large."""
    values = coverage(disc((160, 160), 180), (20, 20), SQUARE).values
    small = find_deposits(map_of(values, 10.0), PLAIN, settings(grid_um=1.25))[0]
    large = find_deposits(map_of(values, 10.0 * factor), PLAIN, settings(grid_um=1.25 * factor))[0]
    assert large.diameter_um == pytest.approx(small.diameter_um * factor, rel=1e-4)
    assert large.area_um2 == pytest.approx(small.area_um2 * factor**2, rel=1e-4)


def test_a_cell_on_the_border_of_the_map_ends_where_the_map_ends():
    """A map that is tumour all over is as long as its diagonal (its corners rounded by less than a cell)."""
    (deposit,) = find_deposits(map_of(np.ones((30, 40))), PLAIN, settings())
    left, top, right, bottom = to_shape(deposit.outline).bounds
    assert (left, top, right, bottom) == pytest.approx((0, 0, 40 * CELL_UM, 30 * CELL_UM), abs=0.01)
    assert deposit.diameter_um == pytest.approx(50 * CELL_UM, abs=CELL_UM)


def test_two_foci_30_um_apart_stay_two_and_join_across_50_um():
    """clinical-rules 2: sizes are never added up; a stated gap joins, and then the whole is measured as one."""
    two = coverage(either(disc((200, 200), 150), disc((380, 200), 150)), (26, 40), SQUARE)
    apart = find_deposits(two, PLAIN, settings())
    assert [d.diameter_um for d in apart] == pytest.approx([150, 150], abs=4)
    assert [d.id for d in apart] == [1, 2]
    (together,) = find_deposits(two, PLAIN, settings(joining_gap_um=50))
    assert together.diameter_um == pytest.approx(330, abs=4)
    assert len(together.outline) == 2
    assert together.area_um2 == pytest.approx(sum(d.area_um2 for d in apart))
    assert together.metastasis is Metastasis.MICRO


def test_the_gap_is_that_between_the_outlines():
    """Two squares exactly 2 cells apart, edge to edge, join at that gap and not at one a hair smaller."""
    values = np.zeros((9, 14))
    values[2:7, 2:6] = values[2:7, 8:12] = 1
    gap_um = 2 * CELL_UM
    assert len(find_deposits(map_of(values), PLAIN, settings(joining_gap_um=gap_um - 0.01))) == 2
    assert len(find_deposits(map_of(values), PLAIN, settings(joining_gap_um=gap_um + 0.01))) == 1


def test_cells_that_meet_in_a_corner_are_one_where_the_map_between_them_says_so():
    """Diagonal neighbours are one deposit if the bilinear map reaches the threshold between them, else two."""
    values = np.zeros((6, 6))
    values[1:3, 1:3] = values[3:5, 3:5] = 1.0
    assert len(find_deposits(map_of(values), PLAIN, settings())) == 1  # the saddle is exactly 0.5
    values[values == 1] = 0.95
    assert len(find_deposits(map_of(values), PLAIN, settings())) == 2


def test_hysteresis_keeps_only_what_reaches_the_seed():
    """A component that stays below the seed threshold is no deposit; one float above, it is, with its whole outline."""
    rule = DecisionRule(0.0, 0.4, 0.75, (), 0.0)
    values = np.zeros((8, 8), dtype=np.float32)
    values[2:6, 2:6] = 0.6
    values[3, 3] = np.nextafter(np.float32(0.75), np.float32(0))
    assert find_deposits(map_of(values), rule, settings()) == ()
    values[3, 3] = 0.75
    (deposit,) = find_deposits(map_of(values), rule, settings())
    assert deposit.area_um2 > 12 * CELL_UM**2  # the whole plateau, far more than the one cell that seeds it


@hypothesis_settings(max_examples=40)
@given(
    arrays(np.float32, (9, 11), elements=st.sampled_from([np.float32(v) for v in (0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)])),
    st.sampled_from([0.6, 0.75, 0.8]),
    st.sampled_from([0.0, 2000.0]),
    st.booleans(),
)
def test_foci_of_a_higher_seed_threshold_are_those_that_are_traced_with_it(
    values: NDArray[np.float32], seed: float, smallest_area_um2: float, fill_holes: bool
) -> None:
    """To the bit, holes and what lies in them included, whichever are asked for first and over whichever gap."""
    map_ = map_of(np.pad(values, 1))
    with_holes = replace(settings(smallest_area_um2=smallest_area_um2), fill_holes=fill_holes)
    traced = find_foci(map_, replace(PLAIN, seed_threshold=seed), with_holes)
    lower = find_foci(map_, replace(PLAIN, seed_threshold=0.5), replace(with_holes, smallest_area_um2=0.0))
    taken = lower.of_seeds(seed, smallest_area_um2=smallest_area_um2)
    for gap_um in (0.0, 40.0):
        assert exactly(taken.deposits(gap_um)) == exactly(traced.deposits(gap_um))


def faint_and_strong() -> FoundFoci:
    """Of a long focus that is faint and a short one that is strong, 2 cells off."""
    values = np.zeros((12, 20), dtype=np.float32)
    values[2:4, 2:12] = 0.6
    values[6:9, 2:5] = 0.9
    return find_foci(map_of(values), PLAIN, settings())


@pytest.mark.parametrize("lower_first", [True, False])
def test_sizes_that_are_known_are_not_taken_for_those_of_fewer_foci(lower_first: bool) -> None:
    """The strong focus alone has its own size and probability, whichever seed threshold is asked for first."""
    lower = faint_and_strong()
    if lower_first:
        assert len(lower.deposits()) == 2
    (strong,) = lower.of_seeds(0.8, smallest_area_um2=0.0).deposits()
    assert strong.probability_max == pytest.approx(0.9)
    assert [found.probability_max for found in lower.deposits()] == pytest.approx([0.6, 0.9])


def test_a_joined_deposit_is_as_probable_as_its_likeliest_focus():
    """Its maximum is that of all its foci, its mean that of all their cells."""
    (joined,) = faint_and_strong().deposits(joining_gap_um=100.0)
    assert joined.probability_max == pytest.approx(0.9)
    assert joined.probability_mean == pytest.approx((20 * 0.6 + 9 * 0.9) / 29)


def exactly(deposits: tuple[Deposit, ...]) -> list[tuple[Deposit, bytes]]:
    """All that is known of deposits, to the bit."""
    return [(replace(found, outline=()), to_shape(found.outline).wkb) for found in deposits]


def test_threshold_is_reached_at_the_threshold():
    """Cells exactly at the threshold are tumour, the next float below is not."""
    values = np.full((5, 5), 0.3, dtype=np.float32)
    rule = DecisionRule(0.0, 0.3, 0.3, (), 0.0)
    assert len(find_deposits(map_of(values), rule, settings())) == 1
    below = np.nextafter(values, np.float32(0))
    assert find_deposits(map_of(below), rule, settings()) == ()


def test_smallest_area_is_a_limit_on_what_the_map_shows():
    """A component is dropped only if it is smaller than the limit."""
    planted = coverage(disc((100, 100), 60), (13, 13), SQUARE)
    (deposit,) = find_deposits(planted, PLAIN, settings())
    assert len(find_deposits(planted, PLAIN, settings(smallest_area_um2=deposit.area_um2))) == 1
    above = math.nextafter(deposit.area_um2, math.inf)
    assert find_deposits(planted, PLAIN, settings(smallest_area_um2=above)) == ()


@pytest.mark.parametrize(("cells", "kept"), [(12, False), (14, True)])
def test_no_area_drops_what_is_longer_than_isolated_tumour_cells(cells: int, kept: bool):
    """A row of cells of 15.55 um just above the threshold is a thread of less than the least area."""
    values = np.zeros((7, 24), dtype=np.float32)
    values[3, 4 : 4 + cells] = 0.51
    rule = DecisionRule(0.0, 0.5, 0.5, (), 0.0)
    spacing = Spacing.square(15.55)
    thread = ProbabilityMap(values, np.ones(values.shape, dtype=np.bool_), spacing)
    (whole,) = find_deposits(thread, rule, settings())
    assert whole.area_um2 < 700
    assert (whole.diameter_um > 200) == kept
    assert len(find_deposits(thread, rule, settings(smallest_area_um2=700.0))) == kept


def ring_with_island():
    def ring(x, y):
        radius = np.hypot(x - 300, y - 300)
        return (radius <= 250) & (radius >= 150)

    return coverage(either(ring, disc((300, 300), 60)), (39, 39), SQUARE)


def test_holes_are_filled_and_what_lies_in_them_belongs_to_the_deposit():
    """Filled, a ring with an island is one deposit as large as its outer disc."""
    (deposit,) = find_deposits(ring_with_island(), PLAIN, settings(fill_holes=True))
    assert deposit.diameter_um == pytest.approx(500, abs=4)
    assert deposit.area_um2 == pytest.approx(math.pi * 250**2, rel=0.01)
    assert deposit.outline[0].holes == ()


def test_unfilled_holes_are_kept_in_outline_and_area_and_do_not_change_the_size():
    """Unfilled, the ring has a hole and as large a diameter, and the island is a deposit of its own."""
    ring, island = find_deposits(ring_with_island(), PLAIN, settings(fill_holes=False))
    assert ring.diameter_um == pytest.approx(500, abs=4)
    assert ring.area_um2 == pytest.approx(math.pi * (250**2 - 150**2), rel=0.02)
    assert len(ring.outline[0].holes) == 1
    assert island.diameter_um == pytest.approx(60, abs=4)


DILATED = DecisionRule(0.0, 0.5, 0.5, ((131.0, 100.0), (181.0, 150.0), (431.0, 400.0)), 6.0)
GROWING = DecisionRule(0.0, 0.5, 0.5, ((200.0, 220.0), (300.0, 330.0)), 0.0)


@pytest.mark.parametrize("rule", [PLAIN, DILATED, GROWING])
def test_nothing_of_a_deposit_goes_on_beyond_what_was_scanned(rule):
    """Outline, both ends and size of a disc keep within a scan that cuts it on all sides, between cells."""
    shown = coverage(disc((150, 200), 300), (26, 26), SQUARE)
    (deposit,) = find_deposits(replace(shown, bounds=BoundsUm(80.0, 100.0, 140.0, 200.0)), rule, settings())
    assert to_shape(deposit.outline).bounds == (80, 100, 220, 300)
    assert deposit.area_um2 == pytest.approx(140 * 200)
    assert deposit.diameter_um == pytest.approx(math.hypot(140, 200)) == math.dist(*deposit.endpoints_um)
    for x, y in deposit.endpoints_um:
        assert 80 <= x <= 220
        assert 100 <= y <= 300
    wide = replace(shown, bounds=BoundsUm(-50.0, 0.0, 600.0, 600.0))
    assert find_deposits(wide, rule, settings())[0].diameter_um == find_deposits(shown, rule, settings())[0].diameter_um


def test_a_deposit_drawn_wholly_beyond_the_scan_is_kept():
    """Where an outline is drawn never loses a deposit."""
    shown = coverage(disc((200, 200), 100), (26, 26), SQUARE)
    assert len(find_deposits(replace(shown, bounds=BoundsUm(0.0, 0.0, 100.0, 100.0)), PLAIN, settings())) == 1


def test_dilation_is_taken_out_of_size_ends_outline_and_area():
    """A 150 um disc that shows as 181 um comes back as 150 in everything that is said of it."""
    shown = coverage(disc((200, 200), 181), (26, 26), SQUARE)
    (deposit,) = find_deposits(shown, DILATED, settings())
    assert deposit.diameter_um == pytest.approx(150, abs=4)
    assert math.dist(*deposit.endpoints_um) == pytest.approx(deposit.diameter_um)
    assert deposit.area_um2 == pytest.approx(math.pi * 75**2, rel=0.05)
    assert to_shape(deposit.outline).hausdorff_distance(to_shape(deposit.outline).centroid.buffer(75)) == pytest.approx(
        0, abs=4
    )
    assert deposit.metastasis is Metastasis.ITC


@pytest.mark.parametrize("shown_um", [18, 30, 36, 45])
def test_correction_never_takes_a_deposit_away(shown_um):
    """What measures no more than the excess keeps a positive size, ends and an outline of one part."""
    shown = coverage(disc((103, 98), shown_um), (13, 13), SQUARE)
    (deposit,) = find_deposits(shown, DILATED, settings())
    assert 10 <= deposit.diameter_um < shown_um
    assert deposit.area_um2 > 0
    assert len(deposit.outline) == 1
    assert math.dist(*deposit.endpoints_um) == pytest.approx(deposit.diameter_um)


def test_correction_does_not_split_a_dumbbell():
    """Where moving the outline in would cut a thin waist, the deposit stays one part."""

    def dumbbell(x, y):
        return disc((150, 150), 160)(x, y) | disc((450, 150), 160)(x, y) | ((abs(y - 150) < 13) & (abs(x - 300) < 150))

    (deposit,) = find_deposits(coverage(dumbbell, (20, 39), SQUARE), DILATED, settings())
    assert len(deposit.outline) == 1
    assert deposit.diameter_um == pytest.approx(460 - 31, abs=4)


def test_joining_gap_is_taken_between_corrected_outlines():
    """Two foci 60 um apart, shown 29 um apart by the dilation, don't join across 50 um."""
    shown = coverage(either(disc((200, 200), 181), disc((410, 200), 181)), (26, 42), SQUARE)
    assert len(find_deposits(shown, DILATED, settings(joining_gap_um=50))) == 2
    assert len(find_deposits(shown, DILATED, settings(joining_gap_um=66))) == 1


@pytest.mark.parametrize("factor", [2.0, 3.1])
def test_uncertainty_is_a_multiple_of_the_quadrature_of_its_three_parts(factor):
    """Grid, what the rule leaves, and half of what a threshold moved by 0.1 changes: expanded to about 95 %."""
    planted = coverage(disc((200, 200), 181), (26, 26), SQUARE)
    at = {
        threshold: find_deposits(planted, DecisionRule(0, threshold, threshold, (), 0), settings())[0].diameter_um
        for threshold in (0.4, 0.6)
    }
    rule = DecisionRule(0.0, 0.5, 0.5, (), 6.0, factor)
    (deposit,) = find_deposits(planted, rule, settings())
    expected = factor * math.hypot(0.15 * CELL_UM, 6.0, (at[0.4] - at[0.6]) / 2)
    assert deposit.diameter_uncertainty_um == pytest.approx(expected, rel=1e-3)


def test_a_shallow_edge_is_less_sure_than_a_steep_one():
    """Where the map falls slowly, the size hangs on the threshold, and the uncertainty says so."""
    steep = coverage(disc((300, 300), 200), (39, 39), SQUARE)
    rows, columns = np.mgrid[:39, :39] * CELL_UM + CELL_UM / 2 - 300
    # 0.1 in probability is 20 um in radius, 40 um in diameter: twice that is the spread between 0.4 and 0.6
    shallow = map_of(np.clip(0.5 + (100 - np.hypot(rows, columns)) / 200, 0, 1))
    (sure,) = find_deposits(steep, PLAIN, settings())
    (unsure,) = find_deposits(shallow, PLAIN, settings())
    assert unsure.diameter_um == pytest.approx(sure.diameter_um, abs=5)
    assert unsure.diameter_uncertainty_um == pytest.approx(80, abs=2)
    assert sure.diameter_uncertainty_um < 12


def test_probabilities_are_the_networks_own():
    """Mean and maximum are over the component's cells of the map before smoothing."""
    values = np.zeros((9, 9), dtype=np.float32)
    values[3:6, 3:6] = [[0.6, 0.7, 0.6], [0.7, 1.0, 0.7], [0.6, 0.7, 0.6]]
    (deposit,) = find_deposits(map_of(values), PLAIN, settings())
    assert deposit.probability_max == pytest.approx(1.0)
    assert deposit.probability_mean == pytest.approx((4 * 0.6 + 4 * 0.7 + 1) / 9)


def test_largest_comes_first_and_ids_count_from_one():
    """Deposits are numbered by size, whatever their place."""
    three = coverage(either(disc((80, 80), 60), disc((300, 90), 160), disc((200, 300), 110)), (26, 28), SQUARE)
    found = find_deposits(three, PLAIN, settings())
    assert [d.id for d in found] == [1, 2, 3]
    assert [d.diameter_um for d in found] == pytest.approx([160, 110, 60], abs=4)


def test_unexamined_cells_do_not_dilute_the_smoothing():
    """At the edge of what was examined a constant stays that constant."""
    examined = np.ones((20, 20), dtype=bool)
    examined[:, 12:] = False
    examined[4, 4] = False
    values = np.where(examined, 0.8, 0).astype(np.float32)
    smoothed = smoothed_values(ProbabilityMap(values, examined, SQUARE), 30.0)
    assert smoothed[examined] == pytest.approx(0.8, abs=1e-5)
    assert (smoothed[~examined] == 0).all()


def test_a_deposit_ends_at_the_edge_of_what_was_examined():
    """A deposit at the tissue's edge is measured to the edge of its last cell, however probable it is there."""
    for probability in (0.6, 0.8, 1.0):
        values = np.zeros((14, 14), dtype=np.float32)
        values[4:10, 4:10] = probability
        examined = np.ones((14, 14), dtype=bool)
        examined[:, 10:] = False
        (deposit,) = find_deposits(ProbabilityMap(values, examined, SQUARE), PLAIN, settings())
        assert to_shape(deposit.outline).bounds[2] == pytest.approx(10 * CELL_UM, abs=0.01)


@pytest.mark.parametrize("spacing", [SQUARE, Spacing(10, 16)])
def test_a_size_does_not_hang_on_how_the_slide_lies(spacing):
    """Where strips and single cells weren't examined, cells on both sides differ: which is taken mustn't matter."""
    random = np.random.default_rng(5)
    values = np.clip(ndimage.gaussian_filter(random.normal(size=(40, 40)), 3) * 8 + 0.5, 0, 1)
    examined = random.random(values.shape) > 0.02
    examined[:, 17] = examined[23] = False
    values = np.where(examined, values, 0).astype(np.float32)

    def sizes(turn) -> list[float]:
        pose = ProbabilityMap(np.ascontiguousarray(turn(values)), np.ascontiguousarray(turn(examined)), spacing)
        return [deposit.diameter_um for deposit in find_deposits(pose, PLAIN, settings())]

    as_it_is = sizes(np.asarray)
    assert len(as_it_is) >= 5
    for turn in (np.fliplr, np.flipud, lambda pixels: pixels[::-1, ::-1]):
        assert sizes(turn) == pytest.approx(as_it_is, abs=0.01)


def test_a_deposit_beside_unread_tissue_is_known():
    """A deposit that borders unread tissue may be larger; one beside glass, or far away, is complete."""
    values = np.zeros((20, 40), dtype=np.float32)
    values[5:15, 5:12] = values[5:15, 30:36] = 1
    examined = np.ones((20, 40), dtype=bool)
    examined[:, 12:18] = False
    planted = ProbabilityMap(values, examined, SQUARE)
    far, near = sorted(find_deposits(planted, PLAIN, settings()), key=lambda d: -d.centre_um[0])
    tissue = np.ones((20, 40), dtype=bool)
    assert touches_unexamined(near, planted, wanted=tissue, rule=PLAIN)
    assert not touches_unexamined(far, planted, wanted=tissue, rule=PLAIN)
    assert not touches_unexamined(near, planted, wanted=examined, rule=PLAIN)


def test_unread_tissue_is_noticed_though_the_correction_moved_the_outline_away():
    """The outline is taken in by the correction; the deposit still borders what was not read."""
    values = np.zeros((20, 30), dtype=np.float32)
    values[5:15, 5:15] = 1
    examined = np.ones((20, 30), dtype=bool)
    examined[:, 15:] = False
    planted = ProbabilityMap(values, examined, SQUARE)
    rule = DecisionRule(0.0, 0.5, 0.5, ((260.0, 200.0),), 6.0)
    (deposit,) = find_deposits(planted, rule, settings())
    assert touches_unexamined(deposit, planted, wanted=np.ones_like(examined), rule=rule)


def test_an_empty_map_has_no_deposits():
    """Nothing above the threshold, nothing found, with a joining gap too."""
    assert find_deposits(map_of(np.zeros((5, 5))), PLAIN, settings(joining_gap_um=50)) == ()


def test_a_map_with_nan_is_refused():
    """NaN is below every threshold: it must not read as "no tumour"."""
    values = np.zeros((5, 5), dtype=np.float32)
    values[2, 2] = np.nan
    with pytest.raises(ValueError, match="not numbers"):
        find_deposits(map_of(values), PLAIN, settings())


@pytest.mark.parametrize(
    "wrong",
    [
        {"grid_um": 4.01},
        {"grid_um": 0.0},
        {"grid_um": 0.49},
        {"joining_gap_um": -1},
        {"joining_gap_um": 501},
        {"smallest_area_um2": -1},
        {"smallest_diameter_um": 0},
        {"smallest_diameter_um": 51},
    ],
)
def test_senseless_settings_are_refused(wrong):
    """A grid coarser than 4 um would bring back the grid bias."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        settings(**wrong)


def test_the_answers_of_all_that_lies_in_a_hole_go_to_the_outermost_deposit():
    """An island in a ring in a ring: its highest answer and its cells are the outer ring's, and nothing is lost."""
    radius = np.hypot(*(np.indices((41, 41)) - 20))
    values = np.where((radius >= 15) & (radius <= 18), 0.7, 0) + np.where((radius >= 7) & (radius <= 10), 0.8, 0)
    values[19:22, 19:22] = 0.9
    map_ = map_of(values)
    parts = find_deposits(map_, PLAIN, settings(fill_holes=False))
    assert [part.probability_max for part in parts] == pytest.approx([0.7, 0.8, 0.9])
    (deposit,) = find_deposits(map_, PLAIN, settings(fill_holes=True))
    assert deposit.probability_max == pytest.approx(0.9)
    assert deposit.probability_mean == pytest.approx(values[values > 0].mean())


def test_correction_swallows_no_part_of_a_deposit_that_a_gap_joined():
    """A speck of 28 um beside a disc, in one deposit: moved inward by half of 31 um nothing would be left of it."""
    shown = coverage(either(disc((200, 200), 181), disc((345, 200), 28)), (26, 36), SQUARE)
    assert len(find_deposits(shown, DILATED, settings())) == 2
    (deposit,) = find_deposits(shown, DILATED, settings(joining_gap_um=75))
    assert len(deposit.outline) == 2


def beyond(side: str, gap_um: float, x_um: NDArray[np.float64], y_um: NDArray[np.float64]) -> NDArray[np.bool_]:
    """bool, as x_um and y_um: what lies farther than the gap off a square from 100 to 300 um, on one side of it."""
    return {
        "left": x_um < 100 - gap_um,
        "right": x_um > 300 + gap_um,
        "top": y_um < 100 - gap_um,
        "bottom": y_um > 300 + gap_um,
    }[side]


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
@pytest.mark.parametrize(("gap_um", "cut_off"), [(10.0, True), (60.0, False)])
def test_a_deposit_is_cut_off_on_whichever_side_it_ends(side: str, gap_um: float, cut_off: bool) -> None:
    """A disc of 200 um amid 400, cells of 10 x 16 um: a cell and a half is 24 um."""
    planted = coverage(disc((200.0, 200.0), 200.0), (25, 40), Spacing(10, 16))
    (deposit,) = find_deposits(planted, PLAIN, settings())
    view = Spacing(4, 5)
    y_um, x_um = np.mgrid[:80, :100] * np.array([view.y, view.x])[:, None, None] + 2.5
    ends = beyond(side, gap_um, x_um, y_um)
    tissue = TissueMask(~ends, view)
    assert touches_edge(deposit, replace(tissue, inked=ends), planted, rule=PLAIN) is cut_off
    assert touches_edge(deposit, replace(tissue, cut=ends, unscanned=ends), planted, rule=PLAIN) is cut_off
    assert not touches_edge(deposit, replace(tissue, cut=ends, unscanned=~ends), planted, rule=PLAIN)
    rows, columns = (np.arange(25) + 0.5) * 16, (np.arange(40) + 0.5) * 10
    row, column = np.meshgrid(rows, columns, indexing="ij")
    unseen = beyond(side, gap_um, column, row)
    partly = replace(planted, examined=~unseen)
    assert touches_unexamined(deposit, partly, wanted=np.ones_like(unseen), rule=PLAIN) is cut_off
    left, top = (100 - gap_um if side == edge else 0.0 for edge in ("left", "top"))
    right, bottom = (300 + gap_um if side == edge else 400.0 for edge in ("right", "bottom"))
    scanned = replace(planted, bounds=BoundsUm(left, top, right - left, bottom - top))
    assert touches_edge(deposit, TissueMask(np.ones_like(ends), view), scanned, rule=PLAIN) is cut_off
