"""The rule that turns a model's map into deposits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodescan.domain.decision import DecisionRule

PAIRS = ((131.0, 100.0), (181.0, 150.0), (225.0, 190.0), (430.0, 400.0))


def rule(pairs=PAIRS, threshold=0.5, seed=0.6, smoothing=0.0, **further) -> DecisionRule:
    return DecisionRule(smoothing, threshold, seed, pairs, **{"size_uncertainty_um": 5.0, **further})


def test_without_pairs_nothing_is_corrected():
    """A model without a measured bias has none taken out."""
    assert rule(pairs=()).excess_um(181.0) == 0.0


@pytest.mark.parametrize(("measured", "true"), PAIRS)
def test_measured_pairs_come_back(measured, true):
    """At the diameters it was measured at, the correction gives the truth."""
    assert measured - rule().excess_um(measured) == pytest.approx(true)


def test_beyond_the_pairs_the_nearest_excess_is_kept():
    """A diameter outside the measured range has the excess of the nearest pair, never an extrapolated one."""
    assert rule().excess_um(20.0) == pytest.approx(31.0)
    assert rule().excess_um(9000.0) == pytest.approx(30.0)


@given(diameters=st.lists(st.floats(10, 5000), min_size=2, max_size=20))
@settings(deadline=None)
def test_correction_keeps_the_order(diameters):
    """What measures longer is never corrected to be shorter."""
    ordered = np.sort(diameters)
    corrected = [diameter - rule().excess_um(diameter) for diameter in ordered]
    assert (np.diff(corrected) >= -1e-9).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0.0},
        {"seed": 1.0},
        {"threshold": 0.7, "seed": 0.6},
        {"smoothing": -1.0},
        {"smoothing": 1000.1},
        {"smoothing": float("nan")},
        {"size_uncertainty_um": -0.1},
        {"coverage_factor": 0.9},
        {"coverage_factor": float("inf")},
        {"pairs": ((150.0, 100.0), (140.0, 120.0))},
        {"pairs": ((100.0, 90.0), (140.0, 90.0))},
        {"pairs": ((100.0, float("nan")),)},
    ],
)
def test_senseless_rules_are_refused(wrong):
    """A rule that can't be meant does not come to be."""
    with pytest.raises(ValueError, match=r"need|must be|negative|increase|below 1"):
        rule(**wrong)
