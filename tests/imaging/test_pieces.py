"""Pieces of tissue: what is a section of its own, and in which of them a deposit lies."""

import numpy as np
import pytest

from nodescan.config import load_config
from nodescan.domain.maps import TissueMask
from nodescan.domain.units import Spacing
from nodescan.imaging.pieces import find_pieces
from nodescan.imaging.tissue import find_tissue
from tests.fakes import PINK
from tests.patients.made_reports import disc

SPACING = Spacing.square(8.0)


def mask(*boxes_mm: tuple[float, float, float, float]) -> TissueMask:
    """Tissue in boxes (left, top, width, height) on a view of 12 x 4 mm."""
    tissue = np.zeros((500, 1500), np.bool_)
    for box in boxes_mm:
        left, top, width, height = (round(side * 125) for side in box)
        tissue[top : top + height, left : left + width] = True
    return TissueMask(tissue, SPACING)


def test_each_section_is_a_piece_and_the_largest_comes_first() -> None:
    """Sections of 4 and 6 mm2; deposits lie in them, or in a fragment of 0.25 mm2 or on glass, which are no piece."""
    pieces = find_pieces(mask((0, 0, 2, 2), (3, 0, 3, 2), (8, 0, 0.5, 0.5)))
    assert pieces.count == 2
    centres = [(1000.0, 1000.0), (4000.0, 1000.0), (8200.0, 200.0), (10000.0, 3000.0), (40000.0, -5.0)]
    placed = pieces.placed([disc(number, 100.0, centre) for number, centre in enumerate(centres, 1)])
    assert [one.piece for one in placed] == [2, 1, None, None, None]


@pytest.mark.parametrize(("side_mm", "count"), [(0.704, 0), (0.72, 1)])
def test_a_piece_is_at_least_as_large_as_the_section_of_a_very_small_node(side_mm: float, count: int) -> None:
    """0.50 mm2 and 0.52."""
    assert find_pieces(mask((1, 1, side_mm, side_mm))).count == count


def test_a_deposit_whose_centre_lies_on_glass_is_placed_by_its_ends() -> None:
    """As that of a crescent along the edge of a node may."""
    (placed,) = find_pieces(mask((0, 0, 2, 2))).placed([disc(1, 400.0, (2100.0, 1000.0))])
    assert placed.piece == 1


def test_tissue_under_ink_joins_what_lies_on_either_side() -> None:
    """A stroke across a section doesn't make two of it."""
    left_out = mask((0, 0, 2, 2), (2.4, 0, 2, 2))
    assert find_pieces(left_out).count == 2
    assert find_pieces(TissueMask(left_out.tissue, SPACING, hidden=mask((2, 0, 0.4, 2)).tissue)).count == 1


@pytest.mark.parametrize(("gap_um", "count"), [(128, 1), (304, 2)])
def test_a_crack_is_closed_and_the_glass_between_two_sections_is_not(gap_um: int, count: int) -> None:
    """As the released settings close gaps of 0.16 mm."""
    view = np.full((400, 600, 3), 240, np.uint8)
    grain = np.random.default_rng(0).integers(-14, 15, (200, 400, 1))
    view[100:300, 100:500] = np.clip(np.array(PINK) + grain, 0, 255)
    view[:, 300 : 300 + gap_um // 8] = 240
    tissue = find_tissue(view, SPACING, load_config().settings.tissue)
    assert find_pieces(tissue).count == count
