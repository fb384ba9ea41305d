"""A single square of a map's cells is an area that counts, at whatever spacing the map has."""

from dataclasses import replace

import numpy as np
import pytest

from nodescan.domain.units import Spacing
from nodescan.imaging.untrusted_areas import (
    DARK,
    LIGHT,
    LIGHT_BLUE,
    LIGHT_RED,
    SMALLEST_SQUARE_MM2,
    STAINED,
    _Squares,
    dark_cells,
    pale_cells,
    veiled_cells,
)
from tests.imaging.views import QUALITY, made_shares

SPACINGS = [Spacing.square(16 * um) for um in (0.9, 0.94, 0.97, 0.976, 0.9766, 0.977, 0.98, 1.0)]
"""Of cells of 16 px, over what the released model takes; the squares have 17 cells a side up to 0.9765, then 15."""


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
def test_a_lone_square_is_told_by_all_three_rules(spacing: Spacing) -> None:
    """Dark, veiled or pale in exactly one square, of tissue all around."""
    side = 2 * round((250 / spacing.x - 1) / 2) + 1
    seen, lone = np.ones((60, 60), bool), np.zeros((60, 60), bool)
    lone[20 : 20 + side, 20 : 20 + side] = True
    share = np.where(lone, 0, 1)
    shares = made_shares((60, 60), {STAINED: 1, **dict.fromkeys((DARK, LIGHT, LIGHT_RED, LIGHT_BLUE), share)})
    pale = replace(QUALITY.pale, min_area_mm2=SMALLEST_SQUARE_MM2)
    for found in (
        dark_cells(shares, seen, spacing, QUALITY.faults),
        veiled_cells(shares, seen, spacing),
        pale_cells(shares, seen, spacing, pale),
    ):
        np.testing.assert_array_equal(found, lone)


@pytest.mark.parametrize(("share", "found"), [(1.0, True), (0.9, False)])
def test_part_of_the_smallest_square_is_too_little(share: float, found: bool) -> None:
    """15 cells of 15.63 um: of the same square at the edge of what was seen a tenth is missing."""
    spacing = Spacing.square(15.63)
    seen = np.zeros((60, 60), bool)
    seen[20:35, 20 : 20 + round(15 * share)] = True
    middle = np.zeros((15, round(15 * share)), bool)
    middle[7, 7] = True
    assert _Squares(seen, spacing, 250.0).area(middle, SMALLEST_SQUARE_MM2).any() == found
