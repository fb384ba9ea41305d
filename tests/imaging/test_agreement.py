"""What one magnification shows and another doesn't is found; what any reduction of one picture may do isn't."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodescan.domain.maps import CodedBytes, Picture, TissueMask
from nodescan.domain.units import Spacing
from nodescan.imaging.agreement import (
    LEAST_UM2,
    CoarseView,
    coarse_view,
    contradicted_um2,
    likeness,
    unlike_glass,
)
from nodescan.imaging.missing_data import dark_pixels
from tests.imaging.views import QUALITY, shares_in

CELL, OVERVIEW = Spacing.square(15.2), Spacing.square(7.6)
PALE = QUALITY.pale
GLASS = (245.0, 245.0, 245.0)


def view_of(overview: np.ndarray, glass: tuple[float, float, float] | None = GLASS) -> CoarseView:
    """Of an overview of two pixels a cell."""
    shape = (overview.shape[0] // 2, overview.shape[1] // 2)
    tissue = TissueMask(np.zeros(overview.shape[:2], bool), OVERVIEW, dark=dark_pixels(overview, glass), glass=glass)
    return coarse_view(Picture(overview, 0.0, 0.0, OVERVIEW), tissue, shape=shape, cell=CELL, settings=PALE)


def grey(level: int, cells: int = 40) -> np.ndarray:
    return np.full((2 * cells, 2 * cells, 3), level, np.uint8)


def stain(stained: float, dark: float, cells: int = 40) -> np.ndarray:
    return np.stack([np.full((cells, cells), stained), np.full((cells, cells), dark)], axis=-1).astype(np.float16)


def test_tissue_over_a_bare_overview_and_glass_over_a_stained_one_are_counted() -> None:
    everywhere, area = np.ones((40, 40), bool), 1600 * CELL.pixel_area_um2
    assert contradicted_um2(view_of(grey(245)), stain(1, 0.3), everywhere, CELL) == pytest.approx((area, 0))
    assert contradicted_um2(view_of(grey(150)), stain(0, 0), everywhere, CELL) == pytest.approx((0, area))
    assert contradicted_um2(view_of(grey(150)), stain(1, 0.3), everywhere, CELL) == (0, 0)
    assert contradicted_um2(view_of(grey(245)), stain(0, 0), everywhere, CELL) == (0, 0)


def test_glass_that_was_not_examined_contradicts_nothing() -> None:
    assert contradicted_um2(view_of(grey(150)), stain(0, 0), np.zeros((40, 40), bool), CELL) == (0, 0)


@pytest.mark.parametrize(("side", "counts"), [(7, False), (8, True)])
def test_small_groups_of_cells_do_not_count(side: int, counts: bool) -> None:
    assert 49 * CELL.pixel_area_um2 < LEAST_UM2 < 64 * CELL.pixel_area_um2
    shares = stain(0, 0)
    shares[10 : 10 + side, 10 : 10 + side] = 1
    found, _ = contradicted_um2(view_of(grey(245)), shares, np.ones((40, 40), bool), CELL)
    assert (found > 0) == counts


def test_one_dark_pixel_answers_for_all_within_two_cells() -> None:
    overview = grey(245)
    overview[40, 40] = 200
    bare = view_of(overview).bare
    assert not bare[18:23, 18:23].any()
    assert np.count_nonzero(~bare) == 25
    overview = grey(150)
    overview[40, 40] = 240
    assert np.count_nonzero(~view_of(overview).solid) == 25


def test_where_it_is_not_known_what_is_dark_no_cell_is_bare() -> None:
    """Else all tissue that the tiles show would be called missed."""
    tissue = TissueMask(np.zeros((80, 80), bool), OVERVIEW)
    view = coarse_view(Picture(grey(240), 0.0, 0.0, OVERVIEW), tissue, shape=(40, 40), cell=CELL, settings=PALE)
    assert tissue.dark is None
    assert not view.bare.any()


def test_what_the_overview_could_not_read_is_not_bare() -> None:
    overview, unread = grey(255), np.zeros((80, 80), bool)
    unread[:40] = True
    tissue = TissueMask(unread, OVERVIEW, dark=np.zeros_like(unread), unseen=unread, glass=GLASS)
    view = coarse_view(Picture(overview, 0.0, 0.0, OVERVIEW), tissue, shape=(40, 40), cell=CELL, settings=PALE)
    assert not view.bare[:22].any()
    assert view.bare[22:].all()


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
    st.integers(0, 240),
    st.integers(0, 240),
    st.integers(180, 255),
)
def test_no_picture_contradicts_its_own_means(seed: int, share: float, dark: int, light: int, white: int) -> None:
    """Whatever pixels a cell holds."""
    rng = np.random.default_rng(seed)
    cell = np.where(rng.random((16, 16, 1)) < share, min(dark, white), min(light, white)).astype(np.uint8)
    cell = cell.repeat(3, axis=2)
    glass = (float(white),) * 3
    shares = np.broadcast_to(shares_in(cell, glass), (12, 12, 5))
    mean = np.full((24, 24, 3), cell.mean(), np.uint8)  # rounded down, as the darkest that a reduction gives
    lighter = np.minimum(mean.astype(int) + 1, 255).astype(np.uint8)
    everywhere = np.ones((12, 12), bool)
    for overview in (mean, lighter):
        assert contradicted_um2(view_of(overview, glass), shares, everywhere, CELL) == (0, 0)


def texture(seed: int, side: int = 56) -> np.ndarray:
    return np.random.default_rng(seed).normal(150, 20, (side, side)).astype(np.float32)


def test_a_shift_within_reach_and_another_contrast_change_nothing() -> None:
    whole = texture(0, 80)
    one = whole[10:66, 10:66]
    assert likeness(one, 0.3 * one + 90, 4) == pytest.approx(1, abs=1e-3)
    assert likeness(one, whole[13:69, 8:64], 4) == pytest.approx(1, abs=1e-3)
    farther = likeness(one, whole[15:71, 10:66], 4)
    assert farther is not None
    assert farther < 0.2


def test_other_and_mirrored_pictures_are_unlike_and_flat_ones_tell_nothing() -> None:
    for other in (texture(1), texture(0)[:, ::-1], np.full((56, 56), 240, np.float32)):
        found = likeness(texture(0), other, 4)
        assert found is not None
        assert found < 0.2
    assert likeness(0.05 * texture(0), 0.05 * texture(1), 4) is None


def lone(tissue_px: slice) -> tuple[CodedBytes, TissueMask]:
    """Pieces of 8 px of the view: 100 bytes for glass, 1,000 for tissue, which the view shows in some rows."""
    where = np.zeros((160, 160), bool)
    where[tissue_px] = True
    values = np.full((20, 20), 100, np.uint64)
    values[tissue_px.start // 8 : tissue_px.stop // 8] = 1000
    return CodedBytes(values, Spacing.square(64.0)), TissueMask(where, Spacing.square(8.0), dark=where)


def test_long_pieces_away_from_what_the_overview_shows_are_named_by_their_weight() -> None:
    coded, tissue = lone(slice(0, 40))
    assert unlike_glass(coded, tissue, 24) == []
    coded.values[10, 4], coded.values[15, 10:12], coded.values[15, 11] = 900, 800, 850
    coded.values[18, 18] = 140  # as dust is
    assert unlike_glass(coded, tissue, 24) == [(15, 11), (10, 4)]
    assert unlike_glass(coded, tissue, 1) == [(15, 11)]
    shown = tissue.tissue.copy()
    shown[80:88, 32:40] = True
    assert unlike_glass(coded, replace(tissue, dark=shown), 24) == [(15, 11)]


def test_tiles_that_are_stored_as_they_are_tell_nothing() -> None:
    coded, tissue = lone(slice(0, 40))
    coded.values[:] = 1000
    assert unlike_glass(coded, tissue, 24) == []
    coded.values[:] = 0
    assert unlike_glass(coded, tissue, 24) == []


def test_glass_that_tissue_encloses_is_looked_at_too() -> None:
    """It is wanted, for holes are filled; but no magnification shows the tissue that the file spends its bytes on."""
    coded, tissue = lone(slice(0, 80))
    shown = tissue.tissue.copy()
    shown[16:64, 40:104] = False
    ((row, column),) = unlike_glass(coded, replace(tissue, dark=shown), 24)
    assert 2 < row < 7
    assert 5 < column < 12
