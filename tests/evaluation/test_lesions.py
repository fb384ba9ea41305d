"""Lesions of the reference: growth, merging, holes and what counts as ITC, by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from nodescan.evaluation.lesions import grown, measured_lesions, official_itc_um, official_lesions

REACH_PX = 75 / (0.243 * 32 * 2)


def blank(height: int = 120, width: int = 160) -> np.ndarray:
    return np.zeros((height, width), dtype=np.bool_)


def test_one_pixel_grows_to_every_pixel_nearer_than_the_reach() -> None:
    """4.8225 px: a disc of 69 pixels, four out along an axis and not five."""
    mask = blank()
    mask[50, 50] = True
    labels = official_lesions(mask).labels
    assert labels[50, 54] == 1
    assert labels[50, 55] == 0
    assert labels[52, 54] == 1  # sqrt(20) = 4.47
    assert labels[53, 54] == 0  # 5.0
    rows, columns = np.mgrid[:120, :160]
    assert ((labels > 0) == (np.hypot(rows - 50, columns - 50) < REACH_PX)).all()


@pytest.mark.parametrize(("gap_px", "lesions"), [(8, 1), (9, 2)])
def test_gaps_below_75_um_merge(gap_px: int, lesions: int) -> None:
    """Eight empty pixels (62 um) merge: both sides grow by four. Nine (70 um) leave one between, and stay two."""
    mask = blank()
    mask[50:60, 20:40] = True
    mask[50:60, 40 + gap_px : 60 + gap_px] = True
    assert official_lesions(mask).count == lesions


def test_corners_that_touch_belong_together() -> None:
    """Labels are 8-connected: grown blobs that meet in a corner only are one lesion."""
    mask = blank()
    mask[50, 50] = mask[55, 59] = True  # grown to (52, 54) and (53, 55), which meet in a corner
    labels = official_lesions(mask).labels
    assert (labels[[52, 53], [54, 55]] == 1).all()
    assert (labels[[52, 53], [55, 54]] == 0).all()
    assert official_lesions(mask).count == 1


def test_holes_are_filled() -> None:
    """A point inside a ring is a hit."""
    mask = blank()
    mask[20:80, 20:80] = True
    mask[35:65, 35:65] = False
    labels = official_lesions(mask).labels
    assert labels[50, 50] == labels[22, 22] == 1


@pytest.mark.parametrize(("length_px", "itc"), [(23, True), (24, False)])
def test_itc_by_the_ellipse_axis(length_px: int, itc: bool) -> None:
    """The axis of the grown region against 35.365 px, on both sides, worked out from its second moments."""
    mask = blank()
    mask[50, 20 : 20 + length_px] = True
    found = official_lesions(mask)
    columns = np.nonzero(found.labels)[1].astype(float)
    axis = 4 * math.sqrt(columns.var() + 1 / 12)
    assert (axis < 275 / (0.243 * 32)) is itc
    assert (found.itc == frozenset({1})) is itc
    assert found.n_lesions == (0 if itc else 1)


@pytest.mark.parametrize(("diameter_um", "itc"), [(150.0, True), (185.0, True), (215.0, False), (400.0, False)])
def test_itc_by_the_greatest_diameter(diameter_um: float, itc: bool) -> None:
    """Discs clearly below and above 200 um, at the slide's own spacing."""
    rows, columns = np.mgrid[:120, :160]
    mask = np.hypot(rows - 60, columns - 80) * 32 * 0.226 < diameter_um / 2
    assert (measured_lesions(mask, 0.226).itc == frozenset({1})) is itc


@pytest.mark.parametrize("spacing_um", [0.226, 0.5, 1.0])
@pytest.mark.parametrize("offset_px", [0.0, 0.31, 0.5])
def test_by_pixels_lesions_are_itc_up_to_0_2_mm_and_may_be_so_1_8_px_above(spacing_um: float, offset_px: float) -> None:
    """However coarse the pixels are: none that is larger than 0.2 mm by more counts as isolated tumour cells."""
    rows, columns = np.mgrid[:80, :80]
    apart_um = np.hypot(rows - 40 - offset_px, columns - 40 - offset_px / 2) * 32 * spacing_um
    for diameter_um, itc in ((200.0, True), (201.0 + 1.8 * 32 * spacing_um, False)):
        assert (measured_lesions(apart_um <= diameter_um / 2, spacing_um).itc == frozenset({1})) is itc


@pytest.mark.parametrize("turn", [0.0, 0.4, math.pi / 4, math.pi / 2, 2.5])
def test_the_greatest_diameter_is_one_in_any_direction(turn: float) -> None:
    """A bar of 60 x 400 um is no isolated tumour cells whichever way it lies, and one of 60 x 120 um is."""
    rows, columns = (np.mgrid[:120, :160] - np.array([60, 80])[:, None, None]) * 32 * 0.25
    along, across = columns * math.cos(turn) + rows * math.sin(turn), rows * math.cos(turn) - columns * math.sin(turn)
    for length_um, itc in ((400.0, False), (120.0, True)):
        bar = (abs(along) <= length_um / 2) & (abs(across) <= 30)
        assert (measured_lesions(bar, 0.25).itc == frozenset({1})) is itc


def test_lesions_far_apart_have_labels_of_their_own() -> None:
    """A large one and two small ones in windows that don't meet are three; the small ones are isolated tumour cells."""
    mask = blank(300, 400)
    mask[20:60, 20:60] = mask[20:24, 200:204] = mask[250:253, 300:303] = True
    for found in (official_lesions(mask), measured_lesions(mask, 0.243)):
        large, *small = (int(found.labels[place]) for place in ((40, 40), (22, 202), (251, 301)))
        assert {large, *small} == {1, 2, 3} == set(range(1, found.count + 1))
        assert (found.itc, found.n_lesions) == (frozenset(small), 1)
        assert (found.origin, found.whole) == ((0, 0), True)


def test_the_limit_of_isolated_tumour_cells_goes_with_the_pixel() -> None:
    """0.2 mm where the organisers' pixel is right, twice as much where one is twice as large."""
    assert official_itc_um(0.243) == pytest.approx(200)
    assert official_itc_um(0.486) == pytest.approx(400)


def test_nothing_drawn_is_no_lesion() -> None:
    """An empty mask has none, whatever a distance to nothing would be."""
    assert official_lesions(blank()).count == 0
    assert measured_lesions(blank(), 0.25).count == 0


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(0, 79), st.integers(1, 14)), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_window_by_window_equals_the_whole_at_once(blobs: list[tuple[int, int, int]]) -> None:
    """The same pixels as the plain algorithm gives, also at the slide's edge and in rings."""
    mask = np.zeros((60, 80), dtype=np.bool_)
    for row, column, side in blobs:
        mask[row : row + side, column : column + side] ^= True
    labels, count = grown(mask, reach_px=REACH_PX)
    if not mask.any():
        assert count == 0
        return
    whole = ndimage.binary_fill_holes(ndimage.distance_transform_edt(~mask) < REACH_PX)
    assert ((labels > 0) == whole).all()
    apart, pieces = ndimage.label(whole, structure=np.ones((3, 3)))
    assert count == pieces
    assert len({*zip(labels.ravel().tolist(), apart.ravel().tolist(), strict=True)} - {(0, 0)}) == pieces
