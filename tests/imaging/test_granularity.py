"""Grains are as large as they are, whatever the pixels, the noise or a fold beside them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from nodescan.domain.units import Spacing
from nodescan.imaging.granularity import grain_diameter_um

HALF = Spacing.square(0.5)


def spotted(diameter_px: float, *, seed: int = 0, noise: float = 0.0, dark: int = 90) -> NDArray[np.uint8]:
    """uint8 (256, 256, 3): dark discs, apart from one another, on pink."""
    rng = np.random.default_rng(seed)
    red = np.full((256, 256), 230.0)
    rows, columns = np.ogrid[:256, :256]
    pitch = 2.2 * diameter_px
    for y in np.arange(0, 256, pitch):
        for x in np.arange(0, 256, pitch):
            middle = y + rng.uniform(0, 0.6 * pitch), x + rng.uniform(0, 0.6 * pitch)
            high, wide = (slice(max(0, int(at - diameter_px)), int(at + diameter_px) + 1) for at in middle)
            away = np.hypot(rows[high] - middle[0], columns[:, wide] - middle[1])
            red[high, wide][away < diameter_px / 2] = dark
    red = np.clip(red + rng.normal(0, noise, red.shape), 0, 255)
    return np.stack([red, red, red], axis=2).astype(np.uint8)


@pytest.mark.parametrize("diameter_px", [5, 8, 12, 20])
def test_discs_measure_what_they_are(diameter_px: int) -> None:
    measured = grain_diameter_um([spotted(diameter_px)], HALF)
    assert measured == pytest.approx(diameter_px * 0.5, rel=0.15)


def test_the_spacing_scales_the_answer() -> None:
    fine, coarse = (grain_diameter_um([spotted(10)], Spacing.square(um)) for um in (0.25, 0.5))
    assert fine is not None
    assert coarse == pytest.approx(2 * fine, rel=0.07)


def test_pixels_that_are_not_square_change_nothing() -> None:
    squeezed = spotted(12)[::2]
    assert grain_diameter_um([squeezed], Spacing(0.5, 1.0)) == pytest.approx(6, rel=0.15)


def test_noise_and_pallor_change_nothing() -> None:
    assert grain_diameter_um([spotted(10, noise=12, dark=170)], HALF) == pytest.approx(5, rel=0.15)


def test_one_strong_piece_does_not_speak_for_the_others() -> None:
    fold = spotted(20, dark=5)
    assert grain_diameter_um([fold], HALF) == pytest.approx(10, rel=0.15)
    assert grain_diameter_um([fold, *(spotted(8, seed=seed) for seed in range(4))], HALF) == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("across_px", [40, 60])
def test_grains_are_measured_in_the_walls_between_fat_cells(across_px: int) -> None:
    """Fat cells are larger than nuclei, and stand out more."""
    pitch = 1.8 * across_px
    y, x = np.mgrid[:256, :256] % pitch - pitch / 2
    fat = np.hypot(x, y)[..., None] < across_px / 2
    tissue = (0.6 * spotted(8)).astype(np.uint8)
    assert grain_diameter_um([np.where(fat, np.uint8(240), tissue)], HALF) == pytest.approx(4, rel=0.15)


def test_grains_far_larger_than_nuclei_measure_what_they_are() -> None:
    assert grain_diameter_um([spotted(20, noise=12)], Spacing.square(1.0)) == pytest.approx(20, rel=0.15)


def test_what_has_no_grains_has_no_diameter() -> None:
    blank = np.full((256, 256, 3), 200, np.uint8)
    noise = np.random.default_rng(0).integers(150, 250, (256, 256, 3)).astype(np.uint8)
    assert grain_diameter_um([blank], HALF) is None
    assert grain_diameter_um([noise], HALF) is None
