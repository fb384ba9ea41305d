"""Ink is told by ratios of optical densities, at limits that hold on both sides."""

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.imaging.ink import InkSettings, dense_marks, find_ink
from tests.imaging.views import disc

INK = InkSettings(
    min_density=0.25,
    blue_red_per_green=1.25,
    red_blue_per_green=0.75,
    red_max_red_per_green=0.125,
    black_density=0.5,
    black_max_colour_ratio=0.25,
    stroke_um=80.0,
    rim_um=64.0,
    hiding_um=3000.0,
)
"""As shipped, about, in numbers that float32 holds exactly."""

UM = 16.0
SHAPE = (80, 100)
STROKE = np.s_[30:35, 20:70]
"""Five pixels, 80 um, wide."""


def densities(*rgb: float, where: tuple[slice, slice] = STROKE) -> NDArray[np.float32]:
    """float32 (3, H, W): glass, and a mark of these densities."""
    density = np.zeros((3, *SHAPE), np.float32)
    for channel, value in zip(density, rgb, strict=True):
        channel[where] = value
    return density


def inked(density: NDArray[np.float32], coloured: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    return find_ink(density, density.max(axis=0) > 0.02 if coloured is None else coloured, UM, INK)


def below(value: float) -> float:
    return float(np.nextafter(np.float32(value), np.float32(0)))


def above(value: float) -> float:
    return float(np.nextafter(np.float32(value), np.float32(9)))


@pytest.mark.parametrize(
    ("rgb", "ink"),
    [
        ((0.625, 0.5, 0.25), True),  # blue, as much red per green as is needed
        ((below(0.625), 0.5, 0.25), False),
        ((0.3125, 0.25, 0.1875), True),  # and as dense, on the mean
        ((0.3125, 0.25, 0.1874), False),
        ((0.0625, 0.5, 0.375), True),  # red
        ((0.0625, 0.5, below(0.375)), False),
        ((above(0.0625), 0.5, 0.375), False),
        ((0.0, 0.40625, 0.34375), True),
        ((0.0, 0.40625, 0.3437), False),
        ((0.5, 0.5, 0.5), True),  # black
        ((0.4375, 0.5, 0.5625), True),
        ((0.4375, 0.4375, below(0.625)), False),
        ((0.48, 0.48, 0.46), False),
        ((0.43, 0.5, 0.57), False),
        ((0.6, 0.9, 0.5), False),  # haematoxylin and eosin, dense
        ((0.05, 0.2, 0.18), False),
    ],
)
def test_ink_of_each_colour_is_told_exactly_at_its_limits(rgb: tuple[float, float, float], ink: bool) -> None:
    """A stroke that is ink is found as a whole, and nothing beside it; another is none at all."""
    found = inked(densities(*rgb))
    expected = np.zeros(SHAPE, np.bool_)
    expected[STROKE] = ink
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("rgb", [(0.9, 0.5, 0.3), (0.05, 0.6, 0.5), (0.8, 0.8, 0.8)], ids=["blue", "red", "black"])
def test_a_mark_thinner_than_a_stroke_is_no_ink(rgb: tuple[float, float, float]) -> None:
    """Of 4 px, 64 um; it may be a grain of tissue."""
    assert not inked(densities(*rgb, where=np.s_[30:34, 20:70])).any()
    assert inked(densities(*rgb)).sum() == 5 * 50


@pytest.mark.parametrize(
    ("rgb", "rim"),
    [
        ((0.025, 0.02, 0.02), True),  # pale, and led by red
        ((0.02, 0.02, 0.02), False),  # no more than glass
        ((0.02, 0.025, 0.02), True),  # green leads, but less than H&E's does over blue
        ((0.2, 0.209, 0.1), True),  # nor over red
        ((0.2, 0.3, 0.2), False),
    ],
)
def test_the_rim_is_what_is_left_of_the_stroke_within_its_width(rgb: tuple[float, float, float], rim: bool) -> None:
    """4 px on each side, 64 um; H&E beside a stroke is tissue."""
    density = densities(*rgb, where=np.s_[20:45, 10:80])
    for channel, value in zip(density, (0.9, 0.5, 0.3), strict=True):
        channel[STROKE] = value
    expected = np.zeros(SHAPE, np.bool_)
    expected[np.s_[26:39, 16:74] if rim else STROKE] = True
    assert np.array_equal(inked(density), expected)


@pytest.mark.parametrize(("open_px", "ink"), [(0, False), (4, False), (5, True), (28, True)])
def test_black_that_stained_pixels_enclose_is_pigment_or_a_fold(open_px: int, ink: bool) -> None:
    """A block of 10 x 10 px has a ring of 2 px about it, 96 px: with more than a tenth of that open it is a pen's."""
    black = np.s_[30:40, 40:50]
    coloured = np.zeros(SHAPE, np.bool_)
    coloured[20:50, 30:60] = True
    ring = [(row, column) for row in range(28, 42) for column in (38, 39, 50, 51)]
    for row, column in ring[: 2 * open_px]:
        coloured[row, column] = False
    found = inked(densities(0.8, 0.8, 0.8, where=black), coloured)
    assert found[black].all() == found.any() == ink


def test_of_two_black_marks_each_is_judged_by_its_own_surroundings() -> None:
    """One lies in tissue, one beside it, and they touch at a corner, where the first is the second's rim."""
    black = np.zeros(SHAPE, np.bool_)
    inner, outer = np.s_[30:40, 40:50], np.s_[40:50, 50:60]
    black[inner] = black[outer] = True
    density = np.zeros((3, *SHAPE), np.float32)
    density[:, black] = 0.8
    coloured = np.zeros(SHAPE, np.bool_)
    coloured[20:44, 30:54] = True
    found = inked(density, coloured)
    assert not found[30:36, 40:46].any()
    assert found[outer].all()


@pytest.mark.parametrize(("diameter_um", "told"), [(280, False), (360, True), (500, True)])
def test_a_disc_too_dense_for_tissue_is_told_from_a_third_of_a_millimetre_on(diameter_um: int, told: bool) -> None:
    """All of it but a corner here and there, wherever it lies, and nothing else."""
    for middle in ((60.0, 60.0), (12.0, 60.0), (60.3, 107.7)):
        where = disc((120, 120), middle, diameter_um / 2 / 10)
        marks = dense_marks(np.where(where, np.float32(0.9), np.float32(0.4)), 10.0)
        assert not marks[~where].any()
        assert (marks[where].mean() > 0.97) if told else not marks.any()


@pytest.mark.parametrize(("density", "told"), [(0.85, True), (below(0.85), False)])
def test_the_density_of_dense_marks_is_a_limit(density: float, told: bool) -> None:
    green = np.zeros((100, 100), np.float32)
    green[30:70, 30:70] = density
    assert np.array_equal(dense_marks(green, 10.0), (green > 0) & told)


@pytest.mark.parametrize(("gap_px", "closed"), [(8, True), (10, False)])
def test_a_pale_spot_of_a_vessels_width_in_a_dense_mark_belongs_to_it(gap_px: int, closed: bool) -> None:
    """Up to 80 um; a wider one doesn't."""
    green = np.zeros((120, 120), np.float32)
    green[20:100, 20:100] = 1.0
    spot = np.s_[55 : 55 + gap_px, 55 : 55 + gap_px]
    green[spot] = 0.3
    marks = dense_marks(green, 10.0)
    assert marks[spot].all() == closed
    assert marks[green == 1].all()
    assert not marks[green == 0].any()


def test_dense_pixels_that_are_spread_out_are_no_mark() -> None:
    """Every second one; four of five in a square of 0.3 mm are one."""
    green = np.zeros((120, 120), np.float32)
    green[::2] = 1.0
    assert not dense_marks(green, 10.0).any()
    green[:] = 1.0
    green[::5] = 0.0
    assert dense_marks(green, 10.0)[40:80, 40:80].all()
    green[::4] = 0.0
    green[2::4] = 0.0
    assert not dense_marks(green, 10.0).any()
