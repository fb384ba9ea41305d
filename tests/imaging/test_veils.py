"""Translucent ink over real tissue is found by the light it takes away; tissue, folds, strong stain are not accused."""

from pathlib import Path

import numpy as np
import pytest

from nodescan.domain.units import Spacing
from nodescan.imaging.untrusted_areas import LIGHT_BLUE, LIGHT_RED, veiled_cells
from tests.imaging.views import made_shares, real_tissue, shares_in

STRIDE_PX, CELL = 16, Spacing.square(15.5)


def veiled(view: np.ndarray) -> np.ndarray:
    """bool (cells, cells) of a square view, all of it tissue, on a slide without glass."""
    shares = shares_in(view)
    return veiled_cells(shares, np.ones(shares.shape[:2], bool), CELL)


def under_ink(view: np.ndarray, transmitted: tuple[float, float, float], diameter_um: float) -> np.ndarray:
    """uint8 like `view`, with a disc of ink in its middle that lets so much of red, green and blue light through."""
    rows, columns = np.ogrid[: len(view), : len(view)]
    middle = (len(view) - 1) / 2
    disc = np.hypot(rows - middle, columns - middle) < diameter_um * STRIDE_PX / CELL.x / 2
    return np.where(disc[..., None], np.rint(view * np.array(transmitted)), view).astype(np.uint8)


@pytest.mark.parametrize(
    "transmitted", [(0.5, 0.6, 1.0), (0.33, 0.4, 0.9), (1.0, 0.4, 0.4), (1.0, 0.33, 0.33)], ids=str
)
def test_a_disc_of_ink_over_real_tissue_is_found(shared: Path, transmitted: tuple[float, float, float]) -> None:
    """Blue and red, of 0.48 mm: the released network finds next to none of the tumour under them."""
    views = real_tissue(shared)
    found = [bool(veiled(under_ink(view, transmitted, 480)).any()) for view in views.values()]
    assert np.mean(found) >= 0.95


@pytest.mark.parametrize("strength", [1.0, 1.3, 1.5])
def test_real_tissue_is_not_veiled(shared: Path, strength: float) -> None:
    """Of five centres and 30 tiles, stained as it is and more strongly."""
    for name, view in real_tissue(shared).items():
        stained = np.rint(245 * (view / 245) ** strength).clip(0, 255).astype(np.uint8)
        assert not veiled(stained).any(), name


def test_a_fold_of_real_tissue_is_not_veiled(shared: Path) -> None:
    """Three layers, 200 um wide: light comes past it in every square."""
    wide = round(200 * STRIDE_PX / CELL.x)
    for name, view in real_tissue(shared).items():
        folded, left = view / 245, (len(view) - wide) // 2
        layers = [folded[:, left + shift : left + shift + wide] for shift in (-left, 0, left)]
        folded[:, left : left + wide] = np.prod(layers, axis=0)
        assert not veiled(np.rint(245 * folded).clip(0, 255).astype(np.uint8)).any(), name


def test_of_each_cell_the_shares_of_red_and_of_blue_light_are_told() -> None:
    """Over glass of 200 and 180, what is above 120 in red, and above 99 in blue, is light."""
    core = np.zeros((64, 64, 3), np.uint8)
    core[:16, 16:32] = (121, 255, 99)
    core[:16, 32:48] = (120, 255, 100)
    core[:8, 48:64] = (200, 0, 180)
    expected = np.zeros((4, 4, 2))
    expected[0] = [(0, 0), (1, 0), (0, 1), (0.5, 0.5)]
    shares = shares_in(core, (200.0, 250.0, 180.0))
    np.testing.assert_array_equal(shares[..., [LIGHT_RED, LIGHT_BLUE]], expected)


@pytest.mark.parametrize(("red", "blue", "found"), [(0.0105, 0.0105, False), (0.0095, 0.5, True), (0.5, 0.0095, True)])
def test_either_colour_tells(red: float, blue: float, found: bool) -> None:
    """Red ink lets red light through, blue ink blue light."""
    colours = made_shares((40, 40), {LIGHT_RED: red, LIGHT_BLUE: blue})
    assert veiled_cells(colours, np.ones((40, 40), bool), CELL).all() == found


def test_what_was_not_seen_is_no_veil() -> None:
    """A piece narrower than half of a square is too little to judge, and glass beside one lends it no light."""
    for wide, red, found in ((8, 0.0, False), (9, 0.0, True), (9, 0.0095, True), (9, 0.0105, False)):
        seen = np.zeros((40, 40), bool)
        seen[:, :wide] = True
        colours = made_shares((40, 40), {LIGHT_RED: np.where(seen, red, 1), LIGHT_BLUE: np.where(seen, 0.5, 1)})
        assert (veiled_cells(colours, seen, CELL) == seen & found).all()
