"""What was never scanned is told from glass, and tissue that runs into it is not called whole."""

import numpy as np
import pytest

from nodescan.domain.maps import TissueMask
from nodescan.domain.units import Spacing
from nodescan.imaging.quality import Stain, stain_of
from nodescan.imaging.tissue import find_tissue
from nodescan.imaging.unscanned import gaps_and_cuts, unscanned
from tests.imaging.views import QUALITY, TISSUE, absorb, glass, nuclei_and_matrix

SPACING = Spacing.square(8.0)
SIDE = 320
BLOCK = (slice(60, 260), slice(60, 260))
"""Of tissue, 1.6 mm each way."""


def view(
    fill: int | None, rows: slice, columns: slice, *, colour: tuple[int, int, int] = (241, 245, 246)
) -> np.ndarray:
    """Tissue on glass, an area filled with one grey."""
    where = np.zeros((SIDE, SIDE), bool)
    where[BLOCK] = True
    pixels = absorb(glass(SIDE, SIDE, colour=colour), where, nuclei_and_matrix(int(where.sum()), 1.0))
    if fill is not None:
        pixels[rows, columns] = fill
    return pixels


def found(pixels: np.ndarray) -> TissueMask:
    return find_tissue(pixels, SPACING, TISSUE)


@pytest.mark.parametrize("fill", [0, 8, 64, 128, 192, 255])
def test_a_strip_across_tissue_is_wanted_and_not_seen(fill: int) -> None:
    """There was tissue: whatever the strip is filled with, it isn't glass."""
    rows = slice(150, 182)
    mask = found(view(fill, rows, slice(0, SIDE)))
    assert mask.unseen is not None
    assert mask.unseen[155:177, 70:250].mean() > 0.95
    assert mask.tissue[mask.unseen].all()
    assert not mask.unseen[155:177, :40].any()


def test_a_hole_in_tissue_that_was_never_scanned_is_not_glass() -> None:
    """A lost tile is white; beside it tissue ends at a line."""
    mask = found(view(255, slice(130, 190), slice(130, 190)))
    assert mask.unseen is not None
    assert mask.unseen[135:185, 135:185].all()


@pytest.mark.parametrize("fill", [0, 8, 128, 255])
def test_tissue_that_ends_at_a_line_is_cut(fill: int) -> None:
    """Where the scan ends in the middle of tissue there may be more of it; what lies beyond isn't called tissue."""
    mask = found(view(fill, slice(160, SIDE), slice(0, SIDE)))
    assert mask.cut is not None
    assert mask.cut[156:170, 70:250].any(axis=0).mean() > 0.95
    assert mask.unseen is None
    assert not mask.tissue[170:].any()


def test_tissue_that_runs_to_the_border_of_the_view_is_cut() -> None:
    """As of a scan that was cropped: there is no padding that would tell."""
    pixels = view(None, slice(0), slice(0))
    assert found(pixels).cut is None
    mask = found(pixels[:200])
    assert mask.cut is not None
    assert mask.cut[-1, 70:250].mean() > 0.95
    assert not mask.cut[:190].any()
    assert mask.tissue[60:, 60:260].mean() > 0.99


@pytest.mark.parametrize("fill", [0, 8, 128, 255])
def test_glass_that_was_left_out_cuts_nothing(fill: int) -> None:
    """A scanner that keeps away from tissue leaves none out, though it lies between two pieces."""
    pixels = view(fill, slice(0, 40), slice(0, SIDE))
    pixels[:, 280:] = fill
    mask = found(pixels)
    assert (mask.cut, mask.unseen) == (None, None)
    assert mask.tissue[BLOCK].mean() > 0.99


@pytest.mark.parametrize("colour", [(241, 245, 246), (254, 254, 254)])
def test_white_that_the_camera_saturates_on_is_glass(colour: tuple[int, int, int]) -> None:
    """Where glass shades off into white, a white vacuole is no gap either; on white glass, white says nothing."""
    pixels = view(None, slice(0), slice(0), colour=colour)
    shade = np.clip(np.linspace(270, 240, 56), 0, 255).astype(np.uint8)
    pixels[:, :56] = np.maximum(pixels[:, :56], shade[None, :, None])
    pixels[130:190, 130:190] = 255
    mask = found(pixels)
    assert (mask.cut, mask.unseen) == (None, None)


def test_white_all_around_tissue_is_its_glass() -> None:
    """As where a background was made white, or the camera saturates within the coverslip: nothing is cut."""
    pixels = view(None, slice(0), slice(0))
    frame = np.ones((SIDE, SIDE), bool)
    frame[20:300, 20:300] = False
    ground = (pixels.min(axis=2) > 225) & ~frame
    pixels[ground] = 255
    mask = found(pixels)
    assert (mask.cut, mask.unseen) == (None, None)


def test_a_dark_grey_scan_without_glass_is_no_padding() -> None:
    """As of fluorescence: taken for padding it would pass for a slide with little on it."""
    pixels = np.full((SIDE, SIDE, 3), 8, np.uint8)
    pixels[BLOCK] = np.random.default_rng(0).integers(10, 120, (200, 200, 3))
    mask = found(pixels)
    assert mask.unscanned is None
    assert stain_of(pixels, mask, QUALITY) is Stain.DARK_GROUND


def test_dark_grey_padding_is_no_ink_and_no_dark_ground() -> None:
    """More than half of the canvas was filled with it."""
    pixels = view(8, slice(100, SIDE), slice(0, SIDE))
    mask = found(pixels)
    assert stain_of(pixels, mask, QUALITY) is Stain.HE
    assert mask.excluded_area_um2("pen") == 0


def test_grey_that_shades_off_is_no_filling() -> None:
    """As a bubble or the shade of a coverslip: what it hides is told as debris."""
    pixels = view(None, slice(0), slice(0))
    pixels[130:190, 60:320] = np.linspace(110, 190, 260).astype(np.uint8)[None, :, None]
    mask = found(pixels)
    assert (mask.cut, mask.unseen, mask.unscanned) == (None, None, None)


def test_a_tiny_biopsy_on_a_large_glass_is_no_greyscale_scan() -> None:
    """0.05 mm2 on 5 cm2 of neutral glass, with a grey edge of the coverslip, which is no tissue."""
    pixels = glass(2500, 3000, colour=(242, 242, 242))
    where = np.zeros(pixels.shape[:2], bool)
    where[1200:1228, 1500:1528] = True
    pixels = absorb(pixels, where, nuclei_and_matrix(int(where.sum()), 1.0))
    pixels[:, 300:310] = np.random.default_rng(0).integers(140, 160, (2500, 10, 1))
    mask = found(pixels)
    assert mask.tissue[where].all()
    assert mask.area_um2 < 0.2e6
    assert mask.excluded_area_um2("edge") == pytest.approx(2500 * 10 * 64, rel=0.1)


def test_gaps_cuts_and_the_border_are_told_apart() -> None:
    """A hole in tissue is a gap and cuts nothing; above it the scan ends, on the right the view: both cut."""
    nothing, stained = np.zeros((200, 200), bool), np.zeros((200, 200), bool)
    nothing[:20] = nothing[80:110, 60:100] = True
    stained[20:150, 20:] = True
    stained &= ~nothing
    gaps, cuts = gaps_and_cuts(nothing, stained, 8.0, 3000.0)
    hole = np.s_[80:110, 60:100]
    assert gaps[hole].all()
    assert np.count_nonzero(gaps) == 30 * 40
    assert not (gaps & cuts).any()
    expected = np.zeros_like(cuts)
    expected[18:20, 18:] = True  # of what wasn't scanned, beside tissue
    expected[20:150, 198:] = True  # of tissue, at the border of the view
    assert np.array_equal(cuts, expected)


TINTED = (236.0, 232.0, 240.0)


def never_scanned(area: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """What was never scanned of a view of 60 x 80 pixels of tinted glass, on which an area is painted grey by grey."""
    pixels = np.full((60, 80, 3), TINTED, dtype=np.uint8)
    pixels[rows, columns] = area[..., None]
    lightest, darkest = pixels.max(axis=2), pixels.min(axis=2)
    return unscanned(lightest, darkest, TINTED, np.ones(lightest.shape, bool), has_colour=True)


@pytest.mark.parametrize(("spread", "padding"), [(1, True), (9, False)])
def test_dark_grey_along_the_border_is_padding_only_where_it_is_flat(spread: int, padding: bool) -> None:
    """A dense fold or black ink that reaches the border of the view goes up and down."""
    grey = np.random.default_rng(3).integers(6, 6 + spread, (40, 30))
    assert never_scanned(grey, slice(10, 50), slice(30))[20:40, 5:25].any() == padding


def test_an_area_of_one_grey_is_filling_to_its_border() -> None:
    """And one pixel farther, that may be part glass; nothing beside that."""
    expected = np.zeros((60, 80), bool)
    expected[19:41, 29:51] = True
    assert np.array_equal(never_scanned(np.full((20, 20), 128), slice(20, 40), slice(30, 50)), expected)


@pytest.mark.parametrize(("every", "filled"), [(2, True), (20, False)])
def test_white_is_filling_only_where_much_of_it_is_pure(every: int, filled: bool) -> None:
    """An area of 253 with a pure pixel here and there is light glass."""
    white = np.full((20, 20), 253)
    white[:, ::every] = 255
    assert never_scanned(white, slice(20, 40), slice(30, 50))[2:38, 33:48].any() == filled


@pytest.mark.parametrize(("length_px", "cut"), [(2, False), (3, True)])
def test_tissue_that_only_touches_the_end_of_the_scan_is_not_cut(length_px: int, cut: bool) -> None:
    """At 16 um a pixel 32 um are chance and 48 um are not: the line is measured two pixels beyond either end."""
    nothing, stained = np.zeros((60, 60), bool), np.zeros((60, 60), bool)
    nothing[:, 40:] = True
    stained[30 : 30 + length_px, 20:40] = True
    gaps, cuts = gaps_and_cuts(nothing, stained, 16.0, 300.0)
    assert not gaps.any()
    assert cuts.any() == cut


@pytest.mark.parametrize(("length_px", "cut"), [(6, False), (7, True)])
def test_tissue_that_only_touches_the_border_of_the_view_is_not_cut(length_px: int, cut: bool) -> None:
    """At 16 um a pixel 96 um are chance and 112 um are not."""
    stained = np.zeros((60, 60), bool)
    stained[30 : 30 + length_px, 20:] = True
    _, cuts = gaps_and_cuts(np.zeros_like(stained), stained, 16.0, 300.0)
    assert cuts.any() == cut


def test_what_could_not_be_read_is_no_gap_of_the_scan() -> None:
    """Both are unseen tissue; where nothing was unread all of it was never scanned."""
    tissue = np.zeros((4, 4), dtype=bool)
    unseen, unread = tissue.copy(), tissue.copy()
    unseen[1, 1:3] = unread[1, 2] = True
    for mask, gaps in (
        (TissueMask(tissue, SPACING, unseen=unseen, unread=unread), unseen & ~unread),
        (TissueMask(tissue, SPACING, unseen=unseen), unseen),
    ):
        assert np.array_equal(mask.gaps, gaps)


def test_an_area_that_was_left_out_is_of_its_reason_alone() -> None:
    """Two pixels of 8 um under pen, one at an edge."""
    pen, edge = np.zeros((2, 4, 4), dtype=bool)
    pen[0, :2] = edge[1, 0] = True
    mask = TissueMask(np.zeros((4, 4), dtype=bool), SPACING, excluded=(("pen", pen), ("edge", edge)))
    assert [mask.excluded_area_um2(reason) for reason in ("pen", "edge", "debris")] == [128.0, 64.0, 0.0]
