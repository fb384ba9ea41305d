"""How the class would change if foci across a small gap were one."""

from dataclasses import replace

import numpy as np

from nodescan.domain.classification import Metastasis
from nodescan.domain.decision import DecisionRule
from nodescan.domain.doubts import JOINING_GAPS_UM, joining_gap_flags
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Micrometers, Spacing
from nodescan.imaging.doubts import gap_readings, outline_gap_readings
from nodescan.imaging.masks import measure_filled
from nodescan.imaging.segmentation import find_foci
from tests.imaging.planted import settings
from tests.patients.made_reports import disc

RULE = DecisionRule(0.0, 0.5, 0.6, (), 5.0)
SETTINGS = settings(smallest_area_um2=300.0, smallest_diameter_um=15.0)


def bars(*spans: tuple[int, int]) -> ProbabilityMap:
    """Tumour 0.1 mm wide, end to end, from and to these cells of 10 um."""
    values = np.zeros((40, 320), dtype=np.float32)
    for first, last in spans:
        values[10:20, first:last] = 0.98
    return ProbabilityMap(values, np.ones_like(values, dtype=np.bool_), Spacing.square(10.0))


def test_two_foci_forty_um_apart_join_at_fifty() -> None:
    """Two bars of 1.2 mm end to end: a micrometastasis as reported, a macrometastasis across 50 um."""
    map_ = bars((10, 130), (134, 254))
    foci = find_foci(map_, RULE, SETTINGS)
    readings = gap_readings(foci, found=foci.deposits())
    assert [reading.gap_um for reading in readings] == list(JOINING_GAPS_UM)
    assert [reading.metastasis for reading in readings] == [Metastasis.MICRO] * 2 + [Metastasis.MACRO] * 2
    assert joining_gap_flags(readings)


def test_a_macrometastasis_is_not_read_again() -> None:
    """Nothing that is joined to it could change the class, so no time is spent on it."""
    foci = find_foci(bars((10, 260)), RULE, SETTINGS)
    readings = gap_readings(foci, found=foci.deposits())
    assert [reading.metastasis for reading in readings] == [Metastasis.MACRO]
    assert joining_gap_flags(readings) == ()


def test_outlines_of_others_are_joined_alike() -> None:
    """Two bars of 1.2 mm, drawn 40 um apart, are one of 2.44 mm from 50 um on, and no longer before."""
    mask = np.zeros((40, 320), dtype=np.bool_)
    mask[10:12, 10:130] = mask[10:12, 134:254] = True
    gap_um = Micrometers(0.0)
    readings = outline_gap_readings(measure_filled(mask, Spacing.square(10.0), joining_gap_um=gap_um), gap_um)
    assert [reading.gap_um for reading in readings] == list(JOINING_GAPS_UM)
    assert [reading.metastasis for reading in readings] == [Metastasis.MICRO] * 2 + [Metastasis.MACRO] * 2
    alone, joined = float(np.hypot(1200, 20)), float(np.hypot(2440, 20))
    assert np.allclose([reading.largest_um or 0 for reading in readings], [alone, alone, joined, joined])


def test_outlines_of_others_that_no_gap_can_change_have_one_reading() -> None:
    """None, one, and a macrometastasis among others."""
    small, large = disc(1, 500.0, (0.0, 0.0)), disc(1, 2500.0, (9000.0, 0.0))
    for found, expected in (((), Metastasis.NONE), ((small,), Metastasis.MICRO), ((large, small), Metastasis.MACRO)):
        (reading,) = outline_gap_readings(found, Micrometers(0.0))
        assert reading.metastasis is expected


def test_a_macrometastasis_that_only_the_settings_joined_is_read_without_the_gap() -> None:
    """Two bars of 1.2 and 1.0 mm, 40 um apart, with a gap of 50 um in the settings: macro, and micro without it."""
    map_ = bars((10, 130), (134, 234))
    joining = replace(SETTINGS, joining_gap_um=Micrometers(50.0))
    foci = find_foci(map_, RULE, joining)
    readings = gap_readings(foci, found=foci.deposits())
    assert [(reading.gap_um, reading.metastasis) for reading in readings] == [
        (50.0, Metastasis.MACRO),
        (0.0, Metastasis.MICRO),
        (25.0, Metastasis.MICRO),
        (75.0, Metastasis.MACRO),
    ]
    assert 1200 < (readings[1].largest_um or 0) < 1230  # of both bars the longer one
    (flag,) = joining_gap_flags(readings)
    assert flag.code == "joining_gap"
