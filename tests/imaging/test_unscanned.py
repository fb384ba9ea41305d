"""What was never scanned is told from glass, and tissue that runs into it is not called whole."""

import numpy as np
import pytest

from nodescan.domain.maps import TissueMask
from nodescan.domain.units import Spacing
from nodescan.imaging.quality import Stain, stain_of
from nodescan.imaging.tissue import find_tissue
from nodescan.imaging.unscanned import gaps_and_cuts
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
