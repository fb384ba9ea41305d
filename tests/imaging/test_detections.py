"""Detections: one for each local maximum, far enough apart, the surest first."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Spacing
from nodescan.imaging.detections import DetectionSettings, find_detections
from tests.imaging.planted import CELL_UM, map_of

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
