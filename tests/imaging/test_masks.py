"""Masks are measured over pixel corners, polygons over their vertices (clinical-rules 8)."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nodescan.domain.classification import Metastasis
from nodescan.domain.units import Spacing
from nodescan.imaging.masks import fill_holes, measure_filled, measure_polygons
from nodescan.imaging.sizing import to_shape

ONE = Spacing.square(1.0)


def measured(mask, spacing=ONE, gap_um=0.0):
    return measure_filled(fill_holes(np.asarray(mask, dtype=bool))[0], spacing, joining_gap_um=gap_um)


def digitised(size: int, inside) -> np.ndarray:
    """Pixels whose centre lies inside."""
    y, x = np.mgrid[:size, :size] + 0.5
    return inside(x, y)


SHAPES = {
    "disc, d = 101": (digitised(111, lambda x, y: np.hypot(x - 55.5, y - 55.5) <= 50), 101.4, 101.0),
    "bar 100 x 10": (digitised(120, lambda x, y: (abs(x - 60) < 50) & (abs(y - 60) < 5)), 100.5, 100.5),
    "square 100": (digitised(120, lambda x, y: (abs(x - 60) < 50) & (abs(y - 60) < 50)), 141.4, 141.4),
    "half ring, R = 100": (
        digitised(
            220, lambda x, y: (np.hypot(x - 110, y - 110) <= 100) & (np.hypot(x - 110, y - 110) >= 80) & (y > 110)
        ),
        200.3,
        200.0,
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_table_of_the_clinical_rules_holds(name):
    """Disc, bar, square and crescent measure as in the table, and the truth lies inside the stated uncertainty."""
    mask, expected, truth = SHAPES[name]
    (deposit,) = measured(mask)
    print(f"{name}: {deposit.diameter_um:.1f} px, truth {truth}")
    assert deposit.diameter_um == pytest.approx(expected, abs=0.1)
    assert abs(deposit.diameter_um - truth) <= deposit.diameter_uncertainty_um


@pytest.mark.parametrize("diameter_px", [10, 13.7, 25])
def test_bias_of_digitised_discs_lies_inside_the_uncertainty(diameter_px):
    """Discs at random offsets read about 1.2 px too long on average, never more than the stated uncertainty."""
    rng = np.random.default_rng(3)
    errors = []
    for offset in rng.uniform(0, 1, (40, 2)):
        mask = digitised(40, lambda x, y, at=20 + offset: np.hypot(x - at[0], y - at[1]) <= diameter_px / 2)
        (deposit,) = measured(mask)
        errors.append(deposit.diameter_um - diameter_px)
    assert 0.2 < np.mean(errors) < 1.4
    assert np.abs(errors).max() <= deposit.diameter_uncertainty_um + 1e-9


masks = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(lambda shape: arrays(np.bool_, shape))


@given(mask=masks)
@hypothesis_settings(max_examples=60, deadline=None)
def test_small_masks_equal_brute_force(mask):
    """Components by flood fill over corners and edges, sizes over all pairs of pixel corners."""
    found = measured(mask)
    expected = []
    open_pixels = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    while open_pixels:
        front, component = [open_pixels.pop()], set()
        while front:
            row, column = front.pop()
            component.add((row, column))
            near = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & open_pixels
            open_pixels -= near
            front.extend(near)
        corners = [(row + down, column + right) for row, column in component for down in (0, 1) for right in (0, 1)]
        longest = max(math.dist(one, other) for one in corners for other in corners)
        box = np.array(corners)
        expected.append((longest, box.min(axis=0).tolist(), box.max(axis=0).tolist()))
    # a component inside another's hole is a part of that: leave out what lies in a larger one's box
    if len(found) == len(expected):
        assert [d.diameter_um for d in found] == pytest.approx(sorted((e[0] for e in expected), reverse=True))
    else:
        assert len(found) < len(expected)
        assert found[0].diameter_um == pytest.approx(max(e[0] for e in expected))


@given(mask=masks, turns=st.integers(0, 3), down=st.integers(0, 4), right=st.integers(0, 4))
@hypothesis_settings(max_examples=40, deadline=None)
def test_size_is_invariant_under_translation_and_quarter_turns(mask, turns, down, right):
    """Moving a mask, and turning it by quarters, keeps sizes and areas."""
    moved = np.rot90(np.pad(mask, ((down, 1), (right, 2))), turns)
    plain, again = measured(mask), measured(moved)
    assert [d.diameter_um for d in again] == pytest.approx([d.diameter_um for d in plain])
    assert sum(d.area_um2 for d in again) == pytest.approx(sum(d.area_um2 for d in plain))


@given(x=st.floats(0.1, 20), y=st.floats(0.1, 20))
@hypothesis_settings(max_examples=30, deadline=None)
def test_spacing_may_differ_in_x_and_y(x, y):
    """A rectangle of 7 x 3 px measures its diagonal in um, with each side at its own spacing."""
    mask = np.zeros((6, 12), dtype=bool)
    mask[2:5, 3:10] = True
    (deposit,) = measured(mask, Spacing(x, y))
    assert deposit.diameter_um == pytest.approx(math.hypot(7 * x, 3 * y))
    assert deposit.area_um2 == pytest.approx(21 * x * y)
    assert deposit.centre_um == pytest.approx((6.5 * x, 3.5 * y))


def test_holes_are_filled():
    """A ring of pixels has the area and the outline of the full disc."""
    ring = digitised(60, lambda x, y: (np.hypot(x - 30, y - 30) <= 25) & (np.hypot(x - 30, y - 30) >= 15))
    disc = digitised(60, lambda x, y: np.hypot(x - 30, y - 30) <= 25)
    (deposit,) = measured(ring)
    assert deposit.area_um2 == disc.sum()
    assert to_shape(deposit.outline).area == pytest.approx(float(disc.sum()))
    assert deposit.outline[0].holes == ()


def test_pixels_that_meet_in_a_corner_are_one_deposit():
    """Components are 8-connected."""
    (deposit,) = measured(np.eye(5))
    assert deposit.diameter_um == pytest.approx(5 * math.sqrt(2))
    assert deposit.area_um2 == 5


@pytest.mark.parametrize(("gap_um", "count"), [(0.0, 2), (29.99, 2), (30.0, 1), (50.0, 1)])
def test_foci_30_um_apart_stay_two_unless_the_gap_reaches_them(gap_um, count):
    """clinical-rules 2, exact on both sides of the gap."""
    mask = np.zeros((20, 40), dtype=bool)
    mask[5:15, 5:15] = mask[5:15, 18:28] = True
    found = measured(mask, Spacing.square(10.0), gap_um)
    assert len(found) == count
    longest = math.hypot(230, 100) if count == 1 else math.hypot(100, 100)
    assert found[0].diameter_um == pytest.approx(longest)


@pytest.mark.parametrize(("pixels", "expected"), [(2000, Metastasis.MICRO), (2001, Metastasis.MACRO)])
def test_class_follows_the_measured_size(pixels, expected):
    """A line one hair thick of exactly 2.0 mm is a micrometastasis, a pixel more is a macrometastasis."""
    mask = np.zeros((3, 2100), dtype=bool)
    mask[1, 10 : 10 + pixels] = True
    (deposit,) = measure_filled(mask, Spacing(1.0, 1e-6), joining_gap_um=0.0)
    assert deposit.metastasis is expected


def test_an_empty_mask_has_no_deposits():
    """Nothing is measured where nothing is."""
    assert measured(np.zeros((4, 4))) == ()
    assert measure_polygons(shapely.MultiPolygon(), ONE, joining_gap_um=0.0) == ()


def test_polygons_are_measured_over_their_vertices():
    """A right-angled triangle measures its hypotenuse, in um, exactly."""
    triangle = shapely.Polygon([(10, 10), (310, 10), (10, 410)])
    (deposit,) = measure_polygons(triangle, Spacing.square(0.25), joining_gap_um=0.0)
    assert deposit.diameter_um == pytest.approx(125.0)
    assert deposit.area_um2 == pytest.approx(300 * 400 / 2 * 0.0625)
    assert sorted(deposit.endpoints_um) == [(2.5, 102.5), (77.5, 2.5)]


@pytest.mark.parametrize("spacing", [Spacing.square(0.25), Spacing(0.243, 0.252), Spacing.square(5.0)])
def test_the_true_size_of_a_disc_drawn_to_whole_pixels_lies_within_its_uncertainty(spacing: Spacing):
    """Of 100 discs of 0.15 to 3 mm at random places, at least 95."""
    rng, inside = np.random.default_rng(7), 0
    around = np.arange(720) * (2 * math.pi / 720)
    for true_um in rng.uniform(150, 3000, 100):
        circle_um = rng.uniform(2000, 2010, 2) + true_um / 2 * np.column_stack((np.cos(around), np.sin(around)))
        drawn = shapely.Polygon(np.round(circle_um / (spacing.x, spacing.y))).buffer(0)
        (deposit,) = measure_polygons(drawn, spacing, joining_gap_um=0.0)
        inside += abs(deposit.diameter_um - true_um) <= deposit.diameter_uncertainty_um
    assert inside >= 95


def test_what_is_cut_out_lessens_area_and_not_size():
    """A hole is not tumour area, and the deposit is as long as without it."""
    frame = shapely.box(0, 0, 100, 100).difference(shapely.box(20, 20, 80, 80))
    (deposit,) = measure_polygons(frame, ONE, joining_gap_um=0.0)
    assert deposit.area_um2 == pytest.approx(100**2 - 60**2)
    assert deposit.diameter_um == pytest.approx(math.hypot(100, 100))
    assert len(deposit.outline[0].holes) == 1


@pytest.mark.parametrize("mpp", [0.226, 0.243, 0.25, 0.2527])
def test_polygons_that_touch_in_a_corner_are_one_deposit_at_any_spacing(mpp):
    """GEOS finds a few of a thousand such pairs, 0 apart, not to be within 0 of each other."""
    rng = np.random.default_rng(0)
    for left, top, wide, high, wider, higher in rng.integers(1, 9000, (300, 6)):
        corner = left + wide, top + high
        pair = [shapely.box(left, top, *corner), shapely.box(*corner, corner[0] + wider, corner[1] + higher)]
        shape = shapely.MultiPolygon(pair)
        assert len(measure_polygons(shape, Spacing.square(mpp), joining_gap_um=0.0)) == 1


def test_polygons_that_touch_are_one_deposit():
    """Two squares that share a corner are contiguous; a pixel apart they are two."""
    touching = shapely.MultiPolygon([shapely.box(0, 0, 10, 10), shapely.box(10, 10, 20, 20)])
    apart = shapely.MultiPolygon([shapely.box(0, 0, 10, 10), shapely.box(11, 10, 20, 20)])
    assert len(measure_polygons(touching, ONE, joining_gap_um=0.0)) == 1
    assert len(measure_polygons(apart, ONE, joining_gap_um=0.0)) == 2
