"""What of its surroundings an outline hangs on, and how fine a grid it is drawn on."""

import numpy as np
import pytest
import shapely

from nodescan.domain.decision import DecisionRule
from nodescan.domain.maps import ProbabilityMap
from nodescan.domain.units import Spacing
from nodescan.imaging import outlines
from nodescan.imaging.segmentation import find_deposits
from nodescan.imaging.sizing import to_shape
from tests.imaging.planted import CELL_UM, PLAIN, coverage, disc, map_of, settings


def test_what_lies_beside_a_deposit_does_not_make_its_size_surer() -> None:
    """A faint row vanishes at the raised threshold: a strong focus a cell off leaves size and "±" as they are."""
    values = np.zeros((12, 20), dtype=np.float32)
    values[4, 4:12] = 0.55
    (alone,) = find_deposits(map_of(values), PLAIN, settings())
    values[6:8, 11:13] = 1.0
    beside = min(find_deposits(map_of(values), PLAIN, settings()), key=lambda found: found.probability_max)
    assert beside.diameter_um == pytest.approx(alone.diameter_um)
    assert beside.diameter_uncertainty_um == pytest.approx(alone.diameter_uncertainty_um)


@pytest.mark.parametrize(("peak", "deposits"), [(np.nextafter(np.float32(0.9), np.float32(0)), 1), (0.9, 2)])
def test_each_of_two_parts_that_meet_in_a_corner_has_to_reach_the_seed_threshold(peak: float, deposits: int) -> None:
    """The outline parts them, so a part that stays a float below it is no deposit, though its neighbour is one."""
    values = np.zeros((6, 6), dtype=np.float32)
    values[1:3, 1:3] = 0.95
    values[3:5, 3:5] = peak
    assert len(find_deposits(map_of(values), DecisionRule(0.0, 0.5, 0.9, (), 0.0), settings())) == deposits


@pytest.mark.parametrize(("spacing", "reached"), [(Spacing(10, 16), False), (Spacing(16, 10), True)])
def test_an_answer_holds_to_the_edge_of_its_cell_unless_a_nearer_one_differs(spacing: Spacing, reached: bool) -> None:
    """Below a cell of 0.6 one was not examined, and left of that is 0.0: the nearer of the two answers counts there."""
    values, examined = np.zeros((14, 14), dtype=np.float32), np.ones((14, 14), dtype=np.bool_)
    values[4:10, 4:10] = 0.6
    examined[10, 7:] = False
    (deposit,) = find_deposits(ProbabilityMap(values, examined, spacing), PLAIN, settings())
    at_its_edge = shapely.Point(7.5 * spacing.x, 9.95 * spacing.y)
    assert to_shape(deposit.outline).covers(at_its_edge) == reached


def test_a_large_deposit_is_drawn_on_a_coarser_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a fine grid has more samples than it may, the outline has fewer corners and the same size to a cell."""
    map_ = coverage(disc((300, 300), 400), (40, 40), Spacing.square(CELL_UM))
    (usual,) = find_deposits(map_, PLAIN, settings(grid_um=1.0))
    monkeypatch.setattr(outlines, "MOST_FINE_SAMPLES", 40 * 40 * 3**2)
    (coarse,) = find_deposits(map_, PLAIN, settings(grid_um=1.0))
    assert len(coarse.outline[0].exterior) < len(usual.outline[0].exterior) / 3
    assert coarse.diameter_um == pytest.approx(usual.diameter_um, abs=CELL_UM)
