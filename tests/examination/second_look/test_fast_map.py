"""How far a map of fast answers may be off, once some of them are the reference's."""

from dataclasses import replace

import numpy as np
import pytest

from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Spacing
from nodescan.examination.second_look.fast_map import ROUNDING, cell_at, fast_map, within_reach
from nodescan.imaging.segmentation import smoothed_values
from tests.examination.second_look.test_decisive import RULE, all_fast, off, rough_map

TOLERANCE = 0.03


@pytest.mark.parametrize("holes", [False, True])
def test_the_true_map_lies_between_the_lowest_and_the_highest_values(holes: bool) -> None:
    """Wherever it was answered exactly, and however near to that."""
    true = rough_map(3, RULE, holes=holes)
    fast = off(true, TOLERANCE, 3)
    exact = np.zeros_like(true.examined)
    exact[10:40, 20:60] = True
    known = fast_map(replace(fast, values=np.where(exact, true.values, fast.values)), RULE, TOLERANCE, exact)
    smoothed = smoothed_values(true, RULE.smoothing_um)
    assert (known.lowest <= smoothed).all()
    assert (smoothed <= known.highest).all()
    assert not known.slack[~true.examined].any()


def test_a_smoothed_value_is_exact_once_all_that_bears_on_it_is() -> None:
    """Eight cells of 16 um to each side for a Gaussian of 32 um: four standard deviations."""
    values = np.full((60, 60), 0.5, np.float32)
    map_ = ProbabilityMap(values, np.ones(values.shape, np.bool_), Spacing.square(16.0))
    assert (all_fast(map_, RULE, TOLERANCE).slack == np.float32(TOLERANCE + ROUNDING)).all()
    exact = np.zeros(values.shape, np.bool_)
    exact[20:40, 20:40] = True
    sure = fast_map(map_, RULE, TOLERANCE, exact).slack < TOLERANCE
    assert np.argwhere(sure).min(axis=0).tolist() == [28, 28]
    assert np.argwhere(sure).max(axis=0).tolist() == [31, 31]
    assert within_reach(sure, map_.spacing, RULE.smoothing_um).sum() == 20 * 20
    unexamined = replace(map_, examined=exact)
    assert (fast_map(unexamined, RULE, TOLERANCE, exact).slack <= np.float32(ROUNDING)).all()


def test_a_place_lies_in_the_cell_that_holds_it() -> None:
    """x first, the cell's row first."""
    map_ = ProbabilityMap(np.zeros((9, 9), np.float32), np.ones((9, 9), np.bool_), Spacing(10.0, 20.0))
    assert cell_at((39.9, 40.0), map_) == (2, 3)
