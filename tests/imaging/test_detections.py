"""Detections: one for each local maximum, far enough apart, the surest first."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from nodescan.domain.deposits import Detection
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Spacing
from nodescan.imaging.detections import DetectionSettings, find_detections, likeliest_places
from tests.imaging.planted import CELL_UM, map_of
from tests.patients.made_reports import disc

SETTINGS = DetectionSettings(smoothing_um=0.0, spacing_um=60.0, floor=0.05)


def test_each_peak_is_one_detection_at_its_place_the_surest_first():
    """Planted peaks come back with their value at the cell's centre in um."""
    values = np.zeros((30, 40), dtype=np.float32)
    values[5, 7], values[20, 30], values[20, 8] = 0.3, 0.9, 0.6
    found = find_detections(map_of(values), SETTINGS)
    assert [d.confidence for d in found] == pytest.approx([0.9, 0.6, 0.3])
    assert (found[0].x_um, found[0].y_um) == pytest.approx((30.5 * CELL_UM, 20.5 * CELL_UM))
    assert (found[2].x_um, found[2].y_um) == pytest.approx((7.5 * CELL_UM, 5.5 * CELL_UM))


def test_floor_is_exact():
    """A confidence of exactly the floor is listed, the float below is not."""
    values = np.zeros((3, 3), dtype=np.float32)
    values[1, 1] = 0.25
    settings = DetectionSettings(0.0, 60.0, 0.25)
    assert len(find_detections(map_of(values), settings)) == 1
    values[1, 1] = np.nextafter(np.float32(0.25), np.float32(0))
    assert find_detections(map_of(values), settings) == ()


def test_of_two_peaks_too_close_the_surer_stays():
    """Two peaks 3 cells (47 um) apart are one detection at 60 um, two at 40 um."""
    values = np.zeros((9, 12), dtype=np.float32)
    values[4, 3], values[4, 6] = 0.7, 0.8
    (only,) = find_detections(map_of(values), SETTINGS)
    assert only.confidence == pytest.approx(0.8)
    assert len(find_detections(map_of(values), DetectionSettings(0.0, 40.0, 0.05))) == 2


def test_a_plateau_is_one_detection_on_the_plateau():
    """A crescent of equal values has one detection, on it, though its centroid lies off it."""
    rows, columns = np.mgrid[:60, :60]
    radius = np.hypot(rows - 30, columns - 30)
    values = ((radius < 28) & (radius > 22) & (rows > 30)).astype(np.float32)
    (only,) = find_detections(map_of(values), SETTINGS)
    assert values[int(only.y_um / CELL_UM), int(only.x_um / CELL_UM)] == 1


@pytest.mark.parametrize("turned", [False, True])
def test_a_plateau_is_told_in_its_middle(turned):
    """A bar of 3 x 9 cells, upright or flat, is one place: the cell at its centre."""
    values = np.zeros((20, 30), dtype=np.float32)
    values[4:7, 11:20] = 0.9
    (found,) = find_detections(map_of(values.T.copy() if turned else values, 10.0), SETTINGS)
    assert (found.x_um, found.y_um) == ((55.0, 155.0) if turned else (155.0, 55.0))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("spacing", [Spacing(10.0, 30.0), Spacing(30.0, 10.0)])
def test_places_are_as_far_apart_as_asked_for_where_cells_are_not_square(spacing, turned):
    """Two peaks 60 um apart are two at 50 um and one at 70, along either axis."""
    step = round(60 / (spacing.y if turned else spacing.x))
    values = np.zeros((20, 20), dtype=np.float32)
    values[5, 5], values[(5 + step, 5) if turned else (5, 5 + step)] = 0.9, 0.8
    map_ = ProbabilityMap(values, np.ones(values.shape, dtype=bool), spacing)
    counts = [len(find_detections(map_, DetectionSettings(0.0, apart_um, 0.05))) for apart_um in (50.0, 70.0)]
    assert counts == [2, 1]


@pytest.mark.parametrize(("column", "count"), [(3, 1), (4, 2)])
def test_only_a_neighbour_of_a_surer_cell_is_no_place_where_places_may_lie_close(column, count):
    """Less space is asked for than a cell is wide."""
    values = np.zeros((9, 9), dtype=np.float32)
    values[4, 2], values[4, column] = 0.9, 0.8
    assert len(find_detections(map_of(values), DetectionSettings(0.0, 5.0, 0.05))) == count


def test_a_strong_place_is_passed_over_only_beside_a_deposit():
    """One 40 um off the deposit is; one that has its x and y the other way round isn't."""
    deposit = disc(1, 500.0, (3000.0, 1000.0))
    mirrored, beside = Detection(0.9, 1000.0, 3000.0), Detection(0.8, 3290.0, 1000.0)
    assert likeliest_places((mirrored, beside), (deposit,)) == (mirrored,)


def test_nothing_is_detected_where_nothing_was_examined():
    """Values in cells that were not examined never make a detection."""
    values = np.full((10, 10), 0.9, dtype=np.float32)
    unexamined = ProbabilityMap(values, np.zeros((10, 10), dtype=bool), Spacing.square(CELL_UM))
    assert find_detections(unexamined, SETTINGS) == ()


@given(seed=st.integers(0, 10_000), spacing_um=st.floats(5, 120))
@hypothesis_settings(max_examples=25, deadline=None)
def test_detections_keep_their_distance_and_the_surest_cell_is_among_them(seed, spacing_um):
    """On noise no two detections are closer than asked, confidences fall, and the map's maximum is the first."""
    values = np.random.default_rng(seed).random((25, 31), dtype=np.float32)
    found = find_detections(map_of(values), DetectionSettings(0.0, spacing_um, 0.05))
    assert found[0].confidence == pytest.approx(float(values.max()))
    confidences = [d.confidence for d in found]
    assert confidences == sorted(confidences, reverse=True)
    places = [(d.x_um, d.y_um) for d in found]
    apart = [math.dist(one, other) for index, one in enumerate(places) for other in places[:index]]
    assert min(apart, default=math.inf) >= spacing_um * (1 - 1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        (-1.0, 60.0, 0.05),
        (0.0, 0.0, 0.05),
        (0.0, 60.0, 0.0),
        (0.0, 60.0, 1.0),
        (201.0, 60.0, 0.05),
        (0.0, 1001.0, 0.05),
    ],
)
def test_senseless_settings_are_refused(wrong):
    """Each of the three numbers has its range."""
    with pytest.raises(ValueError, match="must lie from"):
        DetectionSettings(*wrong)
