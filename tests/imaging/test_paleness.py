"""Areas that faded beside well stained tissue are found; fat, collagen and real tissue as it is are not accused."""

import io
import math
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nodescan.domain.units import Spacing
from nodescan.imaging.untrusted_areas import DARK, STAINED, PaleSettings, pale_cells
from tests.imaging.views import QUALITY, glass, made_shares, real_tissue, shares_in

PALE = QUALITY.pale
ANY_SIZE = replace(PALE, min_area_mm2=0.0)
CELL = Spacing.square(15.5)

ACRE = math.ceil(0.25e6 / CELL.pixel_area_um2)
"""Cells of the least area that counts."""


def faded(view: np.ndarray, strength: float, white: float = 245.0) -> np.ndarray:
    """uint8 like `view`, with so much of its optical density over `white` left."""
    density = np.log10(white / np.maximum(view.astype(float), 1))
    return np.clip(white * 10 ** -np.where(density > 0, strength * density, density) + 0.5, 0, 255).astype(np.uint8)


def pale(view: np.ndarray, settings: PaleSettings = ANY_SIZE) -> np.ndarray:
    """bool (cells, cells) of a square view, all of it tissue; small areas, too."""
    shares = shares_in(view, quality=replace(QUALITY, pale=settings))
    return pale_cells(shares, np.ones(shares.shape[:2], bool), CELL, settings)


def shares_of(stained: float, dark: float, shape: tuple[int, int] = (40, 40)) -> np.ndarray:
    """float16 (H, W, SHARES): the same in each cell."""
    return made_shares(shape, {STAINED: stained, DARK: dark})


def everywhere(shape: tuple[int, int] = (40, 40)) -> np.ndarray:
    return np.ones(shape, bool)


def test_of_each_cell_the_shares_of_stained_and_dark_pixels_are_told() -> None:
    """Over glass of 200, 186 is stained (0.03) and 79 is dark (0.4); every second pixel counts."""
    core = np.full((64, 64, 3), 200, np.uint8)
    core[16:32, 32:48, 1] = 186
    core[16:24, 48:64, 1] = 79
    shares = shares_in(core, (200.0, 200.0, 200.0))[..., [STAINED, DARK]]
    expected = np.zeros((4, 4, 2))
    expected[1, 2], expected[1, 3] = (1, 0), (0.5, 0.5)
    np.testing.assert_array_equal(shares, expected)
    np.testing.assert_array_equal(shares_in(core[:48, :48], stride_px=3).shape, (16, 16, 5))


def test_real_tissue_is_not_pale(shared: Path) -> None:
    """No cell of 30 real tiles and of five centres' regions; of the tiles at half of their density, where tumour is
    found (Dice 0.88), few."""
    views = real_tissue(shared)
    assert [name for name, view in views.items() if pale(view).any()] == []
    assert np.mean([pale(faded(view, 0.5)).mean() for name, view in views.items() if name.endswith(".jpg")]) < 0.05


def test_real_tissue_at_a_quarter_of_its_density_is_pale(shared: Path) -> None:
    """There the released network outlines next to nothing of the tumour (Dice 0.03): it may not be called negative."""
    tiles = [view for name, view in real_tissue(shared).items() if name.endswith(".jpg")]
    found = [pale(faded(view, 0.25)).mean() for view in tiles]
    assert len(tiles) == 30
    assert np.mean(found) > 0.95
    assert min(found) > 0.5


def test_fat_and_collagen_of_real_slides_are_not_pale(shared: Path) -> None:
    """Squares laid out of the patches that hold least dark stain, of 1,500 with glass in them: fat and loose fibres."""
    with zipfile.ZipFile(shared / "data" / "pcam" / "valid.zip") as archive:
        names = [name for name in archive.namelist() if "normal" in name and name.endswith(".jpg")]
        patches = [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names]
    level = {index: np.quantile(patch[..., 1], 0.9) for index, patch in enumerate(patches)}
    airy = [index for index in level if level[index] > 235 and np.median(patches[index][..., 1]) > 190]
    assert len(airy) >= 36
    for first in range(0, len(airy) - 35, 36):
        square = np.stack([patches[index] for index in airy[first : first + 36]]).reshape(6, 6, 96, 96, 3)
        assert not pale(square.swapaxes(1, 2).reshape(576, 576, 3)).any()


def test_a_pale_area_ends_where_well_stained_tissue_begins(shared: Path) -> None:
    """To a cell or two, so that what lies along the border isn't called negative."""
    view = real_tissue(shared)["centre_3_patient_066_node_1.jpeg"]
    shares = np.concatenate([shares_in(part) for part in (faded(view, 0.2), view)], axis=1)
    found = pale_cells(shares, everywhere((32, 64)), CELL, ANY_SIZE)
    assert found[:, :31].all()
    assert not found[:, 34:].any()


def test_thin_stain_within_fat_and_glass_says_nothing() -> None:
    """Membranes around empty fat cells, and haze on glass below the least stain, are no pale tissue."""
    view = glass(512, 512)
    assert not pale(view).any()
    for width, found in ((2, False), (10, True)):
        lines = np.indices((512, 512)) % 32 < width
        assert pale(np.where(lines.any(axis=0)[..., None], np.uint8((225, 200, 215)), view)).all() == found


@pytest.mark.parametrize(("stained", "found"), [(0.5, True), (0.49, False)])
def test_a_square_is_judged_from_the_least_share_of_stain_on(stained: float, found: bool) -> None:
    """All glass around it counts for the square, as no tissue."""
    shares, settings = shares_of(stained, 0.0), replace(PALE, min_stained_share=float(np.float16(0.5)))
    assert pale_cells(shares, everywhere(), CELL, settings).any() == found


@pytest.mark.parametrize(("dark", "found"), [(1 / 128, True), (1 / 64, False), (1 / 32, False)])
def test_a_square_is_pale_below_the_least_share_of_dark_stain(dark: float, found: bool) -> None:
    """The share itself is enough; it is of what is stained."""
    settings = replace(PALE, min_dark_share=1 / 64)
    assert pale_cells(shares_of(1.0, dark), everywhere(), CELL, settings).any() == found
    assert (
        pale_cells(shares_of(0.5, dark / 2), everywhere(), CELL, replace(settings, min_stained_share=0.25)).any()
        == found
    )


@pytest.mark.parametrize(("cells", "found"), [(ACRE, True), (ACRE - 1, False)])
def test_a_pale_area_counts_from_the_least_size_on(cells: int, found: bool) -> None:
    """Smaller areas are let pass: what they could hide is below what the network finds anyway."""
    block = np.zeros((80, 80), bool)
    block[:33, :33].flat[:cells] = True
    assert pale_cells(shares_of(1.0, 0.0, (80, 80)), block, CELL, PALE).any() == found


def test_what_was_not_seen_is_not_pale() -> None:
    """White that stands for an unread tile, ink and glass beside a piece neither count nor save it."""
    shares, seen = shares_of(1.0, 0.0), everywhere()
    shares[:, 20:], seen[:, 20:] = 1.0, False
    found = pale_cells(shares, seen, CELL, ANY_SIZE)
    assert found[:, :20].all()
    assert not found[:, 20:].any()
    assert not pale_cells(shares, np.zeros_like(seen), CELL, PALE).any()


def test_settings_that_say_the_opposite_are_refused() -> None:
    """Nothing is dark that isn't stained."""
    with pytest.raises(ValueError, match="stained_density can't be above dark_density"):
        replace(PALE, stained_density=0.5)
