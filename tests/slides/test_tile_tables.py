"""Which tiles a level lacks, and which of them were lost: a finer level has them."""

from collections.abc import Collection

import numpy as np
import pytest

from nodescan.domain.geometry import PixelBox
from nodescan.slides.tile_tables import TileTable, TileTables


def table(
    width_px: int,
    height_px: int,
    tile_px: tuple[int, int],
    lacking: Collection[int] | None = (),
    *,
    placed: Collection[int] = (),
) -> TileTable:
    """A level without the tiles `lacking`; without any where that is None."""
    count = -(-width_px // tile_px[0]) * -(-height_px // tile_px[1])
    lengths = np.full(count, 0 if lacking is None else 100, np.uint64)
    lengths[[*(lacking or ()), *placed]] = 0
    own = np.zeros(count, np.bool_)
    own[list(placed)] = True
    return TileTable(width_px, height_px, *tile_px, lengths, own)


def but(count: int, *kept: int) -> list[int]:
    """All tiles but those kept."""
    return [tile for tile in range(count) if tile not in kept]


LEVEL = table(250, 120, (100, 50), (2, 4, 7))
"""3 tiles across, the last half as wide, and 3 down: the last of the first row, the middle one, and below it."""
LAST, MIDDLE, BELOW = PixelBox(200, 0, 100, 50), PixelBox(100, 50, 100, 50), PixelBox(100, 100, 100, 50)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (PixelBox(0, 0, 250, 120), [LAST, MIDDLE, BELOW]),
        (PixelBox(0, 0, 100, 120), []),
        (PixelBox(0, 0, 101, 50), []),
        (PixelBox(0, 0, 101, 51), [MIDDLE]),
        (PixelBox(199, 0, 1, 50), []),
        (PixelBox(199, 0, 2, 50), [LAST]),
        (PixelBox(150, 99, 10, 1), [MIDDLE]),
        (PixelBox(150, 99, 10, 2), [MIDDLE, BELOW]),
        (PixelBox(150, 100, 10, 20), [BELOW]),
        (PixelBox(-150, -70, 251, 121), [MIDDLE]),
        (PixelBox(-150, -70, 250, 120), []),
    ],
)
def test_a_box_lacks_the_tiles_that_it_meets_to_the_pixel(box: PixelBox, expected: list[PixelBox]) -> None:
    """A box that ends where a tile begins doesn't meet it; one that overhangs the level meets no other for that."""
    assert LEVEL.missing(box) == expected


def test_only_boxes_that_meet_a_tile_whose_length_was_lost_lack_it_at_the_finest_level() -> None:
    """A tile without a place there was never scanned."""
    tables = TileTables((table(300, 100, (100, 50), (0,), placed=(4,)),), ((300, 100),))
    assert tables.has_lost(0, PixelBox(0, 0, 300, 51))
    assert tables.has_lost(0, PixelBox(199, 50, 1, 1))
    for box in (PixelBox(0, 0, 300, 50), PixelBox(0, 50, 100, 50), PixelBox(200, 50, 100, 50)):
        assert not tables.has_lost(0, box)


FINE_PX, COARSE_PX = (800, 400), (200, 200)
"""Reduced by 4 across and 2 down: a coarse tile of 100 x 50 is a fine region of 400 x 100, 4 x 2 of its tiles."""


@pytest.mark.parametrize(("row", "column"), [(row, column) for row in range(8) for column in range(8)])
def test_a_tile_is_lost_where_any_finer_tile_below_it_was_scanned_and_nowhere_else(row: int, column: int) -> None:
    """Of 8 x 8 fine tiles of 100 x 50 one alone has data: of 2 x 4 coarse ones, that above it is lost."""
    fine, coarse = table(*FINE_PX, (100, 50), but(64, row * 8 + column)), table(*COARSE_PX, (100, 50), None)
    tables = TileTables((fine, coarse), (FINE_PX, COARSE_PX))
    for down, across in np.ndindex(4, 2):
        box = PixelBox(across * 100 + 40, down * 50 + 20, 10, 10)
        assert tables.has_lost(1, box) == ((down, across) == (row // 2, column // 4))
        assert not tables.has_lost(0, PixelBox(across * 400, down * 100, 400, 100))
    kept = TileTables((fine, table(*COARSE_PX, (100, 50))), (FINE_PX, COARSE_PX))
    assert not kept.has_lost(1, PixelBox(0, 0, *COARSE_PX))


def test_any_finer_level_tells_what_was_lost_and_no_coarser_one() -> None:
    """The finest may lack a tile, too, and a level's own tile is not its witness."""
    whole, none = table(200, 200, (100, 100)), table(200, 200, (100, 100), None)
    sizes_px, box = ((800, 800), (400, 400), (200, 200)), PixelBox(0, 0, 200, 200)
    finest, middle = table(800, 800, (100, 100), None), table(400, 400, (100, 100), but(16, 15))
    assert TileTables((finest, middle, none), sizes_px).has_lost(2, PixelBox(199, 199, 1, 1))
    assert not TileTables((finest, middle, none), sizes_px).has_lost(2, PixelBox(0, 0, 100, 200))
    empty = table(400, 400, (100, 100), None)
    assert not TileTables((finest, empty, whole), sizes_px).has_lost(1, PixelBox(0, 0, 400, 400))
    assert not TileTables((finest, empty, none), sizes_px).has_lost(2, box)


def test_a_pixel_along_a_tiles_border_is_rounding_and_two_are_not() -> None:
    """Of a level that is 2.02 times as small the first tile reaches 2 px into the second fine one, of 2.04 times, 4."""
    for factor, lost in ((2.02, False), (2.04, True)):
        fine_px = round(200 * factor)
        tables = TileTables(
            (table(fine_px, fine_px, (200, 200), but(9, 1, 3)), table(200, 200, (100, 100), (0,))),
            ((fine_px, fine_px), (200, 200)),
        )
        assert tables.has_lost(1, PixelBox(0, 0, 50, 50)) == lost


def test_sizes_as_shown_and_not_as_padded_move_places_between_levels() -> None:
    """Both are stored as 400 and 300 px, but show 400 and 200: the coarse tile at 100 lies over the fine one at 200."""
    fine, coarse = table(400, 100, (100, 100), but(4, 2)), table(300, 100, (100, 100), None)
    tables = TileTables((fine, coarse), ((400, 100), (200, 50)))
    assert tables.has_lost(1, PixelBox(100, 0, 10, 10))
    assert not tables.has_lost(1, PixelBox(0, 0, 100, 10))


@pytest.mark.parametrize(
    ("box", "lost"),
    [
        (PixelBox(20, 30, 5, 10), True),
        (PixelBox(44, 39, 10, 10), True),
        (PixelBox(45, 30, 5, 10), False),
        (PixelBox(20, 40, 5, 5), False),
        (PixelBox(15, 30, 5, 10), False),
        (PixelBox(20, 25, 5, 5), False),
        (PixelBox(10, 20, 11, 11), True),
        (PixelBox(0, 0, 50, 50), True),
    ],
)
def test_where_a_scanner_leaves_nothing_out_what_the_finest_level_lacks_is_lost_at_all(
    box: PixelBox, lost: bool
) -> None:
    """A fine tile of 100 x 20 px at (80, 60), reduced by 4 and 2, is 25 x 10 at (20, 30); the coarse one is there."""
    fine, coarse = table(200, 100, (20, 20), [3 * 10 + 4 + tile for tile in range(5)]), table(50, 50, (50, 50))
    tables = TileTables((fine, coarse), ((200, 100), (50, 50)), of_finest=True)
    assert tables.has_lost(1, box) == lost


@pytest.mark.parametrize(("side_px", "lost"), [(404, False), (406, True)])
def test_less_than_a_pixel_of_what_the_finest_level_lacks_is_rounding(side_px: int, lost: bool) -> None:
    """A coarse box that ends at 100 of 200 px ends at fine pixel 202 or 203: of a tile that begins at 200 it has 2 or 3
    px, where a coarse pixel is 2.02 or 2.03."""
    for lacking, box in ((1, PixelBox(0, 0, 100, 50)), (3, PixelBox(0, 0, 50, 100))):
        fine = table(side_px, side_px, (200, 200), (lacking,))
        tables = TileTables((fine, table(200, 200, (200, 200))), ((side_px, side_px), (200, 200)), of_finest=True)
        assert not tables.has_lost(1, PixelBox(0, 0, 99, 50))
        assert tables.has_lost(1, box) == lost


@pytest.mark.parametrize(("tile_px", "lost"), [(18, False), (16, True)])
def test_a_pixel_of_another_width_than_height_is_measured_along_its_own_side(tile_px: int, lost: bool) -> None:
    """Five coarse pixels of 4 x 2 fine ones end at 20: of a tile that begins at 18 they have half a pixel's width."""
    fine = table(200, 100, (tile_px, 20), (1,))
    tables = TileTables((fine, table(50, 50, (50, 50))), ((200, 100), (50, 50)), of_finest=True)
    assert tables.has_lost(1, PixelBox(0, 0, 5, 10)) == lost


@pytest.mark.parametrize("count", [1, 7, 8, 15, 16, 1000])
def test_a_sample_is_spread_over_the_tiles_that_have_data(count: int) -> None:
    """8 to 15 of them, or all of fewer; none that was left out."""
    level = table(2000, 1, (1, 1), [tile for tile in range(2000) if tile % 2 == 0 or tile > 2 * count])
    found = level.sample()
    assert min(count, 8) <= len(found) == len(set(found)) <= 15
    assert all(tile % 2 for tile in found)
    assert max(found) >= 0.8 * 2 * count - 1
    assert table(10, 10, (5, 5), None).sample() == []


def test_a_pixel_that_the_finest_level_lacks_as_a_whole_is_lost_though_it_begins_within_one() -> None:
    """Pixel 1 of a level 1.5 times as small is 1.5 to 3 of the finest, which lacks its first three."""
    tables = TileTables((table(6, 6, (3, 3), (0,)), table(4, 4, (4, 4))), ((6, 6), (4, 4)), of_finest=True)
    for box in (PixelBox(1, 0, 1, 1), PixelBox(0, 1, 1, 1), PixelBox(1, 1, 1, 1)):
        assert tables.has_lost(1, box)
    for box in (PixelBox(2, 0, 2, 2), PixelBox(0, 2, 2, 2)):
        assert not tables.has_lost(1, box)
