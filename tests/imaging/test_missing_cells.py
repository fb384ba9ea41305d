"""Cells that are blank where an overview shows tissue: which of them are missing, on both sides of every limit."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.domain.maps import TissueMask
from nodescan.domain.units import Spacing
from nodescan.imaging.missing_data import BLANK, PURE, blank_cells, dark_pixels, missing_cells

CELL = Spacing.square(16.0)
SIDE = 12


def blank(rows: slice, columns: slice, kind: int = BLANK) -> NDArray[np.uint8]:
    cells = np.zeros((SIDE, SIDE), np.uint8)
    cells[rows, columns] = kind
    return cells


def overview(*light: tuple[int, int, int]) -> TissueMask:
    """Dark tissue all over, four pixels a cell, but for so many pixels in a cell: (row, column, how many)."""
    dark = np.ones((2 * SIDE, 2 * SIDE), np.bool_)
    for row, column, count in light:
        dark[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = (np.arange(4) >= count).reshape(2, 2)
    return TissueMask(np.ones_like(dark), CELL.scaled(0.5), dark=dark)


def test_a_lost_tile_is_three_cells_wide_and_no_less() -> None:
    """Inside the map and at its border alike: beyond it nothing is known to be blank."""
    for start in (0, 4, SIDE - 3):
        three = blank(slice(start, start + 3), slice(2, 9))
        assert np.array_equal(missing_cells(three, overview(), CELL), three > 0)
    for start in (0, 4, SIDE - 2):
        for two in (blank(slice(start, start + 2), slice(2, 9)), blank(slice(2, 9), slice(start, start + 2))):
            assert not missing_cells(two, overview(), CELL).any()


def test_a_tile_is_lost_only_where_one_cell_is_dark_all_over() -> None:
    """Amid blank ones; a single light pixel in it may be the glass that all of them show."""
    lost = blank(slice(4, 7), slice(4, 7))
    assert missing_cells(lost, overview(), CELL).sum() == 9
    assert not missing_cells(lost, overview((5, 5, 1)), CELL).any()


def test_its_other_cells_are_lost_where_most_of_them_is_dark() -> None:
    """Three of four pixels are most of a cell, two aren't; what isn't joined to it isn't lost either."""
    lost = blank(slice(4, 7), slice(4, 7))
    lost[5, 7] = lost[5, 8] = lost[1, 1] = BLANK
    assert missing_cells(lost, overview((5, 7, 1)), CELL).sum() == 11
    assert missing_cells(lost, overview((5, 7, 2)), CELL).sum() == 9
    assert missing_cells(lost, overview((5, 8, 2)), CELL).sum() == 10


def test_where_the_overview_could_not_be_read_pure_colour_is_missing() -> None:
    """Flat glass is common there, and where nothing is known to be dark nothing is missing."""
    every = np.ones((2 * SIDE, 2 * SIDE), np.bool_)
    unread = TissueMask(every, CELL.scaled(0.5), unseen=every)
    area = slice(4, 7), slice(4, 7)
    assert missing_cells(blank(*area, PURE), unread, CELL).sum() == 9
    assert not missing_cells(blank(*area), unread, CELL).any()
    assert not missing_cells(blank(*area, PURE), TissueMask(every, CELL.scaled(0.5)), CELL).any()
    assert not missing_cells(blank(*area, PURE), TissueMask(~every, CELL.scaled(0.5), dark=every), CELL).any()


def test_a_gap_that_is_not_light_is_missing_whatever_it_shows() -> None:
    """A mark of one grey looks like a gap at low magnification, and has a camera's noise at a finer one."""
    every = np.ones((2 * SIDE, 2 * SIDE), np.bool_)
    gap = np.zeros_like(every)
    gap[8:14] = True
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    grey = TissueMask(every, CELL.scaled(0.5), dark=every, unseen=gap)
    assert np.array_equal(missing_cells(nothing, grey, CELL), gap[::2, ::2])
    assert not missing_cells(nothing, replace(grey, dark=~gap), CELL).any()
    assert not missing_cells(nothing, replace(grey, unread=gap), CELL).any()


def test_glass_that_took_colour_from_tissue_beside_it_is_not_dark() -> None:
    """As JPEG with halved colour leaves it, as bright as glass; pale eosin, pale haematoxylin and fat's rims are dark.

    Of colours as dark in their darkest channel the one is that lies five levels of brightness below glass, not three.
    """
    glass = (242.0, 242.0, 242.0)
    spilt, eosin, haematoxylin, fat = (254, 228, 254), (238, 222, 232), (222, 224, 238), (232, 229, 231)
    view = np.array([[spilt, glass, eosin, haematoxylin, fat]], np.uint8)
    assert dark_pixels(view, glass).tolist() == [[False, False, True, True, True]]
    assert dark_pixels(view, None).tolist() == [[False, False, True, True, True]]
    assert dark_pixels(np.array([[(253, 229, 253), (249, 229, 249)]], np.uint8), glass).tolist() == [[False, True]]


@pytest.mark.parametrize(("darker", "blank"), [(0, True), (4, True), (6, False)])
def test_a_cell_of_the_colour_of_tinted_glass_is_blank(darker: int, blank: bool) -> None:
    """Converters fill what a file lacks with it. It isn't grey, and its darkest channel is far below its lightest."""
    glass = (235.0, 218.0, 228.0)
    core = np.full((32, 32, 3), np.array(glass) - darker).astype(np.uint8)
    core[:16, :16] = (180, 120, 170)
    core[:16, 4:8] = (120, 60, 130)
    filled = BLANK if blank else 0
    assert blank_cells(core, 16, glass).tolist() == [[0, filled], [filled, filled]]


@pytest.mark.parametrize(("level", "dark"), [(234, True), (235, False)])
def test_what_is_nearly_white_is_not_dark_however_light_the_glass(level: int, dark: bool) -> None:
    """From 235 on a pixel may be blank."""
    pixels = np.full((4, 4, 3), level, np.uint8)
    assert dark_pixels(pixels, (254.0, 254.0, 254.0)).all() == dark
