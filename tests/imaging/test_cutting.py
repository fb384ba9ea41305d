"""How near to what nobody looked at a deposit is cut off."""

import numpy as np
import pytest
import shapely

from nodescan.domain.decision import DecisionRule
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Micrometers, Spacing
from nodescan.imaging.cutting import touches_unexamined
from nodescan.imaging.sizing import deposit_of, greatest_diameter

MOVED = DecisionRule(0.0, 0.5, 0.5, ((131.0, 100.0), (431.0, 400.0)), 6.0)
"""Its outlines are moved in by 15.5 um on every side."""


def touches(box_um: tuple[float, float, float, float], cell: tuple[int, int]) -> bool:
    """Whether a deposit of this box borders on the one (row, column) of 30 x 30 cells of 10 um that wasn't examined."""
    shape = shapely.box(*box_um)
    deposit = deposit_of(shape, greatest_diameter(shape), Micrometers(10.0))
    examined = np.ones((30, 30), dtype=np.bool_)
    examined[cell] = False
    map_ = ProbabilityMap(np.zeros((30, 30), dtype=np.float32), examined, Spacing.square(10.0))
    return touches_unexamined(deposit, map_, wanted=np.ones_like(examined), rule=MOVED)


@pytest.mark.parametrize(("off_um", "near"), [(30.4, True), (30.6, False)])
def test_a_deposit_borders_on_a_cell_within_one_and_a_half_cells_and_half_its_correction(
    off_um: float, near: bool
) -> None:
    """15 um for the cells and 15.5 um for the outline that was moved in, in all four directions."""
    centre_um = 155.0  # of the cell (15, 15)
    assert touches((centre_um + off_um, 100, 290, 200), (15, 15)) == near
    assert touches((20, 100, centre_um - off_um, 200), (15, 15)) == near
    assert touches((100, centre_um + off_um, 200, 290), (15, 15)) == near
    assert touches((100, 20, 200, centre_um - off_um), (15, 15)) == near


@pytest.mark.parametrize("at", [0, 29])
def test_a_cell_along_the_border_of_the_map_counts(at: int) -> None:
    """Whichever border it lies along."""
    assert touches((100, 30, 200, 270), (at, 15))
    assert touches((30, 100, 270, 200), (15, at))
